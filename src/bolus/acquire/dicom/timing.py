"""Acquisition time of each image, and which images form a frame.

All arithmetic is in whole microseconds, so that a shifted clock gives the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bolus.acquire.dicom.headers import Slice
from bolus.errors import IncompleteExam, MissingTiming
from bolus.types import Finding, Grade, IntArray

DAY_US = 86_400_000_000
STEP_LIMITS_US = (200_000, 10_000_000)
"""Intervals outside are those of a reconstruction queue or of a follow-up, not of a scan."""
MOSTLY_DISTINCT = 0.8
CLOCKS = {
    "acquisition_us": "AcquisitionTime",
    "ge_mid_scan_us": "GE mid-scan time (0019,1024)",
    "trigger_us": "TriggerTime",
    "content_us": "ContentTime",
}
"""In order of preference; the last one may be the time of reconstruction."""
ORDERS = {
    "temporal_index": "TemporalPositionIndex",
    "acquisition_number": "AcquisitionNumber",
    "instance_number": "InstanceNumber",
}
CLOCKS_DISAGREE_US = 250_000
MAX_LOST = 0.1
"""Share of the frames that may lack slices and be dropped."""


@dataclass(frozen=True)
class Times:
    """The clock that was chosen."""

    us: IntArray
    """(n,) of each image, us since an arbitrary start."""
    source: str
    findings: tuple[Finding, ...] = ()


def without_midnight(slices: Sequence[Slice]) -> list[Slice]:
    """Continue the clock beyond 24 h where a study crosses midnight.

    The study's day starts after the longest time without an image, so a clock shifted by any
    amount gives the same intervals.
    """
    result = list(slices)
    for key in ("acquisition_us", "content_us"):
        studies: dict[str, list[int]] = defaultdict(list)
        for i, image in enumerate(slices):
            studies[image.study].append(i)
        for members in studies.values():
            start = _start_of_day({getattr(result[i].clock, key) for i in members} - {None})
            for i in members:
                value = getattr(result[i].clock, key)
                if value is not None and value < start:
                    late = replace(result[i].clock, **{key: value + DAY_US})
                    result[i] = replace(result[i], clock=late)
    return result


def _start_of_day(times: Iterable[int]) -> int:
    """The time of day after the longest gap of the circular clock."""
    ordered = sorted(times)
    if len(ordered) < 2:
        return 0
    before = [ordered[-1] - DAY_US, *ordered[:-1]]
    return max(zip(ordered, before, strict=True), key=lambda pair: (pair[0] - pair[1], -pair[0]))[0]


def choose_clock(
    slices: Sequence[Slice], number: IntArray, protocol_step_us: int | None = None
) -> Times:
    """The best clock that advances between the frames of a slice.

    Parameters
    ----------
    number
        (n,) slice number of each image.
    protocol_step_us
        Interval between frames where it is known from elsewhere, for exams without a clock.

    Raises
    ------
    MissingTiming
        If no clock advances, and the interval between frames is unknown.
    """
    usable = {key: us for key in CLOCKS if (us := _values(slices, key)) is not None}
    ticking = {key: us for key, us in usable.items() if _distinct(us, number) >= MOSTLY_DISTINCT}
    plausible = {k: us for k, us in ticking.items() if _plausible(us, number)}
    for candidates in (plausible, ticking):
        for key, us in candidates.items():
            others = {k: v for k, v in plausible.items() if k not in (key, "content_us")}
            findings = [*_quality(key, us), *_disagreement(key, us, others, number)]
            return Times(us, CLOCKS[key], tuple(findings))
    return _assumed(slices, number, protocol_step_us)


def _values(slices: Sequence[Slice], key: str) -> IntArray | None:
    values = [getattr(s.clock, key) for s in slices]
    return None if None in values else np.array(values, dtype=np.int64)


def _distinct(us: IntArray, number: IntArray) -> float:
    """Share of the images whose time no other image of the same slice has."""
    return len(set(zip(number.tolist(), us.tolist(), strict=True))) / len(us)


def _steps(us: IntArray, number: IntArray) -> IntArray:
    """Intervals between consecutive images of the same slice, us."""
    return np.concatenate([np.diff(np.unique(us[number == k])) for k in range(number.max() + 1)])


def _plausible(us: IntArray, number: IntArray) -> bool:
    steps = _steps(us, number)
    if not len(steps):
        return False
    return STEP_LIMITS_US[0] <= float(np.median(steps)) <= STEP_LIMITS_US[1]


def _quality(key: str, us: IntArray) -> list[Finding]:
    findings = []
    if key == "content_us":
        findings.append(
            Finding(
                "timing-from-content",
                Grade.WARNING,
                "Frame times come from ContentTime, which may be the time of reconstruction.",
                "Compare the intervals with the scan protocol.",
            )
        )
    steps = set(np.diff(np.unique(us)).tolist())
    if np.all(us % 1_000_000 == us[0] % 1_000_000) and len(steps) > 1:
        findings.append(
            Finding(
                "timing-coarse",
                Grade.WARNING,
                "Frame times are in whole seconds: each may be wrong by up to 1 s.",
                "Export the exam without rounding its times.",
            )
        )
    return findings


def _disagreement(
    key: str, us: IntArray, others: dict[str, IntArray], number: IntArray
) -> list[Finding]:
    findings = []
    for other, values in others.items():
        shift = us - values
        by_slice = [np.ptp(shift[number == k]) for k in range(number.max() + 1)]
        if max(by_slice) > CLOCKS_DISAGREE_US:
            findings.append(
                Finding(
                    "clocks-disagree",
                    Grade.WARNING,
                    f"{CLOCKS[key]} (used) and {CLOCKS[other]} disagree by up to "
                    f"{max(by_slice) / 1e6:.2f} s over the scan.",
                    "Compare the intervals with the scan protocol.",
                )
            )
    return findings


def _assumed(slices: Sequence[Slice], number: IntArray, protocol_step_us: int | None) -> Times:
    """Frames in the order of their numbers at the protocol's interval."""
    steps = {s.clock.step_us for s in slices} - {None, 0}
    step_us = steps.pop() if len(steps) == 1 else protocol_step_us
    name = min(s.name for s in slices)
    for key, tag in ORDERS.items():
        order = _values(slices, key)
        if order is None or _distinct(order, number) < MOSTLY_DISTINCT:
            continue
        if step_us is None:
            raise MissingTiming(
                f"{name}: no time tag distinguishes its frames ({tag} gives their order, but "
                "nothing gives their interval); export the exam with its acquisition times."
            )
        finding = Finding(
            "timing-assumed",
            Grade.WARNING,
            f"No time tag distinguishes the frames; they were ordered by {tag} and assumed to be "
            f"{step_us / 1e6:.2f} s apart.",
            "Export the exam with its acquisition times.",
        )
        return Times(_ranks(order, number) * step_us, tag, (finding,))
    raise MissingTiming(
        f"{name}: neither a time nor a number distinguishes its frames; export the exam with its "
        "acquisition times."
    )


