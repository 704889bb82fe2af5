"""Deconvolution by regularised inversion of the arterial input: sSVD, bSVD, oSVD, Tikhonov.

Each method is one matrix that turns a tissue curve into its impulse response k(t) = CBF R(t).
The block-circulant ones are diagonal in the Fourier basis (Gall, 2010), so their singular values
are |FFT of the zero-padded input| and no SVD needs to be computed.
"""

from __future__ import annotations

import numpy as np

from bolus.curves.timing import chunks, on_grid
from bolus.deconvolve.model import (
    CBV_SCALE,
    VoxelMaps,
    refined_peak,
    time_to_peak,
    transit_time,
)
from bolus.types import BoolArray, Curves, Float32Array, Float64Array

SSVD_THRESHOLD = 0.2
"""Of the largest singular value (Ostergaard, Magn Reson Med 1996;36:715)."""
BSVD_THRESHOLD = 0.1
"""Of the largest singular value (Wu, Magn Reson Med 2003;50:164)."""
OSVD_OSCILLATION = 0.035
"""Largest oscillation index that is accepted (Wu 2003)."""
OSVD_THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))
TIKHONOV_LAMBDA = 0.1
"""Of the largest singular value; an absolute value would depend on the HU of the input."""
EARLIEST_S = -5.0
"""Tissue can be ahead of the arterial input by this much; earlier maxima are noise."""


def ssvd(curves: Curves, input_hu: Float64Array) -> tuple[VoxelMaps, dict[str, float | str]]:
    """Truncated SVD of the lower-triangular convolution matrix (Ostergaard 1996).

    Depends on the delay between input and tissue by construction, and can't represent tissue
    that is ahead of the input.

    Parameters
    ----------
    curves : the tissue's curves.
    input_hu : (N,) scaled arterial input, HU.
    """
    n = curves.time_s.size
    lag = np.subtract.outer(np.arange(n), np.arange(n))
    matrix = np.where(lag >= 0, input_hu[np.abs(lag)], 0.0) * curves.dt_s
    u, s, vt = np.linalg.svd(matrix)
    inverse = np.where(s > SSVD_THRESHOLD * s[0], 1 / np.maximum(s, 1e-300), 0.0)
    solver = (vt.T * inverse) @ u.T
    voxel = _from_impulse(curves, input_hu, solver, first_lag=0)
    return voxel, {"threshold": SSVD_THRESHOLD}


def bsvd(curves: Curves, input_hu: Float64Array) -> tuple[VoxelMaps, dict[str, float | str]]:
    """Block-circulant truncated SVD (Wu 2003): insensitive to delays of either sign.

    Parameters
    ----------
    curves : the tissue's curves.
    input_hu : (N,) scaled arterial input, HU.
    """
    spectrum = _spectrum(curves, input_hu)
    voxel = _circulant_maps(curves, input_hu, spectrum, _truncation(spectrum, BSVD_THRESHOLD))
    return voxel, {"threshold": BSVD_THRESHOLD}


def tikhonov(curves: Curves, input_hu: Float64Array) -> tuple[VoxelMaps, dict[str, float | str]]:
    """Block-circulant deconvolution with standard-form Tikhonov regularisation.

    Parameters
    ----------
    curves : the tissue's curves.
    input_hu : (N,) scaled arterial input, HU.
    """
    spectrum = _spectrum(curves, input_hu)
    power = np.abs(spectrum) ** 2
    gain = power / (power + TIKHONOV_LAMBDA**2 * power.max())
    voxel = _circulant_maps(curves, input_hu, spectrum, gain)
    return voxel, {"lambda": TIKHONOV_LAMBDA}


