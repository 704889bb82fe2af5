"""Six degrees of freedom from bone edges, by robust Gauss-Newton steps.

Inverse compositional alignment (Baker and Matthews, Int J Comput Vis 2004;56:221,
doi:10.1023/B:VISI.0000011205.11775.fd): the step is sought in the reference, so that gradients
and Jacobian are computed once for the whole exam and every frame costs a few interpolations of
the points with the strongest gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy import ndimage

from bolus.align.pyramid import BONE_HU, Grid, bone_image, grids_of
from bolus.align.resample import cubic_weights
from bolus.align.rigid import STILL, matrix_of, pose_of
from bolus.metrics import robust_sd
from bolus.types import BoolArray, Float32Array, Float64Array, Geometry

MAX_POINTS = 15_000
"""Points per level; more cost time and no longer lower the error."""
EDGE_HU_PER_MM = 10.0
"""Weakest gradient of a point; noise makes less than 2 HU/mm of the blurred levels."""
MIN_POINTS = 200
"""Fewer edge points than this don't make a skull."""
BETWEEN_HU = 60.0
"""Points whose slice differs by this from the mean of its neighbours have half the weight.
(Phantom of 5 mm slices: error of a shift across a steep vault 0.9 mm without, 0.3 mm with.)"""
TUKEY = 4.685
"""Cut-off of Tukey's biweight in robust SDs: 95 % efficiency (Holland and Welsch 1977)."""
MAX_STEPS = 20
COARSE_MM = 0.1
FINE_MM = 0.01
"""A step that moves the head's surface less than this is the last of its level."""
OVERSHOOT = 1.4
"""Steps are lengthened by this: robust weights, which change with every step, make them short."""
PRIOR = 1e-4
"""Pull towards no motion, as a share of the information on in-plane shifts.  It holds only those
degrees of freedom that the slab leaves open."""


@dataclass(frozen=True)
class Level:
    """The reference's edge points at one resolution."""

    grid: Grid
    points: Float32Array
    """(n, 3) indices z, y, x."""
    values: Float32Array
    """(n,) HU above the lower end of bone."""
    jacobian: Float32Array
    """(n, 6) HU per radian about, and per mm along, the patient's axes."""
    trust: Float32Array
    """(n,) 0..1, lower where slices are too far apart to interpolate between them."""
    prior: Float64Array
    """(6,) diagonal of the pull towards no motion, in units of the normal equations."""
    tolerance_mm: float


@dataclass(frozen=True)
class Reference:
    """What frames are aligned to."""

    levels: tuple[Level, ...]
    centre_mm: Float64Array
    """(3,) the head's centre."""
    head_mm: Float64Array
    """(n, 3) points spread evenly over the head, for displacement and overlap."""
    z_information: float
    """Information on shifts across the slices over that on shifts within them, 0..1."""


@dataclass(frozen=True)
class Fit:
    """How one frame is aligned with the reference."""

    pose: Float64Array
    """(6,) see `rigid`."""
    residual_hu: float
    """Robust SD of the residual difference at the edge points."""
    correlation: float
    """Correlation of frame and reference at the edge points after alignment."""


