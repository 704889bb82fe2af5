"""What the AIF is multiplied with: undoing partial volume by the area of the VOF."""

from __future__ import annotations

import numpy as np

from bolus.types import Float64Array

# An artery is smaller than the sinus, never larger; beyond 10 it isn't an artery.
SCALE_RANGE = (1.0, 10.0)
# Delay and mean dispersion from artery to sinus that are tried, s.
DELAYS_S = np.arange(0.0, 12.5, 0.5)
DISPERSIONS_S = np.arange(0.0, 8.5, 0.5)


def area_scale(aif: Float64Array, vof: Float64Array, grid: Float64Array) -> float:
    """Area of the VOF over area of the AIF, on equal terms where the exam ends early.

    What has passed the sinus at the exam's end T had passed the artery one transit time earlier,
    so the AIF's area is taken up to T - transit.  Over the same window the VOF would always miss
    its last seconds and the AIF come out too small.

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
    """Area of the AIF as a share of the VOF's, on equal terms (see :func:`area_scale`)."""
    total = _area(vof, grid, float(grid[-1]))
    if total <= 0:
        return np.inf
    return _area(aif, grid, float(grid[-1]) - transit_time(aif, vof, grid)) / total


def transit_time(aif: Float64Array, vof: Float64Array, grid: Float64Array) -> float:
    """Mean time from artery to sinus, s.

    The VOF is fitted as the AIF, delayed and dispersed by an exponential; delay plus the
    exponential's mean of the best fit among 425 pairs.
    """
    t = grid - grid[0]
    best, transit = np.inf, 0.0
    for mean in DISPERSIONS_S:
        kernel = np.exp(-t / mean) if mean else (t == 0).astype(np.float64)
        dispersed = np.convolve(aif, kernel / kernel.sum())[: t.size]
        # the sampled exponential's own mean is a little shorter
        own_mean = float((t * kernel).sum() / kernel.sum())
        for delay in DELAYS_S:
            model = np.interp(t - delay, t, dispersed, left=0.0)
            norm = float(model @ model)
            misfit = float(vof @ vof) - (float(model @ vof) ** 2 / norm if norm > 0 else 0.0)
            if misfit < best:
                best, transit = misfit, float(delay) + own_mean
    return transit


def _area(curve: Float64Array, grid: Float64Array, stop_s: float) -> float:
    """Integral from the grid's start to ``stop_s``, HU s, by trapezoids."""
    steps = 0.5 * (curve[1:] + curve[:-1]) * np.diff(grid)
    running = np.concatenate([[0.0], np.cumsum(steps)])
    return float(np.interp(stop_s, grid, running))
