"""The exams that attacks begin with, as bytes, and what reading them gives.

One exam of 20 frames and 2 slices of 32 x 32: as classic DICOM in several transfer syntaxes, as one
enhanced file, as NIfTI.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from dicomfactory import FRAMES, compress, enhanced, exam, truth
from niftifactory import VOLUME_TIMING, save_nifti
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from bolus.acquire.exam import read_exam
from bolus.types import Exam

SLICES = 2
PATIENT = "SECRET^PERSON"
EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
LONG_FORMS = (b"OB", b"OW", b"OF", b"OD", b"SQ", b"UN", b"UT", b"UC", b"UR")
"""Representations whose length has four bytes."""
PIXELS = 0x7FE00010


class Element(NamedTuple):
    """One element of a classic image in explicit little endian."""

    tag: int
    vr: bytes
    value: bytes


def _bytes(one: FileDataset) -> bytes:
    one.PatientName = PATIENT
    stream = BytesIO()
    one.save_as(stream)
    return stream.getvalue()


@cache
def dicom_files(syntax: str = EXPLICIT) -> tuple[bytes, ...]:
    """The files of the exam, frame by frame."""
    if syntax == DEFLATED:
        return tuple(map(deflated, dicom_files()))
    images = exam(FRAMES, SLICES)
    if syntax != EXPLICIT:
        for one in images:
            compress(one, UID(syntax))
    return tuple(map(_bytes, images))


@cache
def enhanced_file() -> bytes:
    """The exam as one enhanced multi-frame file."""
    return _bytes(enhanced(FRAMES, SLICES))


@cache
def nifti_file() -> bytes:
    """The exam as NIfTI, not compressed."""
    with tempfile.TemporaryDirectory() as folder:
        data = truth(FRAMES, SLICES).transpose(3, 2, 1, 0)
        return save_nifti(Path(folder), data, name="head.nii").read_bytes()


@cache
def nifti_gz() -> bytes:
    """Likewise, compressed."""
    return gzip.compress(nifti_file(), mtime=0)


def sidecar() -> dict[str, object]:
    """The JSON file of the NIfTI."""
    return dict(VOLUME_TIMING)


def names(count: int = FRAMES * SLICES) -> list[str]:
    """Of the exam's files."""
    return [f"IM{number + 1:05d}.dcm" for number in range(count)]


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    """Files by their names into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def named_files(syntax: str = EXPLICIT) -> dict[str, bytes]:
    """The exam's files by their names."""
    files = dicom_files(syntax)
    return dict(zip(names(len(files)), files, strict=True))


def split(data: bytes) -> tuple[bytes, list[Element]]:
    """A classic file as its preamble with the file meta information, and its elements."""
    at = end = 132
    found = []
    while at < len(data):
        tag = int.from_bytes(data[at : at + 2], "little") << 16
        tag |= int.from_bytes(data[at + 2 : at + 4], "little")
        vr = data[at + 4 : at + 6]
        start, size = (at + 12, 4) if vr in LONG_FORMS else (at + 8, 2)
        length = int.from_bytes(data[start - size : start], "little")
        if tag >> 16 == 2:
            end = start + length
        else:
            found.append(Element(tag, vr, data[start : start + length]))
        at = start + length
    return data[:end], found


def joined(head: bytes, elements: list[Element]) -> bytes:
    """The file of these elements."""
    return head + b"".join(map(encoded, elements))


def encoded(element: Element, length: int | None = None) -> bytes:
    """An element in explicit little endian; ``length`` is what it claims instead of the truth."""
    tag, vr, value = element
    start = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
    claimed = len(value) if length is None else length
    if vr in LONG_FORMS:
        return start + b"\0\0" + (claimed & 0xFFFFFFFF).to_bytes(4, "little") + value
    return start + (claimed & 0xFFFF).to_bytes(2, "little") + value


def labelled(head: bytes, syntax: str) -> bytes:
    """File meta information that gives another transfer syntax."""
    at = head.index(b"\x02\0\x10\0UI")
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    new = head[:at] + encoded(Element(0x00020010, b"UI", value)) + head[at + 8 + length :]
    # the group's length stands in its first element
    return new[:140] + (len(new) - 144).to_bytes(4, "little") + new[144:]


def deflated(data: bytes) -> bytes:
    """A classic file whose elements are one deflated stream."""
    head, elements = split(data)
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(joined(b"", elements)) + packer.flush()
    return labelled(head, DEFLATED) + body


@cache
def as_read(source: str) -> Exam:
    """The untouched exam, "dicom" or "nifti", as bolus reads it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "exam"
        if source == "dicom":
            return read_exam(write(folder, named_files()))
        write(folder, {"head.nii": nifti_file(), "head.json": json.dumps(sidecar()).encode()})
        return read_exam(folder / "head.nii")
