"""Archives and packed files as named byte streams; nothing is ever extracted to disk.

Members' names are shown and never used as paths; links and devices in a tar are not followed.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from bolus.acquire.budget import Budget, unpacked_limit
from bolus.acquire.memory import available_bytes
from bolus.acquire.read_errors import READ_ERRORS
from bolus.errors import BolusError, DamagedFile, TooLarge
from bolus.files.regular_file import open_regular

GZIP = b"\x1f\x8b"
TAR_AT, TAR = 257, b"ustar"
"""Where a tar since POSIX.1-1988 says what it is."""
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
ARCHIVE_ENDINGS = (".zip", *TAR_ENDINGS)
MOST_HEADER_BYTES = 2**20
"""Long names and the like in a tar; larger ones are damaged, or meant to exhaust memory."""
MEMORY_SHARE = 0.3
"""Of what is free may go to the unpacked files of a ``.tar.gz``: the frames come on top."""
MOST_FILE_BYTES = 2**30
"""Of a file that was gzipped on its own; one image has 0.5 MiB."""
CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Member:
    """A regular file in a tar."""

    name: str
    """As written in the archive."""
    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Tar:
    """The regular files of a tar, and the names of what is none."""

    members: tuple[Member, ...]
    not_files: tuple[str, ...]


def is_archive_name(name: str) -> bool:
    """Whether the name is that of an archive."""
    return name.lower().endswith(ARCHIVE_ENDINGS)


def is_packed_name(name: str) -> bool:
    """Whether the name is that of a file packed on its own; NIfTI files unpack themselves."""
    lower = name.lower()
    return lower.endswith(".gz") and not lower.endswith((".nii.gz", ".tar.gz"))


def tar_kind(stream: BinaryIO, name: str) -> str:
    """How to read a file as a tar: "tar", "tar.gz" or "" if it is none; the stream is rewound."""
    head = stream.read(TAR_AT + len(TAR))
    stream.seek(0)
    if head[TAR_AT:] == TAR:
        return "tar"
    lower = name.lower()
    if not head.startswith(GZIP):
        return "tar" if lower.endswith(".tar") else ""
    if lower.endswith((".nii.gz",)):
        return ""
    try:
        inner = gzip.GzipFile(fileobj=stream).read(TAR_AT + len(TAR))
    except (OSError, EOFError, zlib.error):
        inner = b""
    stream.seek(0)
    return "tar.gz" if inner[TAR_AT:] == TAR or lower.endswith((".tar.gz", ".tgz")) else ""


def read_tar(path: Path, kind: str, stream: BinaryIO, most_files: int) -> Tar:
    """The regular files of a tar.

    Those of a ``.tar`` are read where they lie; those of a ``.tar.gz``, which has no random access,
    are kept in memory.

    Raises
    ------
    DamagedFile
        It is cut off or damaged, or a decompression bomb.
    TooLarge
        It doesn't fit into memory.
    """
    packed = path.stat().st_size
    keep = kind == "tar.gz"
    unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if keep else stream
    most = unpacked_limit(packed) if keep else packed
    room = int(MEMORY_SHARE * available_bytes())
    members: list[Member] = []
    not_files: list[str] = []
    total = 0
    try:
        headers = _Headers(unpacked)
        for info in _entries(headers):
            if len(members) + len(not_files) >= most_files:
                raise DamagedFile(f"{path}: holds over {most_files} files; refused.")
            if info.isdir():
                continue
            if not info.isreg() or info.issparse():
                not_files.append(info.name)
                continue
            total += info.size
            if total > most or info.offset_data > most:
                raise DamagedFile(
                    f"{path}: would unpack from {packed / 2**20:.1f} to over {most / 2**20:.0f} "
                    "MiB, which no CT exam does; refused as damaged or a decompression bomb."
                )
            if keep and total > room:
                raise TooLarge(
                    f"{path}: unpacks to more than {room / 2**30:.1f} GiB, too much for the memory "
                    "of this computer; unpack it into a folder and name that."
                )
            opener = (
                _in_memory(_whole(unpacked, info))
                if keep
                else _part_opener(path, info.offset_data, info.size)
            )
            members.append(Member(info.name, info.size, opener))
        if keep:
            _to_the_end(unpacked, most)
    except BolusError:
        raise
    except (tarfile.TarError, *READ_ERRORS) as error:
        raise DamagedFile(
            f"{path}: is not a readable tar ({error}); it may have been cut off: copy it again."
        ) from error
    return Tar(tuple(members), tuple(not_files))


def _entries(headers: _Headers) -> Iterator[tarfile.TarInfo]:
    with tarfile.open(fileobj=cast(BinaryIO, headers), mode="r:", errorlevel=2) as archive:
        while (info := archive.next()) is not None:
            yield info
        # `next` ends as quietly at a damaged header as at the end
        if any(headers.last):
            raise tarfile.ReadError("a header is damaged")


class _Headers:
    """A stream from which no header reads more than a header has."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.last = b""
        """What was read last."""

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= MOST_HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        self.last = self._stream.read(count)
        return self.last

    def seek(self, place: int, whence: int = 0) -> int:
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _whole(stream: BinaryIO, info: tarfile.TarInfo) -> bytes:
    stream.seek(info.offset_data)
    content = bytearray()
    while len(content) < info.size:
        chunk = stream.read(min(CHUNK_BYTES, info.size - len(content)))
        if not chunk:
            raise EOFError("it ends within a file")
        content += chunk
    return bytes(content)


def _to_the_end(stream: BinaryIO, most: int) -> None:
    """The checksum of what was unpacked stands at its end."""
    while stream.read(CHUNK_BYTES):
        if stream.tell() > most + CHUNK_BYTES:
            raise tarfile.ReadError("it goes on after its end")


def _in_memory(content: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(content)


def _part_opener(path: Path, start: int, size: int) -> Callable[[], BinaryIO]:
    return lambda: cast(BinaryIO, io.BufferedReader(_Part(path, start, size)))


class _Part(io.RawIOBase):
    """A part of a file, as a file of its own."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__()
        self._file = open_regular(path)
        self._start, self._size, self._at = start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = 0) -> int:
        base = (0, self._at, self._size)[whence]
        self._at = max(0, base + place)
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        count = max(0, min(len(view), self._size - self._at))
        self._file.seek(self._start + self._at)
        content = self._file.read(count)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def unpacked(packed: BinaryIO, name: str, budget: Budget) -> BinaryIO:
    """A file that was gzipped on its own, unpacked in memory.

    Raises
    ------
    DamagedFile
        It is damaged, or cut off.
    BudgetSpent
        It unpacks to more than an exam's files do.
    """
    content = bytearray()
    try:
        with packed, gzip.GzipFile(fileobj=packed) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                budget.spend(len(chunk), name)
                content += chunk
                if len(content) > MOST_FILE_BYTES:
                    raise EOFError(f"it unpacks to more than {MOST_FILE_BYTES} bytes")
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedFile(
            f"{name}: its gzip data are damaged or cut off ({error}); copy the exam again."
        ) from error
    return io.BytesIO(content)
