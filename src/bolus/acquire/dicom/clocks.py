"""Acquisition time of each image: which of the clocks in the headers ticks as the scan did.

All arithmetic is in whole microseconds, so that a shifted clock gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.timing import MAX_LOST
from bolus.acquire.dicom.whole_seconds import (
    HOW_TO_GIVE_TIMES,
    SECOND_US,
    distinct,
    drift,
    evenly,
    in_whole_seconds,
    ranks_in_slice,
    same_second,
)
from bolus.errors import MissingTiming
from bolus.types import Finding, Grade, IntArray

STEP_LIMITS_US = (200_000, 10_000_000)
"""Intervals outside are those of a reconstruction queue or of a follow-up, not of a scan."""
SHORTEST_US = 200_000
"""The fastest gantries rotate in 0.25 s."""
MOST_SHORT = 0.05
"""Share of intervals below `SHORTEST_US` above which a clock doesn't tick."""
MOSTLY_DISTINCT = 0.8
SAME_ORDER = 0.9
"""Share of consecutive images that two clocks must put in the same order."""
CLOCKS = {
    "reference_us": "FrameReferenceDateTime",
    "datetime_us": "AcquisitionDateTime",
    "acquisition_us": "AcquisitionTime",
    "ge_mid_scan_us": "GE mid-scan time (0019,1024)",
    "vendor_us": "the vendor's private time",
    "trigger_us": "TriggerTime",
    "offset_us": "TemporalPositionTimeOffset",
    "frame_reference_us": "FrameReferenceTime",
    "file_datetime_us": "AcquisitionDateTime of each file",
    "file_acquisition_us": "AcquisitionTime of each file",
    "content_us": "ContentTime",
}
"""In order of preference; the last one may be the time of reconstruction."""
ORDERS = {
    "temporal_index": "TemporalPositionIndex",
    "acquisition_number": "AcquisitionNumber",
    "instance_number": "InstanceNumber",
    "series_number": "SeriesNumber",
}
EVEN, LONGEST_EVEN_US = 0.5, 100_000_000
"""First-pass scans of even intervals last 40 to 90 s."""
PLAUSIBLE_SCAN_US = (25_000_000, 100_000_000)
"""Length of a scan that an assumed interval must give."""
BATCH, MOST_LONG = 3.0, 0.1
"""A clock of which a tenth of the intervals are three times the usual is that of batches."""
RESOLUTION, DURATION = "TemporalResolution", "ActualFrameDuration"
CLOCKS_DISAGREE_US = 250_000
SLOWER = 0.1
"""Share of the scan by which ContentTime drifts where a reconstruction took its own time."""
STEP_AGREES = 0.05
"""Relative deviation of a clock's interval from the protocol's TemporalResolution."""


@dataclass(frozen=True)
class Times:
    """The clock that was chosen."""

    us: IntArray
    """(n,) of each image, us since an arbitrary start."""
    source: str
    findings: tuple[Finding, ...] = ()


