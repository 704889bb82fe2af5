"""Claims about the whole exam and its truth."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from bolus.errors import UsageError
from bolus.simulate import atlas as atlas_module
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import DEMO, Recipe
from bolus.simulate.scanner import slice_times
from bolus.simulate.truth import Truth
from bolus.types import BoolArray, Exam, Float64Array


def _x_mm(truth: Truth, where: BoolArray) -> Float64Array:
    """LPS x of voxels."""
    z, y, x = np.nonzero(where)
    affine = truth.geometry.affine
    return np.asarray(affine[0] @ np.stack([z, y, x, np.ones_like(x)]))


@pytest.fixture(scope="module")
def demo() -> tuple[Exam, Truth]:
    return simulate_exam()


def test_the_built_in_exam_is_a_plausible_stroke(demo: tuple[Exam, Truth]) -> None:
    exam, truth = demo
    assert exam.frames.shape == (40, 12, 256, 256)
    assert exam.frames.dtype == np.float32
    assert 40 < truth.hypo_ml < 150
    assert 5 < truth.core_ml < 50
    assert 30 < truth.normal_cbf < 50
    assert _x_mm(truth, truth.hypo).min() > -5
    assert truth.motion.displacement_mm.max() < 2.0
    assert np.abs(truth.motion.rotation_deg).max() < 2.0
    grey, white = (
        truth.cbf[truth.valid & (truth.painted == 0) & (truth.tissue == i)] for i in (1, 2)
    )
    assert 38 < grey.mean() < 60
    assert 18 < white.mean() < 34


def test_the_built_in_exam_has_clear_arteries_and_veins(demo: tuple[Exam, Truth]) -> None:
    exam, truth = demo
    before = exam.frames[:4].mean(axis=0)
    peak = exam.frames.max(axis=0) - before
    blood = truth.vessel_fraction > 0.9
    assert blood.sum() > 100
    assert np.median(peak[blood]) > 200
    assert np.median(peak[truth.valid]) < 40


def test_same_seed_same_exam_other_seed_other_exam(
    noisy: tuple[Exam, Truth], recipe: Recipe
) -> None:
    again, truth = simulate_exam(3, recipe)
    assert again.frames.tobytes() == noisy[0].frames.tobytes()
    assert truth.cbf.tobytes() == noisy[1].cbf.tobytes()
    other, _ = simulate_exam(4, recipe)
    assert np.mean(other.frames != again.frames) > 0.5


def test_noise_changes_neither_head_nor_truth(
    noisy: tuple[Exam, Truth], quiet: tuple[Exam, Truth]
) -> None:
    for name in ("cbf", "mtt", "delay", "baseline", "core"):
        assert np.array_equal(getattr(noisy[1], name), getattr(quiet[1], name))


def test_central_volume_theorem_and_definitions_hold_in_the_truth(
    quiet: tuple[Exam, Truth],
) -> None:
    truth = quiet[1]
    assert truth.cbv == pytest.approx(truth.cbf * truth.mtt / 60, rel=1e-6)
    brain = truth.mtt > 0
    assert truth.tmax[brain] == pytest.approx((truth.delay + truth.mtt / 2)[brain], rel=1e-6)
    assert np.array_equal(truth.hypo, truth.valid & (truth.tmax > 6))
    normal = truth.cbf[truth.valid & (truth.painted == 0)].mean(dtype=np.float64)
    assert np.array_equal(truth.core, truth.hypo & (truth.cbf < 0.3 * normal))
    assert not (truth.core & ~truth.hypo).any()
    assert truth.core.any()
    for outside in (truth.cbf, truth.cbv, truth.mtt, truth.delay, truth.tmax, truth.ttp):
        assert not outside[~truth.brain].any()


@pytest.mark.parametrize(("which", "sign"), [("quiet", 1), ("right_sided", -1)])
def test_the_lesion_is_on_the_side_it_says(
    which: str, sign: int, request: pytest.FixtureRequest
) -> None:
    """The patient's left is +x, and there less contrast arrives at the arterial peak."""
    exam, truth = request.getfixturevalue(which)
    assert (_x_mm(truth, truth.hypo) * sign > 0).mean() > 0.98
    peak = int(
        np.argmin(np.abs(exam.times_s[:, 0] - truth.bolus.time_s[truth.bolus.artery_hu.argmax()]))
    )
    enhanced = exam.frames[peak + 1] - exam.frames[0]
    lateral = truth.valid & (truth.tissue == 1)
    affected = enhanced[lateral][_x_mm(truth, lateral) * sign > 30].mean()
    healthy = enhanced[lateral][_x_mm(truth, lateral) * sign < -30].mean()
    assert affected < 0.85 * healthy


