"""NIfTI files that are damaged, or whose headers say what they shouldn't."""

from __future__ import annotations

import gzip
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import corruption
from attack import Allowed, Attack
from untouched import nifti_file, nifti_gz, sidecar

HEADER = {
    "sizeof_hdr": (0, "i", 1), "data_type": (4, "b", 10), "extents": (32, "i", 1),
    "dim_info": (39, "B", 1), "dim": (40, "h", 8), "intent_p": (56, "f", 3),
    "intent_code": (68, "h", 1), "datatype": (70, "h", 1), "bitpix": (72, "h", 1),
    "slice_start": (74, "h", 1), "pixdim": (76, "f", 8), "vox_offset": (108, "f", 1),
    "scl_slope": (112, "f", 1), "scl_inter": (116, "f", 1), "slice_end": (120, "h", 1),
    "slice_code": (122, "b", 1), "xyzt_units": (123, "B", 1), "cal_max": (124, "f", 2),
    "slice_duration": (132, "f", 1), "toffset": (136, "f", 1), "descrip": (148, "b", 80),
    "qform_code": (252, "h", 1), "sform_code": (254, "h", 1), "quatern": (256, "f", 3),
    "qoffset": (268, "f", 3), "srow": (280, "f", 12), "magic": (344, "b", 4),
    "extension": (348, "b", 4),
}  # fmt: skip
"""Fields of NIfTI-1: first byte, kind and number of values."""
DATATYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 255, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304)
FLOATS = (
    float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e30, 1e10, 1e9, 0.0, -0.0, -1.0, 1.0,
    1e-40,
    0.5, 2.0, 100.0, -1024.0, 352.0, 353.0, 348.0, 1e6, 2.0**26, 2.0**31,
)  # fmt: skip


def damaged_nifti(rng: random.Random, folder: Path) -> Attack:
    """The exam as NIfTI, with other numbers in its header or damaged bytes."""
    change = rng.choice(CHANGES)
    data, allowed = change(rng)
    folder.mkdir(parents=True, exist_ok=True)
    # the name doesn't tell whether it is compressed
    path = folder / rng.choice(("head.nii", "head.nii.gz", "HEAD.NII"))
    path.write_bytes(data)
    side = folder / f"{path.name.removesuffix('.gz').removesuffix('.nii')}.json"
    if path.name != "HEAD.NII":
        side.write_text(json.dumps(sidecar()))
    given = folder if rng.random() < 0.2 else path
    return Attack(given, allowed, f"{path.name}: {change.__name__.strip('_')}", "nifti")


def _packed(rng: random.Random, data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=1, mtime=0) if rng.random() < 0.5 else data


def _field(rng: random.Random) -> tuple[bytes, Allowed]:
    """Nothing in a header has a checksum."""
    corrupted = bytearray(nifti_file())
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, kind, count = HEADER[rng.choice(list(HEADER))]
        size = struct.calcsize(kind)
        at += size * rng.randrange(count)
        if kind == "f":
            value: float = rng.choice(FLOATS)
        else:
            few = (0, 1, 2, 3, 4, 5, 7, 8, 16, 20, 32, 352, 2 ** (8 * size - 1) - 1, -1)
            value = rng.choice((*few, -(2 ** (8 * size - 1)))) % 2 ** (8 * size)
            kind = kind.upper()
            if at == 70:
                value = rng.choice(DATATYPES)
        struct.pack_into(f"<{kind}", corrupted, at, value)
    return _packed(rng, bytes(corrupted)), Allowed.ANYTHING


def _not_a_number(rng: random.Random) -> tuple[bytes, Allowed]:
    """A scale or an affine that is none."""
    corrupted = bytearray(nifti_file())
    at, _, count = HEADER[rng.choice(("srow", "scl_inter", "scl_slope", "pixdim", "qoffset"))]
    value = rng.choice((float("nan"), float("inf"), float("-inf"), 3e38))
    struct.pack_into("<f", corrupted, at + 4 * rng.randrange(count), value)
    return _packed(rng, bytes(corrupted)), Allowed.NOTICED


