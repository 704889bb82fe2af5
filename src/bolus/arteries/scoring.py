"""Which region is the arterial input and which the venous output: scores, and the best of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bolus.arteries.findings import GOOD_BAD, VOF_GOOD_BAD, VOF_LAG_S, ramp
from bolus.arteries.regions import Region
from bolus.types import BoolArray, Float64Array, Geometry, Tissue

# Peak over noise at which a curve's area is known to about 15 %: the baseline's noise counts over
# the whole exam (60 s), the bolus over a quarter of it.
USEFUL_SNR = 12.0
# A curve later than the earliest artery by this much gives wrong maps.
LATE_S = 0.7
# The error of a delay is about 2 s / SNR (width of the upslope over its noise).
DELAY_ERROR_S = 2.0
# Clusters that algorithms and readers use have 4 voxels and more; fewer may be noise.
SMALLEST = 4
# No bolus that has passed heart and lungs is narrower (p5 of 93 clinical arteries: 8.8 s);
# curves caused by motion and streaks are.
NARROW_S = (6.0, 3.0)
# The sinus follows the artery by 4 to 9.4 s (p5, p95), never by 15.
LATE_VEIN_S = (10.0, 15.0)
# Arteries are rare near the large sinuses, where a vein may be mistaken for one.
ARTERY_IN_SINUS_PLACE = 0.5
VEIN_ELSEWHERE = 0.7
MIDLINE_MM = 20.0
# Share of the distance from the brain's centre to its back at which that area begins.
BACK = 1 / 3
# A region with less can't determine when arteries enhance.
FAIR_SCORE = 0.1
LENIENT_TAIL = 0.5
# Poor in one part is poor; the floor keeps an order among poor regions.
FLOOR = 0.01


@dataclass(frozen=True)
class Choice:
    """Scores of all regions as artery and as vein, and the best of each kind."""

    arteries: list[dict[str, float]]
    """Parts of each region's score."""
    veins: list[dict[str, float]]
    artery: int
    """The best region."""
    vein: int
    earliest_s: float
    """Delay of the earliest fair region, on the regions' scale."""

    largest: int
    """The strongest fair region: a vein, if the slab has one."""

    @property
    def vein_found(self) -> bool:
        """Whether the vein has venous timing."""
        return self.veins[self.vein]["lag"] > 0


def choose(
    regions: list[Region],
    in_sinus_place: BoolArray,
    artery: int | None = None,
    vein: int | None = None,
) -> Choice:
    """Score every region; ``artery`` and ``vein`` are regions chosen by the user.

    The earliest fair region determines when arteries enhance.  The score of a later one falls to a
    half at 0.7 s, so an earlier artery is chosen unless it is much poorer.
    """
    both = list(zip(regions, in_sinus_place.tolist(), strict=True))
    timely = np.array([total(artery_parts(r, 0.0, p)) * r.placed for r, p in both])
    fair = timely >= min(FAIR_SCORE, float(timely.max()))
    soonest = np.array([r.delay_s + DELAY_ERROR_S / max(r.snr, 1.0) for r in regions])
    earliest = float(soonest[fair].min())
    arteries = [artery_parts(r, max(r.delay_s - earliest, 0.0), p) for r, p in both]
    if artery is None:
        scores = np.array([total(parts) for parts in arteries])
        artery = int(np.argmax(scores * [r.placed for r in regions]))
    strength = np.array([float(r.marks.strength_hu) for r in regions])
    strongest = int(np.argmax(np.where(fair, strength, 0.0)))
    due = regions[artery].delay_s
    veins = [vein_parts(r, r.delay_s - due, float(strength[strongest]), p) for r, p in both]
    if vein is None:
        # an exam that ends early raises the tails of all veins, the large ones' most
        lenient = [{**parts, "tail": max(parts["tail"], LENIENT_TAIL)} for parts in veins]
        vein = int(np.argmax([total(parts) for parts in lenient]))
    return Choice(arteries, veins, artery, vein, earliest, strongest)


def artery_parts(one: Region, late_s: float, in_sinus_place: bool) -> dict[str, float]:
    """Parts of an arterial region's score, 1 for the best; it is ``late_s`` after the earliest."""
    marks = one.marks
    return {
        "peak": _height(one.snr),
        "earliness": 1 / (1 + (late_s / LATE_S) ** 2),
        "narrowness": _width(float(marks.width_s), GOOD_BAD["width_s"]),
        "rise": ramp(float(marks.peak_s - marks.arrival_s), *GOOD_BAD["rise_s"]),
        "tail": ramp(float(marks.tail), *GOOD_BAD["tail"]),
        "roundness": ramp(one.misfit, *GOOD_BAD["misfit"]),
        "size": min(1.0, len(one.voxels) / SMALLEST) ** 2,
        "place": ARTERY_IN_SINUS_PLACE if in_sinus_place else 1.0,
    }


def vein_parts(
    one: Region, lag_s: float, strongest_hu: float, in_sinus_place: bool
) -> dict[str, float]:
    """Parts of a venous region's score, 1 for a perfect sinus; ``lag_s`` after the artery."""
    marks = one.marks
    soon, late = VOF_LAG_S[0], LATE_VEIN_S
    return {
        "peak": _height(one.snr),
        "share": min(1.0, float(marks.strength_hu) / max(strongest_hu, 1e-9)),
        "lag": ramp(lag_s, *late) if lag_s >= soon else 0.0,
        "narrowness": _width(float(marks.width_s), VOF_GOOD_BAD["width_s"]),
        "tail": ramp(float(marks.tail), *VOF_GOOD_BAD["tail"]),
        "roundness": ramp(one.misfit, *VOF_GOOD_BAD["misfit"]),
        "size": min(1.0, len(one.voxels) / SMALLEST) ** 2,
        "place": 1.0 if in_sinus_place else VEIN_ELSEWHERE,
    }


def total(parts: dict[str, float]) -> float:
    """The score: product of the parts."""
    return math.prod(max(part, FLOOR) for part in parts.values())


def sinus_place(regions: list[Region], tissue: Tissue, geometry: Geometry) -> BoolArray:
    """(n,) regions at the back of the head within 20 mm of the brain's midline."""
    to_mm = geometry.affine[:3, :3].T
    brain = np.argwhere(tissue.brain)
    centre = brain.mean(axis=0)
    # LPS: +y is posterior
    back: Float64Array = ((brain - centre) @ to_mm)[:, 1]
    offset = (np.array([r.voxels.mean(axis=0) for r in regions]) - centre) @ to_mm
    behind = offset[:, 1] > BACK * float(back.max())
    return np.asarray(behind & (np.abs(offset[:, 0]) <= MIDLINE_MM))


def _height(snr: float) -> float:
    """0..1: saturates, so that a strong late vein doesn't beat a fainter early artery."""
    snr = max(snr, 0.0)
    return snr**2 / (snr**2 + USEFUL_SNR**2)


def _width(width_s: float, good_bad: tuple[float, float]) -> float:
    return ramp(width_s, *good_bad) * ramp(width_s, *NARROW_S)
