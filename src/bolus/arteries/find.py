"""The arterial input and the venous output: where they are and what they measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bolus.anatomy.baseline import Baseline
from bolus.arteries.clusters import (
    MIN_CLUSTER,
    Candidates,
    Samples,
    given_point,
    near_point,
    samples_of,
    vessel_candidates,
    vessel_curves,
)
from bolus.arteries.confidence import above_circle, aif_confidence, place_findings, vof_confidence
from bolus.arteries.findings import aif_findings, vof_findings
from bolus.arteries.low_contrast import faint_arteries
from bolus.arteries.partial_volume import area_ratio, area_scale
from bolus.arteries.regions import Group, Region, diameter_mm, grow_groups, measure
from bolus.arteries.scoring import Choice, choose, sinus_place, total
from bolus.types import Arteries, BoolArray, Exam, Float64Array, Geometry, IntArray, Tissue, Vessel

# Seeds are ranked by the first 2 % of the blood seen to enhance, and each 2 s of lateness cost a
# factor e: veins come 4-9 s later, arteries beyond a clot 2 s and more.
EARLIEST_SHARE = 0.02
LATENESS_S = 2.0
# Shown to the reader: distinct regions, that is, with centres this far apart; sinuses are long.
MAX_SHOWN = 5
ARTERIES_APART_MM = 10.0
VEINS_APART_MM = 30.0


def find_arteries(
    exam: Exam,
    baseline: Baseline,
    tissue: Tissue,
    grid: Float64Array,
    *,
    aif_voxel: Sequence[int] | None = None,
    vof_voxel: Sequence[int] | None = None,
    moved_mm: float = 0.0,
) -> Arteries:
    """Choose the arterial input function and the venous output function, and scale the former.

    Voxels of large vessels are grown into regions of one vessel.  Each region's curve is the mean
    weighted by the voxels' shares of blood; regions are compared by height over noise, earliness
    (by the shift that fits best, good to about 0.1 s), shape and place, and the best artery is the
    AIF.  Arteries beyond an occlusion are late and lose.  The VOF is the best vein 2 to 15 s later.
    Where no region precedes the veins, the whole brain is searched for arterial time courses.

    Parameters
    ----------
    exam : Exam
        Free of motion, NOT filtered: a filter for tissue flattens the peaks of vessels.
    baseline : Baseline
    tissue : Tissue
    grid : (N,) float64, s
    aif_voxel, vof_voxel : (x, y, z), optional
        Voxel indices given by the user, meaning ``frames[:, z, y, x]``.
    moved_mm : float
        Largest displacement of the head: next to steep edges some of it remains after correction.

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
    aif_point = None if aif_voxel is None else given_point(aif_voxel, tissue, "aif")
    vof_point = None if vof_voxel is None else given_point(vof_voxel, tissue, "vof")
    samples = samples_of(exam, baseline)
    by_hand = [
        None if point is None else group_around(samples, tissue, grid, point)
        for point in (aif_point, vof_point)
    ]
    return arteries_from(
        samples,
        baseline,
        tissue,
        grid,
        by_hand,
        moved_mm,
        faint=lambda vein: faint_arteries(exam, tissue, grid, vein),
    )


def arteries_from(
    samples: Samples,
    baseline: Baseline,
    tissue: Tissue,
    grid: Float64Array,
    by_hand: Sequence[Group | None],
    moved_mm: float,
    faint: Callable[[Float64Array], BoolArray] | None = None,
) -> Arteries:
    """The choice of `find_arteries`, from samples of the vessels.

    Parameters
    ----------
    samples : of all voxels of ``tissue.vessel`` and of those given by hand.
    by_hand : artery and vein that the user chose, each or None.
    faint : searches the whole brain for arteries outside the vessel mask, (Z, Y, X), given the
        vein's curve; None where only vessels are known.
    """
    arrival_s, geometry = baseline.arrival_s, samples.geometry
    candidates = vessel_candidates(samples, baseline, tissue, grid, moved_mm)
    field = _field(candidates, by_hand, tissue, grid, arrival_s, geometry)
    if faint is not None and not field.choice.vein_found and by_hand[0] is None:
        vein = field.regions[field.choice.largest].curve
        wider = replace(tissue, vessel=tissue.vessel | faint(vein))
        more = vessel_candidates(samples, baseline, wider, grid, moved_mm)
        again = _field(more, by_hand, tissue, grid, arrival_s, geometry)
        field = again if again.choice.vein_found else field
    return _described(field, grid, tissue, geometry, by_hand)


def group_around(samples: Samples, tissue: Tissue, grid: Float64Array, point: IntArray) -> Group:
    """Voxels around a point (z, y, x) given by hand, and their curves."""
    return group_of(samples, grid, near_point(samples, tissue, grid, point))


def group_of(samples: Samples, grid: Float64Array, voxels: IntArray) -> Group:
    """Voxels (n, 3), indices z, y, x, and their curves."""
    return Group(voxels, vessel_curves(samples, voxels, grid))


