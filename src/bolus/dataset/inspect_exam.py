"""An exam's frames, slices and first frame, from its headers and a minimum of pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bolus.acquire.dicom.headers import digest
from bolus.acquire.dicom.pixels import StoredBytes
from bolus.acquire.dicom.scan import read_slices
from bolus.acquire.exam import lay_out_scan, select_scan
from bolus.acquire.find_nifti import find_nifti
from bolus.acquire.nifti import Volume4D, is_nifti_file, open_nifti, read_first_frame
from bolus.acquire.nifti_exam import NiftiExam
from bolus.acquire.sources import Files, open_files
from bolus.types import Finding, Geometry, Grade

HASH_BYTES = 8
"""Two of a million different slices share such a hash with a probability of 1 in 40 million."""


@dataclass(frozen=True)
class ExamFacts:
    """Facts about an exam for the index."""

    frames: int
    geometry: Geometry
    findings: tuple[Finding, ...]
    """Warnings only; notes appear when the exam is read."""
    content: tuple[str, ...]
    """(Z,) hash of each slice of the first frame; none for blank slices."""
    study: str
    """Hash of the StudyInstanceUID."""
    series: str
    """The SeriesInstanceUID, to compare; never written."""


def exam_facts(path: Path) -> ExamFacts:
    """Inspect an exam as `bolus.acquire.exam.read_exam` would read it, without its pixels.

    The pixels of the first frame are read, not decoded.

    Raises
    ------
    NotAnExam
        If there is no CT perfusion exam.
    BrokenExam
        If there is one, but it can't be used.
    """
    if is_nifti_file(path):
        return _nifti(path)
    with open_files(path) as files:
        nifti = find_nifti(files, path)
        return _nifti(nifti) if nifti else _dicom(files, path)


def _dicom(files: Files, path: Path) -> ExamFacts:
    slices, unread = read_slices(files, path)
    selection = select_scan(slices, path, None)
    layout = lay_out_scan(selection, path)
    first = [layout.slices[int(k)] for k in layout.image[0]]
    stored = StoredBytes()
    return ExamFacts(
        frames=len(layout.image),
        geometry=layout.geometry,
        findings=warnings_of((*unread, *selection.findings, *layout.findings)),
        content=_hashes([stored.of(image) for image in first]),
        study=digest(layout.identity["StudyInstanceUID"])
        if "StudyInstanceUID" in layout.identity
        else "",
        series=layout.identity.get("SeriesInstanceUID", ""),
    )


def _nifti(exam: Path | NiftiExam) -> ExamFacts:
    volume = open_nifti(exam)
    return ExamFacts(
        frames=volume.frames,
        geometry=volume.geometry,
        findings=warnings_of(volume.findings),
        content=_first_frame(volume),
        study="",
        series="",
    )


def _first_frame(volume: Volume4D) -> tuple[str, ...]:
    frame = read_first_frame(volume)
    return _hashes([np.ascontiguousarray(part).tobytes() for part in frame])


def _hashes(images: list[bytes]) -> tuple[str, ...]:
    """Blank slices are identical in all patients, so they have no hash."""
    return tuple(
        hashlib.blake2b(image, digest_size=HASH_BYTES).hexdigest()
        for image in images
        if len(image) > 8 and image[8:] != image[:-8]
    )


def warnings_of(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings that are more than notes."""
    return tuple(finding for finding in findings if finding.grade > Grade.NOTE)
