"""Every file of an exam to its ``Slice`` records, without decoding a pixel."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from bolus.acquire.budget import BudgetSpent
from bolus.acquire.dicom.elements import text
from bolus.acquire.dicom.enhanced import enhanced
from bolus.acquire.dicom.headers import Slice, classic, encoding, find_pixels, read_header
from bolus.acquire.dicom.source_images import CT_CLASSES
from bolus.acquire.read_errors import READ_ERRORS
from bolus.acquire.source import Source, is_nifti_name, looks_like_dicom
from bolus.acquire.sources import Files
from bolus.errors import DamagedFile, NoReadableFiles
from bolus.types import Finding, Grade

DIRECTORY = "1.2.840.10008.1.3.10"
"""A DICOMDIR, which lists the files of a CD and is not an image."""
SEEN_EVERY = 100
"""Files between two reports of progress: a tenth of a second."""


def read_slices(
    files: Files, path: Path, seen: Callable[[int, int], None] | None = None
) -> tuple[list[Slice], list[Finding]]:
    """The images of all DICOM files, and what could not be read.

    Parameters
    ----------
    seen
        Called with the number of files read and of all, now and then.

    Raises
    ------
    NoReadableFiles
        If no file is DICOM.
    DamagedFile
        If there are DICOM files, but none of them can be read, or they are a decompression bomb.
    """
    slices: list[Slice] = []
    foreign: list[Source] = []
    endings: set[str] = set()
    damaged: list[DamagedFile] = []
    with warnings.catch_warnings():
        # pydicom warns of every irregular value; those that matter become findings
        warnings.simplefilter("ignore")
        for number, source in enumerate(files.sources):
            if seen and number % SEEN_EVERY == 0:
                seen(number, len(files.sources))
            try:
                images = read_images(source)
            except BudgetSpent:
                raise
            except DamagedFile as error:
                damaged.append(error)
                endings.add(_ending(source.name))
                continue
            if images is None:
                foreign.append(source)
            else:
                slices += images
                endings.add(_ending(source.name))
    if not slices and damaged:
        raise damaged[0]
    if not slices and not foreign:
        raise NoReadableFiles(f"{path}: is the index of a CD; name the folder with its images.")
    if not slices:
        raise NoReadableFiles(
            f"{path}: none of its {len(foreign)} files is DICOM or NIfTI (the first is "
            f"{foreign[0].name}); name the folder, zip or file that holds the exam."
        )
    lost = {source.name for source in foreign if _is_lost(source, endings)}
    ignored = [source.name for source in foreign if source.name not in lost]
    return slices, [*files.findings, *_findings(ignored, len(lost), damaged)]


def _ending(name: str) -> str:
    """``.dcm`` of ``1/IM1.dcm``; nothing where there is none, or a number as in UIDs."""
    ending = Path(name).suffix.lower()
    return "" if ending[1:].isdigit() else ending


def _is_lost(source: Source, endings: set[str]) -> bool:
    """Whether a file that is not an image was one: empty, overwritten, or compressed on its own."""
    name = source.name.lower()
    if is_nifti_name(name):
        return False
    try:
        with source.open() as stream:
            packed = stream.read(2) in (b"PK", b"\x1f\x8b")
    except READ_ERRORS:
        return True
    return packed or _ending(name) in endings


def read_images(source: Source) -> list[Slice] | None:
    """The images of one file, none in the index of a CD; None if it is not DICOM.

    Raises
    ------
    DamagedFile
        If it is DICOM, but can't be read.
    """
    try:
        with source.open() as stream:
            if not looks_like_dicom(stream.read(132)):
                return None
            stream.seek(0)
            dataset, rest = read_header(stream, source)
            offset, length = find_pixels(rest, dataset)
    except READ_ERRORS as error:
        raise DamagedFile(
            f"{source.name}: can't be read ({error}); copy the exam again."
        ) from error
    if text(dataset.file_meta, 0x00020002) == DIRECTORY:
        return []
    pixels = encoding(dataset, offset, length, deflated=rest is not stream)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        return enhanced(dataset, source, pixels)
    image = classic(dataset, source, pixels)
    if offset < 0 and not image.position and image.sop_class in ("", *CT_CLASSES):
        raise DamagedFile(f"{source.name}: was cut off in its header; copy or export it again.")
    return [image]


def _findings(ignored: Sequence[str], lost: int, damaged: Sequence[DamagedFile]) -> list[Finding]:
    """Counts only: file and folder names may contain patients' names."""
    findings = []
    if ignored:
        niftis = sum(map(is_nifti_name, ignored))
        which = f" ({niftis} of them NIfTI)" if niftis else ""
        message = f"{len(ignored)} files are not DICOM and were ignored{which}."
        findings.append(Finding("files-ignored", Grade.NOTE, message))
    if lost:
        findings.append(
            Finding(
                "files-lost",
                Grade.WARNING,
                f"{lost} files are named like images but are empty, overwritten or packed.",
                "Export or copy the exam again.",
            )
        )
    if damaged:
        findings.append(
            Finding(
                "files-unreadable",
                Grade.WARNING,
                f"{len(damaged)} DICOM files can't be read and were left out.",
                "Export or copy the exam again.",
            )
        )
    return findings
