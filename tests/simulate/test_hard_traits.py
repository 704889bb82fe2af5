"""Traits of a recipe do what they say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bolus.errors import UsageError
from bolus.simulate.exam import simulate_exam
from bolus.simulate.lesion import CORE
from bolus.simulate.recipe import Recipe
from bolus.simulate.scanner import slice_times

QUIET = Recipe(
    matrix=80, pixel_mm=2.8, slices=6, slice_mm=9.0, bottom_mm=-15.0, frames=8, dt_s=3.0,
    mas=math.inf,
)  # fmt: skip


def test_two_rates_halve_after_thirty_seconds() -> None:
    times = slice_times(Recipe(timing="two-rate", frames=30))
    assert (times == times[:, :1]).all()
    steps = np.diff(times[:, 0])
    assert (steps[times[:-1, 0] < 30] == 1.5).all()
    assert (steps[times[:-1, 0] >= 30] == 3.0).all()


def test_the_first_frame_has_the_noise_of_its_own_dose() -> None:
    recipe = replace(QUIET, mas=100.0, first_mas=400.0)
    noise = simulate_exam(2, recipe)[0].frames[:3] - simulate_exam(2, QUIET)[0].frames[:3]
    sd = noise[:, :, 30:50, 30:50].std(axis=(1, 2, 3))
    assert sd[1] / sd[0] == pytest.approx(2, rel=0.1)
    assert sd[2] / sd[1] == pytest.approx(1, rel=0.1)


def test_both_sides_share_the_volumes() -> None:
    _, truth = simulate_exam(2, replace(QUIET, side="both"))
    left = np.arange(80) >= 40  # LPS: x grows towards the patient's left
    core = truth.painted == CORE
    halves = [core[..., half].sum() for half in (left, ~left)]
    assert halves[0] == pytest.approx(halves[1], rel=0.35)


def test_an_old_infarct_has_its_volume_on_its_side_and_is_no_tissue() -> None:
    _, truth = simulate_exam(2, replace(QUIET, old_infarct_ml=25.0, old_infarct_side="right"))
    old = truth.tissue == 5
    assert old.sum() * truth.geometry.voxel_ml == pytest.approx(25, rel=0.2)
    assert np.nonzero(old)[2].max() < 42
    assert not (truth.valid & old).any()
    assert truth.baseline[old].mean() < 16


def test_a_missing_plate_is_missing_on_its_side_only() -> None:
    whole, _ = simulate_exam(2, QUIET)
    opened, truth = simulate_exam(2, replace(QUIET, craniectomy="right"))
    lost = (whole.frames[0] > 400) & (opened.frames[0] < 150)
    assert lost.sum() * truth.geometry.voxel_ml > 10
    assert np.nonzero(lost)[2].max() < 40


def test_streaks_fade_upwards_and_change_a_little_from_frame_to_frame() -> None:
    plain, _ = simulate_exam(2, QUIET)
    streaked, truth = simulate_exam(2, replace(QUIET, streaks_hu=40.0))
    added = (streaked.frames - plain.frames)[:, :, truth.brain.any(axis=0)]
    strength = added.std(axis=2).mean(axis=0)
    assert strength[0] > 5
    assert (np.diff(strength) < 0).all()
    assert 0.1 < added.std(axis=0)[0].max() / strength[0] < 1


@pytest.mark.parametrize(
    "wrong", [{"old_infarct_ml": -1.0}, {"streaks_hu": math.nan}, {"first_mas": 0.0}]
)
def test_impossible_traits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        replace(QUIET, **wrong)
