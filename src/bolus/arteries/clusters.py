"""Voxels of vessels, and the small clusters of them from which an AIF or VOF is averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bolus.anatomy.baseline import Baseline
from bolus.anatomy.motion_residue import CLEAR_OF_EDGE, edge_hu
from bolus.arteries.curve_features import Shape, shapes, smooth_in_time
from bolus.errors import NoPerfusion, UsageError
from bolus.timegrid import resample_vessels
from bolus.types import BoolArray, Exam, Float32Array, Float64Array, Geometry, IntArray, Tissue

# Cluster sizes that algorithms and readers use: 4 to 20 voxels of one vessel.
MIN_CLUSTER = 4
MAX_CLUSTER = 20
CLUSTER_RADIUS_MM = 6.0
# Voxels of one vessel differ by noise and partial volume only; this is required of the correlation
# they would have without noise.
SAME_VESSEL_CORRELATION = 0.9
SAME_VESSEL_STRENGTH = 0.5
# A hand-placed point is accurate to a voxel or two.
POINT_RADIUS_MM = 2.5
POINT_VOXELS = 6


@dataclass(frozen=True)
class Samples:
    """Enhancement as measured: of a whole exam, or of the part that was kept."""

    enhancement: Callable[[IntArray], Float32Array]
    """Of voxels (n, 3), indices z, y, x: (n, T) HU, not filtered."""
    times_s: Float64Array
    """(T, Z), s."""
    geometry: Geometry


def samples_of(exam: Exam, baseline: Baseline) -> Samples:
    """Of every voxel of an exam that is free of motion."""

    def enhancement(voxels: IntArray) -> Float32Array:
        z, y, x = voxels.T
        return np.asarray(exam.frames[:, z, y, x].T - baseline.image[z, y, x][:, None])

    return Samples(enhancement, exam.times_s, exam.geometry)


@dataclass(frozen=True)
class Candidates:
    """Voxels of large vessels with their curves, unfiltered."""

    voxels: IntArray
    """(n, 3) indices z, y, x, in C order."""
    curves: Float64Array
    """(n, N) enhancement on the common grid, HU."""
    marks: Shape
    """Arrays (n,)."""
    calibre_hu: Float64Array
    """(n,) strength averaged over the 3 x 3 voxels in plane, zero outside vessels: highest in the
    middle of wide vessels."""
    noise_hu: float
    """SD of noise in the curves after light smoothing in time, HU."""


def vessel_candidates(
    samples: Samples, baseline: Baseline, tissue: Tissue, grid: Float64Array, moved_mm: float
) -> Candidates:
    """Voxels of the vessel mask, measured; raises NoPerfusion if there are too few.

    A voxel that is halfway to its peak before contrast has arrived at all shows noise, and one
    next to an edge may show residual motion: both are left out.
    """
    voxels = np.argwhere(tissue.vessel)
    curves = vessel_curves(samples, voxels, grid)
    marks = shapes(curves, grid)
    edge = edge_hu(baseline.image, samples.geometry, moved_mm)[tuple(voxels.T)]
    real = (marks.half_s >= baseline.arrival_s) & (marks.peak_hu > CLEAR_OF_EDGE * edge)
    voxels, curves = voxels[real], curves[real]
    marks = Shape(**{name: values[real] for name, values in vars(marks).items()})
    if len(voxels) < MIN_CLUSTER:
        raise NoPerfusion(
            f"no artery found: only {len(voxels)} voxels enhance like a vessel, at least "
            f"{MIN_CLUSTER} are needed; check the bolus, or give the artery with aif=(x, y, z) "
            "(--aif x,y,z on the command line)"
        )
    strength = np.zeros(tissue.vessel.shape)
    strength[tuple(voxels.T)] = marks.strength_hu
    calibre = ndimage.uniform_filter(strength, (1, 3, 3), mode="constant")[tuple(voxels.T)]
    before = smooth_in_time(curves)[:, grid < baseline.arrival_s]
    noise = float(np.median(before.std(axis=1))) if before.shape[1] > 2 else 0.0
    return Candidates(voxels, curves, marks, calibre, noise)


def vessel_curves(samples: Samples, voxels: IntArray, grid: Float64Array) -> Float64Array:
    """Enhancement of voxels (n, 3) on the common grid, (n, N) HU, each by its slice's clock."""
    return resample_vessels(samples.enhancement(voxels), voxels[:, 0], samples.times_s, grid)