def osvd(curves: Curves, input_hu: Float64Array) -> tuple[VoxelMaps, dict[str, float | str]]:
    """Block-circulant SVD, each voxel at its lowest threshold that oscillates little (Wu 2003).

    Parameters
    ----------
    curves : the tissue's curves.
    input_hu : (N,) scaled arterial input, HU.
    """
    spectrum = _spectrum(curves, input_hu)
    peak = np.zeros(curves.tissue_hu.shape[0], np.float32)
    lag_s = np.zeros_like(peak)
    pending = np.arange(peak.size)
    slices = curves.slices
    area = np.empty_like(peak)
    for threshold in OSVD_THRESHOLDS:
        solver, first = _circulant_solver(curves, spectrum, _truncation(spectrum, threshold))
        last = threshold == OSVD_THRESHOLDS[-1]
        unfinished = []
        for rows in chunks(pending.size):
            voxels = pending[rows]
            gridded = on_grid(curves, voxels, slices)
            area[voxels] = gridded.sum(axis=1)
            impulse = gridded @ solver.T
            calm = (_oscillation(impulse) < OSVD_OSCILLATION) | last
            height, position = _impulse_peak(curves, impulse[calm], first)
            peak[voxels[calm]] = height
            lag_s[voxels[calm]] = position
            unfinished.append(voxels[~calm])
        pending = np.concatenate(unfinished) if unfinished else pending
        if pending.size == 0:
            break
    return _voxel_maps(curves, input_hu, peak, lag_s, area), {"oscillation_index": OSVD_OSCILLATION}


def _spectrum(curves: Curves, input_hu: Float64Array) -> np.ndarray:
    """FFT of the input, zero-padded to twice its length so that nothing wraps around."""
    return np.fft.rfft(input_hu * curves.dt_s, 2 * input_hu.size)


def _truncation(spectrum: np.ndarray, threshold: float) -> BoolArray:
    magnitude = np.abs(spectrum)
    return np.asarray(magnitude >= threshold * magnitude.max())


def _circulant_solver(
    curves: Curves, spectrum: np.ndarray, gain: np.ndarray
) -> tuple[Float32Array, int]:
    """(L, N) matrix from tissue curve to impulse response, and the lag of its first row.

    ``gain`` (0..1) is what is kept of each singular value.  Rows are lags in rising order, from
    `EARLIEST_S` to the end of the scan; the far negative half of the circle is left out.
    """
    n = curves.time_s.size
    kept = gain > 0
    inverse = np.zeros_like(spectrum)
    inverse[kept] = gain[kept] / spectrum[kept]
    response = np.fft.irfft(inverse, 2 * n)
    first = -min(round(-EARLIEST_S / curves.dt_s), n)
    lag = np.subtract.outer(np.arange(first, n), np.arange(n)) % (2 * n)
    return response[lag].astype(np.float32), first


def _oscillation(impulse: Float32Array) -> Float32Array:
    """Oscillation index of each row (Wu 2003): mean |second difference| / maximum."""
    bend = np.abs(np.diff(impulse, n=2, axis=1)).sum(axis=1)
    top = np.maximum(impulse.max(axis=1), 1e-12)
    return np.asarray(bend / top / impulse.shape[1], np.float32)


def _circulant_maps(
    curves: Curves, input_hu: Float64Array, spectrum: np.ndarray, gain: np.ndarray
) -> VoxelMaps:
    solver, first_lag = _circulant_solver(curves, spectrum, gain)
    return _from_impulse(curves, input_hu, solver, first_lag)


def _from_impulse(
    curves: Curves, input_hu: Float64Array, solver: np.ndarray, first_lag: int
) -> VoxelMaps:
    transposed = np.ascontiguousarray(solver.T, np.float32)
    peak = np.empty(curves.tissue_hu.shape[0], np.float32)
    lag_s = np.empty_like(peak)
    area = np.empty_like(peak)
    slices = curves.slices
    for rows in chunks(peak.size):
        gridded = on_grid(curves, rows, slices)
        area[rows] = gridded.sum(axis=1)
        impulse = gridded @ transposed
        peak[rows], lag_s[rows] = _impulse_peak(curves, impulse, first_lag)
    return _voxel_maps(curves, input_hu, peak, lag_s, area)


def _impulse_peak(
    curves: Curves, impulse: Float32Array, first_lag: int
) -> tuple[Float32Array, Float32Array]:
    """Height (1/s) and lag (s) of the maximum of k(t)."""
    height, position = refined_peak(impulse)
    return np.maximum(height, 0), (position + np.float32(first_lag)) * np.float32(curves.dt_s)


def _voxel_maps(
    curves: Curves,
    input_hu: Float64Array,
    peak: Float32Array,
    lag_s: Float32Array,
    area: Float32Array,
) -> VoxelMaps:
    cbf = np.float32(60 * CBV_SCALE) * peak
    cbv = np.float32(CBV_SCALE / input_hu.sum()) * area
    return VoxelMaps(cbf=cbf, mtt=transit_time(cbf, cbv), tmax=lag_s, ttp=time_to_peak(curves))
