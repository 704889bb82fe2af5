"""``read_exam``: from a path to an ``Exam``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bolus.acquire import unitobrain
from bolus.acquire.checks import check_values
from bolus.acquire.files import open_files
from bolus.acquire.headers import Slice
from bolus.acquire.layout import Layout, lay_out
from bolus.acquire.nifti import is_nifti, open_nifti, read_nifti_frames
from bolus.acquire.pixels import read_frames
from bolus.acquire.scan import read_slices
from bolus.acquire.select import Selection, select
from bolus.acquire.timing import without_midnight
from bolus.errors import AmbiguousExam
from bolus.types import Exam


def read_exam(path: Path, *, series: str | None = None) -> Exam:
    """Read a CT perfusion exam.

    Parameters
    ----------
    path
        A folder or zip of DICOM files in any nesting, order and naming; a 4D NIfTI with a
        BIDS-style JSON file beside it (or a folder with one); a UniToBrain patient folder.
    series
        SeriesInstanceUID or series number of the scan, where a DICOM exam holds several.

    Returns
    -------
    Exam
        Sorted by position and true time; the same bytes whatever the files' names and order and
        whatever the scanner's clock said.

    Raises
    ------
    NotAnExam
        If there is no CT perfusion exam.
    BrokenExam
        If there is one, but it can't be used.
    """
    nifti = find_nifti(path)
    if nifti:
        return _read_nifti(nifti)
    with open_files(path) as files:
        slices, unread = read_slices(files, path)
        selection = select_scan(slices, path, series)
        layout = lay_out_scan(selection, path)
        frames = read_frames(layout.slices, layout.image)
    return Exam(
        frames=frames,
        times_s=layout.times_s,
        geometry=layout.geometry,
        scanner=layout.scanner,
        findings=(
            *unread,
            *selection.findings,
            *layout.findings,
            *check_values(frames, str(path)),
        ),
        dicom_identity=layout.identity,
    )


def _read_nifti(path: Path) -> Exam:
    volume = open_nifti(path)
    frames, missing = read_nifti_frames(volume, path)
    return Exam(
        frames=frames,
        times_s=volume.times_s,
        geometry=volume.geometry,
        scanner=volume.scanner,
        findings=(*volume.findings, *missing, *check_values(frames, path.name)),
    )


def find_nifti(path: Path) -> Path | None:
    """The NIfTI file that is meant: the path itself, or the only one in a folder.

    Raises
    ------
    AmbiguousExam
        If a folder holds several NIfTI files.
    """
    if is_nifti(path) and path.is_file():
        return path
    if not path.is_dir():
        return None
    inside = sorted(p for p in path.iterdir() if is_nifti(p) and p.is_file())
    if len(inside) > 1:
        raise AmbiguousExam(
            f"{path}: holds {len(inside)} NIfTI files ({inside[0].name}, {inside[1].name}...); "
            "name the one with the time course."
        )
    return inside[0] if inside else None


def select_scan(slices: Sequence[Slice], path: Path, series: str | None) -> Selection:
    """The images of the perfusion scan; clocks are made continuous over midnight first."""
    unitobrain.refuse_maps(path)
    return select(without_midnight(slices), str(path), series)


def lay_out_scan(selection: Selection, path: Path) -> Layout:
    """Where and when each image of the chosen scan was taken."""
    if not unitobrain.is_unitobrain(path):
        return lay_out(selection.slices, str(path))
    step_us = unitobrain.protocol_step_us(selection.slices)
    layout = lay_out(selection.slices, str(path), "unitobrain", step_us)
    return replace(layout, findings=(*layout.findings, *unitobrain.notes(path)))
