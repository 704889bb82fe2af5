"""The mid-sagittal plane, from the symmetry of the brain's outline."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from bolus.types import BoolArray, Float64Array, Geometry

POINTS = 20_000
"""Enough to place the plane within a voxel."""


def left_side(brain: BoolArray, geometry: Geometry) -> BoolArray:
    """Voxels on the patient's left of the mid-sagittal plane, (Z, Y, X).

    The plane x = offset + yaw y + roll z (LPS, about the brain's centre) is the one across which
    the brain mask overlaps its mirror image most.
    """
    index = np.argwhere(brain)
    index = index[:: max(1, len(index) // POINTS)]
    points = index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3]
    centre = points.mean(axis=0)
    inverse = np.linalg.inv(geometry.affine)

    def miss(plane: Float64Array) -> float:
        mirrored = _mirror(points - centre, plane) + centre
        voxel = np.rint(mirrored @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
        inside = np.all((voxel >= 0) & (voxel < brain.shape), axis=1)
        return 1.0 - float(brain[tuple(voxel[inside].T)].sum()) / len(points)

    simplex = np.array([[0, 0, 0], [6, 0, 0], [0, 0.1, 0], [0, 0, 0.1]], float)
    plane = minimize(
        miss,
        np.zeros(3),
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-4, "maxiter": 150},
    ).x
    z, y, x = np.ogrid[: brain.shape[0], : brain.shape[1], : brain.shape[2]]
    a = geometry.affine
    lps = [a[i, 0] * z + a[i, 1] * y + a[i, 2] * x + a[i, 3] - centre[i] for i in range(3)]
    return np.asarray(lps[0] > plane[0] + plane[1] * lps[1] + plane[2] * lps[2])


def _mirror(points: Float64Array, plane: Float64Array) -> Float64Array:
    normal = np.array([1.0, -plane[1], -plane[2]])
    length = np.linalg.norm(normal)
    distance = (points @ normal - plane[0]) / length
    return np.asarray(points - 2 * distance[:, None] * normal / length)
