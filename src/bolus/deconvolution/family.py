"""A dictionary of tissue curves over a family of residue functions, transit times and delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from scipy.interpolate import CubicSpline
from scipy.special import gammainc, gammaincc

from bolus.types import Float32Array, Float64Array, IntArray

FINE_S = 0.1
MTT_S = np.geomspace(2.0, 40.0, 28)
"""Steps of 12 %; the posterior's mean is finer than its grid."""
DELAY_STEP_S = 0.5
DELAYS_S = np.arange(-4.0, 13.51, DELAY_STEP_S)
BEYOND_S = 6.0
"""Slices may be measured this much after the end of the common grid."""
DISPERSED_SHARE = 0.35
"""Part of the delay that is dispersion of arrival times, where blood arrives dispersed:
collaterals disperse a bolus by about as much as they delay it (Calamante, Magn Reson Med
2000;44:466)."""
DISPERSED_FROM_S = 2.0
"""Blood that arrives as early as this is not dispersed."""
DISPERSION_SHAPE = 2.0
LEAST_DISPERSION_S = 0.15


def _box(u: Float64Array) -> Float64Array:
    return (u < 1.0).astype(float)


def _gamma(alpha: float) -> Callable[[Float64Array], Float64Array]:
    """Survival function of a gamma distribution of transit times (Mouridsen, NeuroImage 2006)."""
    return lambda u: np.asarray(gammaincc(alpha, alpha * u))


def _exponential(u: Float64Array) -> Float64Array:
    return np.exp(-u)


def _linear(u: Float64Array) -> Float64Array:
    return np.maximum(1.0 - 0.5 * u, 0.0)


@dataclass(frozen=True)
class Residue:
    """A residue function of the family."""

    function: Callable[[Float64Array], Float64Array]
    """R as a function of time / MTT: R(0) = 1, area 1."""
    dispersed: bool = False
    """Whether the bolus is dispersed on its way to the tissue."""


FAMILY: dict[str, Residue] = {
    "box": Residue(_box),
    "gamma 6": Residue(_gamma(6.0)),
    "gamma 2.5": Residue(_gamma(2.5)),
    "linear": Residue(_linear),
    "exponential": Residue(_exponential),
    "gamma 6, dispersed": Residue(_gamma(6.0), dispersed=True),
    "gamma 2.5, dispersed": Residue(_gamma(2.5), dispersed=True),
    "exponential, dispersed": Residue(_exponential, dispersed=True),
}
"""From no spread of transit times to a well-stirred compartment."""


@dataclass(frozen=True)
class FineCurves:
    """The input passed through every residue function, at any time.

    The K curves of the dictionary, ordered by residue function, MTT and delay, are shifts of C
    curves: those without dispersion share one for all delays.
    """

    start_s: float
    curves: Float32Array
    """(C, F) every `FINE_S` from ``start_s``, for tissue of unit CBV ratio, HU."""
    curve: IntArray
    """(K,) which of them."""
    shift_s: Float64Array
    """(K,) how much later."""
    mtt_s: Float64Array
    """(K,)"""
    delay_s: Float64Array
    """(K,) shift and mean of the dispersion."""
    ttp_s: Float64Array
    """(K,) peak of the curve within the scan, s after the first frame."""


@dataclass(frozen=True)
class Dictionary:
    """K curves of unit CBV ratio as sampled.

    Curves are compared with a free baseline: their mean over the samples is taken out, and
    each sample counts by the root of its frame's weight.  The noise of the baseline frames, which
    is the same error in every sample of a subtracted curve, then has no effect.
    """

    unit: Float32Array
    """(K, T) curves of norm 1."""
    norm: Float32Array
    """(K,) norm of the curve whose area is that of the input, HU."""
    root_weight: Float32Array
    """(T,) factors of measured curves before they are compared."""


