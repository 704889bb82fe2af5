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
    return _resample(frame, to_index)


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
def _in_plane(image: Float32Array, y: float, x: float) -> float:
    """Catmull-Rom sample of a slice; rows and columns beyond it repeat its edge."""
    ny, nx = image.shape
    y0, x0 = int(y), int(x)
    wy, wx = cubic_weights(y - y0), cubic_weights(x - x0)
    a, b, c, d = max(x0 - 1, 0), x0, min(x0 + 1, nx - 1), min(x0 + 2, nx - 1)
    total = 0.0
    for j in range(4):
        row = min(max(y0 + j - 1, 0), ny - 1)
        total += wy[j] * (
            wx[0] * image[row, a]
            + wx[1] * image[row, b]
            + wx[2] * image[row, c]
            + wx[3] * image[row, d]
        )
    return total


@numba.njit(cache=True, nogil=True)
def _resample(frame: Float32Array, m: Float64Array) -> Float32Array:
    nz, ny, nx = frame.shape
    out = np.empty(frame.shape, np.float32)
    for i in range(nz):
        for j in range(ny):
            for k in range(nx):
                z = m[0, 0] * i + m[0, 1] * j + m[0, 2] * k + m[0, 3]
                y = m[1, 0] * i + m[1, 1] * j + m[1, 2] * k + m[1, 3]
                x = m[2, 0] * i + m[2, 1] * j + m[2, 2] * k + m[2, 3]
                z = min(max(z, 0.0), nz - 1.0)
                y = min(max(y, 0.0), ny - 1.0)
                x = min(max(x, 0.0), nx - 1.0)
                z0 = int(z)
                value = _in_plane(frame[z0], y, x)
                if z > z0:
                    value += (z - z0) * (_in_plane(frame[z0 + 1], y, x) - value)
                out[i, j, k] = value
    return out
