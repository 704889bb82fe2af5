"""Coarser versions of a frame in which only bone has contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy import ndimage

from bolus.types import Float32Array, Float64Array, Geometry

BONE_HU = (200.0, 1000.0)
"""Only this range is used.  Brain and nearly all of the bolus lie below it and are flat, so
contrast can't pull the registration; metal and dense enamel lie above it."""

LEVELS_MM = (3.6, 1.8)
"""Size of the levels' voxels (or that of the exam, where it is larger), coarse to fine."""

BLUR = 2.0
"""SD of the levels' blur within slices, in units of `LEVELS_MM`.  Where the skull slopes, its edge
moves by some mm from one slice to the next; interpolating between slices is only right for edges
wider than that.  (Phantom of 5 mm slices: error 0.21 mm at 1.0, 0.13 at 1.5, 0.09 at 2.0, 0.15 at
3.0.)"""


@dataclass(frozen=True)
class Grid:
    """Blocks of voxels of the exam's grid that are averaged to make one level."""

    block: tuple[int, int, int]
    """Voxels of the exam that make one of the level's."""
    shape: tuple[int, int, int]
    blur_mm: float
    affine: Float64Array
    """(4, 4) index of the level to LPS mm."""


def grids_of(geometry: Geometry) -> tuple[Grid, ...]:
    """Grids of the levels, coarse to fine; levels that would be equal appear once."""
    grids: list[Grid] = []
    for size_mm in LEVELS_MM:
        block = tuple(
            max(1, min(round(size_mm / step), n // 8))
            for step, n in zip(geometry.spacing_mm, geometry.shape, strict=True)
        )
        if not grids or block != grids[-1].block:
            grids.append(_grid(geometry, (block[0], block[1], block[2]), size_mm * BLUR))
    return tuple(grids)


def _grid(geometry: Geometry, block: tuple[int, int, int], blur_mm: float) -> Grid:
    scale = np.diag([*map(float, block), 1.0])
    scale[:3, 3] = (np.array(block) - 1) / 2  # the centre of a block's first voxel to its middle
    z, y, x = (n // b for n, b in zip(geometry.shape, block, strict=True))
    return Grid(block, (z, y, x), blur_mm, geometry.affine @ scale)


def bone_image(frame: Float32Array, grid: Grid) -> Float32Array:
    """Frame averaged over the grid's blocks and clipped to the range of bone.

    Parameters
    ----------
    frame : (Z, Y, X) float32, HU

    Returns
    -------
    grid.shape float32, HU above the lower end of `BONE_HU`
    """
    bone = _bone_image(frame, *grid.block, *grid.shape, *BONE_HU)
    step_mm = np.linalg.norm(grid.affine[:3, 1:3], axis=0)
    return ndimage.gaussian_filter(
        bone, [0.0, *(grid.blur_mm / step_mm)], mode="nearest", truncate=3
    )


@numba.njit(cache=True, nogil=True)
def _bone_image(
    frame: Float32Array,
    bz: int,
    by: int,
    bx: int,
    nz: int,
    ny: int,
    nx: int,
    low: float,
    high: float,
) -> Float32Array:
    out = np.empty((nz, ny, nx), np.float32)
    scale = np.float32(1.0 / (bz * by * bx))
    row = np.empty(nx, np.float32)
    for z in range(nz):
        for y in range(ny):
            row[:] = 0
            for i in range(z * bz, z * bz + bz):
                for j in range(y * by, y * by + by):
                    for x in range(nx):
                        for k in range(bx):
                            row[x] += min(max(frame[i, j, x * bx + k], low), high)
            for x in range(nx):
                out[z, y, x] = row[x] * scale - low
    return out
