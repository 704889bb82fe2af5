"""Clocks that run over midnight, and which images form a frame.

All arithmetic is in whole microseconds, so that a shifted clock gives the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bolus.acquire.dicom.headers import Slice
from bolus.errors import IncompleteExam
from bolus.types import Finding, Grade, IntArray

DAY_US = 86_400_000_000
TIMES_OF_DAY = (
    "reference_us",
    "datetime_us",
    "acquisition_us",
    "vendor_us",
    "file_datetime_us",
    "file_acquisition_us",
    "content_us",
)
MAX_LOST = 0.1
"""Share of the frames that may lack slices and be dropped."""
TRACKED = "tracking-left-out"
TRACKING_SHARE = 0.5
"""Share of the slices that frames of bolus tracking have at most."""


def without_midnight(slices: Sequence[Slice]) -> list[Slice]:
    """Continue the clock beyond 24 h where a study crosses midnight.

    The study's day starts after the longest time without an image, so a clock shifted by any
    amount gives the same intervals.
    """
    result = list(slices)
    for key in TIMES_OF_DAY:
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
    table, tracked = _without_tracking(table)
    total = len(table)
    lost = np.flatnonzero((table < 0).any(axis=1))
    if len(lost) > most_lost(total):
        raise IncompleteExam(
            f"{where}: {len(lost)} of {total} frames lack slices (first frame {lost[0] + 1}); send "
            "the exam again."
        )
    return np.delete(table, lost, axis=0), [*tracked, *_lost(lost, total)]


def _without_tracking(table: IntArray) -> tuple[IntArray, list[Finding]]:
    """Without the frames before the scan, or after it, that have few of its slices.

    Bolus tracking may stand in the scan's own series, at the place of one of its slices.
    """
    there = (table >= 0).sum(axis=1)
    whole = np.flatnonzero(there > TRACKING_SHARE * table.shape[1])
    if not len(whole):
        return table, []
    start, end = int(whole[0]), int(whole[-1]) + 1
    images = int(there[:start].sum() + there[end:].sum())
    if end - start == len(table) or max(start, len(table) - end) <= 1:
        return table, []
    return table[start:end], [
        Finding(
            TRACKED,
            Grade.WARNING,
            f"{images} images of few slices before or after the scan were left out: bolus tracking "
            "in the series of the scan.",
            "Check that the scan is complete.",
        )
    ]


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
