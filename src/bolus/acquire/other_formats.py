"""Files of formats that are not read, by their first bytes, and what to do with each."""

from __future__ import annotations

import gzip
import io
import zlib

GZIP = b"\x1f\x8b"
HEAD_BYTES = 4096
"""Enough of a packed file to unpack a header's 348 bytes."""
UNPACK = "unpack it into a folder and name that"
CONVERT = "convert it to NIfTI (.nii.gz), or name the DICOM files it was made from"
FIRST_BYTES = {
    b"BZh": ("packed with bzip2", UNPACK),
    b"\xfd7zXZ\0": ("packed with xz", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", UNPACK),
    b"NRRD": ("NRRD", CONVERT),
    b"ObjectType = ": ("a MetaImage", CONVERT),
    b"\0\0\0\1\0\0": ("FreeSurfer's MGH", CONVERT),
}
"""bzip2, xz, 7-Zip and RAR by their specifications; teem's NRRD; ITK's MetaImage; FreeSurfer's
version 1 before the length of its first axis."""
HEADER_SIZES = (b"\x5c\1\0\0", b"\0\0\1\x5c")
"""348, with which the headers of NIfTI-1 and Analyze begin (nifti1.h)."""
MAGIC_AT, ONE_FILE = 344, b"n+1\0"


def other_format(head: bytes) -> str:
    """What a file is by its beginning, and what to do: ``is NRRD; convert it ...``; or nothing."""
    if head.startswith(GZIP):
        head = _unpacked(head)
    if head.startswith(HEADER_SIZES):
        if head.startswith(ONE_FILE, MAGIC_AT):
            return "is NIfTI under another name; rename it so that it ends in .nii or .nii.gz."
        return f"is Analyze or NIfTI in two files (.hdr, .img); {CONVERT}."
    for first, (what, remedy) in FIRST_BYTES.items():
        if head.startswith(first):
            return f"is {what}, which is not read; {remedy}."
    return ""


def _unpacked(head: bytes) -> bytes:
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(head)).read1(MAGIC_AT + len(ONE_FILE))
    except (OSError, EOFError, zlib.error):
        return b""
