"""Rigid motion of the head during the scan."""

from __future__ import annotations

import numba
import numpy as np

from bolus.axes import MIRROR
from bolus.simulate.recipe import Recipe
from bolus.simulate.slab import CENTRE_MM, rotation
from bolus.types import BoolArray, Float32Array, Float64Array, Geometry, Motion

HEAD_RADIUS_MM = 60.0


def make_motion(recipe: Recipe, rng: np.random.Generator) -> Motion:
    """Nodding-dominated drift and one step in the later half; the first frame is the reference."""
    frames = recipe.frames
    drift = np.linspace(0, 1, frames)[:, None] * rng.normal(0, [0.6, 0.2, 0.3])
    step = (np.arange(frames) >= rng.integers(frames // 2, frames))[:, None]
    path = drift + step * rng.normal([1.0, 0, 0], [0.3, 0.2, 0.4])
    shift = 0.3 * np.linspace(0, 1, frames)[:, None] * rng.normal(0, 1, 3)
    # displacement grows linearly with small angles, so scaling gives the requested size
    scale = recipe.motion_mm / _displacement(path, shift).max()
    rotation_deg, translation_mm = path * scale, shift * scale
    return Motion(
        rotation_deg=rotation_deg,
        translation_mm=translation_mm,
        displacement_mm=_displacement(rotation_deg, translation_mm),
        residual_hu=np.zeros(frames),
        kept=np.ones(frames, np.bool_),
    )


def _displacement(rotation_deg: Float64Array, translation_mm: Float64Array) -> Float64Array:
    """(T,) mean displacement over a sphere of the head's size, mm."""
    golden = np.pi * (3 - np.sqrt(5)) * np.arange(200)
    height = np.linspace(-1, 1, 200)
    ring = np.sqrt(1 - height**2)
    ball = HEAD_RADIUS_MM * np.stack([ring * np.cos(golden), ring * np.sin(golden), height], 1)
    moved = [
        np.linalg.norm(ball @ rotation(r).T + t - ball, axis=1).mean()
        for r, t in zip(rotation_deg, translation_mm, strict=True)
    ]
    return np.array(moved)


def is_still(motion: Motion, frame: int) -> bool:
    """Whether this frame coincides exactly with the reference."""
    return not (motion.rotation_deg[frame].any() or motion.translation_mm[frame].any())


def pull(motion: Motion, frame: int, geometry: Geometry) -> Float64Array:
    """(3, 4) transform of voxel indices: from a voxel of this frame to the reference frame.

    The head moves by ``x -> R (x - c) + c + t`` with its centre c, so what is seen at y was at
    ``R^T (y - c - t) + c``.
    """
    centre = CENTRE_MM * MIRROR
    inverse = rotation(motion.rotation_deg[frame]).T
    to_index = np.linalg.inv(geometry.affine)
    move = np.eye(4)
    move[:3, :3] = inverse
    move[:3, 3] = centre - inverse @ (centre + motion.translation_mm[frame])
    return np.asarray((to_index @ move @ geometry.affine)[:3])


@numba.njit(nogil=True)
def _trilinear(volume: Float32Array, z: float, y: float, x: float) -> float:
    """Value at a fractional index, clamped to the volume."""
    depth, rows, columns = volume.shape
    z = min(max(z, 0.0), depth - 1.0)
    y = min(max(y, 0.0), rows - 1.0)
    x = min(max(x, 0.0), columns - 1.0)
    k, j, i = min(int(z), depth - 2), min(int(y), rows - 2), min(int(x), columns - 2)
    c, b, a = z - k, y - j, x - i
    front = (volume[k, j, i] * (1 - a) + volume[k, j, i + 1] * a) * (1 - b) + (
        volume[k, j + 1, i] * (1 - a) + volume[k, j + 1, i + 1] * a
    ) * b
    back = (volume[k + 1, j, i] * (1 - a) + volume[k + 1, j, i + 1] * a) * (1 - b) + (
        volume[k + 1, j + 1, i] * (1 - a) + volume[k + 1, j + 1, i + 1] * a
    ) * b
    return float(front * (1 - c) + back * c)


@numba.njit(nogil=True)
def moved_slices(
    volume: Float32Array, transform: Float64Array, sub: int, where: BoolArray, first: int, n: int
) -> Float32Array:
    """Slices of a moved volume.

    Parameters
    ----------
    volume : (Z * sub, Y, X) float32
        Reference pose, with ``sub`` sub-slices per slice.
    transform : (3, 4)
        Slice indices of the moved frame to slice indices of the reference.
    where : (Y, X) bool
        Pixels to compute; others are left 0.
    first, n : slices ``first .. first + n - 1`` are computed

    Returns
    -------
    (n, Y, X) float32, mean over each slice's sub-slices
    """
    _, rows, columns = volume.shape
    out = np.zeros((n, rows, columns), np.float32)
    m = transform
    for z in range(n):
        for y in range(rows):
            for x in range(columns):
                if not where[y, x]:
                    continue
                total = 0.0
                for s in range(sub):
                    height = first + z + (s + 0.5) / sub - 0.5
                    zz = m[0, 0] * height + m[0, 1] * y + m[0, 2] * x + m[0, 3]
                    yy = m[1, 0] * height + m[1, 1] * y + m[1, 2] * x + m[1, 3]
                    xx = m[2, 0] * height + m[2, 1] * y + m[2, 2] * x + m[2, 3]
                    total += _trilinear(volume, (zz + 0.5) * sub - 0.5, yy, xx)
                out[z, y, x] = total / sub
    return out
