"""Acquisition times of the frames of a NIfTI exam: the user's, the JSON files', the header's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bolus.acquire.bids_sidecar import by_dcm2niix, listed_times, slice_offsets
from bolus.acquire.dicom.elements import LARGEST
from bolus.acquire.given_times import INTERVAL_LIMITS_S, GivenTimes
from bolus.acquire.nifti_exam import LETTERS
from bolus.acquire.volume_clocks import CLOCKS, check_all_have_times, missing_files, volume_clock
from bolus.errors import MissingTiming
from bolus.types import Finding, Float64Array, Grade, IntArray

SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}
"""NIfTI's xyzt_units for time: s, ms, us (nifti1.h)."""
THE_USER = "the user"
UNITS = {1.0: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds"}
DEFAULT_STEP = 1.0
"""What ITK and nibabel write where nobody gave them an interval."""
ISLES_2018 = re.compile(r"SMIR\..*\.CT_4DPWI\.\d+\.nii(\.gz)?", re.IGNORECASE)
"""Exams of the challenge have a frame each second and no JSON files."""
HOW_TO_GIVE_TIMES = (
    "give the interval as --interval, the times as --times, or the start of each frame in s as "
    '"VolumeTiming": [0, 1.5, ...] in a JSON file of the same name next to it'
)
MOVING_TABLE_S = 2.5
"""Tables that move between two places come back every 2.8 to 3.3 s; scans of one place have frames
every 0.5 to 2 s (UniToBrain, doi:10.21227/x8ea-vh16, has 0.5 and 2.81 s)."""
DISAGREE = 0.05
"""Share of the interval by which a header's step may differ from that of the JSON file: headers
round, and hold the mean where intervals vary."""


@dataclass(frozen=True)
class HeaderStep:
    """What a NIfTI header says about the interval between frames."""

    value: float
    """In its unit; 0 where it says nothing."""
    unit_s: float | None
    """Seconds of its unit; None where it names none."""


def frame_times(
    fields: Mapping[str, Any],
    frames: int,
    slices: int,
    step: HeaderStep,
    name: str,
    given: GivenTimes | None,
) -> tuple[Float64Array, list[Finding], str]:
    """Time of each frame and slice of one file, in the file's slice order.

    The first of these that is present: what the user gives; the fields of the JSON file (see
    `listed_times`); the header's step.  SliceTiming is added to it.

    Returns
    -------
    times_s : (T, Z) float64, s
    findings : list of Finding
    clock : str
        What gave the times.

    Raises
    ------
    MissingTiming
        If nothing gives the times, or a list has the wrong length.
    UsageError
        If the user gives times for another number of frames.
    """
    if given is not None:
        start = given.of(frames, name)
        try:
            offset, late = _slice_times(fields, slices, name, start)
        except MissingTiming:  # the user's times need no other field
            offset, late = np.zeros(slices), []
        return start[:, None] + offset, [given.finding, *late], THE_USER
    listed = _listed(fields, frames, name)
    if listed is None:
        start, findings = _of_header(step, frames, fields, name)
        clock = "the NIfTI header"
    else:
        start, findings, clock = listed
        findings += _disagreement(start, step)
    offset, late = _slice_times(fields, slices, name, start)
    return start[:, None] + offset, [*findings, *late], clock


def _listed(
    fields: Mapping[str, Any], frames: int, name: str
) -> tuple[Float64Array, list[Finding], str] | None:
    """Times by the first field of the JSON file with plausible ones, else by the first."""
    passed: list[tuple[Float64Array, list[Finding], str]] = []
    for key, times in listed_times(fields, frames, name):
        start, findings = in_seconds(times, 1.0, _in_json(key))
        if not _is_plausible(start):
            passed.append((start, findings, _in_json(key)))
            continue
        if passed:
            message = (
                f"{passed[0][2]} gives no plausible times; {key} was used, with "
                f"frames {float(np.median(np.diff(start))):.3g} s apart."
            )
            remedy = "Compare the intervals with the scan protocol, or give --times."
            findings.append(Finding("clocks-disagree", Grade.WARNING, message, remedy))
        return start, findings, _in_json(key)
    return passed[0] if passed else None


def _in_json(key: str) -> str:
    return f"{key} in the JSON file"


def _is_plausible(start: Float64Array) -> bool:
    low, high = INTERVAL_LIMITS_S
    return len(start) < 2 or low <= float(np.median(np.diff(start))) <= high


def in_seconds(times: Float64Array, unit_s: float, what: str) -> tuple[Float64Array, list[Finding]]:
    """Times in seconds where they are plausible in their own unit, or else in another one."""
    if len(times) < 2:
        return times * unit_s, []
    interval = float(np.median(np.diff(times)))
    low, high = INTERVAL_LIMITS_S
    for other in (unit_s, *UNITS):
        if not low <= interval * other <= high:
            continue
        if other == unit_s:
            break
        message = (
            f"{what} gives frames {interval:g} apart, which is no interval in {UNITS[unit_s]}; it "
            f"was taken as {UNITS[other]}."
        )
        remedy = "Compare the intervals with the scan protocol, and correct the file."
        return times * other, [Finding("timing-unit", Grade.WARNING, message, remedy)]
    return times * unit_s, []


def _of_header(
    step: HeaderStep, frames: int, fields: Mapping[str, Any], name: str
) -> tuple[Float64Array, list[Finding]]:
    """Times by the header's step; a step of 1 is what programs write that know none."""
    default = step.value == DEFAULT_STEP and not ISLES_2018.fullmatch(name.rpartition("/")[2])
    if not 0 < step.value < LARGEST or (default and step.unit_s is None):
        why = (
            "; dcm2niix found no interval in the DICOM files: read these instead, or"
            if by_dcm2niix(fields)
            else ";"
        )
        raise MissingTiming(
            f"{name}: the acquisition times of its frames are unknown{why} {HOW_TO_GIVE_TIMES}."
        )
    index = np.arange(frames, dtype=np.float64)
    times_s, findings = in_seconds(index * step.value, step.unit_s or 1.0, "The NIfTI header")
    interval = f"{times_s[1] - times_s[0] if frames > 1 else 0.0:.3g} s"
    if not findings and not default and (step.unit_s is not None or step.value == DEFAULT_STEP):
        message = f"The frame times come from the NIfTI header: {interval} apart."
        return times_s, [Finding("timing-from-header", Grade.NOTE, message)]
    why = ", as programs also write that know no interval" if default else ""
    assumed = Finding(
        "timing-assumed",
        Grade.WARNING,
        f"No JSON file gives the frame times; they were assumed to be {interval} apart, as the "
        f"NIfTI header says{why}.",
        HOW_TO_GIVE_TIMES[0].upper() + HOW_TO_GIVE_TIMES[1:] + ".",
    )
    return times_s, [assumed, *findings]


def _disagreement(start: Float64Array, step: HeaderStep) -> list[Finding]:
    """Between the JSON file and a header that gives an interval and its unit."""
    if step.unit_s is None or step.value in (0.0, DEFAULT_STEP) or len(start) < 2:
        return []
    header_s = step.value * step.unit_s
    intervals = np.diff(start)
    own = (float(np.median(intervals)), float(intervals.mean()), float(intervals[0]))
    low, high = INTERVAL_LIMITS_S
    if not low <= header_s <= high or min(abs(header_s - s) for s in own) <= DISAGREE * header_s:
        return []
    message = (
        f"The JSON file (used) gives frames {own[0]:.3g} s apart, the NIfTI header "
        f"{header_s:.3g} s."
    )
    remedy = "Compare the intervals with the scan protocol."
    return [Finding("clocks-disagree", Grade.WARNING, message, remedy)]


def _slice_times(
    fields: Mapping[str, Any], slices: int, name: str, start: Float64Array
) -> tuple[Float64Array, list[Finding]]:
    """(Z,) s after the frame's start, with what was lost."""
    offset = slice_offsets(fields, slices, name)
    interval = float(np.median(np.diff(start))) if len(start) > 1 else 0.0
    findings = []
    # in milliseconds slices of a frame would be hundreds of frames apart
    if np.ptp(offset) > high_lag(interval) >= np.ptp(offset) * 1e-3:
        offset = offset * 1e-3
        message = "SliceTiming in the JSON file is no time within a frame in seconds; it was taken "
        findings.append(Finding("timing-unit", Grade.WARNING, message + "as milliseconds."))
    if by_dcm2niix(fields) and "SliceTiming" not in fields and slices > 1:
        message = (
            "dcm2niix keeps one time for each frame: where the table moved between slices, some "
            "are off by up to half an interval."
        )
        remedy = "Read the DICOM files themselves if the table moved."
        grade = Grade.WARNING if interval > MOVING_TABLE_S else Grade.NOTE
        findings.append(Finding("slice-times-lost", grade, message, remedy))
    return offset, findings


def high_lag(interval_s: float) -> float:
    """Longest time within a frame, s: slices are scanned one or two intervals apart at most."""
    return 2.0 * interval_s


def volume_times(
    fields: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    slices: int,
    step: HeaderStep,
    given: GivenTimes | None,
    *,
    doubt: str,
) -> tuple[IntArray, Float64Array, list[Finding], str]:
    """Order and times of an exam with one file for each time point.

    Parameters
    ----------
    fields
        Of the JSON file of each, in the order of their names.
    doubt
        Why the order is in doubt by the names, see `NiftiExam`.

    Returns
    -------
    order : (T,) int
        Index of the file of each frame.
    times_s : (T, Z) float64, s
    findings : list of Finding
    clock : str
        What gave the times.

    Raises
    ------
    MissingTiming
        If nothing gives the times, or the order.
    """
    found = volume_clock(fields)
    clock = None if found is None else found.times_s
    order = np.arange(len(fields)) if clock is None else np.argsort(clock, kind="stable")
    findings = _order_findings(order, clock, names[0], doubt, given)
    if found is None:
        findings += check_all_have_times(fields, names, given=given is not None)
    elif given is None:
        findings += found.findings
    first = {k: v for k, v in fields[0].items() if k not in CLOCKS}
    if found is None or given is not None:
        times_s, of_times, source = frame_times(first, len(fields), slices, step, names[0], given)
    else:
        start = np.round(found.times_s[order] - found.times_s.min(), 6)
        offset, of_times = _slice_times(first, slices, names[0], start)
        times_s = start[:, None] + offset
        source = f"{found.field} in the JSON files"
    return order, times_s, [*findings, *of_times, *missing_files(fields)], source


def _order_findings(
    order: IntArray,
    clock: Float64Array | None,
    name: str,
    doubt: str,
    given: GivenTimes | None,
) -> list[Finding]:
    if clock is None and doubt == LETTERS and given is None:
        raise MissingTiming(
            f"{name}: nothing tells the order of the files with one time point each: their "
            "JSON files have no times, and letters in names (dcm2niix) tell none. Convert the "
            "exam again with its JSON files (dcm2niix -b y -ba n), or number the files and "
            "give --interval."
        )
    if clock is None and doubt:
        message = f"The order of the frames was taken from {doubt}."
        remedy = "Number the files in the order of time."
        return [Finding("order-by-name", Grade.WARNING, message, remedy)]
    if clock is not None and not doubt and not np.array_equal(order, np.arange(len(order))):
        message = "The files' names and times give different orders; the times were used."
        return [Finding("order-by-time", Grade.NOTE, message)]
    return []
