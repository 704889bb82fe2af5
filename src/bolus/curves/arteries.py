"""The arterial input and the venous output: where they are and what they measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bolus.curves.baseline import Baseline
from bolus.curves.clusters import (
    MIN_CLUSTER,
    Candidates,
    given_point,
    grown_cluster,
    near_point,
    vessel_candidates,
    vessel_curves,
)
from bolus.curves.marks import (
    VOF_LAG_S,
    aif_confidence,
    aif_findings,
    aif_rating,
    vof_confidence,
    vof_findings,
    vof_rating,
)
from bolus.curves.scaling import area_ratio, area_scale
from bolus.curves.shape import Shape, gamma_misfit, shape
from bolus.types import Arteries, Exam, Float64Array, Geometry, IntArray, Tissue, Vessel

# How many of the best voxels are grown into clusters and compared by their mean curves.
MAX_SEEDS = 60
# The earliest vessels: by strength, the first 5 % of the blood seen to enhance.
EARLIEST_SHARE = 0.05
# Each 2 s of lateness cost a factor e: veins come 4-9 s later, arteries beyond a clot 2 s and more.
LATENESS_S = 2.0
# The large sinuses lie at the back near the midline.
MIDLINE_MM = 20.0
ELSEWHERE = 0.7


def find_arteries(
    exam: Exam,
    baseline: Baseline,
    tissue: Tissue,
    grid: Float64Array,
    *,
    aif_voxel: Sequence[int] | None = None,
    vof_voxel: Sequence[int] | None = None,
) -> Arteries:
    """Choose the arterial input function and the venous output function, and scale the former.

    Voxels of large vessels are ranked by strength, earliness and narrowness, the best are grown
    into clusters of one vessel, and the cluster with the best mean curve is the AIF.  Arteries
    beyond an occlusion are late and dispersed and lose.  The VOF is the strongest cluster that
    peaks 2 to 15 s later, preferably at the back near the midline.

    Parameters
    ----------
    exam : Exam
        Free of motion, NOT filtered: a filter for tissue flattens the peaks of vessels.
    baseline : Baseline
    tissue : Tissue
    grid : (N,) float64, s
    aif_voxel, vof_voxel : (x, y, z), optional
        Voxel indices given by the user, meaning ``frames[:, z, y, x]``.

    Returns
    -------
    Arteries

    Raises
    ------
    UsageError
        If a given voxel lies outside the image or the brain.
    NoPerfusion
        If there is no vessel to choose from.
    """
    aif_point = None if aif_voxel is None else given_point(aif_voxel, tissue, "--aif")
    vof_point = None if vof_voxel is None else given_point(vof_voxel, tissue, "--vof")
    candidates = vessel_candidates(exam, baseline, tissue, grid)
    early = _earliest(candidates)
    if aif_point is None:
        aif_voxels = _best_artery(candidates, early, grid, exam.geometry)
    else:
        aif_voxels = near_point(exam, baseline, tissue, grid, aif_point)
    aif = vessel_curves(exam, baseline, aif_voxels, grid).mean(axis=0)
    aif_marks = shape(aif, grid)
    if vof_point is None:
        vof_voxels, found = _best_vein(candidates, aif_marks, tissue, grid, exam.geometry)
    else:
        vof_voxels, found = near_point(exam, baseline, tissue, grid, vof_point), True
    vof = vessel_curves(exam, baseline, vof_voxels, grid).mean(axis=0)
    vof_marks = shape(vof, grid)

    misfit, late = gamma_misfit(aif, grid), max(float(aif_marks.half_s) - early, 0.0)
    confidence = aif_confidence(aif_marks, misfit, late)
    ratio = area_ratio(aif, vof, grid)
    findings = aif_findings(aif_marks, misfit, late, ratio, confidence)
    vof_score = vof_confidence(vof_marks, gamma_misfit(vof, grid)) if found else 0.0
    lag = float(vof_marks.peak_s - aif_marks.peak_s)
    findings += vof_findings(lag, found, vof_score)
    return Arteries(
        aif=Vessel(aif, aif_voxels, confidence, manual=aif_point is not None),
        vof=Vessel(vof, vof_voxels, vof_score, manual=vof_point is not None),
        scale=area_scale(aif, vof, grid),
        findings=tuple(findings),
    )


def _earliest(candidates: Candidates) -> float:
    """Half-way time of the first 5 % of blood, s."""
    order = np.argsort(candidates.marks.half_s, kind="stable")
    running = np.cumsum(candidates.marks.strength_hu[order])
    first = int(np.searchsorted(running, EARLIEST_SHARE * running[-1]))
    return float(candidates.marks.half_s[order[first]])


def _best_artery(
    candidates: Candidates, early_s: float, grid: Float64Array, geometry: Geometry
) -> IntArray:
    """Voxels (n, 3) of the cluster with the best arterial curve."""
    marks = candidates.marks
    rank = marks.strength_hu * _earliness(marks, early_s) / np.maximum(marks.width_s, 1)
    best, chosen = -1.0, np.empty(0, np.int64)
    used = np.zeros(rank.size, bool)
    seeds = np.argsort(-rank, kind="stable")
    for _ in range(MAX_SEEDS):
        free = seeds[~used[seeds]]
        if not free.size:
            break
        rows = grown_cluster(candidates, int(free[0]), geometry)
        used[rows] = True
        used[free[0]] = True
        value = _artery_value(candidates.curves[rows].mean(axis=0), early_s, grid)
        # a handful of voxels may be noise: they win only if nothing better is there
        value *= min(1.0, rows.size / MIN_CLUSTER) ** 2
        if value > best:
            best, chosen = value, rows
    return np.asarray(candidates.voxels[chosen])


def _artery_value(curve: Float64Array, early_s: float, grid: Float64Array) -> float:
    """What clusters compete in: strength x earliness x the marks of an artery."""
    marks = shape(curve, grid)
    late = max(float(marks.half_s) - early_s, 0.0)
    # a poor rating still leaves an order among poor curves
    rating = 0.01 + aif_rating(marks, gamma_misfit(curve, grid), late)
    return float(marks.strength_hu) * float(_earliness(marks, early_s)) * rating


def _earliness(marks: Shape, early_s: float) -> Float64Array:
    return np.asarray(np.exp(-np.maximum(marks.half_s - early_s, 0) / LATENESS_S))


def _best_vein(
    candidates: Candidates, aif: Shape, tissue: Tissue, grid: Float64Array, geometry: Geometry
) -> tuple[IntArray, bool]:
    """Voxels (n, 3) of the largest vein; or of the largest vessel, and False."""
    where = np.where(_posterior_midline(candidates, tissue, geometry), 1.0, ELSEWHERE)
    seeds = np.argsort(-candidates.calibre_hu * where, kind="stable")
    later = candidates.marks.half_s[seeds] > aif.half_s
    used = np.zeros(seeds.size, bool)
    best, chosen = 0.0, None
    for seed in seeds[later][:MAX_SEEDS]:
        if used[seed]:
            continue
        rows = grown_cluster(candidates, int(seed), geometry)
        used[rows] = True
        value = _vein_value(candidates.curves[rows].mean(axis=0), aif, grid) * where[seed]
        if value > best and rows.size >= MIN_CLUSTER:
            best, chosen = value, rows
    if chosen is not None:
        return np.asarray(candidates.voxels[chosen]), True
    largest = int(np.argmax(candidates.calibre_hu))
    return np.asarray(candidates.voxels[grown_cluster(candidates, largest, geometry)]), False


def _vein_value(curve: Float64Array, aif: Shape, grid: Float64Array) -> float:
    """What clusters compete in: strength x the marks of a vein; 0 if it peaks at the wrong time."""
    marks = shape(curve, grid)
    if not VOF_LAG_S[0] <= float(marks.peak_s - aif.peak_s) <= VOF_LAG_S[1]:
        return 0.0
    return float(marks.strength_hu) * (0.01 + vof_rating(marks, gamma_misfit(curve, grid)))


def _posterior_midline(candidates: Candidates, tissue: Tissue, geometry: Geometry) -> IntArray:
    """(n,) candidates behind the brain's centre and within 20 mm of its midline."""
    to_mm = geometry.affine[:3, :3].T
    centre = np.argwhere(tissue.brain).mean(axis=0)
    offset = (candidates.voxels - centre) @ to_mm  # LPS: +y is posterior
    return np.asarray((offset[:, 1] > 0) & (np.abs(offset[:, 0]) <= MIDLINE_MM))
