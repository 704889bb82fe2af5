"""Which NIfTI files below a path are the exam: by what they hold, and whose they are."""

from __future__ import annotations

import math
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bolus.acquire.dicom.groups import MIN_FRAMES
from bolus.acquire.dicom.scan import read_images
from bolus.acquire.dicom.source_images import CT_CLASSES
from bolus.acquire.memory import MAX_FRAMES_BYTES
from bolus.acquire.nifti_axes import file_axes
from bolus.acquire.nifti_exam import (
    LETTERS,
    NUMBERS,
    NiftiExam,
    json_name,
    jsons_above,
    of_source,
)
from bolus.acquire.source import Source, is_nifti_name
from bolus.acquire.sources import Files
from bolus.errors import AmbiguousExam, BadGeometry, DamagedFile, TooFewFrames
from bolus.files.nifti_file import LARGEST_OFFSET, nifti_image
from bolus.types import Finding, Float64Array, Grade

SUBJECT = re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+|case_\d+)(?=[/_.])", re.IGNORECASE)
SESSION = re.compile(r"(?:^|[/_])(ses-[A-Za-z0-9]+)(?=[/_.])", re.IGNORECASE)
"""As BIDS, ISLES 2024 and (cases) ISLES 2018 name folders and files."""
DERIVED = re.compile(r"(?:^|/)derivatives/|_(?:space|desc)-", re.IGNORECASE)
"""BIDS: made from another file, for example moved onto the native CT."""
CORRECTED = re.compile(r"(?:_(?:Tilt|Eq)(?:_\d+|[a-z])?)+$")
"""dcm2niix writes a second file, in which slices lie at equal distances (Eq) or straight above
each other (Tilt); in the first one their places are wrong."""
CROPPED = re.compile(r"(?:_(?:ROI\d*|Crop)(?:_\d+|[a-z])?)+$")
"""dcm2niix writes a second file that lacks a part."""
SHOWN = 6
"""Names in a message."""
CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class _Seen:
    """A NIfTI file by its header."""

    source: Source
    shape: tuple[int, ...]
    """Without axes of length 1."""
    affine: Float64Array

    @property
    def frames(self) -> int:
        """Entries along the fourth axis."""
        return self.shape[3] if len(self.shape) > 3 else 1

    @property
    def name(self) -> str:
        """Of the file."""
        return self.source.name

    @property
    def stem(self) -> str:
        """Name without the ending."""
        return json_name(self.name).removesuffix(".json")


def find_nifti(files: Files, path: Path) -> NiftiExam | None:
    """The NIfTI file with the time course, or the files with one time point each.

    None if there is no NIfTI file, or if there are CT images in DICOM.

    Raises
    ------
    AmbiguousExam
        If there are several, or both CT images and a NIfTI with a time course.
    TooFewFrames
        If there are several NIfTI files, and no time course among them.
    DamagedFile
        If there are NIfTI files, but none of them can be read.
    """
    niftis = [s for s in files.sources if is_nifti_name(s.name)]
    if not niftis:
        return None
    looked = [_seen(source) for source in niftis]
    seen = [one for one in looked if isinstance(one, _Seen)]
    timed = [one for one in seen if one.frames > 1]
    if _holds_ct(files):
        if timed:
            raise AmbiguousExam(
                f"{path}: holds CT images in DICOM and a time course in NIfTI ({timed[0].name}); "
                "give the NIfTI file itself, or move it out of the folder to use the DICOM files."
            )
        return None
    above = jsons_above(path)
    if len(niftis) == 1:
        return NiftiExam((of_source(niftis[0], files.jsons, above),), files.findings)
    long = [one for one in timed if one.frames >= MIN_FRAMES]
    points: list[_Seen] = []
    findings: list[Finding] = []
    order = ""
    if not long:
        points, order = _time_points([one for one in seen if one.frames == 1], path)
    if points or not timed:
        used = points
    else:
        chosen, findings = _time_course(long or timed, files, path)
        used = [chosen]
    if not used:
        why = "".join(f" {reason}" for reason in looked if isinstance(reason, str))
        if not seen and not why:
            raise DamagedFile(f"{niftis[0].name}: not a readable NIfTI; copy it again.")
        raise TooFewFrames(
            f"{path}: none of its {len(niftis)} NIfTI files has a time course, and they are not "
            f"one file for each time point ({_few([s.name for s in niftis])}); name the file "
            f"with the perfusion scan.{why}"
        )
    left = len(seen) - len(used)
    if left:
        message = f"{left} other NIfTI files (single volumes, maps, masks or copies) were ignored."
        findings.append(Finding("files-ignored", Grade.NOTE, message))
    if len(seen) < len(niftis):
        message = f"{len(niftis) - len(seen)} NIfTI files can't be read and were left out."
        findings.append(Finding("files-unreadable", Grade.WARNING, message, "Copy the exam again."))
    parts = tuple(of_source(one.source, files.jsons, above) for one in used)
    return NiftiExam(parts, (*findings, *files.findings), order)


