"""Deflated DICOM files: everything after the file meta information is one zlib stream."""

from __future__ import annotations

import zlib

from bolus.acquire.budget import Budget
from bolus.errors import DamagedFile

DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_META = (
    bytes(128) + b"DICM\x02\0\0\0UL\x04\0\x1c\0\0\0\x02\0\x10\0UI\x14\0" + b"1.2.840.10008.1.2.1\0"
)
"""Preamble and shortest file meta information of explicit VR little endian."""
MAX_INFLATED_BYTES = 2**30


def inflated(data: bytes, name: str, budget: Budget) -> bytes:
    """A deflated DICOM file as the same file in explicit little endian.

    Raises
    ------
    DamagedFile
        The stream is damaged, cut off, or larger than any file of an exam.
    BudgetSpent
        All files of the exam together have unpacked to more than any exam does.
    """
    most = min(MAX_INFLATED_BYTES, budget.left)
    try:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        body = unpacker.decompress(data[end_of_meta(data) :], most + 1)
    except zlib.error as error:
        raise DamagedFile(f"{name}: the deflated DICOM data are damaged ({error}).") from error
    budget.spend(len(body), name)
    if len(body) > most:
        raise DamagedFile(f"{name}: unpacks to more than {MAX_INFLATED_BYTES} bytes; refused.")
    if not unpacker.eof:
        raise DamagedFile(f"{name}: its deflated data are cut off; copy or export it again.")
    return EXPLICIT_META + body


def end_of_meta(data: bytes) -> int:
    """First byte after the file meta information (group 2, always explicit little endian)."""
    at = 132 if data[128:132] == b"DICM" else 0
    while data[at : at + 2] == b"\x02\0":
        if data[at + 4 : at + 6] in (b"OB", b"UN"):
            at += 12 + int.from_bytes(data[at + 8 : at + 12], "little")
        else:
            at += 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    return at