@dataclass(frozen=True)
class _Field:
    """All candidate regions and the choice."""

    candidates: Candidates
    regions: list[Region]
    choice: Choice


def _field(
    candidates: Candidates,
    by_hand: Sequence[Group | None],
    tissue: Tissue,
    grid: Float64Array,
    arrival_s: float,
    geometry: Geometry,
) -> _Field:
    """Regions grown from the strongest voxels and from early ones, and those chosen by hand."""
    calibre, half = candidates.calibre_hu, candidates.marks.half_s
    early = np.exp(-np.maximum(half - _earliest(candidates), 0) / LATENESS_S)
    groups: dict[bytes, Group] = {}
    for rank in (calibre * early, calibre):
        order = np.argsort(-rank, kind="stable")
        for group in grow_groups(candidates, order, geometry):
            groups[group.voxels.tobytes()] = group
    own: list[int | None] = []
    for name, chosen in zip((b"aif", b"vof"), by_hand, strict=True):
        own.append(None if chosen is None else len(groups))
        if chosen is not None:
            groups[name] = chosen
    regions = measure(list(groups.values()), grid, arrival_s)
    places = sinus_place(regions, tissue, geometry)
    return _Field(candidates, regions, choose(regions, places, *own))


def _earliest(candidates: Candidates) -> float:
    """Half-way time of the first 2 % of blood, s."""
    order = np.argsort(candidates.marks.half_s, kind="stable")
    running = np.cumsum(candidates.marks.strength_hu[order])
    first = int(np.searchsorted(running, EARLIEST_SHARE * running[-1]))
    return float(candidates.marks.half_s[order[first]])


def _described(
    field: _Field,
    grid: Float64Array,
    tissue: Tissue,
    geometry: Geometry,
    by_hand: Sequence[Group | None],
) -> Arteries:
    """The chosen curves with their scale, confidence and findings, and the other candidates."""
    choice, regions = field.choice, field.regions
    artery, vein = regions[choice.artery], regions[choice.vein]
    vein_known = choice.vein_found or by_hand[1] is not None
    sure = vof_confidence(choice.veins[choice.vein])
    above = above_circle(tissue, geometry)

    def arterial(i: int) -> Vessel:
        one, parts = regions[i], choice.arteries[i]
        fraction = min(area_ratio(one.curve, vein.curve, grid), 1.0)
        width = diameter_mm(field.candidates, one, fraction, geometry)
        return Vessel(
            one.curve,
            one.voxels,
            aif_confidence(parts, sure, above_circle=above),
            manual=by_hand[0] is not None and i == choice.artery,
            fraction=fraction,
            score=total(parts),
            parts=parts,
            delay_s=one.delay_s - artery.delay_s,
            diameter_mm=width,
        )

    def venous(i: int) -> Vessel:
        one, parts = regions[i], choice.veins[i]
        return Vessel(
            one.curve,
            one.voxels,
            vof_confidence(parts) if vein_known else 0.0,
            manual=by_hand[1] is not None and i == choice.vein,
            score=total(parts),
            parts=parts,
            delay_s=one.delay_s - artery.delay_s,
        )

    aif, vof = arterial(choice.artery), venous(choice.vein)
    ratio = area_ratio(artery.curve, vein.curve, grid)
    scale = area_scale(artery.curve, vein.curve, grid)
    late = max(artery.delay_s - choice.earliest_s, 0.0)
    findings = aif_findings(artery.marks, artery.misfit, late, ratio, aif.confidence)
    findings += place_findings(aif, scale, above=above)
    findings += vof_findings(vof.delay_s, vein_known, vof.confidence)
    return Arteries(
        aif=aif,
        vof=vof,
        scale=scale,
        findings=tuple(findings),
        candidates=tuple(
            arterial(i)
            for i in _shown(regions, choice.arteries, choice.artery, ARTERIES_APART_MM, geometry)
        ),
        vein_candidates=tuple(
            venous(i) for i in _shown(regions, choice.veins, choice.vein, VEINS_APART_MM, geometry)
        ),
    )


def _shown(
    regions: list[Region],
    parts: list[dict[str, float]],
    chosen: int,
    apart_mm: float,
    geometry: Geometry,
) -> list[int]:
    """The best regions that lie apart, the chosen one first."""
    to_mm = geometry.affine[:3, :3].T
    centres = np.array([r.voxels.mean(axis=0) for r in regions]) @ to_mm
    shown = [chosen]
    for i in np.argsort([-total(p) for p in parts], kind="stable"):
        if len(shown) == MAX_SHOWN:
            break
        apart = np.linalg.norm(centres[shown] - centres[i], axis=1).min() > apart_mm
        timely = regions[i].placed and parts[i].get("lag", 1.0) > 0
        if apart and timely and len(regions[i].voxels) >= MIN_CLUSTER:
            shown.append(int(i))
    return shown
