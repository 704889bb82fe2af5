"""Partial-volume correction of the AIF: scaling to the area of the VOF."""

from __future__ import annotations

import numpy as np

from bolus.types import Float64Array

# An artery is smaller than the sinus, never larger; beyond 10 it isn't an artery.
SCALE_RANGE = (1.0, 10.0)
# Delay and mean dispersion from artery to sinus that are tried, s.
DELAYS_S = np.arange(0.0, 12.5, 0.5)
DISPERSIONS_S = np.arange(0.0, 8.5, 0.5)


def area_scale(aif: Float64Array, vof: Float64Array, grid: Float64Array) -> float:
    """Area of the VOF over area of the AIF; see :func:`area_ratio`.

    Parameters
    ----------
    aif, vof : (N,) float64, HU
    grid : (N,) float64, s

    Returns
    -------
    float
        Within [1, 10].
    """
    ratio = area_ratio(aif, vof, grid)
    return float(np.clip(1 / ratio if ratio > 0 else np.inf, *SCALE_RANGE))


def area_ratio(aif: Float64Array, vof: Float64Array, grid: Float64Array) -> float:
    """Area of the AIF as a share of the VOF's: the share of blood in the AIF's voxels.

    The VOF is fitted as the AIF, delayed, dispersed by an exponential and multiplied; neither delay
    nor dispersion changes a curve's area, so the multiplier of the best fit among 425 pairs is the
    ratio of areas.  Truncation of the exam affects the VOF and the fit alike,
    and a baseline error matters less than in an integral over the whole exam.

    Parameters
    ----------
    aif, vof : (N,) float64, HU
    grid : (N,) float64, s

    Returns
    -------
    float
        Infinite where no multiple of the AIF resembles the VOF.
    """
    models = _passages(aif, grid)
    norm = (models**2).sum(axis=1)
    product = models @ vof
    explained = np.where(product > 0, product**2 / np.maximum(norm, 1e-12), 0.0)
    best = int(explained.argmax())
    return float(norm[best] / product[best]) if product[best] > 0 else np.inf


def _passages(aif: Float64Array, grid: Float64Array) -> Float64Array:
    """(425, N) the AIF after every delay and dispersion."""
    t = grid - grid[0]
    out = []
    for mean in DISPERSIONS_S:
        kernel = np.exp(-t / mean) if mean else (t == 0).astype(np.float64)
        dispersed = np.convolve(aif, kernel / kernel.sum())[: t.size]
        out += [np.interp(t - delay, t, dispersed, left=0.0) for delay in DELAYS_S]
    return np.array(out)
