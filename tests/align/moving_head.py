"""A head given by formulas, so that it can be imaged in any pose without interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from bolus.types import Exam, Float32Array, Float64Array, Geometry, Scanner

BLUR_MM = 1.0
"""Width of every edge: what a CT scanner's focal spot and detector make of it."""


@dataclass(frozen=True)
class Enhancement:
    """Contrast in HU at one moment."""

    artery: float = 0.0
    vein: float = 0.0
    brain: float = 0.0


def slab(
    shape: tuple[int, int, int] = (16, 256, 256),
    spacing_mm: tuple[float, float, float] = (5.0, 0.9, 0.9),
    bottom_mm: float = -12.0,
    tilt_deg: float = 0.0,
) -> Geometry:
    """Slab of the head; tilting the gantry shears the stack."""
    affine = np.eye(4)
    tilt = np.deg2rad(tilt_deg)
    affine[:3, 2] = [spacing_mm[2], 0, 0]
    affine[:3, 1] = np.array([0, np.cos(tilt), np.sin(tilt)]) * spacing_mm[1]
    affine[:3, 0] = [0, 0, spacing_mm[0] / np.cos(tilt)]
    middle = affine[:3, 1] * (shape[1] - 1) / 2 + affine[:3, 2] * (shape[2] - 1) / 2
    affine[:3, 3] = [0, 0, bottom_mm] - middle
    return Geometry(shape, affine)


def _inside(
    p: Float64Array, centre: tuple[float, float, float], axes: Float64Array
) -> Float64Array:
    """Share 0..1 of a blurred ellipsoid at points (..., 3); axes may vary from point to point."""
    q = p - np.array(centre)
    r = np.linalg.norm(q / axes, axis=-1)
    length = np.linalg.norm(q, axis=-1)
    distance = np.where(r > 1e-9, (r - 1) * length / np.maximum(r, 1e-9), -np.min(axes))
    t = np.clip(0.5 - distance / (2 * BLUR_MM), 0, 1)
    return t * t * (3 - 2 * t)


def head_hu(p: Float64Array, contrast: Enhancement) -> Float64Array:
    """HU at points (..., 3) in mm of the head's own axes (LPS, origin in its middle)."""
    angle = np.arctan2(p[..., 1], p[..., 0])
    bumps = 1 + 0.02 * np.cos(3 * angle + 0.4) + 0.012 * np.cos(7 * angle) + 0.0005 * p[..., 0]
    outer = np.array([70.0, 88.0, 72.0]) * bumps[..., None]
    inner = outer - (6 + 1.5 * np.cos(5 * angle) + 0.04 * p[..., 2])[..., None]
    hu = np.full(p.shape[:-1], -1000.0)

    def put(share: Float64Array, value: float) -> None:
        nonlocal hu
        hu = hu + share * (value - hu)

    put(_inside(p, (0, 0, 0), outer + 6), 30.0)
    put(_inside(p, (0, 0, 0), outer), 1100.0)
    put(_inside(p, (0, 0, 0), inner), 36.0 + contrast.brain)
    put(_inside(p, (0, -78, 5), np.array([14.0, 9.0, 14.0])), -1000.0)
    for side in (-1, 1):
        put(_inside(p, (42 * side, 18, -18), np.array([24.0, 9.0, 11.0])), 1000.0)
        put(_inside(p, (12 * side, -5, 22), np.array([6.0, 26.0, 12.0])), 8.0)
        put(_inside(p, (30 * side, -15, 2), np.array([22.0, 2.0, 2.5])), 45 + contrast.artery)
    put(_inside(p, (0, 76, 20), np.array([4.0, 4.0, 50.0])), 50 + contrast.vein)
    return hu


def image(
    geometry: Geometry,
    pose: Float64Array | None = None,
    contrast: Enhancement = Enhancement(),
    sub_slices: int = 4,
) -> Float32Array:
    """Noise-free image (Z, Y, X) of the head in a pose, each slice averaged over its thickness.

    The pose (rotation vector in deg, shift in mm) turns the head about (0, 0, 0).
    """
    pose = np.zeros(6) if pose is None else pose
    back = Rotation.from_rotvec(pose[:3], degrees=True).inv().as_matrix()
    _, ny, nx = geometry.shape
    rows, columns = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    slices = []
    for z in range(geometry.shape[0]):
        total = np.zeros((ny, nx))
        for part in (np.arange(sub_slices) + 0.5) / sub_slices - 0.5:
            index = np.stack([np.full(rows.shape, z + part), rows, columns], axis=-1)
            mm = index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3]
            total += head_hu((mm - pose[3:]) @ back.T, contrast)
        slices.append(total / sub_slices)
    return np.stack(slices).astype(np.float32)


def noise(shape: tuple[int, ...], sd_hu: float, rng: np.random.Generator) -> Float32Array:
    """Correlated noise (lag-1 autocorrelation 0.6 within slices) of the given SD."""
    white = rng.normal(size=shape)
    soft = gaussian_filter(white, (*[0] * (len(shape) - 2), 0.7, 0.7))
    return np.asarray(soft * (sd_hu / soft.std()), dtype=np.float32)


def first_pass(t_s: float) -> Enhancement:
    """Contrast of a bolus that arrives after 8 s."""

    def gamma(delay: float, width: float) -> float:
        x = max(t_s - delay, 0.0) / width
        return float((x / 3) ** 3 * np.exp(3 - x))

    return Enhancement(350 * gamma(8, 2.5), 250 * gamma(12, 3), 12 * gamma(10, 3))


def exam_of(frames: Float32Array, geometry: Geometry, interval_s: float = 1.5) -> Exam:
    """Frames as an exam whose slices are measured at once."""
    times = np.repeat(np.arange(len(frames))[:, None] * interval_s, geometry.shape[0], axis=1)
    return Exam(frames, times, geometry, Scanner("dicom"))


def pose_error_mm(found: Float64Array, true: Float64Array, centre: Float64Array) -> float:
    """Mean distance over the brain between where two poses put it.

    ``found`` turns the head about ``centre``, ``true`` about (0, 0, 0).
    """
    axes = np.linspace(-1, 1, 7)
    grid = np.stack(np.meshgrid(axes, axes, axes, indexing="ij"), axis=-1).reshape(-1, 3)
    p = grid[np.linalg.norm(grid, axis=1) <= 1] * [60.0, 75.0, 30.0] + [0, 0, 15.0]
    turn = Rotation.from_rotvec(found[:3], degrees=True).as_matrix()
    a = (p - centre) @ turn.T + centre + found[3:]
    b = p @ Rotation.from_rotvec(true[:3], degrees=True).as_matrix().T + true[3:]
    return float(np.linalg.norm(a - b, axis=1).mean())