def _seen(source: Source) -> _Seen | str | None:
    """A file's header; None if it can't be read, or why its axes are none of an exam."""
    try:
        with source.open() as stream, nifti_image(stream, 2 * MAX_FRAMES_BYTES) as image:
            shape = file_axes(tuple(int(n) for n in image.shape), source.name).shape
            return _Seen(source, shape, np.asarray(image.affine, dtype=np.float64))
    except DamagedFile:
        raise
    except BadGeometry as error:
        return str(error)
    except Exception:  # nibabel, gzip and zlib raise a dozen types on damaged bytes
        return None


def _time_course(timed: Sequence[_Seen], files: Files, path: Path) -> tuple[_Seen, list[Finding]]:
    """The one of several files with time courses that is the exam."""
    _one_of(SUBJECT, timed, path, "subjects")
    _one_of(SESSION, timed, path, "sessions")
    findings: list[Finding] = []
    if len(timed) > 1:
        raw = [one for one in timed if not DERIVED.search(one.name)]
        if raw and len(raw) < len(timed):
            message = "The scan as acquired was used, not the files derived from it (BIDS)."
            findings.append(Finding("derived-left", Grade.NOTE, message))
            timed = raw
    for choice, what in ((_corrected, "nifti-corrected"), (_whole, "nifti-whole")):
        timed, message = choice(timed)
        if message:
            findings.append(Finding(what, Grade.NOTE, message))
    different = _different(timed, files)
    if len(different) < len(timed):
        message = "The exam is there more than once, with the same content; one was used."
        findings.append(Finding("files-duplicated", Grade.NOTE, message))
    if len(different) > 1:
        listed = ", ".join(f"{one.name} with {one.frames} frames" for one in different[:SHOWN])
        raise AmbiguousExam(
            f"{path}: holds {len(different)} NIfTI files with a time course ({listed}"
            f"{', ...' if len(different) > SHOWN else ''}); name the one of the perfusion scan."
        )
    return different[0], findings


def _one_of(kind: re.Pattern[str], timed: Sequence[_Seen], path: Path, what: str) -> None:
    """Refuse time courses of several people or days; a file of none belongs to them all."""
    found = {match[-1] for one in timed if (match := kind.findall(one.name))}
    if len(found) > 1:
        raise AmbiguousExam(
            f"{path}: holds exams of {len(found)} {what} ({_few(sorted(found))}); name the folder "
            "or the file of one of them."
        )


def _corrected(timed: Sequence[_Seen]) -> tuple[list[_Seen], str]:
    """Of an exam with and without corrected places, the corrected one."""
    stems: dict[str, list[_Seen]] = defaultdict(list)
    for one in timed:
        stems[CORRECTED.sub("", one.stem)].append(one)
    kept = [max(group, key=lambda one: (len(one.stem), one.name)) for group in stems.values()]
    if len(kept) == len(timed):
        return list(timed), ""
    return kept, (
        "The file in which dcm2niix corrected the places of the slices (_Eq, _Tilt) was used, not "
        "the one it was made from."
    )


def _whole(timed: Sequence[_Seen]) -> tuple[list[_Seen], str]:
    """Of an exam and its cut-out, the exam."""
    stems = {one.stem for one in timed}
    kept = [
        one
        for one in timed
        if not CROPPED.search(one.stem) or CROPPED.sub("", one.stem) not in stems
    ]
    if len(kept) == len(timed):
        return kept, ""
    return kept, "The whole scan was used, not the part that dcm2niix cut out (_ROI, _Crop)."