def choose_clock(
    slices: Sequence[Slice], number: IntArray, protocol_step_us: int | None = None
) -> Times:
    """The clock that ticks as a perfusion scan does.

    Constant clocks, those of a reconstruction queue and scrambled ones lose; of the others the one
    that most independent clocks confirm wins, and at equal terms the first one of `CLOCKS`.

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
    usable = {key: us for key in CLOCKS if (us := values_of(slices, key)) is not None}
    ticking = {key: us for key, us in usable.items() if distinct(us, number) >= MOSTLY_DISTINCT}
    if "content_us" in ticking and not _even(ticking["content_us"], number):
        del ticking["content_us"]  # batches of a reconstruction
    orders = _orders(slices, number)
    likely = {k: us for k, us in ticking.items() if plausible(us, number)}
    sound = {k: us for k, us in likely.items() if not _scrambled(k, likely, orders, number)}
    lost = _lost(likely.keys() - sound.keys())
    for candidates in (sound, likely, ticking):
        if candidates:
            key = _best(candidates, slices, number)
            name = min(s.name for s in slices)
            times = _chosen(key, candidates, sound or likely, orders, number, name)
            return replace(times, findings=(*lost, *times.findings))
    return _assumed(slices, number, protocol_step_us)


def without_untimed(slices: Sequence[Slice], number: IntArray) -> tuple[list[Slice], list[Finding]]:
    """Leave out the few images that lack the time that all others have.

    ContentTime has them all, but may be that of a reconstruction.
    """
    for key in CLOCKS:
        timed = np.array([getattr(s.clock, key) is not None for s in slices])
        lost = int(np.sum(~timed))
        if key == "content_us" or not 0 < lost <= MAX_LOST * len(slices):
            continue
        kept = [s for s, has in zip(slices, timed, strict=True) if has]
        us = values_of(kept, key)
        at = number[timed]
        if us is None or distinct(us, at) < MOSTLY_DISTINCT or not plausible(us, at):
            continue
        finding = Finding(
            "images-without-time",
            Grade.WARNING,
            f"{lost} images lack {CLOCKS[key]}, which all others have, and were left out.",
            "Export the exam again with its acquisition times.",
        )
        return kept, [finding]
    return list(slices), []


def _chosen(
    key: str,
    candidates: Mapping[str, IntArray],
    likely: Mapping[str, IntArray],
    orders: Mapping[str, IntArray],
    number: IntArray,
    name: str,
) -> Times:
    """The times by one clock, with what is to be known of them."""
    us, findings = candidates[key], []
    if in_whole_seconds(us, number):
        finer = [k for k in candidates if k != key and same_second(us, candidates[k], number)]
        if finer:
            key, us = finer[0], candidates[finer[0]]
            message = f"The acquisition times are in whole seconds; {CLOCKS[key]} has the fraction."
            findings.append(Finding("timing-fraction", Grade.NOTE, message))
        else:
            us, coarse = evenly(us, next(iter(orders.values()), None), number, name)
            findings.append(coarse)
    elif key == "content_us":
        findings.append(
            Finding(
                "timing-from-content",
                Grade.WARNING,
                "Frame times come from ContentTime, which may be the time of reconstruction.",
                "Compare the intervals with the scan protocol.",
            )
        )
    findings += _disagreement(key, us, likely, number)
    opposed = [tag for tag, order in orders.items() if not _alike(us, order, number, 1.0)]
    if opposed:
        findings.append(
            Finding(
                "order-contradicted",
                Grade.FAIL if len(opposed) > 1 else Grade.WARNING,
                f"{' and '.join(ORDERS[tag] for tag in opposed)} put the frames in another order "
                f"than {CLOCKS[key]}, which was used.",
                "Check the time course of a vessel for jumps.",
            )
        )
    return Times(us, CLOCKS[key], tuple(findings))


def values_of(slices: Sequence[Slice], key: str) -> IntArray | None:
    values = [getattr(s.clock, key) for s in slices]
    return None if None in values else np.array(values, dtype=np.int64)


def _orders(slices: Sequence[Slice], number: IntArray) -> dict[str, IntArray]:
    known = {tag: values_of(slices, tag) for tag in ORDERS}
    return {
        tag: order
        for tag, order in known.items()
        if order is not None and distinct(order, number) >= MOSTLY_DISTINCT
    }


def steps_of(us: IntArray, number: IntArray) -> IntArray:
    """Intervals between consecutive images of the same slice, us."""
    return np.concatenate([np.diff(np.unique(us[number == k])) for k in range(number.max() + 1)])


def plausible(us: IntArray, number: IntArray) -> bool:
    """Whether a clock ticks at the intervals of a perfusion scan."""
    steps = steps_of(us, number)
    if not len(steps) or np.mean(steps < SHORTEST_US) > MOST_SHORT:
        return False
    return STEP_LIMITS_US[0] <= float(np.median(steps)) <= STEP_LIMITS_US[1]


def _even(us: IntArray, number: IntArray) -> bool:
    """Whether most intervals are like the usual one."""
    steps = steps_of(us, number)
    return not len(steps) or float(np.mean(steps > BATCH * np.median(steps))) <= MOST_LONG


def _scrambled(
    key: str,
    clocks: Mapping[str, IntArray],
    orders: Mapping[str, IntArray],
    number: IntArray,
) -> bool:
    """Whether two other clocks or numbers that agree contradict the order of a clock."""
    us = clocks[key]
    others = [*(v for k, v in clocks.items() if k != key), *orders.values()]
    against = [v for v in others if not _alike(us, v, number)]
    if len(against) <= len(others) - len(against):
        return False
    return any(_alike(a, b, number) for a, b in combinations(against, 2))


def _lost(scrambled: Collection[str]) -> list[Finding]:
    return [
        Finding(
            "clock-scrambled",
            Grade.WARNING,
            f"{CLOCKS[key]} puts the frames in another order than their other times and numbers "
            "do, which agree.",
            "Check the time course of a vessel for jumps.",
        )
        for key in sorted(scrambled)
    ]


def _alike(us: IntArray, order: IntArray, number: IntArray, share: float = SAME_ORDER) -> bool:
    """Whether two put (a share of) the images of each slice in the same order, or reversed."""
    rising = falling = 0
    for k in range(number.max() + 1):
        mine = number == k
        steps = np.diff(order[mine][np.argsort(us[mine], kind="stable")])
        rising += int(np.sum(steps > 0))
        falling += int(np.sum(steps < 0))
    return max(rising, falling) >= share * (rising + falling)


def _best(clocks: Mapping[str, IntArray], slices: Sequence[Slice], number: IntArray) -> str:
    """The clock that most others confirm, and the protocol's interval; ContentTime confirms none.

    Copies of one time under two names confirm nothing.
    """
    steps = {s.clock.step_us for s in slices} - {None, 0}
    step_us = steps.pop() if len(steps) == 1 else None

    def confirmed(key: str) -> int:
        us = clocks[key]
        others = [v for k, v in clocks.items() if k not in (key, "content_us")]
        agree = [v for v in others if 0 < drift(us, v, number) <= CLOCKS_DISAGREE_US]
        return len(agree) + _has_step(us, number, step_us)

    # a clock by which the scan is longer than any of its kind is the last to be believed
    orders = _orders(slices, number)
    return max(
        clocks,
        key=lambda key: (
            not _too_long(clocks[key], number),
            sum(_rises(clocks[key], order, number) for order in orders.values()),
            confirmed(key),
        ),
    )


def _rises(us: IntArray, order: IntArray, number: IntArray) -> bool:
    """Whether numbers rise with a clock: of two clocks against each other one runs backwards."""
    mine = number == 0
    steps = np.diff(order[mine][np.argsort(us[mine], kind="stable")])
    return 2 * int(np.sum(steps > 0)) >= len(steps)


def _too_long(us: IntArray, number: IntArray) -> bool:
    steps = steps_of(us, number)
    even = len(steps) > 0 and float(np.ptp(steps)) <= EVEN * float(np.median(steps))
    return even and int(np.ptp(us)) > LONGEST_EVEN_US


def _has_step(us: IntArray, number: IntArray, step_us: int | None) -> bool:
    """Whether a clock's interval is the protocol's."""
    steps = steps_of(us, number)
    if step_us is None or not len(steps):
        return False
    return abs(float(np.median(steps)) - step_us) <= STEP_AGREES * step_us


def _disagreement(
    key: str, us: IntArray, likely: Mapping[str, IntArray], number: IntArray
) -> list[Finding]:
    """Clocks that tick as plausibly, but tell other intervals; ContentTime often does."""
    findings = []
    allowed = SECOND_US if in_whole_seconds(likely.get(key, us), number) else CLOCKS_DISAGREE_US
    for other, values in likely.items():
        limit = SECOND_US if in_whole_seconds(values, number) else allowed
        apart = drift(us, values, number)
        late = other == "content_us"
        if other == key or apart <= (SLOWER * int(np.ptp(us)) if late else limit):
            continue
        findings.append(
            Finding(
                "reconstruction-clock" if late else "clocks-disagree",
                Grade.NOTE if late else Grade.WARNING,
                f"{CLOCKS[key]} (used) and {CLOCKS[other]} disagree by up to "
                f"{apart / 1e6:.2f} s over the scan.",
                "" if late else "Compare the intervals with the scan protocol.",
            )
        )
    return findings


def _assumed(slices: Sequence[Slice], number: IntArray, protocol_step_us: int | None) -> Times:
    """Frames in the order of their numbers at the protocol's interval."""
    name = min(s.name for s in slices)
    step_us, tag_of_step = _protocol_step(slices, protocol_step_us)
    for key, order in _orders(slices, number).items():
        if step_us is not None and tag_of_step == DURATION:
            length = int(ranks_in_slice(order, number).max()) * step_us
            if not PLAUSIBLE_SCAN_US[0] <= length <= PLAUSIBLE_SCAN_US[1]:
                step_us = None  # the exposure's duration, not the frame's
        if step_us is None:
            raise MissingTiming(
                f"{name}: no time tag distinguishes its frames ({ORDERS[key]} gives their order, "
                f"but nothing gives their interval); {HOW_TO_GIVE_TIMES}."
            )
        finding = Finding(
            "timing-assumed",
            Grade.WARNING,
            f"No time tag distinguishes the frames; they were ordered by {ORDERS[key]} and assumed "
            f"to be {step_us / 1e6:.2f} s apart ({tag_of_step}).",
            HOW_TO_GIVE_TIMES[0].upper() + HOW_TO_GIVE_TIMES[1:] + ".",
        )
        return Times(ranks_in_slice(order, number) * step_us, ORDERS[key], (finding,))
    raise MissingTiming(
        f"{name}: neither a time nor a number distinguishes its frames; export the exam with its "
        "acquisition times."
    )


def _protocol_step(slices: Sequence[Slice], protocol_step_us: int | None) -> tuple[int | None, str]:
    """Interval between frames by the protocol, and where it comes from."""
    for key, tag in (("step_us", RESOLUTION), ("duration_us", DURATION)):
        steps = {getattr(s.clock, key) for s in slices} - {None, 0}
        if len(steps) == 1 and STEP_LIMITS_US[0] <= (step := steps.pop()) <= STEP_LIMITS_US[1]:
            return step, tag
    return protocol_step_us, "the data set's protocol"
