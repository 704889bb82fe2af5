"""The curve that a voxel's maps stand for, to be drawn over the measured one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from bolus.deconvolution import svd
from bolus.deconvolution.family import (
    DISPERSED_FROM_S,
    DISPERSED_SHARE,
    FAMILY,
    FINE_S,
    LEAST_DISPERSION_S,
    _cell_means,
    _spread,
)
from bolus.deconvolution.model import CBV_SCALE
from bolus.deconvolution.nlr import _input_table, _templates
from bolus.types import Float32Array, Float64Array


@dataclass(frozen=True)
class Measured:
    """One voxel: its curve, what its maps say, and the arterial input."""

    curve_hu: Float32Array
    """(T,) enhancement, HU."""
    times_s: Float64Array
    """(T,) of its slice."""
    cbv: float
    """ml/100g."""
    mtt_s: float
    delay_s: float | None
    """None where the method knows none."""
    time_s: Float64Array
    """(N,) common grid; the fit is given there."""
    input_hu: Float64Array
    """(N,) scaled arterial input, HU."""


def fitted_nlr(voxel: Measured) -> Float64Array:
    """(N,) box-residue model with the maps' CBV, MTT and delay, HU."""
    seen = float(voxel.times_s.min()), float(voxel.times_s.max())
    table, origin = _input_table(voxel.time_s, voxel.input_hu, seen)
    candidate = np.array([[voxel.mtt_s, voxel.delay_s]])
    return np.asarray(voxel.cbv / CBV_SCALE * _templates(candidate, voxel.time_s, table, origin)[0])


def fitted_bma(voxel: Measured) -> Float64Array:
    """(N,) model with the maps' CBV, MTT and delay, HU, and the residue function of the family that
    comes closest to the measured curve beside a free baseline."""
    curves = [_passed(voxel, name) for name in FAMILY]
    misfits = []
    for curve in curves:
        rest = voxel.curve_hu - np.interp(voxel.times_s, voxel.time_s, curve)
        misfits.append(float(rest.var()))
    return curves[int(np.argmin(misfits))]


def _passed(voxel: Measured, name: str) -> Float64Array:
    """The input after dispersion, delay and one residue function."""
    residue, delay = FAMILY[name], float(voxel.delay_s or 0.0)
    start, end = float(voxel.time_s[0]), float(voxel.time_s[-1])
    fine = np.arange(start, end + FINE_S, FINE_S)
    spline = CubicSpline(voxel.time_s, voxel.input_hu, bc_type="natural")
    source = np.asarray(spline(np.minimum(fine, end)))
    lag = np.asarray(FINE_S * np.arange(fine.size), np.float64)
    length = 2 ** int(np.ceil(np.log2(2 * fine.size)))
    kernel = np.fft.rfft(_cell_means(residue.function, voxel.mtt_s, lag), length) / voxel.mtt_s
    spread_s = DISPERSED_SHARE * max(delay - DISPERSED_FROM_S, 0.0) if residue.dispersed else 0.0
    if spread_s >= LEAST_DISPERSION_S:
        kernel = kernel * np.fft.rfft(_spread(spread_s, lag), length)
    else:
        spread_s = 0.0
    passed = np.fft.irfft(np.fft.rfft(source, length) * FINE_S * kernel, length)[: fine.size]
    at = voxel.time_s - (delay - spread_s)
    return np.asarray(voxel.cbv / CBV_SCALE * np.interp(at, fine, passed, left=0.0))


def fitted_ssvd(voxel: Measured) -> Float64Array:
    """(N,) the input convolved with the impulse response that truncated SVD finds, HU."""
    n = voxel.time_s.size
    lag = np.subtract.outer(np.arange(n), np.arange(n))
    dt_s = voxel.time_s[1] - voxel.time_s[0]
    matrix = np.where(lag >= 0, voxel.input_hu[np.abs(lag)], 0.0) * dt_s
    u, s, _ = np.linalg.svd(matrix)
    kept = u[:, s > svd.SSVD_THRESHOLD * s[0]]
    return np.asarray(kept @ (kept.T @ _on_grid(voxel)))


def fitted_bsvd(voxel: Measured) -> Float64Array:
    """As `fitted_ssvd`, of block-circulant truncated SVD."""
    return _circulant(voxel, svd._truncation(_spectrum(voxel), svd.BSVD_THRESHOLD).astype(float))


def fitted_tikhonov(voxel: Measured) -> Float64Array:
    """As `fitted_ssvd`, of Tikhonov regularisation."""
    power = np.abs(_spectrum(voxel)) ** 2
    return _circulant(voxel, power / (power + svd.TIKHONOV_LAMBDA**2 * power.max()))


FITTED: dict[str, Callable[[Measured], Float64Array]] = {
    "nlr": fitted_nlr,
    "bma": fitted_bma,
    "ssvd": fitted_ssvd,
    "bsvd": fitted_bsvd,
    "tikhonov": fitted_tikhonov,
}
"""Methods whose fit can be had from the maps or from the curve alone; `osvd` chooses a threshold
for each voxel and keeps none, the network has no model."""


def _spectrum(voxel: Measured) -> np.ndarray:
    dt_s = voxel.time_s[1] - voxel.time_s[0]
    return np.fft.rfft(voxel.input_hu * dt_s, 2 * voxel.input_hu.size)


def _circulant(voxel: Measured, gain: np.ndarray) -> Float64Array:
    """Deconvolved and convolved again, a curve keeps ``gain`` of each frequency."""
    n = voxel.time_s.size
    spectrum = np.fft.rfft(_on_grid(voxel), 2 * n)
    return np.asarray(np.fft.irfft(gain * spectrum, 2 * n)[:n])


def _on_grid(voxel: Measured) -> Float64Array:
    return np.asarray(np.interp(voxel.time_s, voxel.times_s, voxel.curve_hu))
