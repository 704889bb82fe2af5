"""Which of several time courses is the perfusion scan: by extent, duration, times and contrast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bolus.acquire.dicom.appearance import Appearance, look
from bolus.acquire.dicom.clocks import CLOCKS
from bolus.acquire.dicom.groups import Group, overlap, time_of
from bolus.errors import AmbiguousExam
from bolus.types import Finding, Grade

USUAL_THICKNESS_MM = 5.0
USUAL_INTERVAL_S, USUAL_DURATION_S = 1.5, 60.0
BRIEF_S = 25.0
"""Bolus tracking and test boluses stop when the contrast arrives; a first pass takes 40 s."""
MUCH_TALLER, FEW_SLICES, SEVERAL_TIMES = 2.0, 2, 3
"""One or two slices beside a slab of twice their height and three times as many are its tracker."""
FEW_FRAMES = 15
"""Fewer volumes than this, beside twice as many, are the phases of an angiogram."""
SAME_TIMES = 0.8
"""Share of its times that a second reconstruction has in common with the first."""
SAME_TIME_US = 300_000
ONE_FRAME = 0.75
"""An image further than this share of an interval from all frames is of a frame that is missing."""
FAINT = 0.2
FAINT_HU = 25.0
"""A scan whose contrast is below both, that share of another's and this, shows no bolus."""
MOST_NAMED = 4
MOST_LOOKED_AT = 16
"""Time courses whose pixels are looked at; a folder with more is no study of one patient."""
TRACKING = "a single slice: bolus tracking or a test bolus"
MAPS = "volumes unlike each other: maps, not a time course"
RECONSTRUCTION = "another reconstruction of the scan"

Mark = tuple[tuple[str, ...], tuple[int, int] | None]
"""The UIDs of a scan's series and its times: one series may hold two injections."""
Keys = Mapping[Mark, str]


@dataclass(frozen=True)
class Choice:
    """The perfusion scan, and why the other time courses are not."""

    scan: Group
    why_not: dict[str, str] = field(default_factory=dict)
    """By SeriesInstanceUID."""
    again: tuple[Group, ...] = ()
    """Other reconstructions of it."""
    findings: tuple[Finding, ...] = ()


def keys_of(scans: Sequence[Group]) -> dict[Mark, str]:
    """What `--series` takes for each scan: "scan-1", in order."""
    return {mark_of(scan): f"scan-{number}" for number, scan in enumerate(_in_order(scans), 1)}


def mark_of(scan: Group) -> Mark:
    """What distinguishes a scan from others of its exam."""
    return scan.series, scan.span_us


def _in_order(scans: Sequence[Group]) -> list[Group]:
    return sorted(scans, key=lambda g: (_number(g), g.span_us or (0, 0), g.series))


def _number(scan: Group) -> tuple[int, str]:
    numbers = [s.series_number for s in scan.slices]
    return min((int(n) if n.isdecimal() else 0, n) for n in numbers)


def choose(groups: Sequence[Group], where: str, keys: Keys) -> Choice:
    """Choose the perfusion scan among time courses.

    Parameters
    ----------
    where
        The exam's path, for messages.
    keys
        Of all scans of the exam, as `keys_of` gives them.

    Raises
    ------
    AmbiguousExam
        If two patients or two perfusion scans are left.
    """
    why_not: dict[str, str] = {}
    eyes = _Eyes()
    left = []
    for group in groups:
        if _one_volume_each(group) and not eyes.sees_time_course(group):
            why_not |= dict.fromkeys(group.series, MAPS)
        else:
            left.append(group)
    left = left or list(groups)
    largest = max(left, key=_size)
    minor = {id(g): reason for g in left if (reason := _minor(g, largest))}
    for group in left:
        if id(group) in minor:
            why_not |= dict.fromkeys(group.series, minor[id(group)])
    left = [g for g in left if id(g) not in minor]
    _one_patient(left, where)
    left = _that_show_the_head(left, eyes, why_not)
    best = min(left, key=_preference)
    others = [g for g in left if g is not best]
    again = [g for g in others if _same_scan(g, best)]
    elsewhere = [g for g in others if g not in again]
    if elsewhere:
        scans = [best, *elsewhere]
        faint = eyes.without_contrast(scans)
        for group in faint:
            why_not |= dict.fromkeys(group.series, "no contrast arrives")
        scans = [g for g in scans if g not in faint]
        if len(scans) != 1:
            raise _several(scans, where, keys)
        if scans[0] is not best:
            best = scans[0]
            again = []
    return Choice(
        best,
        why_not | {uid: RECONSTRUCTION for g in again for uid in g.series},
        tuple(again),
        (*_reconstructions(best, again), *_other_frames(best, again)),
    )


