"""When each of several NIfTI files with one time point was measured, by their JSON files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bolus.acquire.bids_sidecar import clock_s, without_midnight
from bolus.acquire.dicom.elements import time_of_day_us
from bolus.acquire.given_times import INTERVAL_LIMITS_S
from bolus.errors import MissingTiming
from bolus.types import Finding, Float64Array, Grade

CLOCKS = ("AcquisitionDateTime", "AcquisitionTime", "TriggerDelayTime", "VolumeTiming",
          "FrameTimesStart", "FrameReferenceTime")  # fmt: skip
"""Fields that may tell when a file's only volume was measured, in order of preference, which is
that of the DICOM elements."""
OF_A_DAY = CLOCKS[:2]
DISAGREE_S = 0.25
"""As for the clocks of DICOM images."""
MOST_WITHOUT = 0.5
"""Share of files without a time above which times were not written for each of them."""


@dataclass(frozen=True, eq=False)
class VolumeClock:
    """The field that tells all volumes apart."""

    field: str
    times_s: Float64Array
    """(T,) of each file, s after any start."""
    findings: tuple[Finding, ...]


def volume_clock(fields: Sequence[Mapping[str, Any]]) -> VolumeClock | None:
    """The clock of the volumes: one with plausible intervals before others; None without one.

    Another one that ticks plausibly, and otherwise, is a warning: nothing says which is right.
    """
    ticking = {}
    for key in CLOCKS:
        times = _times(fields, key)
        if times is not None and len(set(times)) == len(times):
            ticking[key] = times
    if not ticking:
        return None
    plausible = {key: times for key, times in ticking.items() if _is_plausible(times)}
    used = next(iter(plausible or ticking))
    times = ticking[used]
    findings = []
    for other in [key for key in plausible if key != used]:
        apart = _apart(times, plausible[other])
        if apart > DISAGREE_S:
            findings.append(_disagreement(used, times, other, plausible[other], apart))
    return VolumeClock(used, times, tuple(findings))


def check_all_have_times(
    fields: Sequence[Mapping[str, Any]], names: Sequence[str], *, given: bool
) -> list[Finding]:
    """What of files of which most have a time, and some none: those may be no time points.

    Raises
    ------
    MissingTiming
        If the user doesn't say when they were measured.
    """
    without = [
        name
        for one, name in zip(fields, names, strict=True)
        if all(clock_s(one, key) is None for key in CLOCKS)
    ]
    if not 0 < len(without) <= MOST_WITHOUT * len(names):
        return []
    message = (
        f"{without[0]}: {len(names) - len(without)} of {len(names)} files have a time in their "
        f"JSON file, and {len(without)} none, of which this is the first; it may be an average or "
        "a map."
    )
    if not given:
        raise MissingTiming(
            f"{message} Move what is no time point out of the folder, or write the missing times."
        )
    remedy = "Move what is no time point out of the folder."
    return [Finding("times-partial", Grade.WARNING, message, remedy)]


def missing_files(fields: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Gaps in the numbers of the volumes' acquisitions or series."""
    for key in ("AcquisitionNumber", "SeriesNumber"):
        numbers = {n for one in fields if isinstance(n := one.get(key), int)}
        steps = np.diff(sorted(numbers))
        if len(numbers) < len(fields):
            continue
        if np.ptp(steps) == 0:
            return []
        lost = int(np.sum(steps // steps.min() - 1))
        message = (
            f"{lost} of {lost + len(fields)} time points are missing by their {key}; dcm2niix "
            "overwrites files whose names are the same."
        )
        remedy = "Convert the exam again with a name for each file (dcm2niix -f %s_%r)."
        return [Finding("frames-missing", Grade.WARNING, message, remedy)]
    return []


def _times(fields: Sequence[Mapping[str, Any]], key: str) -> Float64Array | None:
    """(T,) s by one field, None where a volume lacks it."""
    values = _of_day(fields) if key == "AcquisitionTime" else None
    values = values or [clock_s(one, key) for one in fields]
    if None in values:
        return None
    times = np.array(values, dtype=np.float64)
    if key in OF_A_DAY:
        return without_midnight(times)
    # ms, as in DICOM
    return times * 1e-3 if key == "TriggerDelayTime" else times


def _of_day(fields: Sequence[Mapping[str, Any]]) -> list[float | None] | None:
    """Numbers of the form HHMMSS.ffffff, s: those that DICOM's text became in some converters.

    Seconds of the day are not all of that form, except within a minute, where both are the same.
    """
    values = [one.get("AcquisitionTime") for one in fields]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return None
    read = [time_of_day_us(f"{v:013.6f}") for v in values]
    return None if None in read else [us / 1e6 for us in read if us is not None]


def _is_plausible(times: Float64Array) -> bool:
    low, high = INTERVAL_LIMITS_S
    return low <= _interval(times) <= high


def _interval(times: Float64Array) -> float:
    return float(np.median(np.diff(np.sort(times))))


def _apart(one: Float64Array, other: Float64Array) -> float:
    """The largest difference of two clocks after their common start, s."""
    start = np.argmin(one)
    return float(np.abs((one - one[start]) - (other - other[start])).max())


def _disagreement(
    used: str, times: Float64Array, other: str, others: Float64Array, apart: float
) -> Finding:
    message = (
        f"{used} (used) and {other} in the JSON files disagree by up to {apart:.3g} s: frames are "
        f"{_interval(times):.3g} or {_interval(others):.3g} s apart."
    )
    remedy = "Compare the intervals with the scan protocol; give the right one as --interval."
    return Finding("clocks-disagree", Grade.WARNING, message, remedy)