def _ranks(order: IntArray, number: IntArray) -> IntArray:
    """Rank of each image among those of its slice."""
    ranks = np.empty_like(order)
    for k in range(number.max() + 1):
        ranks[number == k] = np.unique(order[number == k], return_inverse=True)[1]
    return ranks


def frames(us: IntArray, number: IntArray, where: str) -> tuple[IntArray, list[Finding]]:
    """Sort images into frames; a frame that lacks a slice is dropped.

    Returns
    -------
    image : (T, Z) int
        Index of the image of each frame and slice, by true time within each slice.

    Raises
    ------
    IncompleteExam
        If more than 10 % of the frames lack slices.
    """
    columns = [_sorted_images(us, number, k) for k in range(number.max() + 1)]
    total = max(len(column) for column in columns)
    full = [k for k, column in enumerate(columns) if len(column) == total]
    table = np.full((total, len(columns)), -1, dtype=np.int64)
    for k, column in enumerate(columns):
        reference = columns[min(full, key=lambda f: (abs(f - k), f))]
        slots = _slots(us[column], us[reference])
        if slots is None:
            raise IncompleteExam(
                f"{where}: the images of slice {k + 1} can't be matched to the frames of its "
                "neighbours; send the exam again."
            )
        table[slots, k] = column
    lost = np.flatnonzero((table < 0).any(axis=1))
    if len(lost) > most_lost(total):
        raise IncompleteExam(
            f"{where}: {len(lost)} of {total} frames lack slices (first frame {lost[0] + 1}); send "
            "the exam again."
        )
    return np.delete(table, lost, axis=0), _lost(lost, total)


def most_lost(total: int) -> int:
    """How many of an exam's frames may be missing."""
    return max(1, int(MAX_LOST * total))


def _sorted_images(us: IntArray, number: IntArray, k: int) -> IntArray:
    images = np.flatnonzero(number == k)
    return images[np.argsort(us[images], kind="stable")]


def _slots(us: IntArray, reference: IntArray) -> IntArray | None:
    """Frame of each image by its time; slices may lag by up to one interval.

    The lags to the frame before, the frame after and the nearest frame are tried; of those that
    give every image its own frame the smallest is chosen.
    """
    if len(us) == len(reference):
        return np.arange(len(us))
    after = np.clip(np.searchsorted(reference, us, side="left"), 0, len(reference) - 1)
    before = np.clip(np.searchsorted(reference, us, side="right") - 1, 0, len(reference) - 1)
    nearest = _nearest(us, reference)
    lags = [int(np.median(us - reference[slots])) for slots in (nearest, before, after)]
    for lag in sorted(lags, key=abs):
        slots = _nearest(us - lag, reference)
        if len(np.unique(slots)) == len(slots):
            return slots
    return None


def _nearest(us: IntArray, reference: IntArray) -> IntArray:
    result: IntArray = np.argmin(np.abs(us[:, None] - reference[None, :]), axis=1)
    return result


def _lost(lost: IntArray, total: int) -> list[Finding]:
    if not len(lost):
        return []
    if len(lost) == 1 and lost[0] in (0, total - 1):
        message = "The first or last frame lacks slices, as with a moving table, and was dropped."
        remedy = "Check that the export is complete."
        return [Finding("frames-trimmed", Grade.WARNING, message, remedy)]
    numbers = ", ".join(str(k + 1) for k in lost[:6])
    return [
        Finding(
            "frames-dropped",
            Grade.WARNING,
            f"{len(lost)} of {total} frames lack slices and were dropped (numbers {numbers}).",
            "Send the exam again: the export is incomplete.",
        )
    ]
