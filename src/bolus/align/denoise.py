"""Edge-preserving denoising with the likeness of whole time courses (TIPS)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from bolus.align.noise import curve_noise_sd
from bolus.types import BoolArray, Float32Array, Geometry, IntArray

SIGMA_MM = 3.0
RANGE_HU = 20.0
"""Filter of the UniToBrain ground truth (folder name ``Registered_Filtered_3mm_20HU``).  At 20 HU
the filter spares vessels, bone and CSF, but grey matter and infarct core, whose curves differ by
5 HU, are smoothed as by a Gaussian; noise has no part in the measure, so 3 HU is usable too.
(8 HU of CT noise, 45 frames, 0.49 mm voxels, core beside normal grey matter:

=========  =========  ==============================================
range, HU  noise, HU  share of the other tissue 1, 2, 4 mm from edge
=========  =========  ==============================================
20         0.77       33 %, 21 %, 6 %
10         0.78       31 %, 20 %, 5 %
5          0.81       25 %, 16 %, 4 %
3          0.89       18 %, 11 %, 2 %
2          1.01       12 %, 7 %, 1 %
=========  =========  ==============================================

The full two-dimensional window instead of passes gives the same within 0.05 HU and 2 %; without
the neighbouring slices noise is 1.4 times higher.)"""
REACH = 2.0
"""Neighbours up to this many spatial SDs away count."""
BINS = 10
"""Time bins that likeness is measured in: enough for a bolus of 10 s in 60 s, and binning takes
noise out of the measure."""
TILE = 32
"""Voxels are visited in square tiles, whose neighbourhood stays in the processor's cache."""


def denoise(
    frames: Float32Array,
    mask: BoolArray,
    protected: BoolArray,
    geometry: Geometry,
    *,
    sigma_mm: float = SIGMA_MM,
    range_hu: float = RANGE_HU,
) -> Float32Array:
    """Filter the masked voxels of frames; see `denoise_curves`.

    Parameters
    ----------
    frames : (T, Z, Y, X) float32, HU
        Frames or enhancement; all slices on one time axis.
    mask : (Z, Y, X) bool
        Voxels that are filtered and used as neighbours.
    protected : (Z, Y, X) bool
        Arteries and veins: neither changed nor used as neighbours.
    geometry : Geometry

    Returns
    -------
    (T, Z, Y, X) float32, HU; voxels outside ``mask`` and protected ones keep their bytes
    """
    voxels = mask & ~protected
    where = np.flatnonzero(voxels)
    out = frames.copy()
    flat = out.reshape(len(frames), -1)
    curves = _gather(flat, where)
    _scatter(
        denoise_curves(curves, voxels, geometry, sigma_mm=sigma_mm, range_hu=range_hu), where, flat
    )
    return out


def denoise_curves(
    curves: Float32Array,
    voxels: BoolArray,
    geometry: Geometry,
    *,
    sigma_mm: float = SIGMA_MM,
    range_hu: float = RANGE_HU,
) -> Float32Array:
    """Mean of each curve and its neighbours, weighted by nearness and by likeness over time.

    The weight of neighbour j is ``exp(-d^2 / 2 sigma^2) exp(-MSE / 2 range^2)``, where MSE is the
    mean squared difference of the two time courses beyond what noise explains (TIPS: Mendrik,
    Phys Med Biol 2011;56:3857, doi:10.1088/0031-9155/56/13/008).  Weights don't depend on time, so
    every curve stays a weighted mean of measured curves: the bolus is never smeared in time.

    The window is passed along rows, columns and slices in turn (a separable filter after Pham and
    van Vliet, ICME 2005, doi:10.1109/ICME.2005.1521458), each pass handing its sum of weights to
    the next: 50 neighbours instead of 441.

    Parameters
    ----------
    curves : (V, T) float32, HU
        Time courses of the voxels, in C order.
    voxels : (Z, Y, X) bool
        Where they are; nothing else is a neighbour.
    geometry : Geometry
    sigma_mm : float
        SD of the spatial weight.
    range_hu : float
        Difference of time courses at which the weight falls to 0.61.

    Returns
    -------
    (V, T) float32, HU
    """
    index = np.full(voxels.shape, -1, np.int32)
    index[voxels] = np.arange(len(curves), dtype=np.int32)
    signature, noise_mse = _signature(curves)
    weight = np.ones(len(curves), np.float32)
    for axis, step_mm in reversed(list(enumerate(geometry.spacing_mm))):
        reach = int(REACH * sigma_mm / step_mm)
        if reach == 0:
            continue
        near = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step_mm / sigma_mm) ** 2)
        direction = np.eye(3, dtype=np.int64)[axis]
        curves, weight = _pass(
            curves,
            weight,
            signature,
            index,
            direction,
            near.astype(np.float32),
            np.float32(noise_mse),
            np.float32(0.5 / range_hu**2),
        )
    return curves


