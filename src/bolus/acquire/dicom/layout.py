"""The layout of a DICOM exam: frame and slice of each image, before any pixel is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bolus.acquire.checks import check_protocol, check_scaling, check_times, scanner
from bolus.acquire.dicom.clocks import Times, choose_clock, without_untimed
from bolus.acquire.dicom.damaged_images import damage_findings, without_damaged
from bolus.acquire.dicom.duplicates import without_resent, without_simultaneous
from bolus.acquire.dicom.geometry import geometry, same_grid, slice_numbers, with_time_course
from bolus.acquire.dicom.given_clock import given_clock
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.pixels import Damaged
from bolus.acquire.dicom.timing import TRACKED, frames
from bolus.acquire.given_times import GivenTimes
from bolus.errors import IncompleteExam, TooFewFrames
from bolus.types import Finding, Float64Array, Geometry, IntArray, Scanner


@dataclass(frozen=True)
class Layout:
    """Position and time of each image of the scan."""

    slices: tuple[Slice, ...]
    image: IntArray
    """(T, Z) index into ``slices``."""
    times_s: Float64Array
    """(T, Z), s after the earliest image."""
    geometry: Geometry
    scanner: Scanner
    clock: str
    """The tag the times come from."""
    identity: dict[str, str]
    findings: tuple[Finding, ...]


def lay_out(
    slices: Sequence[Slice],
    where: str,
    source: str = "dicom",
    protocol_step_us: int | None = None,
    damaged: Damaged | None = None,
    given: GivenTimes | None = None,
) -> Layout:
    """Sort the images of a scan by position and true time.

    Parameters
    ----------
    where
        The exam's path, for messages.
    protocol_step_us
        Interval between frames where it is known without time tags.
    damaged
        Images whose pixels could not be decoded; they are left out like those whose header shows
        that their pixels are damaged.
    given
        Times of the frames that the user gives.

    Raises
    ------
    DamagedFile
        Naming the first damaged image, if too many are.
    BrokenExam
        If positions or times don't form a stack of slices over time.
    TooFewFrames
        If fewer than 8 frames are left.
    """
    whole, lost = without_damaged(slices, damaged or {})
    try:
        layout = _lay_out(whole, where, source, protocol_step_us, given)
    except (IncompleteExam, TooFewFrames):
        if lost:
            raise lost[0] from None
        raise
    return replace(layout, findings=(*damage_findings(lost), *layout.findings))


def _lay_out(
    slices: Sequence[Slice],
    where: str,
    source: str,
    protocol_step_us: int | None,
    given: GivenTimes | None,
) -> Layout:
    def clock(images: Sequence[Slice], number: IntArray) -> Times:
        if given is not None:
            return given_clock(images, number, given)
        return choose_clock(images, number, protocol_step_us)

    same_grid(slices)
    check_scaling(slices)
    images, resent = without_resent(slices)
    images, dropped = with_time_course(images)
    number, _ = slice_numbers(images)
    images, untimed = without_untimed(images, number) if given is None else (images, [])
    number, _ = slice_numbers(images)
    times = clock(images, number)
    single, copies = without_simultaneous(images, number, times.us)
    if copies:
        images = single
        number, _ = slice_numbers(images)
        times = clock(images, number)
    table, incomplete = frames(times.us, number, where)
    if any(finding.code == TRACKED for finding in incomplete):
        # what is found of the clock is to be of the scan alone
        kept = [images[i] for i in np.unique(table)]
        times = replace(times, findings=clock(kept, slice_numbers(kept)[0]).findings)
    stack, shape = geometry(images, number)
    us = times.us[table]
    times_s = (us - us.min()) / 1e6
    used = [images[i] for i in np.unique(table)]
    found = [*resent, *dropped, *untimed, *copies, *times.findings, *incomplete, *shape]
    return Layout(
        slices=tuple(images),
        image=table,
        times_s=times_s,
        geometry=stack,
        scanner=scanner(used, source),
        clock=times.source,
        identity=_identity(used),
        findings=(*found, *check_times(times_s, where), *check_protocol(used)),
    )


def _identity(slices: Sequence[Slice]) -> dict[str, str]:
    uids = {
        "StudyInstanceUID": {s.study for s in slices},
        "SeriesInstanceUID": {s.series for s in slices},
        "FrameOfReferenceUID": {s.frame_of_reference for s in slices},
    }
    # several values as DICOM writes them
    return {tag: "\\".join(sorted(values - {""})) for tag, values in uids.items() if values - {""}}
