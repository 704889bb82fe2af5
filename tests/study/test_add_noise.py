"""An exam of 50 mAs made from one of 200 mAs is like one that was simulated at 50 mAs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import ndimage

from bolus.errors import TooFewFrames, UsageError
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.exam import simulate_exam
from bolus.simulate.noise import noise_profile, noise_sd
from bolus.simulate.recipe import Recipe
from bolus.simulate.truth import Truth
from bolus.study.dose.add_noise import Noise, measure_noise, stated_sd_hu, with_noise
from bolus.study.dose.subsample import subsampled
from bolus.types import BoolArray, Exam, Float32Array
from small_exam import SMALL

FINE = replace(SMALL, matrix=192, pixel_mm=1.17, slices=4, frames=16, dt_s=3.0)
"""Pixels small enough for the texture to show."""
SEED = 11


@dataclass(frozen=True)
class Doses:
    """One head at two doses and without noise."""

    full: Exam
    low: Exam
    clean: Exam
    truth: Truth
    noise: Noise
    made: Exam


def at_doses(recipe: Recipe) -> Doses:
    full, truth = simulate_exam(SEED, recipe)
    low, _ = simulate_exam(SEED, replace(recipe, mas=recipe.mas / 4))
    clean, _ = simulate_exam(SEED, replace(recipe, mas=math.inf))
    noise = measure_noise(full)
    return Doses(full, low, clean, truth, noise, with_noise(full, 0.25, 5, noise))


@pytest.fixture(scope="module")
def fine() -> Doses:
    return at_doses(FINE)


def inner(truth: Truth) -> BoolArray:
    cross = ndimage.generate_binary_structure(2, 1)[None]
    return ndimage.binary_erosion(truth.brain, cross, iterations=4)


def autocorrelation(noise: Float32Array, where: BoolArray, lag: int) -> float:
    both = where[..., lag:] & where[..., : where.shape[-1] - lag]
    product = noise[..., lag:] * noise[..., : noise.shape[-1] - lag]
    return float(product[:, both].mean() / (noise[:, where] ** 2).mean())


def test_the_noise_of_an_exam_is_measured_in_spite_of_the_bolus(fine: Doses) -> None:
    shape, spacing_mm = fine.full.geometry.shape, fine.full.geometry.spacing_mm
    true_sd = noise_sd(FINE.mas) * noise_profile(shape, spacing_mm)
    ratio = (fine.noise.sd_hu / true_sd)[fine.truth.brain]
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    assert ratio.std() < 0.06
    assert np.array_equal(fine.noise.frame, np.ones(len(fine.full.frames)))
    assert stated_sd_hu(FINE.mas) == pytest.approx(noise_sd(FINE.mas))


def test_noise_has_the_amount_and_texture_of_the_lower_dose(fine: Doses) -> None:
    where = inner(fine.truth)
    made, low = (exam.frames - fine.clean.frames for exam in (fine.made, fine.low))
    assert made[:, where].std() == pytest.approx(low[:, where].std(), rel=0.02)
    for lag in range(1, 6):
        difference = autocorrelation(made, where, lag) - autocorrelation(low, where, lag)
        assert abs(difference) < 0.015
    for mm in (1, 2, 4):
        # what is left of noise after filters is what its low frequencies hold
        widths = (0, 0, mm / FINE.pixel_mm, mm / FINE.pixel_mm)
        left = [ndimage.gaussian_filter(n, widths)[:, where].std() for n in (made, low)]
        assert left[0] == pytest.approx(left[1], rel=0.08)


def test_maps_are_as_wrong_as_those_of_the_lower_dose(small: tuple[Exam, Truth]) -> None:
    full, truth = small
    low, _ = simulate_exam(SEED, replace(SMALL, mas=SMALL.mas / 4))
    results = [
        analyse(exam, Choices(methods=("nlr",)), Stages())
        for exam in (full, low, with_noise(full, 0.25, 5))
    ]
    for name in ("cbv", "tmax"):  # CBF and MTT depend more on which artery is chosen
        true = getattr(truth, name)
        wrong, worse, made = (
            float(np.abs(getattr(r.methods["nlr"].maps, name) - true)[truth.valid].mean())
            for r in results
        )
        assert worse > 1.2 * wrong
        assert abs(made - worse) < 0.3 * (worse - wrong)


def test_frames_of_another_dose_get_noise_in_proportion() -> None:
    recipe = replace(SMALL, first_mas=4 * SMALL.mas)
    exam, _ = simulate_exam(SEED, recipe)
    noise = measure_noise(exam)
    assert noise.frame[0] == pytest.approx(0.5, rel=0.15)
    added = with_noise(exam, 0.5, 1, noise).frames - exam.frames
    where = noise.brain
    ratio = added[0][where].std() / added[1:][:, where].std()
    assert ratio == pytest.approx(0.5, rel=0.15)


def test_added_noise_is_that_of_its_frame_whatever_else_is_kept(fine: Doses) -> None:
    again = with_noise(fine.full, 0.25, 5, fine.noise)
    assert np.array_equal(again.frames, fine.made.frames)
    other = with_noise(fine.full, 0.25, 6, fine.noise)
    assert not np.array_equal(other.frames, fine.made.frames)
    inside = fine.truth.brain
    half = with_noise(fine.full, 0.5, 5, fine.noise).frames[:, inside] - fine.full.frames[:, inside]
    quarter = fine.made.frames[:, inside] - fine.full.frames[:, inside]
    np.testing.assert_allclose(half * math.sqrt(3), quarter, atol=1e-2)


def test_a_whole_dose_is_the_exam_itself_and_more_is_impossible(fine: Doses) -> None:
    assert with_noise(fine.full, 1, 1) is fine.full
    for dose in (0, -0.5, 1.5):
        with pytest.raises(UsageError):
            with_noise(fine.full, dose, 1)


def test_the_stated_tube_load_follows_the_dose(fine: Doses) -> None:
    assert fine.full.scanner.exposure_mas is not None
    assert fine.made.scanner.exposure_mas == pytest.approx(fine.full.scanner.exposure_mas / 4)


def test_noise_of_too_few_frames_is_not_guessed(fine: Doses) -> None:
    with pytest.raises(TooFewFrames):
        measure_noise(subsampled(fine.full, (0, 5, 10, 15)))