def grown_cluster(candidates: Candidates, seed: int, geometry: Geometry) -> IntArray:
    """Rows of the candidates that belong to the seed's vessel, close by and connected.

    Of more than 20 those nearest the middle of the vessel stay.  Rows are in C order.
    """
    near = within(candidates.voxels, candidates.voxels[seed], CLUSTER_RADIUS_MM, geometry)
    rows = np.flatnonzero(near)
    alike = correlation(candidates.curves[rows], candidates.curves[seed], candidates.noise_hu)
    strength = candidates.marks.strength_hu
    strong = strength[rows] >= SAME_VESSEL_STRENGTH * strength[seed]
    rows = rows[(alike >= SAME_VESSEL_CORRELATION) & strong]
    rows = connected(candidates.voxels, rows, seed)
    best = np.argsort(-candidates.calibre_hu[rows], kind="stable")[:MAX_CLUSTER]
    return np.sort(rows[best])


def near_point(samples: Samples, tissue: Tissue, grid: Float64Array, point: IntArray) -> IntArray:
    """Voxels (n, 3) around a point given by hand whose curves are most like the point's own."""
    inside = np.argwhere(tissue.brain)
    around = inside[within(inside, point, POINT_RADIUS_MM, samples.geometry)]
    curves = vessel_curves(samples, around, grid)
    own = curves[(around == point).all(axis=1)][0]
    best = np.argsort(-correlation(curves, own), kind="stable")[:POINT_VOXELS]
    return np.asarray(around[np.sort(best)])


def given_point(voxel: Sequence[int], tissue: Tissue, option: str) -> IntArray:
    """Indices (z, y, x) of a voxel the user gave as x, y, z; raises UsageError if unusable."""
    if len(voxel) != 3:
        raise UsageError(f"{option} needs three numbers x,y,z, not {len(voxel)}")
    shape = tissue.brain.shape
    point = np.array([int(i) for i in reversed(voxel)])
    shown = ",".join(str(int(i)) for i in voxel)
    if (point < 0).any() or (point >= shape).any():
        raise UsageError(
            f"{option} {shown} lies outside the image; x, y, z count from 0 to "
            f"{shape[2] - 1}, {shape[1] - 1}, {shape[0] - 1}"
        )
    if not tissue.brain[tuple(point)]:
        raise UsageError(f"{option} {shown} lies outside the brain; give a voxel inside the skull")
    return point


def correlation(
    curves: Float64Array, reference: Float64Array, noise_hu: float = 0.0
) -> Float64Array:
    """(n,) correlation of curves (n, N) with one (N,), after light smoothing in time.

    With the SD of the noise given, corrected for attenuation by noise (Spearman 1904):
    weak vessels then correlate as strongly as bright ones.
    """
    a = smooth_in_time(curves)
    b = smooth_in_time(reference[None])[0]
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean()
    # at least a fifth of the variance is taken as signal: more correction would inflate correlation
    own = np.maximum((a**2).mean(axis=1) - noise_hu**2, 0.2 * (a**2).mean(axis=1))
    other = max(float((b**2).mean()) - noise_hu**2, 0.2 * float((b**2).mean()))
    return np.asarray((a * b).mean(axis=1) / np.maximum(np.sqrt(own * other), 1e-12))


def within(voxels: IntArray, point: IntArray, radius_mm: float, geometry: Geometry) -> BoolArray:
    """(n,) voxels within the radius in plane, in the point's slice and its neighbours."""
    step = voxels - point
    _, dy, dx = geometry.spacing_mm
    in_plane = (step[:, 1] * dy) ** 2 + (step[:, 2] * dx) ** 2 <= radius_mm**2
    return np.asarray(in_plane & (np.abs(step[:, 0]) <= 1))


def connected(voxels: IntArray, rows: IntArray, seed: int) -> IntArray:
    """Those of the rows that touch the seed, directly or through others."""
    local = voxels[rows] - voxels[rows].min(axis=0)
    box = np.zeros(local.max(axis=0) + 1, bool)
    box[tuple(local.T)] = True
    labels, _ = ndimage.label(box, np.ones((3, 3, 3), bool))
    own = labels[tuple(local.T)]
    return np.asarray(rows[own == own[rows == seed]])