def _that_show_the_head(
    groups: Sequence[Group], eyes: _Eyes, why_not: dict[str, str]
) -> list[Group]:
    """Of several, those whose volumes are one head's: maps may claim the scan's times."""
    shown = [g for g in groups if len(groups) == 1 or eyes.sees_time_course(g)]
    if not shown:
        return list(groups)
    for group in groups:
        if group not in shown:
            why_not |= dict.fromkeys(group.series, MAPS)
    return shown


class _Eyes:
    """Looks at the pixels of a group once, and only where headers leave a choice."""

    def __init__(self) -> None:
        self._seen: dict[int, Appearance | None] = {}

    def look(self, group: Group) -> Appearance | None:
        """The group's appearance; None where it can't be decoded."""
        if id(group) not in self._seen:
            many = len(self._seen) >= MOST_LOOKED_AT
            self._seen[id(group)] = None if many else look(group)
        return self._seen[id(group)]

    def sees_time_course(self, group: Group) -> bool:
        """Whether its images show one head; what can't be seen is believed."""
        seen = self.look(group)
        return seen is None or seen.is_time_course

    def without_contrast(self, scans: Sequence[Group]) -> list[Group]:
        """Scans that show no bolus where another one does."""
        seen = [self.look(scan) for scan in scans]
        heights = [one.contrast_hu if one else FAINT_HU for one in seen]
        limit = min(FAINT_HU, FAINT * max(heights))
        return [scan for scan, height in zip(scans, heights, strict=True) if height < limit]


def _one_volume_each(group: Group) -> bool:
    """Whether each of a group's series holds a single volume, as time points do, and maps."""
    return len(group.series) > 1 and len(group.slices) <= len(group.series) * len(group.places)


def _size(group: Group) -> tuple[float, int, tuple[str, ...]]:
    duration = group.duration_s or USUAL_INTERVAL_S * group.frames
    return group.extent_mm * min(duration, USUAL_DURATION_S), len(group.slices), group.series


def _minor(group: Group, largest: Group) -> str:
    """Why a time course can't be the scan beside a larger one; "" if it can."""
    if group is largest:
        return ""
    taller = largest.extent_mm >= MUCH_TALLER * group.extent_mm
    slices, most = len(group.places), len(largest.places)
    if slices == 1 and (taller or most > 1):
        return TRACKING
    if slices <= FEW_SLICES and taller and most >= SEVERAL_TIMES * slices:
        return f"only {slices} slices: bolus tracking or a test bolus"
    if group.frames < FEW_FRAMES and largest.frames >= 2 * group.frames:
        return f"only {group.frames} volumes: phases of an angiogram or the like"
    brief = 0 < group.duration_s < BRIEF_S and largest.duration_s >= 1.5 * group.duration_s
    if brief and len(group.places) <= len(largest.places):
        return f"{group.duration_s:.0f} s long: bolus tracking or a test bolus"
    return ""


def is_minor(courses: Sequence[Group], others: Sequence[Group]) -> bool:
    """Whether none of some time courses can be the scan beside the largest of others."""
    largest = max(others, key=_size)
    return all(_minor(course, largest) for course in courses)


def _one_patient(groups: Sequence[Group], where: str) -> None:
    patients = {s.patient for g in groups for s in g.slices}
    if len(patients) > 1:
        raise AmbiguousExam(
            f"{where}: holds perfusion scans of {len(patients)} patients (for example "
            f"{' and '.join(_examples(groups))}); name the folder of one of them."
        )