def _different(timed: Sequence[_Seen], files: Files) -> list[_Seen]:
    """Without files that repeat another one's content."""
    different: list[_Seen] = []
    for one in timed:
        if not any(_same(one, other, files) for other in different):
            different.append(one)
    return different


def _same(one: _Seen, other: _Seen, files: Files) -> bool:
    """Whether two files have the same bytes, once unpacked, and the same JSON."""
    if one.shape != other.shape or not np.array_equal(one.affine, other.affine):
        return False
    try:
        if _json(one, files) != _json(other, files):
            return False
        return all(a == b for a, b in zip(_chunks(one), _chunks(other), strict=True))
    except Exception:  # one is cut off, or longer
        return False


def _json(one: _Seen, files: Files) -> dict[str, Any]:
    return of_source(one.source, files.jsons, {}).fields()


def _chunks(one: _Seen) -> Iterator[bytes]:
    with one.source.open() as packed, nifti_image(packed, 2 * MAX_FRAMES_BYTES) as image:
        stream = image.dataobj.file_like
        left = math.prod(one.shape) * image.get_data_dtype().itemsize + LARGEST_OFFSET
        stream.seek(0)
        while chunk := stream.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise ValueError("it holds more than its header says")
            yield chunk


def _time_points(seen: Sequence[_Seen], path: Path) -> tuple[list[_Seen], str]:
    """The files of an exam with one file for each time point, and what is doubtful in their order.

    Their names differ in numbers (``vol0001``, ``_e1``) or in letters at the end, as dcm2niix tells
    files of one name apart; maps and masks differ in words.
    """
    by_number: dict[str, list[_Seen]] = defaultdict(list)
    for one in seen:
        by_number[re.sub(r"\d+", "#", one.name)].append(one)
    groups = [(group, True) for group in by_number.values() if len(group) >= MIN_FRAMES]
    if not groups:
        by_letter: dict[str, list[_Seen]] = defaultdict(list)
        stems = {one.stem for one in seen}
        for one in seen:
            by_letter[_without_letters(one.stem, stems)].append(one)
        groups = [(group, False) for group in by_letter.values() if len(group) >= MIN_FRAMES]
    if not groups:
        return [], ""
    points = [one for group, _ in groups for one in group]
    _one_of(SUBJECT, points, path, "subjects")
    _one_of(SESSION, points, path, "sessions")
    if len(groups) > 1:
        listed = ", ".join(f"{len(g)} like {g[0].name}" for g, _ in groups[:SHOWN])
        raise AmbiguousExam(
            f"{path}: holds {len(groups)} time courses with one NIfTI file for each time point "
            f"({listed}); put the files of one of them into a separate folder."
        )
    group, numbered = groups[0]
    if numbered:
        return _in_order_of_numbers(group)
    return sorted(group, key=lambda one: (len(one.stem), one.stem)), LETTERS


def _in_order_of_numbers(group: Sequence[_Seen]) -> tuple[list[_Seen], str]:
    """Files by the number that counts them, the last one if several do; else by the first."""
    numbers = {one.name: [int(n) for n in re.findall(r"\d+", one.name)] for one in group}
    ordered = sorted(group, key=lambda one: numbers[one.name])
    columns = [
        [numbers[one.name][at] for one in ordered] for at in range(len(numbers[ordered[0].name]))
    ]
    telling = [at for at, column in enumerate(columns) if len(set(column)) == len(column)]
    if all(columns[at] == sorted(columns[at]) for at in telling):
        return ordered, ""
    counting = [at for at in telling if np.ptp(columns[at]) == len(group) - 1]
    by = (counting or telling[:1])[-1]
    return sorted(group, key=lambda one: numbers[one.name][by]), NUMBERS


def _without_letters(stem: str, stems: set[str]) -> str:
    """``ctp`` of ``ctpb``, where there is a ``ctp``."""
    for count in (2, 1):  # "ctpza" is of "ctp", also where there is a "ctpz"
        if stem[-count:].isalpha() and stem[-count:].islower() and stem[:-count] in stems:
            return stem[:-count]
    return stem


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _holds_ct(files: Files) -> bool:
    """Whether any file is a CT image; most often the first one is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, see read_slices
        for source in files.sources:
            if is_nifti_name(source.name):
                continue
            try:
                images = read_images(source) or []
            except DamagedFile:
                continue
            if any(s.sop_class in CT_CLASSES or s.modality == "CT" for s in images):
                return True
    return False