def _of_floats(rng: random.Random) -> tuple[bytes, Allowed]:
    """Values as floats, some of which no CT has."""
    import numpy as np

    data = nifti_file()
    values = np.frombuffer(data, "<i2", offset=352).astype("<f4")
    count = rng.choice((1, 10, len(values) // 10, len(values)))
    value = rng.choice(FLOATS)
    values[
        np.random.default_rng(rng.randrange(2**32)).choice(len(values), count, replace=False)
    ] = value
    head = bytearray(data[:352])
    struct.pack_into("<hh", head, 70, 16, 32)
    # a value that is finite may be meant
    allowed = Allowed.ANYTHING if abs(value) < 1e9 else Allowed.NOTICED
    return _packed(rng, bytes(head) + values.tobytes()), allowed


def _bytes(rng: random.Random) -> tuple[bytes, Allowed]:
    return rng.choice(corruption.ALL)(rng, nifti_file()), Allowed.ANYTHING


def _bytes_of_header(rng: random.Random) -> tuple[bytes, Allowed]:
    data = nifti_file()
    return rng.choice(corruption.ALL)(rng, data[:352]) + data[352:], Allowed.ANYTHING


def _cut(rng: random.Random) -> tuple[bytes, Allowed]:
    return corruption.cut(rng, rng.choice((nifti_file(), nifti_gz()))), Allowed.NOTICED


def _bit_of_gz(rng: random.Random) -> tuple[bytes, Allowed]:
    corrupted = bytearray(nifti_gz())
    corrupted[rng.randrange(len(corrupted))] ^= 1 << rng.randrange(8)
    return bytes(corrupted), Allowed.NOTICED


def _bytes_of_gz(rng: random.Random) -> tuple[bytes, Allowed]:
    return rng.choice(corruption.ALL)(rng, nifti_gz()), Allowed.NOTICED


def _rest(rng: random.Random) -> tuple[bytes, Allowed]:
    rest = rng.choice((b"\0", bytes(1000), rng.randbytes(1000), bytes(2**21), b"\x1f\x8b"))
    data = rng.choice((nifti_file(), nifti_gz(), nifti_file()))
    return (data + rest, Allowed.NOTICED)


def _rest_inside(rng: random.Random) -> tuple[bytes, Allowed]:
    rest = rng.choice((bytes(1000), bytes(2**21), bytes(2**26)))
    return gzip.compress(nifti_file() + rest, 1, mtime=0), Allowed.NOTICED


def _two_members(rng: random.Random) -> tuple[bytes, Allowed]:
    data = nifti_file()
    at = rng.randrange(len(data))
    parts = (gzip.compress(data[:at], 1, mtime=0), gzip.compress(data[at:], 1, mtime=0))
    whole = b"".join(parts)
    return rng.choice((whole, parts[1] + parts[0], nifti_gz() * 2, parts[0])), Allowed.NOTICED


def _no_nifti(rng: random.Random) -> tuple[bytes, Allowed]:
    parts = (
        b"",
        b"hello",
        rng.randbytes(5000),
        b"\x1f\x8b",
        gzip.compress(b"", mtime=0),
        bytes(352),
    )
    return rng.choice(parts), Allowed.NOTICED


def _packed_twice(rng: random.Random) -> tuple[bytes, Allowed]:
    return gzip.compress(nifti_gz(), mtime=0), Allowed.NOTICED


CHANGES: tuple[Callable[[random.Random], tuple[bytes, Allowed]], ...] = (
    *[_field] * 6, _not_a_number, _of_floats, _of_floats, _bytes, _bytes_of_header, _cut,
    *[_bit_of_gz] * 3, _bytes_of_gz, _rest, _rest_inside, _two_members, _no_nifti, _packed_twice,
)  # fmt: skip
