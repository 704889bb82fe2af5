"""The digital phantom of Kudo et al., Radiology 2013;267:201-211, generated from its analytic AIF.

49 tiles (7 MTT x 7 delays) in 5 sections of rising CBV, for three residue shapes.  The grid, the
AIF and the constants are those of public code that uses the original (the original files
are not redistributable); each is named below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammainc

from bolus.types import Float32Array, Float64Array

Shape = Literal["box", "exponential", "linear"]
SHAPES: tuple[Shape, ...] = ("box", "exponential", "linear")

CBV_ML_100G = (1.0, 2.0, 3.0, 4.0, 5.0)
MTT_S = tuple(24.0 / k for k in range(1, 8))
DELAY_S = tuple(0.5 * k for k in range(7))
TILE_PX = 32
FRAMES = 30
INTERVAL_S = 2.0
TISSUE_HU = 36.0
BLOOD_HU = 40.0

AIF_START_S = 12.0
AIF_SCALE_S = 1.5
AIF_AMPLITUDE_HU = 102.4
"""C_a(t) = 102.4 HU (t - 12)^3 exp(-(t - 12)/1.5): peak 465 HU, area 3110 HU s."""
AIF_PARTIAL_VOLUME = 1.0 / 2.05
"""The phantom's arterial region shows the true curve at this fraction."""
AIF_ROI_PX = 8
VOF_ROI_PX = 16
VOF_DISPERSION_S = 3.1
"""Two exponential stages of this mean turn the AIF into a VOF of peak 248 HU at 24 s."""

CBV_SCALE = 100.0 * (0.55 / 0.75) / 1.05
"""ml/100g of a tissue whose curve has the area of the blood's: the phantom holds kappa/rho."""

FINE_S = 0.02


@dataclass(frozen=True)
class KudoPhantom:
    """Frames of one residue shape with their truth; sections are slices z."""

    shape: Shape
    frames: Float32Array
    """(T, 5, 224, 224), HU."""
    times_s: Float64Array
    """(T,)."""
    aif_hu: Float64Array
    """(T,) measured in its region (partial volume, noise), HU above baseline."""
    vof_hu: Float64Array
    """(T,) measured in its region, HU above baseline."""
    cbf: Float32Array
    """(5, 224, 224), ml/100g/min."""
    cbv: Float32Array
    mtt: Float32Array
    delay: Float32Array

    @property
    def tmax(self) -> Float32Array:
        """Delay + MTT/2, s: the centre of the residue function for every shape."""
        return np.asarray(self.delay + self.mtt / 2, np.float32)


def blood_hu(t_s: Float64Array) -> Float64Array:
    """Arterial enhancement at times ``t_s``, HU."""
    s = np.maximum(t_s - AIF_START_S, 0.0)
    return AIF_AMPLITUDE_HU * s**3 * np.exp(-s / AIF_SCALE_S)


def blood_area(t_s: Float64Array) -> Float64Array:
    """Exact integral of `blood_hu` from -inf to ``t_s``, HU s."""
    s = np.maximum(t_s - AIF_START_S, 0.0)
    area = AIF_AMPLITUDE_HU * 6.0 * AIF_SCALE_S**4 * gammainc(4.0, s / AIF_SCALE_S)
    return np.asarray(area, np.float64)


def residue_curve(shape: Shape, mtt_s: float, t_s: Float64Array) -> Float64Array:
    """(C_a * R)(t), HU s, at times ``t_s`` for a residue function of area ``mtt_s``."""
    if shape == "box":
        return blood_area(t_s) - blood_area(t_s - mtt_s)
    # step along a fine grid; both kernels are truncated where they have decayed
    fine = np.arange(0.0, float(t_s.max()) + FINE_S, FINE_S)
    lag = np.arange(0.0, fine[-1], FINE_S)
    kernel = (
        np.exp(-lag / mtt_s) if shape == "exponential" else np.maximum(1 - lag / (2 * mtt_s), 0)
    )
    kernel[0] *= 0.5
    curve = np.convolve(blood_hu(fine), kernel)[: fine.size] * FINE_S
    return np.interp(t_s, fine, curve, left=0.0)


def kudo_phantom(
    shape: Shape,
    *,
    noise_hu: float = 8.0,
    seed: int = 0,
) -> KudoPhantom:
    """Make the phantom's tissue sections for one residue shape.

    Parameters
    ----------
    shape : residue function of the tissue.
    noise_hu : SD of white noise in every pixel of every frame, HU.
    seed : seed of the noise.
    """
    rng = np.random.default_rng(seed)
    times = np.arange(0.0, FRAMES * INTERVAL_S - 1e-9, INTERVAL_S)
    delays = np.array(DELAY_S)
    tiles = np.empty((times.size, len(DELAY_S), len(MTT_S)))
    for column, mtt in enumerate(MTT_S):
        for row, delay in enumerate(delays):
            tiles[:, row, column] = residue_curve(shape, mtt, times - delay) / mtt
    cbv = np.array(CBV_ML_100G)[None, :, None, None]
    curves = tiles[:, None] * cbv / CBV_SCALE
    clean = TISSUE_HU + np.kron(curves, np.ones((1, 1, TILE_PX, TILE_PX)))
    frames = clean + rng.normal(0.0, noise_hu, clean.shape)
    aif = _region_mean(rng, BLOOD_HU + AIF_PARTIAL_VOLUME * blood_hu(times), noise_hu, AIF_ROI_PX)
    vof = _region_mean(rng, BLOOD_HU + venous_hu(times), noise_hu, VOF_ROI_PX)
    before = times < AIF_START_S

    grid = np.ones((len(CBV_ML_100G), 1, 1)), np.ones((1, TILE_PX, TILE_PX))

    def spread(values: Float64Array) -> Float32Array:
        return np.kron(grid[0] * values, grid[1]).astype(np.float32)

    mtt_grid = spread(np.broadcast_to(np.array(MTT_S), (7, 7)))
    cbv_grid = np.broadcast_to(cbv[0].astype(np.float32), mtt_grid.shape)
    return KudoPhantom(
        shape=shape,
        frames=frames.astype(np.float32),
        times_s=times,
        aif_hu=aif - aif[before].mean(),
        vof_hu=vof - vof[before].mean(),
        cbf=np.float32(60) * cbv_grid / mtt_grid,
        cbv=cbv_grid.copy(),
        mtt=mtt_grid,
        delay=spread(np.broadcast_to(delays[:, None], (7, 7))),
    )


def venous_hu(t_s: Float64Array) -> Float64Array:
    """Enhancement of the venous region at times ``t_s``, HU; its area is the artery's."""
    fine = np.arange(0.0, float(t_s.max()) + FINE_S, FINE_S)
    lag = np.arange(0.0, 40.0, FINE_S)
    kernel = lag * np.exp(-lag / VOF_DISPERSION_S)
    kernel /= kernel.sum()
    curve = np.convolve(blood_hu(fine), kernel)[: fine.size]
    return np.interp(t_s, fine, curve)


def _region_mean(
    rng: np.random.Generator, curve: Float64Array, noise_hu: float, side_px: int
) -> Float64Array:
    noise = rng.normal(0.0, noise_hu, (side_px**2, curve.size))
    return np.asarray(curve + noise.mean(axis=0))