def _several(scans: Sequence[Group], where: str, keys: Keys) -> AmbiguousExam:
    named = " and ".join(
        f"{keys.get(mark_of(g), g.series[0])} (series {label(g)}, {g.frames} frames of "
        f"{len(g.places)} slices)"
        for g in _in_order(scans)[:MOST_NAMED]
    )
    named += " and others" if len(scans) > MOST_NAMED else ""
    return AmbiguousExam(
        f"{where}: holds {len(scans)} different perfusion scans: {named}; choose one with --series "
        "KEY (series= in Python), `bolus info` lists them."
    )


def _same_scan(group: Group, best: Group) -> bool:
    """Whether a time course of a study has times and slab of another: a second reconstruction."""
    if not overlap(group, best) or not _same_slab(group, best):
        return False
    if group.days and best.days and not group.days & best.days:
        return False
    return group.slices[0].study == best.slices[0].study


def _same_slab(group: Group, best: Group) -> bool:
    """Whether the lower of two slabs lies mostly within the other."""
    low = max(min(group.places), min(best.places))
    high = min(max(group.places), max(best.places))
    height = min(max(g.places) - min(g.places) for g in (group, best))
    return high - low >= height / 2


def _times_in_common(group: Group, best: Group, clock: str) -> bool:
    """Whether most times of a group are times of another one."""
    times = np.unique([time_of(s, clock) for s in best.slices])
    own = np.unique([time_of(s, clock) for s in group.slices])
    after = np.clip(np.searchsorted(times, own), 1, len(times) - 1)
    apart = np.minimum(np.abs(own - times[after]), np.abs(own - times[after - 1]))
    return bool(np.mean(apart <= SAME_TIME_US) >= SAME_TIMES)


def _other_frames(best: Group, again: Sequence[Group]) -> list[Finding]:
    """Time courses of the scan's own places that have frames which it lacks."""
    lost = [g for g in again if _has_more(g, best)]
    if not lost:
        return []
    return [
        Finding(
            "frames-elsewhere",
            Grade.FAIL,
            f"Series {', '.join(map(label, lost))} show the scan's slices at times at which it has "
            f"no frames: {sum(len(g.slices) for g in lost)} images were left out.",
            "Choose the series to use with --series NUMBER (series= in Python).",
        )
    ]


def _has_more(group: Group, best: Group) -> bool:
    """Whether a time course goes on where another one of its slices has a gap, or ends."""
    comparable = (
        group.clock == best.clock
        and group.clock in CLOCKS
        and group.clock != "content_us"
        and 2 * len(group.places.keys() & best.places.keys()) > len(best.places)
    )
    if not comparable or _times_in_common(group, best, group.clock):
        return False
    times = np.unique([time_of(s, best.clock) for s in best.slices])
    step = 1e6 * best.duration_s / max(1, best.frames - 1)
    own = np.unique([time_of(s, group.clock) for s in group.slices])
    after = np.searchsorted(times, own)
    before = own - times[np.clip(after - 1, 0, len(times) - 1)]
    until = times[np.clip(after, 0, len(times) - 1)] - own
    far = np.minimum(np.abs(before), np.abs(until)) > ONE_FRAME * step
    return bool(np.mean(far) > 1 - SAME_TIMES)


def _reconstructions(best: Group, again: Sequence[Group]) -> list[Finding]:
    if not again:
        return []
    return [
        Finding(
            "series-chosen",
            Grade.NOTE,
            f"The scan exists in {len(again) + 1} reconstructions; series {label(best)} "
            f"({best.frames} frames, {len(best.places)} slices) was used.",
            "Choose another one with --series NUMBER.",
        )
    ]


def _preference(group: Group) -> tuple[object, ...]:
    """Sort key, the best first: whole, original, near 5 mm, most slices."""
    thickness = group.slices[0].protocol.thickness_mm or USUAL_THICKNESS_MM
    derived = "DERIVED" in group.slices[0].image_type
    return (
        -group.frames,
        derived,
        abs(thickness - USUAL_THICKNESS_MM),
        -len(group.places),
        _number(group),
        group.series,
    )


def _examples(groups: Sequence[Group]) -> list[str]:
    return [min(s.name for s in g.slices) for g in groups][:2]


def label(group: Group) -> str:
    """The number of a group's first series, or its UID."""
    return min(s.series_number for s in group.slices) or group.series[0]
