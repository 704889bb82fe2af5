"""The part of the exam around vessels that is kept, so that another artery can be chosen later."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bolus.anatomy.baseline import Baseline
from bolus.arteries.clusters import POINT_RADIUS_MM, Samples, given_point, samples_of, within
from bolus.arteries.find import arteries_from, group_around, group_of
from bolus.arteries.regions import Group
from bolus.errors import UsageError
from bolus.types import (
    Arteries,
    BoolArray,
    Exam,
    Float32Array,
    Float64Array,
    Geometry,
    IntArray,
    NearVessels,
    Tissue,
    Voxel,
)

LARGEST_HU = 60000.0
"""Largest half-precision number; no enhancement comes near it."""


def near_vessels(
    exam: Exam, baseline: Baseline, tissue: Tissue, arteries: Arteries, moved_mm: float
) -> NearVessels:
    """Vessels, and around each of their voxels the neighbourhood that a hand-placed point uses."""
    vessel = tissue.vessel.copy()
    for one in (arteries.aif, arteries.vof):
        vessel[tuple(one.voxels.T)] = True
    voxels = tissue.brain & _around(vessel, exam.geometry) | vessel
    values = samples_of(exam, baseline).enhancement(np.argwhere(voxels))
    half = np.clip(values, -LARGEST_HU, LARGEST_HU).astype(np.float16)
    return NearVessels(voxels, half, moved_mm)


def reselect_arteries(
    near: NearVessels,
    former: Arteries,
    baseline: Baseline,
    tissue: Tissue,
    times_s: Float64Array,
    grid: Float64Array,
    geometry: Geometry,
    *,
    aif: Voxel | None,
    vof: Voxel | None,
) -> Arteries:
    """Arteries with another AIF or VOF, as `bolus run --aif` and ``--vof`` choose them.

    Parameters
    ----------
    near : the part of the exam that was kept.
    former : arteries of the run; an AIF that is not replaced stays, a VOF only if chosen by hand.
    aif, vof : (x, y, z) voxels, each or None.

    Raises
    ------
    UsageError
        If a voxel lies outside the brain, or not in a vessel.
    """
    samples = _samples(near, times_s, geometry)
    groups: list[Group | None] = []
    for voxel, vessel, keep, option in (
        (aif, former.aif, True, "aif"), (vof, former.vof, former.vof.manual, "vof"),
    ):  # fmt: skip
        if voxel is not None:
            point = given_point(voxel, tissue, option)
            _check_in_vessel(point, voxel, near, tissue, geometry, option)
            groups.append(group_around(samples, tissue, grid, point))
        else:
            groups.append(group_of(samples, grid, vessel.voxels) if keep else None)
    return arteries_from(samples, baseline, tissue, grid, groups, near.moved_mm)


def _samples(near: NearVessels, times_s: Float64Array, geometry: Geometry) -> Samples:
    row = np.full(near.voxels.shape, -1, np.int32)
    row[near.voxels] = np.arange(len(near.enhancement_hu), dtype=np.int32)

    def enhancement(voxels: IntArray) -> Float32Array:
        return np.asarray(near.enhancement_hu[row[tuple(voxels.T)]], np.float32)

    return Samples(enhancement, times_s, geometry)


def _check_in_vessel(
    point: IntArray,
    voxel: Voxel,
    near: NearVessels,
    tissue: Tissue,
    geometry: Geometry,
    option: str,
) -> None:
    """Raise UsageError where the voxels around a point were not kept: no vessel runs there."""
    inside = np.argwhere(tissue.brain)
    around = inside[within(inside, point, POINT_RADIUS_MM, geometry)]
    if not near.voxels[tuple(around.T)].all():
        raise UsageError(
            f"{option} {','.join(map(str, voxel))}: no vessel runs there; choose a voxel that is "
            "bright at maximum enhancement"
        )


def _around(mask: BoolArray, geometry: Geometry) -> BoolArray:
    """The mask grown by the radius of a point given by hand, and into the next slices."""
    _, dy, dx = geometry.spacing_mm
    ry, rx = int(POINT_RADIUS_MM / dy), int(POINT_RADIUS_MM / dx)
    y, x = np.mgrid[-ry : ry + 1, -rx : rx + 1]
    disk = (y * dy) ** 2 + (x * dx) ** 2 <= POINT_RADIUS_MM**2
    grown = ndimage.binary_dilation(mask, disk[None])
    return np.asarray(ndimage.binary_dilation(grown, np.ones((3, 1, 1), bool)))