def skull_mask(bone: Float32Array) -> BoolArray:
    """The skull and everything it encloses: the largest piece of bone, filled slice by slice.

    Parameters
    ----------
    bone : (z, y, x) float32
        Bone image of `pyramid.bone_image`.

    Returns
    -------
    (z, y, x) bool; empty where there is no bone
    """
    labels, n = ndimage.label(bone > 0)
    if n == 0:
        return np.zeros(bone.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    skull = labels == sizes.argmax()
    return np.stack([ndimage.binary_fill_holes(s) for s in skull])


def make_reference(
    image: Float32Array, geometry: Geometry, centre_mm: Float64Array | None = None
) -> Reference | None:
    """Edge points, Jacobians and head of a reference image.

    Parameters
    ----------
    image : (Z, Y, X) float32, HU
    geometry : Geometry of the image
    centre_mm : (3,) float64, optional
        Point about which rotations are counted; the head's centre by default.

    Returns
    -------
    Reference, or None where the image shows no skull to align to
    """
    grids = grids_of(geometry)
    images = [bone_image(image, grid) for grid in grids]
    heads = [skull_mask(bone) for bone in images]
    if not heads[0].any() or not heads[-1].any():
        return None
    points = np.argwhere(heads[0]) @ grids[0].affine[:3, :3].T + grids[0].affine[:3, 3]
    centre = points.mean(axis=0) if centre_mm is None else centre_mm
    radius = float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean()))
    levels = [
        _level(bone, head, grid, centre, radius, FINE_MM if grid is grids[-1] else COARSE_MM)
        for bone, head, grid in zip(images, heads, grids, strict=True)
    ]
    if min(len(level.values) for level in levels) < MIN_POINTS:
        return None
    step = max(1, len(points) // 2000)
    return Reference(tuple(levels), centre, points[::step], _z_information(levels[-1]))


def _level(
    bone: Float32Array,
    head: BoolArray,
    grid: Grid,
    centre: Float64Array,
    radius: float,
    tolerance_mm: float,
) -> Level:
    """Strongest edges of one level with their Jacobian."""
    per_index = [
        np.gradient(bone, axis=a) if n > 1 else np.zeros_like(bone)
        for a, n in enumerate(bone.shape)
    ]
    # d/dmm = (affine^-1)' d/dindex holds for any spacing and shear
    to_mm = np.linalg.inv(grid.affine[:3, :3]).astype(np.float32)
    gradient = np.stack(per_index, axis=-1) @ to_mm
    strength = np.where(
        ndimage.binary_dilation(head, np.ones((1, 3, 3), bool)),
        np.linalg.norm(gradient, axis=-1),
        0.0,
    )
    # on the edge itself: where both images are clipped there is nothing to compare
    on_edge = (bone > 0) & (bone < BONE_HU[1] - BONE_HU[0])
    chosen = np.flatnonzero((on_edge & (strength > EDGE_HU_PER_MM)).ravel())
    if len(chosen) > MAX_POINTS:
        # evenly subsampled, not the strongest: those would cluster where the bone is densest
        chosen = chosen[np.linspace(0, len(chosen) - 1, MAX_POINTS).astype(np.int64)]
    points = np.stack(np.unravel_index(chosen, bone.shape), axis=-1)
    g = gradient.reshape(-1, 3)[chosen].astype(np.float64)
    arm = points @ grid.affine[:3, :3].T + grid.affine[:3, 3] - centre
    jacobian = np.concatenate([np.cross(arm, g), g], axis=1)
    shift_information = (g**2).sum() / 3
    prior = PRIOR * shift_information * np.array([radius**2] * 3 + [1.0] * 3)
    return Level(
        grid,
        points.astype(np.float32),
        bone.ravel()[chosen],
        np.ascontiguousarray(jacobian, dtype=np.float32),
        _trust(bone)[chosen],
        prior,
        tolerance_mm,
    )


def _trust(bone: Float32Array) -> Float32Array:
    """Weight of each voxel, flat, by how well the mean of its slice's neighbours predicts it."""
    padded = np.pad(bone, ((1, 1), (0, 0), (0, 0)), mode="edge")
    error = (bone - (padded[:-2] + padded[2:]) / 2) / BETWEEN_HU
    return np.asarray(1 / (1 + error * error), dtype=np.float32).ravel()


def _z_information(level: Level) -> float:
    """How well the level's edges determine a shift across slices, relative to one within them."""
    normal = np.cross(level.grid.affine[:3, 1], level.grid.affine[:3, 2])
    normal = normal / np.linalg.norm(normal)
    gradient = level.jacobian[:, 3:].astype(np.float64)
    across = float(((gradient @ normal) ** 2).sum())
    within = (float((gradient**2).sum()) - across) / 2
    return across / max(within, 1e-12)


def align(reference: Reference, frame: Float32Array) -> Fit:
    """Pose of a frame against the reference, coarse to fine.

    Parameters
    ----------
    frame : (Z, Y, X) float32, HU
        On the grid of the reference.

    Returns
    -------
    Fit
    """
    pose = STILL
    for level in reference.levels:
        bone = bone_image(frame, level.grid)
        pose = _descend(level, bone, pose, reference.centre_mm)
    residuals = _residuals(level, bone, pose, reference.centre_mm)
    seen = np.isfinite(residuals)
    if seen.sum() < MIN_POINTS:
        return Fit(pose, BONE_HU[1] - BONE_HU[0], 0.0)
    return Fit(pose, robust_sd(residuals[seen]), _correlation(level.values, residuals, seen))


def _descend(
    level: Level, bone: Float32Array, pose: Float64Array, centre: Float64Array
) -> Float64Array:
    """Gauss-Newton steps on one level."""
    for _ in range(MAX_STEPS):
        residuals = _residuals(level, bone, pose, centre)
        seen = np.isfinite(residuals)
        if seen.sum() < MIN_POINTS:
            break
        # never below the rounding of the images, so that exact copies don't divide by zero
        cut = TUKEY * max(robust_sd(residuals[seen]), 0.1)
        hessian, gradient = _normal_equations(level.jacobian, level.trust, residuals, cut)
        radians = pose * _TO_RADIANS
        step = np.linalg.solve(hessian + np.diag(level.prior), gradient + level.prior * radians)
        step *= OVERSHOOT
        moved = matrix_of(step / _TO_RADIANS, centre)
        pose = pose_of(matrix_of(pose, centre) @ np.linalg.inv(moved), centre)
        # the head's surface is some 100 mm from its centre
        if 100 * np.abs(step[:3]).max() + np.abs(step[3:]).max() < level.tolerance_mm:
            break
    return pose


_TO_RADIANS = np.array([np.pi / 180] * 3 + [1.0] * 3)


def _residuals(
    level: Level, bone: Float32Array, pose: Float64Array, centre: Float64Array
) -> Float32Array:
    """Frame minus reference at the edge points, NaN outside of the slab."""
    affine = level.grid.affine
    to_index = np.linalg.inv(affine) @ matrix_of(pose, centre) @ affine
    return _difference(bone, level.points, level.values, to_index)


def _correlation(values: Float32Array, residuals: Float32Array, seen: BoolArray) -> float:
    a = values[seen].astype(np.float64)
    b = a + residuals[seen]
    a, b = a - a.mean(), b - b.mean()
    # not a @ b: BLAS sums in an order that depends on its threads
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-12))


