"""One file of an exam as a named byte stream, unpacked where it was gzipped on its own."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from bolus.acquire.archives import GZIP, is_packed_name, unpacked
from bolus.acquire.budget import Budget

SIZE_UNKNOWN = sys.maxsize
"""Of a file that was gzipped on its own: only unpacking it tells."""

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Source:
    """One file: its name inside the exam and how to open it."""

    name: str
    """Unique in the exam, and printable on any terminal."""
    stored_bytes: int
    """As it is stored."""
    opener: Opener
    """Of its bytes as they are stored."""
    budget: Budget
    """What the exam's deflated files may still unpack to."""
    archived: bool = False
    """Whether it lies in an archive."""
    _gzipped: list[bool] = field(default_factory=list, compare=False)
    """Whether it is gzipped on its own, once that is known."""

    def open(self) -> BinaryIO:
        """Its bytes; of a file that was gzipped on its own, whatever its name, those inside.

        Raises
        ------
        DamagedFile
            Its gzip data are damaged.
        """
        stream = self.opener()
        try:
            self._gzipped[:] = [_is_gzipped(stream, self.name)]
            stream.seek(0)
        except BaseException:
            stream.close()
            raise
        return unpacked(stream, self.name, self.budget) if self._gzipped[0] else stream

    @property
    def packed(self) -> bool:
        """Whether it lies in an archive or is gzipped: it is read from its start, and has a
        checksum at its end."""
        return self.archived or self._is_gzipped()

    @property
    def size(self) -> int:
        """Of its bytes, or `SIZE_UNKNOWN`."""
        return SIZE_UNKNOWN if self._is_gzipped() else self.stored_bytes

    def _is_gzipped(self) -> bool:
        if not self._gzipped:
            self.open().close()
        return self._gzipped[0]


def _is_gzipped(stream: BinaryIO, name: str) -> bool:
    """By its bytes; NIfTI files unpack themselves, and others that are no images stay packed."""
    if is_nifti_name(name) or stream.read(len(GZIP)) != GZIP:
        return False
    if is_packed_name(name):
        return True
    stream.seek(0)
    try:
        return looks_like_dicom(gzip.GzipFile(fileobj=stream).read(132))
    except (OSError, EOFError, zlib.error):
        return False


def is_nifti_name(name: str) -> bool:
    """Whether the name of a file, with or without its folders, is that of a NIfTI file."""
    return name.lower().endswith((".nii", ".nii.gz"))


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is DICOM, with or without preamble."""
    return head[128:132] == b"DICM" or head[:2] in (b"\x02\0", b"\x08\0")