def test_without_occlusion_nothing_is_late(recipe: Recipe) -> None:
    _, truth = simulate_exam(3, replace(recipe, side="none"))
    assert not truth.painted.any()
    assert truth.hypo_ml < 1.0
    assert truth.core_ml == 0.0


def test_frames_before_the_bolus_are_the_baseline(quiet: tuple[Exam, Truth]) -> None:
    exam, truth = quiet
    early = exam.times_s[:, 0] < truth.recipe.arrival_s - 1
    assert early.sum() >= 2
    assert np.abs(exam.frames[early] - truth.baseline).max() < 1e-2


def test_arteries_peak_before_veins(demo: tuple[Exam, Truth]) -> None:
    exam, truth = demo
    enhanced = exam.frames - truth.baseline
    blood = truth.vessel_fraction > 0.5
    peaks = exam.times_s[enhanced.argmax(axis=0), 0][blood]
    z, y, _ = np.nonzero(blood)
    y_mm = truth.geometry.affine[1, 3] + y * truth.geometry.affine[1, 1]
    willis, great_veins = peaks[(y_mm < 20) & (z < 2)], peaks[y_mm > 70]
    assert np.median(willis) + 3 <= np.median(great_veins)


def test_hounsfield_units_are_those_of_a_head(quiet: tuple[Exam, Truth]) -> None:
    truth = quiet[1]
    mean = {i: truth.baseline[truth.brain & (truth.tissue == i)].mean() for i in (1, 2)}
    assert 33 < mean[1] < 42
    assert 26 < mean[2] < 36
    assert mean[1] > mean[2] + 3
    assert truth.baseline.max() > 900
    assert truth.baseline.min() == -1000
    assert truth.baseline[:, 0, :].max() < -900  # air all around


@pytest.mark.parametrize(
    ("timing", "spread_s"), [("volume", 0.0), ("cine", 0.3), ("shuttle", 0.75)]
)
def test_slices_are_measured_when_the_style_says(timing: str, spread_s: float) -> None:
    times_s = slice_times(Recipe(timing=timing))  # type: ignore[arg-type]
    assert times_s.min() == 0.0
    assert np.all(np.diff(times_s, axis=0) > 0)
    assert np.ptp(times_s[5]) == pytest.approx(spread_s)


def test_a_late_slice_sees_a_later_bolus(quiet: tuple[Exam, Truth], recipe: Recipe) -> None:
    exam, truth = simulate_exam(3, replace(recipe, mas=np.inf, timing="shuttle"))
    upper, valid = -1, truth.valid[-1]
    rising = int(np.argmin(np.abs(exam.times_s[:, 0] - truth.recipe.arrival_s - 6)))
    later = exam.frames[rising, upper][valid].mean()
    assert later > quiet[0].frames[rising, upper][valid].mean() + 0.5


def test_a_recipe_that_can_not_be_is_refused() -> None:
    with pytest.raises(UsageError, match="dt_s is 0"):
        Recipe(dt_s=0)
    with pytest.raises(UsageError, match="frames is 1"):
        replace(DEMO, frames=1)


def test_a_missing_atlas_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas_module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'bolus\[demo\]'"):
        atlas_module.load_atlas.__wrapped__()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, bolus.simulate; sys.exit(any(m in sys.modules for m in ('numba', 'nibabel')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
