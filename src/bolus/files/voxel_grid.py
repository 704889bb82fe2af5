"""Grids of voxels: which there can be, and whether two are the same.

Needs nothing but numpy, so that `bolus view` can look at what it opens before its first answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bolus.types import Float64Array, Geometry

MOST_VOXELS = 2**27
"""Of a volume that is opened: 640 x 640 in 320 slices; the largest of today's scanners have 84
million (512 x 512 in 320)."""
SAME_PLACE_VOXELS = 0.01
"""Grids are equal if no corner is displaced by more; headers round to about 1e-4."""
SPACING_MM = 0.05, 100.0
"""Between voxels: a tenth of the finest CT, and more than any slice."""
FARTHEST_MM = 1e5
LEAST_VOLUME = 0.1
"""Of a voxel as a part of the box with its edges: no gantry tilts by 84 degrees."""


def checked_grid(shape: tuple[int, int, int], affine: Float64Array) -> Geometry:
    """A grid that a scanner can have.

    Raises
    ------
    ValueError
        It is none.
    """
    # Python's integers: a product of numpy's would run over
    if not all(0 < n <= MOST_VOXELS for n in shape) or shape[0] * shape[1] * shape[2] > MOST_VOXELS:
        raise ValueError("no shape")
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ValueError("no affine")
    if not np.array_equal(affine[3], [0, 0, 0, 1]) or np.abs(affine).max() > FARTHEST_MM:
        raise ValueError("no affine")
    low, high = SPACING_MM
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    if steps.min() < low or steps.max() > high:
        raise ValueError("no spacing")
    if abs(np.linalg.det(affine[:3, :3] / steps)) < LEAST_VOLUME:
        raise ValueError("axes that are none")
    return Geometry(shape, affine)


def same_grid(a: Geometry, b: Geometry) -> bool:
    """Whether voxels of the same index lie in the same place."""
    if a.shape != b.shape:
        return False
    off = np.abs((a.affine - b.affine) @ _corners(a.shape).T)[:3].max()
    return bool(off <= SAME_PLACE_VOXELS * min(a.spacing_mm))


def geometry_json(geometry: Geometry) -> dict[str, Any]:
    """A grid as JSON files of bolus hold it."""
    return {
        "shape_zyx": list(geometry.shape),
        "affine_zyx_to_lps_mm": [[float(v) for v in row] for row in geometry.affine],
        "spacing_zyx_mm": [round(v, 6) for v in geometry.spacing_mm],
        "voxel_ml": geometry.voxel_ml,
    }


def _corners(shape: tuple[int, int, int]) -> Float64Array:
    ends = np.array([[z, y, x, 1] for z in (0, 1) for y in (0, 1) for x in (0, 1)], np.float64)
    return np.asarray(ends * [*(np.array(shape) - 1), 1])