def _signature(curves: Float32Array) -> tuple[Float32Array, float]:
    """Curves in a few time bins, scaled so that squared distances are mean squared differences.

    Returns
    -------
    signature : (V, K) float32, HU
    noise_mse : float, HU^2
        What noise alone makes of the squared distance of two signatures.
    """
    n = curves.shape[1]
    bins = np.array_split(np.arange(n), min(BINS, n))
    columns = [curves[:, b].mean(axis=1) * np.sqrt(len(b) / n) for b in bins]
    signature = np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float32)
    return signature, 2 * curve_noise_sd(curves) ** 2 * len(bins) / n


@numba.njit(cache=True, parallel=True, error_model="numpy")
def _pass(
    curves: Float32Array,
    weight: Float32Array,
    signature: Float32Array,
    index: NDArray[np.int32],
    direction: IntArray,
    near: Float32Array,
    noise_mse: np.float32,
    steepness: np.float32,
) -> tuple[Float32Array, Float32Array]:
    """Weighted mean along one axis, and the sums of weights it was made with."""
    nz, ny, nx = index.shape
    reach = len(near) // 2
    n_times, n_bins = curves.shape[1], signature.shape[1]
    out = np.empty_like(curves)
    out_weight = np.empty_like(weight)
    rows, columns = (ny + TILE - 1) // TILE, (nx + TILE - 1) // TILE
    dz, dy, dx = direction
    for tile in numba.prange(nz * rows * columns):
        z = tile // (rows * columns)
        y_start = tile // columns % rows * TILE
        x_start = tile % columns * TILE
        for y in range(y_start, min(y_start + TILE, ny)):
            for x in range(x_start, min(x_start + TILE, nx)):
                i = index[z, y, x]
                if i < 0:
                    continue
                total = np.float32(0)
                mean = out[i]
                mean[:] = 0
                own = signature[i]
                for k in range(2 * reach + 1):
                    o = k - reach
                    jz, jy, jx = z + o * dz, y + o * dy, x + o * dx
                    if jz < 0 or jz >= nz or jy < 0 or jy >= ny or jx < 0 or jx >= nx:
                        continue
                    j = index[jz, jy, jx]
                    if j < 0:
                        continue
                    mse = -noise_mse
                    other = signature[j]
                    for s in range(n_bins):
                        mse += (own[s] - other[s]) ** 2
                    w = near[k] * weight[j]
                    if mse > 0:
                        w *= np.exp(-mse * steepness)
                    total += w
                    neighbour = curves[j]
                    for t in range(n_times):
                        mean[t] += w * neighbour[t]
                for t in range(n_times):
                    mean[t] /= total
                out_weight[i] = total
    return out, out_weight


@numba.njit(cache=True, parallel=True)
def _gather(flat: Float32Array, where: IntArray) -> Float32Array:
    """(T, Z*Y*X) frames to (V, T) curves, in blocks that fit the cache."""
    out = np.empty((len(where), len(flat)), np.float32)
    for block in numba.prange((len(where) + 255) // 256):
        for t in range(len(flat)):
            for i in range(block * 256, min(block * 256 + 256, len(where))):
                out[i, t] = flat[t, where[i]]
    return out


@numba.njit(cache=True, parallel=True)
def _scatter(curves: Float32Array, where: IntArray, flat: Float32Array) -> None:
    """The inverse of `_gather`."""
    for block in numba.prange((len(where) + 255) // 256):
        for t in range(len(flat)):
            for i in range(block * 256, min(block * 256 + 256, len(where))):
                flat[t, where[i]] = curves[i, t]
