"""The noise has the power, the texture and the independence that it claims."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0

from bolus.simulate.noise import noise_frame, noise_profile, noise_sd
from bolus.simulate.truth import Truth
from bolus.types import Exam


def _autocorrelation(distance_mm: float) -> float:
    """Of noise with NPS ~ f exp(-(f / 0.2)^1.3), by the Hankel transform of its spectrum."""

    def density(f: float) -> float:
        return f * math.exp(-((f / 0.2) ** 1.3)) * f

    power = quad(density, 0, 3)[0]
    return float(quad(lambda f: density(f) * j0(2 * math.pi * f * distance_mm), 0, 3)[0] / power)


@pytest.mark.parametrize("pixel_mm", [0.35, 0.488])
def test_texture_is_that_of_the_stated_power_spectrum(pixel_mm: float) -> None:
    noise = noise_frame(np.random.default_rng(2), (6, 256, 256), pixel_mm, 0.2)
    assert noise.std() == pytest.approx(1.0, rel=0.02)
    for lag in (1, 2, 3):
        along_x = (noise[..., lag:] * noise[..., :-lag]).mean()
        along_y = (noise[:, lag:] * noise[:, :-lag]).mean()
        expected = _autocorrelation(lag * pixel_mm)
        assert along_x == pytest.approx(expected, rel=0.1, abs=0.02)
        assert along_y == pytest.approx(expected, rel=0.1, abs=0.02)


def test_neighbouring_pixels_correlate_as_measured_on_a_real_scanner() -> None:
    """0.64 at a distance of 0.488 mm was measured on a 5 mm STANDARD kernel frame."""
    assert _autocorrelation(0.488) == pytest.approx(0.64, rel=0.1)


def test_a_quarter_of_the_dose_doubles_the_noise() -> None:
    assert noise_sd(50) == pytest.approx(2 * noise_sd(200))
    assert noise_sd(190) == pytest.approx(7.5, abs=0.05)
    assert noise_sd(math.inf) == 0.0


def test_the_exam_carries_the_stated_noise_and_nothing_else(
    noisy: tuple[Exam, Truth], quiet: tuple[Exam, Truth]
) -> None:
    exam, truth = noisy
    noise = exam.frames - quiet[0].frames
    expected = noise_sd(200) * noise_profile(noise.shape[1:], exam.geometry.spacing_mm)
    brain = truth.brain
    assert (noise / expected)[:, brain].std() == pytest.approx(1.0, rel=0.03)
    first, second = noise[0][brain], noise[1][brain]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
    assert abs(np.corrcoef(noise[0, 0][brain[0]], noise[0, 1][brain[0]])[0, 1]) < 0.08
    assert abs(noise.mean(axis=0)[brain].mean()) < 0.1


def test_a_sharper_kernel_makes_finer_noise_of_the_same_strength() -> None:
    soft, sharp = (
        noise_frame(np.random.default_rng(2), (4, 256, 256), 0.5, f) for f in (0.13, 0.28)
    )
    assert sharp.std() == pytest.approx(soft.std(), rel=0.02)
    neighbours = [(n[..., 1:] * n[..., :-1]).mean() for n in (soft, sharp)]
    assert neighbours[0] > neighbours[1] + 0.15
