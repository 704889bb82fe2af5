"""Times that the user gives to an exam in DICOM: the frames' order is still the exam's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bolus.acquire.dicom.clocks import (
    CLOCKS,
    MOSTLY_DISTINCT,
    ORDERS,
    STEP_AGREES,
    Times,
    plausible,
    steps_of,
    values_of,
)
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.whole_seconds import SECOND_US, distinct, ranks_in_slice
from bolus.acquire.given_times import GivenTimes
from bolus.errors import MissingTiming
from bolus.types import Finding, Grade, IntArray


def given_clock(slices: Sequence[Slice], number: IntArray, given: GivenTimes) -> Times:
    """Times that the user gave, in the order of the exam's best clock or number.

    Raises
    ------
    MissingTiming
        If nothing gives the frames' order, or images are missing and nothing tells which.
    UsageError
        If times for another number of frames were given.
    """
    name = min(s.name for s in slices)
    key = _order(slices, number, name)
    ranks = _frames(values_of(slices, key), number, name, numbered=key in ORDERS)
    if given.interval_s is None:
        ranks = np.unique(ranks, return_inverse=True)[1]
    us = np.round(given.of(int(ranks.max()) + 1, name) * SECOND_US).astype(np.int64)[ranks]
    return Times(us, "the user", (given.finding, *_doubts(slices, number, us)))


def _order(slices: Sequence[Slice], number: IntArray, name: str) -> str:
    """The clock or number that distinguishes the most images of each slice."""
    known = {key: us for key in (*CLOCKS, *ORDERS) if (us := values_of(slices, key)) is not None}
    best = max(known, key=lambda key: distinct(known[key], number), default=None)
    if best is None or distinct(known[best], number) < MOSTLY_DISTINCT:
        raise MissingTiming(
            f"{name}: neither a time nor a number tells the order of its frames, so given times "
            "can't be assigned; export the exam with its headers."
        )
    return best


def _frames(order: IntArray | None, number: IntArray, name: str, *, numbered: bool) -> IntArray:
    """Frame of each image; where frames are numbered, missing ones keep their place."""
    assert order is not None  # it was chosen among those that all images have
    in_slice = ranks_in_slice(order, number)
    values, ranks = np.unique(order, return_inverse=True)
    if len(values) <= int(in_slice.max()) + 1:  # one number for all slices of a frame
        return values[ranks] - values[0] if numbered and _few_gaps(values) else ranks
    count = np.bincount(number)
    if count.min() == count.max():
        return in_slice
    # images counted through the exam, frame by frame
    frame: IntArray = (order - order.min()) // len(count)
    pairs = set(zip(number.tolist(), frame.tolist(), strict=True))
    if not numbered or len(pairs) < len(order) or int(frame.max()) >= count.max() + 1:
        raise MissingTiming(
            f"{name}: some slices have {count.min()} images and others {count.max()}, and nothing "
            "tells which frames are missing, so given times can't be assigned; send the exam again."
        )
    return frame


def _few_gaps(values: IntArray) -> bool:
    """Whether numbers count frames, of which a few are missing."""
    return int(values[-1] - values[0]) + 1 <= 1.5 * len(values)


def _doubts(slices: Sequence[Slice], number: IntArray, us: IntArray) -> list[Finding]:
    """What the exam's own clocks say, where they tick otherwise."""
    given_s = float(np.median(steps_of(us, number))) / SECOND_US
    findings = []
    for key in CLOCKS:
        own = values_of(slices, key)
        if key == "content_us" or own is None or distinct(own, number) < 1:
            continue
        if not plausible(own, number):
            continue
        step_s = float(np.median(steps_of(own, number))) / SECOND_US
        if abs(step_s - given_s) > STEP_AGREES * step_s:
            findings.append(
                Finding(
                    "clocks-disagree",
                    Grade.WARNING,
                    f"The times given by the user are {given_s:.3g} s apart, {CLOCKS[key]} has a "
                    f"frame every {step_s:.3g} s.",
                    "Compare the interval with the scan protocol.",
                )
            )
    return findings[:1]