def fine_curves(grid_s: Float64Array, input_hu: Float64Array) -> FineCurves:
    """The input passed through every residue function.

    Parameters
    ----------
    grid_s : (N,) evenly spaced, s.
    input_hu : (N,) scaled arterial input, HU; held at the mean of its last three samples after
        the end of the scan, for tissue that is ahead of it.
    """
    start, end = float(grid_s[0]), float(grid_s[-1])
    fine = np.arange(start, end + BEYOND_S - DELAYS_S[0] + FINE_S, FINE_S)
    spline = CubicSpline(grid_s, input_hu, bc_type="natural")
    source = np.where(fine <= end, spline(np.minimum(fine, end)), input_hu[-3:].mean())
    lag = np.asarray(FINE_S * np.arange(fine.size), np.float64)
    length = 2 ** int(np.ceil(np.log2(2 * fine.size)))
    spectrum = np.fft.rfft(source, length) * FINE_S
    spread_s = DISPERSED_SHARE * np.maximum(DELAYS_S - DISPERSED_FROM_S, 0)
    spread_s[spread_s < LEAST_DISPERSION_S] = 0.0
    ways = np.array([np.fft.rfft(dispersion(s, lag), length) for s in spread_s])
    curves, number, shift = [], [], []
    count = 0
    for residue in FAMILY.values():
        for mtt in MTT_S:
            kernel = np.fft.rfft(cell_means(residue.function, mtt, lag), length)
            passed = (ways if residue.dispersed else ways[:1]) * (spectrum * kernel / mtt)
            made = np.fft.irfft(passed, length)[:, : fine.size]
            curves.append(made.astype(np.float32))
            own = np.arange(DELAYS_S.size) if residue.dispersed else np.zeros(DELAYS_S.size, int)
            number.append(count + own)
            shift.append(DELAYS_S - (spread_s if residue.dispersed else 0.0))
            count += len(made)
    every = np.concatenate(curves)
    curve, shift_s = np.concatenate(number), np.concatenate(shift)
    peak = fine[every.argmax(axis=1)]
    return FineCurves(
        start_s=start,
        curves=every,
        curve=curve,
        shift_s=shift_s,
        mtt_s=np.tile(np.repeat(MTT_S, DELAYS_S.size), len(FAMILY)),
        delay_s=np.tile(DELAYS_S, len(FAMILY) * MTT_S.size),
        ttp_s=np.minimum(peak[curve] + shift_s, end),
    )


def make_dictionary(fine: FineCurves, times_s: Float64Array, weight: Float64Array) -> Dictionary:
    """The curves of all residue functions, MTT and delays as they are sampled.

    Parameters
    ----------
    fine : curves at any time.
    times_s : (T,) times of the samples, s.
    weight : (T,) information of each sample.
    """
    sampled = _sample(fine.curves, fine.curve, fine.shift_s, times_s - fine.start_s)
    sampled -= (sampled @ (weight / weight.sum()))[:, None]
    root = np.sqrt(weight)
    sampled *= root
    norm = np.maximum(np.linalg.norm(sampled, axis=1), 1e-9)
    return Dictionary(
        unit=(sampled / norm[:, None]).astype(np.float32),
        norm=norm.astype(np.float32),
        root_weight=root.astype(np.float32),
    )


@njit(cache=True, parallel=True)
def _sample(
    curves: Float32Array, curve: IntArray, shift_s: Float64Array, times_s: Float64Array
) -> Float64Array:
    """(K, T) shifted curves between their fine samples; 0 before their start."""
    out = np.zeros((curve.size, times_s.size))
    last = curves.shape[1] - 2
    for k in prange(curve.size):
        own = curves[curve[k]]
        for t in range(times_s.size):
            position = (times_s[t] - shift_s[k]) / FINE_S
            if position <= 0:
                continue
            i = min(int(position), last)
            part = min(position - i, 1.0)
            out[k, t] = own[i] * (1 - part) + own[i + 1] * part
    return out


def dispersion(mean_s: float, lag_s: Float64Array) -> Float64Array:
    """Arrival times on the way to the tissue: a gamma distribution on the fine grid, sum 1."""
    if mean_s == 0:
        return np.asarray(lag_s == 0, np.float64)
    edges = np.concatenate([[0.0], lag_s + FINE_S / 2])
    share = np.diff(gammainc(DISPERSION_SHAPE, edges * DISPERSION_SHAPE / mean_s))
    return np.asarray(share)


def cell_means(
    residue: Callable[[Float64Array], Float64Array], mtt_s: float, lag_s: Float64Array
) -> Float64Array:
    """The residue function averaged over each step of the fine grid, so that its area is kept."""
    # the first cell is half as wide: it starts at lag 0
    edges = np.concatenate([[0.0], lag_s + FINE_S / 2])
    inner = np.linspace(0.0, 1.0, 5)
    points = edges[:-1, None] + inner * np.diff(edges)[:, None]
    mean = np.trapezoid(residue(points / mtt_s), inner, axis=1)
    return np.asarray(mean * np.diff(edges) / FINE_S)
