"""The plan of a DICOM exam: which image goes where, before any pixel is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bolus.acquire.checks import check_protocol, check_scaling, check_times, scanner
from bolus.acquire.duplicates import without_resent, without_simultaneous
from bolus.acquire.grid import geometry, same_grid, slice_numbers, with_time_course
from bolus.acquire.headers import Slice
from bolus.acquire.pixels import check_encoding
from bolus.acquire.timing import choose_clock, frames
from bolus.types import Finding, Float64Array, Geometry, IntArray, Scanner


@dataclass(frozen=True)
class Layout:
    """Where and when each image of the scan was taken."""

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
    slices: Sequence[Slice], where: str, source: str = "dicom", protocol_step_us: int | None = None
) -> Layout:
    """Sort the images of a scan by position and true time.

    Parameters
    ----------
    where
        The exam's path, for messages.
    protocol_step_us
        Interval between frames where it is known without time tags.

    Raises
    ------
    BrokenExam
        If positions or times don't form a stack of slices over time.
    TooFewFrames
        If fewer than 8 frames are left.
    """
    for image in slices:
        check_encoding(image)
    same_grid(slices)
    check_scaling(slices)
    images, resent = without_resent(slices)
    images, dropped = with_time_course(images)
    number, _ = slice_numbers(images)
    times = choose_clock(images, number, protocol_step_us)
    single, copies = without_simultaneous(images, number, times.us)
    if copies:
        images = single
        number, _ = slice_numbers(images)
        times = choose_clock(images, number, protocol_step_us)
    table, lost = frames(times.us, number, where)
    stack, shape = geometry(images, number)
    us = times.us[table]
    times_s = (us - us.min()) / 1e6
    used = [images[i] for i in np.unique(table)]
    found = [*resent, *dropped, *copies, *times.findings, *lost, *shape]
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
