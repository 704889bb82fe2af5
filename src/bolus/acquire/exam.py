"""``read_exam``: from a path to an ``Exam``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bolus.acquire import unitobrain
from bolus.acquire.checks import check_values
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.layout import Layout, lay_out
from bolus.acquire.dicom.pixels import Damaged, may_be_unsigned, read_frames
from bolus.acquire.dicom.scan import read_slices
from bolus.acquire.dicom.select import Selection, select
from bolus.acquire.dicom.series_table import series_table
from bolus.acquire.dicom.timing import without_midnight
from bolus.acquire.find_nifti import find_nifti
from bolus.acquire.given_times import GivenTimes
from bolus.acquire.nifti import is_nifti_file, open_nifti, read_nifti_frames
from bolus.acquire.nifti_exam import NiftiExam
from bolus.acquire.repair_values import repair_values
from bolus.acquire.sources import Files, open_files
from bolus.types import Exam


def read_exam(path: Path, *, series: str | None = None, given: GivenTimes | None = None) -> Exam:
    """Read a CT perfusion exam.

    Parameters
    ----------
    path
        A folder, zip or tar of DICOM files in any nesting, order and naming, or the DICOMDIR among
        them; a 4D NIfTI with a BIDS-style JSON file next to it, or a folder, zip or tar with one,
        or with one NIfTI file for each time point; a UniToBrain patient folder.
    series
        SeriesInstanceUID or series number of the scan, where a DICOM exam holds several.
    given
        Times of the frames that the user gives.

    Returns
    -------
    Exam
        Sorted by position and true time; identical bytes for any file names and order and
        any setting of the scanner's clock.

    Raises
    ------
    NotAnExam
        If there is no CT perfusion exam.
    BrokenExam
        If there is one, but it can't be used.
    """
    if is_nifti_file(path):
        return _read_nifti(path, given)
    with open_files(path) as files:
        nifti = find_nifti(files, path)
        if nifti:
            return _read_nifti(nifti, given)
        return _read_dicom(files, path, series, given)


def _read_dicom(files: Files, path: Path, series: str | None, given: GivenTimes | None) -> Exam:
    slices, unread = read_slices(files, path)
    selection = select_scan(slices, path, series)
    layout = lay_out_scan(selection, path, given=given)
    frames, damaged = read_frames(layout.slices, layout.image)
    if damaged:
        # images lost in decoding count like those whose header shows their loss: all over again
        layout = lay_out_scan(selection, path, damaged, given)
        frames, damaged = read_frames(layout.slices, layout.image)
    for error in damaged.values():  # decodable a moment ago
        raise error
    repaired = repair_values(
        frames, unclipped=any(may_be_unsigned(s.encoding) for s in layout.slices)
    )
    return Exam(
        frames=frames,
        times_s=layout.times_s,
        geometry=layout.geometry,
        scanner=layout.scanner,
        findings=(
            *unread,
            *selection.findings,
            *layout.findings,
            *repaired,
            *check_values(frames, str(path)),
        ),
        dicom_identity=layout.identity,
        series=series_table(slices, selection.verdicts, selection.keys),
    )


def _read_nifti(exam: Path | NiftiExam, given: GivenTimes | None) -> Exam:
    volume = open_nifti(exam, given)
    frames, missing = read_nifti_frames(volume)
    repaired = repair_values(frames)
    return Exam(
        frames=frames,
        times_s=volume.times_s,
        geometry=volume.geometry,
        scanner=volume.scanner,
        findings=(*volume.findings, *missing, *repaired, *check_values(frames, exam.name)),
    )


def select_scan(slices: Sequence[Slice], path: Path, series: str | None) -> Selection:
    """The images of the perfusion scan; clocks are made continuous over midnight first."""
    unitobrain.refuse_maps(path)
    return select(without_midnight(slices), str(path), series)


def lay_out_scan(
    selection: Selection,
    path: Path,
    damaged: Damaged | None = None,
    given: GivenTimes | None = None,
) -> Layout:
    """Position and time of each image of the chosen scan, without those known as damaged."""
    if not unitobrain.is_unitobrain(path):
        return lay_out(selection.slices, str(path), damaged=damaged, given=given)
    step_us = unitobrain.protocol_step_us(selection.slices)
    layout = lay_out(selection.slices, str(path), "unitobrain", step_us, damaged, given)
    return replace(layout, findings=(*layout.findings, *unitobrain.notes(path)))
