"""CT noise: correlated by the reconstruction, independent between frames."""

from __future__ import annotations

import math

import numpy as np
from scipy.fft import irfft2, rfft2

from bolus.types import Float32Array, Float64Array

SD_AT_1_MAS = 103.09
"""SD of the noise in the brain's centre at 1 mAs, HU (80 kVp, 5 mm; 7.5 HU at 190 mAs)."""
NPS_FALL = 1.3
"""Noise power ~ f exp(-(f / 0.2)^1.3): the ramp of filtered back-projection, with the peak
(0.16 /mm), the tail and the autocorrelation (0.67 at 0.488 mm) of a measured frame (5 mm, STANDARD
kernel: 0.15 /mm and 0.64), at the recipe's usual frequency of 0.2 /mm.  A Gaussian fall has too
little tail: 0.80 at 0.488 mm."""


def noise_sd(mas: float) -> float:
    """SD in the brain's centre, HU: 7.3 at 200 mAs, 0 at ``inf``."""
    return SD_AT_1_MAS / math.sqrt(mas)


def power_filter(shape: tuple[int, int], pixel_mm: float, frequency_per_mm: float) -> Float64Array:
    """(Y, X // 2 + 1) amplitudes for a real FFT that turn white noise of SD 1 to CT noise of SD 1.

    Notes
    -----
    ``sqrt(NPS)`` with NPS ~ f exp(-(f / f0)^1.3), radially symmetric, in cycles/mm, so that the
    texture has the same size in mm at each pixel size.
    """
    fy = np.fft.fftfreq(shape[0], pixel_mm)[:, None]
    fx = np.fft.fftfreq(shape[1], pixel_mm)[None]
    f = np.hypot(fy, fx)
    power = f * np.exp(-((f / frequency_per_mm) ** NPS_FALL))
    return np.asarray(np.sqrt(power / power.mean())[:, : shape[1] // 2 + 1])


def noise_frame(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    pixel_mm: float,
    frequency_per_mm: float,
) -> Float32Array:
    """One frame (Z, Y, X) of noise with SD 1; slices are independent."""
    white = rng.standard_normal(shape, dtype=np.float32)
    amplitude = power_filter(shape[1:], pixel_mm, frequency_per_mm).astype(np.float32)
    coloured: Float32Array = irfft2(rfft2(white) * amplitude, s=shape[1:])
    return coloured


def noise_profile(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> Float32Array:
    """(Z, Y, X) relative SD: 1 in the centre, less towards the edge, more near the skull base."""
    z, rows, columns = shape
    y = (np.arange(rows) - (rows - 1) / 2) * spacing_mm[1]
    x = (np.arange(columns) - (columns - 1) / 2) * spacing_mm[2]
    in_plane = 0.55 + 0.45 * np.exp(-(y[:, None] ** 2 + x**2) / (2 * 75.0**2))
    height = np.arange(z) * spacing_mm[0]
    along = 1 + 0.2 * np.exp(-height / 15.0)
    return np.asarray(along[:, None, None] * in_plane, dtype=np.float32)