@numba.njit(cache=True, nogil=True)
def _difference(
    bone: Float32Array, points: Float32Array, values: Float32Array, to_index: Float64Array
) -> Float32Array:
    """Moving image at the moved points, minus the reference; linear in, cubic across slices."""
    n = points.shape[0]
    nz, ny, nx = bone.shape
    out = np.empty(n, np.float32)
    for i in range(n):
        pz, py, px = points[i, 0], points[i, 1], points[i, 2]
        z = to_index[0, 0] * pz + to_index[0, 1] * py + to_index[0, 2] * px + to_index[0, 3]
        y = to_index[1, 0] * pz + to_index[1, 1] * py + to_index[1, 2] * px + to_index[1, 3]
        x = to_index[2, 0] * pz + to_index[2, 1] * py + to_index[2, 2] * px + to_index[2, 3]
        # a small tolerance, so that rounding does not put the outermost slices outside
        if not (-1e-3 <= z <= nz - 0.999 and 0 <= y <= ny - 1 and 0 <= x <= nx - 1):
            out[i] = np.nan
            continue
        z = min(max(z, 0.0), nz - 1.0)
        z0, y0, x0 = int(z), min(int(y), ny - 2), min(int(x), nx - 2)
        wy, wx = y - y0, x - x0
        weights = cubic_weights(z - z0)
        total = 0.0
        for k in range(4):
            plane = bone[min(max(z0 + k - 1, 0), nz - 1)]
            total += weights[k] * (
                (1 - wy) * ((1 - wx) * plane[y0, x0] + wx * plane[y0, x0 + 1])
                + wy * ((1 - wx) * plane[y0 + 1, x0] + wx * plane[y0 + 1, x0 + 1])
            )
        out[i] = total - values[i]
    return out


@numba.njit(cache=True, nogil=True)
def _normal_equations(
    jacobian: Float32Array, trust: Float32Array, residuals: Float32Array, cut: float
) -> tuple[Float64Array, Float64Array]:
    """Weighted J'J and J'r with Tukey's weights; points without residual are left out."""
    hessian = np.zeros((6, 6))
    gradient = np.zeros(6)
    for i in range(jacobian.shape[0]):
        r = residuals[i]
        if not abs(r) < cut:
            continue
        w = trust[i] * (1 - (r / cut) ** 2) ** 2
        for a in range(6):
            wj = w * jacobian[i, a]
            gradient[a] += wj * r
            for b in range(a, 6):
                hessian[a, b] += wj * jacobian[i, b]
    for a in range(6):
        for b in range(a):
            hessian[a, b] = hessian[b, a]
    return hessian, gradient
