"""Deconvolution by regularised inversion of the arterial input: sSVD, bSVD, oSVD, Tikhonov.

Each method is one matrix that turns a tissue curve into its impulse response k(t) = CBF R(t).
The block-circulant ones are diagonal in the Fourier basis (Gall, 2010), so their singular values
are |FFT of the zero-padded input| and no SVD needs to be computed.

Curves are brought from their slice's times to the common grid by linear interpolation, which is a
matrix too, as are area and smoothing: one product of the measured samples gives all that a voxel's
maps are read from.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit, prange

from bolus.deconvolution.model import (
    CBV_SCALE,
    PART,
    Measured,
    VoxelMaps,
    multiply,
    on_grid,
    peak_of,
    transit_time,
)
from bolus.timegrid import linear_weights
from bolus.types import BoolArray, Curves, Float32Array, Float64Array, IntArray

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
    u, s, vt = np.linalg.svd(_convolution(input_hu, curves.dt_s))
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
    spectrum = _spectrum(input_hu, curves.dt_s)
    voxel = _circulant_maps(curves, input_hu, spectrum, _truncation(spectrum, BSVD_THRESHOLD))
    return voxel, {"threshold": BSVD_THRESHOLD}


def tikhonov(curves: Curves, input_hu: Float64Array) -> tuple[VoxelMaps, dict[str, float | str]]:
    """Block-circulant deconvolution with standard-form Tikhonov regularisation.

    Parameters
    ----------
    curves : the tissue's curves.
    input_hu : (N,) scaled arterial input, HU.
    """
    spectrum = _spectrum(input_hu, curves.dt_s)
    voxel = _circulant_maps(curves, input_hu, spectrum, _damping(spectrum))
    return voxel, {"lambda": TIKHONOV_LAMBDA}


def osvd(curves: Curves, input_hu: Float64Array) -> tuple[VoxelMaps, dict[str, float | str]]:
    """Block-circulant SVD, each voxel at its lowest threshold that oscillates little (Wu 2003).

    Parameters
    ----------
    curves : the tissue's curves.
    input_hu : (N,) scaled arterial input, HU.
    """
    spectrum = _spectrum(input_hu, curves.dt_s)
    magnitude = np.abs(spectrum) / np.abs(spectrum).max()
    order = np.argsort(magnitude, kind="stable")
    left_out = np.unique([int((magnitude < limit).sum()) for limit in OSVD_THRESHOLDS])
    analysis, waves = _waves(curves, spectrum, order[left_out[0] :])
    left_out -= left_out[0]
    peak, lag, area, ttp = _columns(curves)
    for rows, matrix in _matrices(curves, analysis):
        _read_calm(
            curves.tissue_hu[rows], matrix, waves, left_out, OSVD_OSCILLATION,
            peak[rows], lag[rows], area[rows], ttp[rows],
        )  # fmt: skip
    lag += np.float32(_earliest(curves))
    voxel = _voxel_maps(curves, input_hu, peak, lag, area, ttp)
    return voxel, {"oscillation_index": OSVD_OSCILLATION}


def fitted_ssvd(voxel: Measured) -> Float64Array:
    """(N,) the input convolved with the impulse response that truncated SVD finds, HU."""
    u, s, _ = np.linalg.svd(_convolution(voxel.input_hu, voxel.dt_s))
    kept = u[:, s > SSVD_THRESHOLD * s[0]]
    return np.asarray(kept @ (kept.T @ on_grid(voxel)))


def fitted_bsvd(voxel: Measured) -> Float64Array:
    """As `fitted_ssvd`, of block-circulant truncated SVD."""
    spectrum = _spectrum(voxel.input_hu, voxel.dt_s)
    return _kept(voxel, _truncation(spectrum, BSVD_THRESHOLD).astype(float))


def fitted_tikhonov(voxel: Measured) -> Float64Array:
    """As `fitted_ssvd`, of Tikhonov regularisation."""
    return _kept(voxel, _damping(_spectrum(voxel.input_hu, voxel.dt_s)))


def _kept(voxel: Measured, gain: np.ndarray) -> Float64Array:
    """Deconvolved and convolved again, a curve keeps ``gain`` of each frequency."""
    n = voxel.grid_s.size
    spectrum = np.fft.rfft(on_grid(voxel), 2 * n)
    return np.asarray(np.fft.irfft(gain * spectrum, 2 * n)[:n])


def _convolution(input_hu: Float64Array, dt_s: float) -> Float64Array:
    """(N, N) lower-triangular matrix that convolves with the input."""
    lag = np.subtract.outer(np.arange(input_hu.size), np.arange(input_hu.size))
    return np.where(lag >= 0, input_hu[np.abs(lag)], 0.0) * dt_s


def _spectrum(input_hu: Float64Array, dt_s: float) -> np.ndarray:
    """FFT of the input, zero-padded to twice its length so that nothing wraps around."""
    return np.fft.rfft(input_hu * dt_s, 2 * input_hu.size)


def _damping(spectrum: np.ndarray) -> np.ndarray:
    """What Tikhonov regularisation keeps of each frequency, 0 to 1."""
    power = np.abs(spectrum) ** 2
    return np.asarray(power / (power + TIKHONOV_LAMBDA**2 * power.max()))


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
    n = curves.grid_s.size
    kept = gain > 0
    inverse = np.zeros_like(spectrum)
    inverse[kept] = gain[kept] / spectrum[kept]
    response = np.fft.irfft(inverse, 2 * n)
    first = _earliest(curves)
    lag = np.subtract.outer(np.arange(first, n), np.arange(n)) % (2 * n)
    return response[lag].astype(np.float32), first


def _earliest(curves: Curves) -> int:
    """Lag of the first sample of a circulant impulse response."""
    return -min(round(-EARLIEST_S / curves.dt_s), curves.grid_s.size)


def _waves(
    curves: Curves, spectrum: np.ndarray, frequencies: IntArray
) -> tuple[Float64Array, Float32Array]:
    """The solver in its factors: (N, 2F) from tissue curve to the amplitudes of a cosine and a sine
    for each of the ``frequencies``, and (2F, L) these waves over the lags."""
    n = curves.grid_s.size
    omega = np.pi * frequencies / n
    share = np.where((frequencies == 0) | (frequencies == n), 1.0, 2.0) / (2 * n)
    complex_amplitude = share / spectrum[frequencies] * np.exp(-1j * np.outer(np.arange(n), omega))
    analysis = np.stack([complex_amplitude.real, -complex_amplitude.imag], axis=2)
    phase = np.outer(omega, np.arange(_earliest(curves), n))
    waves = np.stack([np.cos(phase), np.sin(phase)], axis=1)
    count = 2 * frequencies.size
    return analysis.reshape(n, count), waves.reshape(count, -1).astype(np.float32)


def _circulant_maps(
    curves: Curves, input_hu: Float64Array, spectrum: np.ndarray, gain: np.ndarray
) -> VoxelMaps:
    solver, first_lag = _circulant_solver(curves, spectrum, gain)
    return _from_impulse(curves, input_hu, solver, first_lag)


def _from_impulse(
    curves: Curves, input_hu: Float64Array, solver: np.ndarray, first_lag: int
) -> VoxelMaps:
    peak, lag, area, ttp = _columns(curves)
    for rows, matrix in _matrices(curves, solver.T):
        _read(
            curves.tissue_hu[rows], matrix, len(solver),
            peak[rows], lag[rows], area[rows], ttp[rows],
        )  # fmt: skip
    lag += np.float32(first_lag)
    return _voxel_maps(curves, input_hu, peak, lag, area, ttp)


def _columns(curves: Curves) -> Float32Array:
    """(4, V) for the maximum of the impulse response and its lag, the curve's area and peak."""
    return np.empty((4, len(curves.tissue_hu)), np.float32)


