"""A dictionary of tissue curves over a family of residue functions, transit times and delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import gammaincc

from bolus.types import Float32Array, Float64Array

FINE_S = 0.1
MTT_S = np.geomspace(2.0, 40.0, 36)
"""Steps of 9 %; the posterior's mean is finer than its grid."""
DELAY_STEP_S = 0.375
EARLIEST_S, LATEST_S = -4.0, 13.625
"""48 delays: a multiple of what the processor multiplies at once."""


def _box(u: Float64Array) -> Float64Array:
    return (u < 1.0).astype(float)


def _gamma(alpha: float) -> Callable[[Float64Array], Float64Array]:
    """Survival function of a gamma distribution of transit times (Mouridsen, NeuroImage 2006)."""
    return lambda u: np.asarray(gammaincc(alpha, alpha * u))


def _exponential(u: Float64Array) -> Float64Array:
    return np.exp(-u)


def _linear(u: Float64Array) -> Float64Array:
    return np.maximum(1.0 - 0.5 * u, 0.0)


FAMILY: dict[str, Callable[[Float64Array], Float64Array]] = {
    "box": _box,
    "gamma 20": _gamma(20.0),
    "gamma 6": _gamma(6.0),
    "gamma 2.5": _gamma(2.5),
    "linear": _linear,
    "exponential": _exponential,
}
"""R as a function of time / MTT, from no spread of transit times to a well-stirred compartment.
Each has R(0) = 1 and area 1."""


@dataclass(frozen=True)
class Dictionary:
    """K curves of unit CBV ratio, ordered by shape, then MTT, then delay."""

    unit: Float32Array
    """(K, N) curves of norm 1."""
    norm: Float32Array
    """(K,) norm of the curve whose area is that of the input, HU."""
    mtt_s: Float32Array
    """(K,)"""
    delay_s: Float32Array
    """(K,)"""
    ttp_s: Float32Array
    """(K,) time of the curve's maximum, s after the first frame."""
    block: int
    """Curves of one shape and MTT."""


def make_dictionary(time_s: Float64Array, input_hu: Float64Array) -> Dictionary:
    """Convolve the input with every residue function of the family.

    Parameters
    ----------
    time_s : (N,) common time grid, s.
    input_hu : (N,) scaled arterial input, HU; held at the mean of its last three samples after
        the end of the scan, for tissue that is ahead of it.
    """
    start, end = float(time_s[0]), float(time_s[-1])
    fine = np.arange(start, end - EARLIEST_S + FINE_S, FINE_S)
    spline = CubicSpline(time_s, input_hu, bc_type="natural")
    source = np.where(fine <= end, spline(np.minimum(fine, end)), input_hu[-3:].mean())
    lag = np.asarray(FINE_S * np.arange(fine.size), np.float64)
    length = 2 ** int(np.ceil(np.log2(2 * fine.size)))
    spectrum = np.fft.rfft(source, length) * FINE_S
    delays = np.arange(EARLIEST_S, LATEST_S + 1e-9, DELAY_STEP_S)
    at = time_s - delays[:, None]
    curves, peaks = [], []
    for residue in FAMILY.values():
        for mtt in MTT_S:
            kernel = _cell_means(residue, mtt, lag)
            curve = np.fft.irfft(spectrum * np.fft.rfft(kernel, length), length)[: fine.size] / mtt
            curves.append(np.interp(at, fine, curve, left=0.0))
            peaks.append(np.minimum(fine[curve.argmax()] + delays, end))
    all_curves = np.concatenate(curves)
    norm = np.maximum(np.linalg.norm(all_curves, axis=1), 1e-9)
    mtt_s = np.tile(np.repeat(MTT_S, delays.size), len(FAMILY))
    delay_s = np.tile(delays, len(FAMILY) * MTT_S.size)
    return Dictionary(
        unit=(all_curves / norm[:, None]).astype(np.float32),
        norm=norm.astype(np.float32),
        mtt_s=mtt_s.astype(np.float32),
        delay_s=delay_s.astype(np.float32),
        ttp_s=np.concatenate(peaks).astype(np.float32),
        block=delays.size,
    )


def _cell_means(
    residue: Callable[[Float64Array], Float64Array], mtt_s: float, lag_s: Float64Array
) -> Float64Array:
    """The residue function averaged over each step of the fine grid, so that its area is kept."""
    # the first cell is half as wide: it starts at lag 0
    edges = np.concatenate([[0.0], lag_s + FINE_S / 2])
    inner = np.linspace(0.0, 1.0, 5)
    points = edges[:-1, None] + inner * np.diff(edges)[:, None]
    mean = np.trapezoid(residue(points / mtt_s), inner, axis=1)
    return np.asarray(mean * np.diff(edges) / FINE_S)
