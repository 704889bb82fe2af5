"""Zips that are damaged, lie about themselves, or want to write where they must not."""

from __future__ import annotations

import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import corruption
from attack import Allowed, Attack
from untouched import named_files

CENTRAL, LOCAL, END = b"PK\1\2", b"PK\3\4", b"PK\5\6"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
NAMES = (
    ".", "..", "./", "../x.dcm", "../../../x.dcm", "/x.dcm", "C:\\x.dcm", "C:x", "\\\\host\\x.dcm",
    "\0x", "x\0.dcm", "a/../../x", "a//b", "//", "/", "", " ", "x" * 300, "d/" * 200 + "x", "CON",
    "a:b", "\u202egnp.dcm", "\u5c71.dcm", "e\u0301", "\x1b[2J", "a\nb", "summary.json", "x.zip",
    "IM00001.dcm", "exam/IM00001.dcm", "__MACOSX/._a", "a.dcm/", "a.dcm/b", "~/x", "$HOME/x", "-rf",
    "head.nii", "head.nii.gz",
)  # fmt: skip
NUMBERS = (0, 1, 2**16 - 1, 2**31 - 1, 2**32 - 1)


def hostile_zip(rng: random.Random, folder: Path) -> Attack:
    """The exam as a zip, changed in one or two ways."""
    method = rng.choice(METHODS)
    data = zipped(named_files(), method)
    changes = [rng.choice(CHANGES) for _ in range(rng.choice((1, 1, 2)))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of zipfile, about names that are there twice
        for change in changes:
            data = change(rng, data)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / rng.choice(("exam.zip", "exam.zip", "exam.ZIP", "exam", "exam.dcm"))
    path.write_bytes(data)
    what = f"method {method}: {' and '.join(c.__name__.strip('_') for c in changes)}"
    # a zip has checksums of everything that matters
    return Attack(path, Allowed.NOTICED, what)


def zipped(files: dict[str, bytes], method: int) -> bytes:
    """Files as a zip."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            # a name of its own would bring the time of day
            info = zipfile.ZipInfo(f"exam/{name}")
            info.compress_type = method
            archive.writestr(info, data)
    return stream.getvalue()


def _added(data: bytes, name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    stream = BytesIO(data)
    try:
        with zipfile.ZipFile(stream, "a", method) as archive:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # the constructor would make it harmless
            info.compress_type = method
            archive.writestr(info, content)
    except Exception:  # an earlier change left no zip to add to
        return data
    return stream.getvalue()


def _hostile_names(rng: random.Random, data: bytes) -> bytes:
    image = rng.choice(list(named_files().values()))
    for _ in range(rng.choice((1, 1, 3))):
        content = rng.choice((b"", b"hello", image, b'{"schema": "bolus-summary/1"}'))
        data = _added(data, rng.choice(NAMES), content)
    return data


def _renamed(rng: random.Random, data: bytes) -> bytes:
    """An image of the exam under a name of the same length, in both places or in one."""
    name = rng.choice(list(named_files())).encode()
    new = rng.choice(("../", "/", "\0", "\\..\\", "C:\\", "\xff\xfe", "\n")).encode("latin-1")
    new += b"x" * (len(name) - len(new))
    return data.replace(name, new, rng.choice((1, 2)))


def _fields(rng: random.Random, data: bytes) -> bytes:
    """Other numbers in an entry: sizes, checksum, method, flags, offset, lengths of its names."""
    corrupted = bytearray(data)
    mark, places = rng.choice((
        (CENTRAL, {6: "H", 8: "H", 10: "H", 16: "I", 20: "I", 24: "I", 28: "H", 30: "H", 32: "H",
                   34: "H", 42: "I"}),
        (LOCAL, {4: "H", 6: "H", 8: "H", 14: "I", 18: "I", 22: "I", 26: "H", 28: "H"}),
        (END, {4: "H", 6: "H", 8: "H", 10: "H", 12: "I", 16: "I", 20: "H"}),
    ))  # fmt: skip
    for _ in range(rng.choice((1, 1, 2))):
        entry = rng.choice(_found(data, mark) or [0])
        at = rng.choice(list(places))
        value = rng.choice((*NUMBERS, 8, 9, 12, 14, 99, rng.randrange(2**16)))
        try:
            struct.pack_into(f"<{places[at]}", corrupted, entry + at, value)
        except struct.error:  # too large for the field, or behind the end
            continue
    return bytes(corrupted)


def _found(data: bytes, mark: bytes) -> list[int]:
    places, at = [], data.find(mark)
    while at >= 0:
        places.append(at)
        at = data.find(mark, at + 1)
    return places


def _encrypted(rng: random.Random, data: bytes) -> bytes:
    corrupted = bytearray(data)
    for at in rng.sample(_found(data, CENTRAL), min(2, len(_found(data, CENTRAL)))):
        corrupted[at + 8] |= 1
    return bytes(corrupted)


def _overlapping(rng: random.Random, data: bytes) -> bytes:
    """Entries that share one member's bytes."""
    entries = _found(data, CENTRAL)
    corrupted = bytearray(data)
    if len(entries) > 1:
        a = rng.choice(entries)
        for b in rng.sample(entries, rng.choice((1, 2, len(entries)))):
            corrupted[b + 42 : b + 46] = data[a + 42 : a + 46]
    return bytes(corrupted)


def _damaged_member(rng: random.Random, data: bytes) -> bytes:
    members = _found(data, LOCAL)
    if len(members) < 2:
        return data
    for _ in range(rng.choice((1, 1, 3))):
        number = rng.randrange(len(members) - 1)
        at, end = members[number] + 46, members[number + 1]
        corrupt = rng.choice((corruption.flipped, corruption.overwritten))
        data = data[:at] + corrupt(rng, data[at:end]) + data[end:]
    return data


def _nested(rng: random.Random, data: bytes) -> bytes:
    inner = _added(b"", "inner.dcm", b"x")
    return _added(data, rng.choice(("inner.zip", "inner.dcm", "a/b.ZIP")), inner)


def _only_nested(rng: random.Random, data: bytes) -> bytes:
    return zipped({"inner.zip": data}, zipfile.ZIP_STORED)


def _bomb(rng: random.Random, data: bytes) -> bytes:
    """Zeros of 80 MiB, as such or as what no header should have."""
    start = rng.choice((b"", bytes(128) + b"DICM", next(iter(named_files().values()))))
    method = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    return _added(data, "bomb.dcm", start + bytes(80 * 2**20), method)


def _many(rng: random.Random, data: bytes) -> bytes:
    stream = BytesIO(data)
    try:
        with zipfile.ZipFile(stream, "a") as archive:
            for number in range(2000):
                archive.writestr(zipfile.ZipInfo(f"n/{number}"), b"")
    except Exception:  # as above
        return data
    return stream.getvalue()


def _before(rng: random.Random, data: bytes) -> bytes:
    return rng.choice((b"MZ", rng.randbytes(200), data[:500])) + data


def _behind(rng: random.Random, data: bytes) -> bytes:
    return data + rng.choice((b"\0", rng.randbytes(200), data[-22:], data))


def _anywhere(rng: random.Random, data: bytes) -> bytes:
    return rng.choice(corruption.ALL)(rng, data)


def _directory(rng: random.Random, data: bytes) -> bytes:
    at = data.find(CENTRAL)
    return data[:at] + rng.choice(corruption.ALL)(rng, data[at:]) if at > 0 else data


Change = Callable[[random.Random, bytes], bytes]
CHANGES: tuple[Change, ...] = (
    _hostile_names, _hostile_names, _hostile_names, _renamed, _fields, _fields, _fields, _encrypted,
    _overlapping, _damaged_member, _damaged_member, _damaged_member, _nested, _only_nested, _bomb,
    _many, _before, _behind, _anywhere, _anywhere, _directory, _directory,
)  # fmt: skip