def _matrices(curves: Curves, solver: np.ndarray) -> Iterator[tuple[slice, Float32Array]]:
    """For each slice its rows and the matrix (T, L + 1 + N) that its curves are multiplied with.

    Gives ``solver`` (N, L) times the curve on the common grid, the curve's sum over the grid, and
    the curve itself smoothed with a 1-2-1 kernel, to find its peak.
    """
    n = curves.grid_s.size
    smoothing = 0.5 * np.eye(n) + 0.25 * (np.eye(n, k=1) + np.eye(n, k=-1))
    smoothing[:, 0], smoothing[:, -1] = np.eye(n)[0], np.eye(n)[-1]
    every = np.concatenate([solver, np.ones((n, 1)), smoothing], axis=1)
    counts = curves.voxels.sum(axis=(1, 2))
    for z, (end, count) in enumerate(zip(np.cumsum(counts), counts, strict=True)):
        matrix = _to_grid(curves.times_s[:, z], curves.grid_s) @ every
        yield slice(int(end - count), int(end)), matrix.astype(np.float32)


@njit(cache=True, parallel=True)
def _read(tissue_hu, matrix, width, peak, lag, area, ttp):  # type: ignore[no-untyped-def]
    """What the maps need of each voxel's curve and impulse response, which the matrix's first
    ``width`` columns give; positions in samples."""
    for part in prange((len(peak) + PART - 1) // PART):
        row = np.empty(matrix.shape[1], np.float32)
        for v in range(part * PART, min((part + 1) * PART, len(peak))):
            multiply(tissue_hu[v], matrix, row)
            peak[v], lag[v] = peak_of(row[:width])
            area[v] = row[width]
            _, ttp[v] = peak_of(row[width + 1 :])


@njit(cache=True, parallel=True)
def _read_calm(  # type: ignore[no-untyped-def]
    tissue_hu, matrix, waves, left_out, limit, peak, lag, area, ttp
):
    """As `_read`, of each voxel's first impulse response with an oscillation index below ``limit``.

    The matrix gives the amplitudes of ``waves`` (2F, L).  From one threshold to the next only the
    frequencies that fall below it are removed: ``left_out`` of them in total.
    """
    width = len(waves)
    for part in prange((len(peak) + PART - 1) // PART):
        row = np.empty(matrix.shape[1], np.float32)
        impulse = np.empty(waves.shape[1], np.float32)
        for v in range(part * PART, min((part + 1) * PART, len(peak))):
            multiply(tissue_hu[v], matrix, row)
            multiply(row[:width], waves, impulse)
            for j in range(len(left_out)):
                if j > 0:
                    for w in range(2 * left_out[j - 1], 2 * left_out[j]):
                        _take_out(impulse, waves[w], row[w])
                if _oscillation(impulse) < limit:
                    break
            peak[v], lag[v] = peak_of(impulse)
            area[v] = row[width]
            _, ttp[v] = peak_of(row[width + 1 :])


@njit(cache=True, fastmath=True)
def _take_out(impulse, wave, amplitude):  # type: ignore[no-untyped-def]
    for i in range(impulse.size):
        impulse[i] -= amplitude * wave[i]


@njit(cache=True, fastmath=True)
def _oscillation(impulse):  # type: ignore[no-untyped-def]
    """Oscillation index (Wu 2003): mean |second difference| / maximum."""
    bend = np.float32(0)
    for i in range(np.uint64(impulse.size - 2)):
        bend += abs(impulse[i] - np.float32(2) * impulse[i + 1] + impulse[i + 2])
    top = np.float32(1e-12)
    for i in range(impulse.size):
        top = impulse[i] if impulse[i] > top else top
    return bend / top / np.float32(impulse.size)


def _to_grid(times_s: Float64Array, grid_s: Float64Array) -> Float64Array:
    """(T, N) linear interpolation from samples to the common grid."""
    before, weight = linear_weights(times_s, grid_s)
    matrix = np.zeros((times_s.size, grid_s.size))
    column = np.arange(grid_s.size)
    matrix[before, column] = 1 - weight
    matrix[before + 1, column] = weight
    return matrix


def _voxel_maps(
    curves: Curves,
    input_hu: Float64Array,
    peak: Float32Array,
    lag: Float32Array,
    area: Float32Array,
    ttp: Float32Array,
) -> VoxelMaps:
    """Maps from k(t)'s maximum (1/s) and its lag, the curve's area, and its peak, in samples."""
    cbf = np.float32(60 * CBV_SCALE) * np.maximum(peak, 0)
    cbv = np.float32(CBV_SCALE / input_hu.sum()) * area
    dt = np.float32(curves.dt_s)
    return VoxelMaps(
        cbf=cbf,
        mtt=transit_time(cbf, cbv),
        tmax=lag * dt,
        ttp=np.float32(curves.grid_s[0]) + ttp * dt,
    )
