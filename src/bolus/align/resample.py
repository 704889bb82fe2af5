"""Moving a frame back: cubic within slices, linear across them."""

from __future__ import annotations

import numba
import numpy as np

from bolus.types import Float32Array, Float64Array


def resample(frame: Float32Array, to_index: Float64Array) -> Float32Array:
    """Frame sampled where the reference's voxels lie in it.

    Catmull-Rom within slices keeps edges and noise nearly as they are (Keys, IEEE Trans Acoust
    1981;29:1153, doi:10.1109/TASSP.1981.1163711); slices are too far apart for more than linear.
    Beyond the frame its nearest voxel counts.

    Parameters
    ----------
    frame : (Z, Y, X) float32, HU
    to_index : (4, 4) float64
        Index of a voxel of the result to index in the frame.

    Returns
    -------
    (Z, Y, X) float32, HU
    """
    # one voxel more than the weights reach, so that the kernel needs no case for the frame's edge
    padded = np.pad(frame, ((0, 1), (1, 2), (1, 2)), mode="edge")
    return _resample(padded, to_index)


@numba.njit(cache=True, nogil=True)
def cubic_weights(f: float) -> tuple[float, float, float, float]:
    """Catmull-Rom weights of the four samples around a point a fraction f past the second."""
    return (
        f * (-0.5 + f * (1 - 0.5 * f)),
        1 + f * f * (1.5 * f - 2.5),
        f * (0.5 + f * (2 - 1.5 * f)),
        f * f * (0.5 * f - 0.5),
    )


@numba.njit(cache=True, nogil=True)
def _resample(padded: Float32Array, m: Float64Array) -> Float32Array:
    """Row by row, and in each row step by step over all columns: loops that compilers vectorise."""
    nz, ny, nx = padded.shape[0] - 1, padded.shape[1] - 3, padded.shape[2] - 3
    row_step = padded.shape[2]
    slice_step = padded.shape[1] * row_step
    flat = padded.reshape(-1)
    out = np.empty((nz, ny, nx), np.float32)
    first = np.empty(nx, np.int64)  # of the 2 x 4 x 4 neighbours that make a voxel
    wz = np.empty(nx, np.float32)
    wy = np.empty((4, nx), np.float32)
    wx = np.empty((4, nx), np.float32)
    for i in range(nz):
        for j in range(ny):
            start = m[:3, 0] * i + m[:3, 1] * j + m[:3, 3]
            for k in range(nx):
                z = min(max(start[0] + m[0, 2] * k, 0.0), nz - 1.0)
                y = min(max(start[1] + m[1, 2] * k, 0.0), ny - 1.0)
                x = min(max(start[2] + m[2, 2] * k, 0.0), nx - 1.0)
                z0, y0, x0 = int(z), int(y), int(x)
                first[k] = z0 * slice_step + y0 * row_step + x0
                wz[k] = z - z0
                wy[0, k], wy[1, k], wy[2, k], wy[3, k] = cubic_weights(y - y0)
                wx[0, k], wx[1, k], wx[2, k], wx[3, k] = cubic_weights(x - x0)
            row = out[i, j]
            row[:] = 0
            for a in range(4):
                for k in range(nx):
                    # unsigned, because numba would count negative indices from the end
                    p = np.uint64(first[k] + a * row_step)
                    here = _along_row(flat, p, wx, k)
                    above = _along_row(flat, p + np.uint64(slice_step), wx, k)
                    row[k] += wy[a, k] * (here + wz[k] * (above - here))
    return out


@numba.njit(cache=True, nogil=True)
def _along_row(flat: Float32Array, p: np.uint64, wx: Float32Array, k: int) -> np.float32:
    total = np.float32(0)
    for b in range(4):
        total += wx[b, k] * flat[p + np.uint64(b)]
    return total
