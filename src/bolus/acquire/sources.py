"""All files below a path as named byte streams: a folder, a zip, a tar, or one file.

Names are shown to the user and never used as paths: nothing is ever extracted to disk.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from bolus.acquire.archives import (
    is_archive_name,
    is_packed_name,
    read_tar,
    tar_kind,
)
from bolus.acquire.budget import Budget, unpacked_limit
from bolus.acquire.odd_files import odd_findings, odd_reasons
from bolus.acquire.other_formats import HEAD_BYTES, other_format
from bolus.acquire.own_results import SUMMARY, is_result_folder, is_summary
from bolus.acquire.read_errors import READ_ERRORS
from bolus.acquire.source import Opener, Source, is_nifti_name, looks_like_dicom
from bolus.acquire.walk import DEEP, MAX_DEPTH, walk
from bolus.errors import DamagedFile, NoReadableFiles
from bolus.files.regular_file import open_regular
from bolus.plain_text import printable, short
from bolus.types import Finding

CLUTTER = frozenset({".ds_store", "thumbs.db", "desktop.ini", "dicomdir", "lockfile", "version"})
CLUTTER_SUFFIXES = frozenset(
    {".txt", ".csv", ".xml", ".html", ".htm", ".pdf", ".md", ".exe", ".inf", ".log", ".json"}
    | {".jpg", ".jpeg", ".png", ".gif", ".bmp"}
)
JSON = ".json"
"""Clutter among DICOM files, but it belongs to the NIfTI file of its name."""
DIRECTORY = b"1.2.840.10008.1.3.10"
"""Class of a DICOMDIR, which lists the files of a CD and is not an image."""
DIRECTORY_HEAD_BYTES = 1024
MAX_FILES = 100_000
"""A thin-slice perfusion study has about 10,000 images; no exam has ten times that."""


@dataclass(frozen=True)
class Files:
    """All files of an exam, sorted by name, and the irregularities found."""

    sources: tuple[Source, ...]
    odd: Mapping[str, list[str]] = field(default_factory=dict)
    """Names of files that can't be used, by the code of their finding."""
    jsons: Mapping[str, Source] = field(default_factory=dict)
    """The JSON files by their names; they are no sources."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """How many files can't be used, and why."""
        return odd_findings(self.odd)


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """List the files below ``path``, readable as long as the context lives.

    Raises
    ------
    NoReadableFiles
        If there is no such path, it is empty, or access is denied.
    DamagedFile
        If a zip is damaged, encrypted or a decompression bomb.
    """
    try:
        kind = path.stat().st_mode
    except PermissionError as error:
        raise NoReadableFiles(f"{path}: access is denied ({error.strerror}).") from error
    except (OSError, ValueError) as error:  # names that are too long, or hold a NUL
        raise NoReadableFiles(
            f"{path}: there is no such file or folder; check the spelling."
        ) from error
    if stat.S_ISDIR(kind):
        files = _folder(path)
        only = _only_archive(files, path)
        if only is None:
            yield _checked(files, path)
            return
        path = only
    try:
        stream = open_regular(path)
    except OSError as error:
        raise NoReadableFiles(f"{path}: can't be read ({error.strerror}).") from error
    with stream:
        if zipfile.is_zipfile(stream) or path.suffix.lower() == ".zip":
            with _open_zip(stream, path) as archive:
                yield _checked(_members(archive, path), path)
            return
        if kind_of_tar := _tar_kind(stream, path):
            yield _checked(_of_tar(path, kind_of_tar, stream), path)
            return
        size = os.fstat(stream.fileno()).st_size
        is_directory = _is_directory(stream)
    if is_directory:
        folder = path.absolute().parent
        yield _checked(_folder(folder), folder)
        return
    yield _checked(_on_disk([(printable(path.name), path, size)], [], {}), path)


def _is_directory(stream: BinaryIO) -> bool:
    """Whether a file is the index of a CD: its images lie beside and below it."""
    head = stream.read(DIRECTORY_HEAD_BYTES)
    return head[128:132] == b"DICM" and DIRECTORY in head


def _only_archive(files: Files, folder: Path) -> Path | None:
    """The archive that is all a folder holds, as exports are often sent."""
    nested = files.odd.get("nested-zip", [])
    if files.sources or len(nested) != 1:
        return None
    path = folder / nested[0]
    try:
        with open_regular(path) as stream:  # names that can't be printed were changed
            return path if zipfile.is_zipfile(stream) or _tar_kind(stream, path) else None
    except OSError:
        return None


def _tar_kind(stream: BinaryIO, path: Path) -> str:
    stream.seek(0)
    return tar_kind(stream, path.name)


def _checked(files: Files, path: Path) -> Files:
    if not files.sources:
        raise NoReadableFiles(
            f"{path}: is empty, or holds no file that could be an image.{odd_reasons(files.odd)}"
        )
    if len(files.sources) > MAX_FILES:
        raise NoReadableFiles(f"{path}: holds over {MAX_FILES} files; name the folder of one exam.")
    _refuse_other_formats(files)
    return files


def _refuse_other_formats(files: Files) -> None:
    """Say what to do with a file of another format, where there is nothing else."""
    if any(is_nifti_name(source.name) for source in files.sources):
        return
    first = ""
    for source in files.sources:
        try:
            with source.open() as stream:
                head = stream.read(HEAD_BYTES)
        except (*READ_ERRORS, DamagedFile):
            return  # told when the exam is read
        if looks_like_dicom(head):
            return
        what = other_format(head)
        first = first or (what and f"{source.name}: {what}")
    if first:
        raise NoReadableFiles(first)


def _folder(root: Path) -> Files:
    """Every regular file below ``root``."""
    found: list[tuple[str, Path, int]] = []
    jsons: list[tuple[str, Path, int]] = []
    odd: dict[str, list[str]] = {}
    for number, (folder, names) in enumerate(walk(root, is_result_folder)):
        if number > MAX_FILES:
            raise NoReadableFiles(
                f"{root}: holds over {MAX_FILES} folders; name the folder of one exam."
            )
        inside = folder.relative_to(root)
        if isinstance(names, str):
            odd.setdefault(names, []).append(printable(inside.as_posix()))
            continue
        for name in names:
            shown = printable((inside / name).as_posix())
            why_not, size = _look(folder / name)
            if name.lower().endswith(JSON):
                jsons.append((shown, folder / name, size))
            if why_not:
                odd.setdefault(why_not, []).append(shown)
            elif not _is_clutter(name) or _is_dicom(_disk_opener(folder / name)):
                found.append((shown, folder / name, size))
        if len(found) > MAX_FILES:
            break
    return _on_disk(found, jsons, odd)


def _on_disk(
    found: list[tuple[str, Path, int]],
    jsons: list[tuple[str, Path, int]],
    odd: Mapping[str, list[str]],
) -> Files:
    """Files by their names, paths and sizes, as sources sorted by name."""
    return _files(
        [(name, size, _disk_opener(path)) for name, path, size in found],
        [(name, size, _disk_opener(path)) for name, path, size in jsons],
        odd,
        sum(size for _, _, size in found),
    )


def _files(
    found: list[tuple[str, int, Opener]],
    jsons: list[tuple[str, int, Opener]],
    odd: Mapping[str, list[str]],
    packed_bytes: int,
    *,
    archive: bool = False,
) -> Files:
    """Files by their names, sizes and how to open them, as sources sorted by name."""
    budget = Budget(packed_bytes, len(found))
    sources = [
        Source(name, size, opener, budget, archive)
        for name, (_, size, opener) in zip(_distinct([n for n, _, _ in found]), found, strict=True)
    ]
    beside = {name: Source(name, size, opener, budget, archive) for name, size, opener in jsons}
    return Files(tuple(sorted(sources, key=lambda s: s.name)), odd, beside)


def _disk_opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: open_regular(path)


def _distinct(names: list[str]) -> list[str]:
    """Names made unique where a zip has one twice, or unprintable characters made them equal."""
    taken = set(names)
    count: dict[str, int] = {}
    unique = []
    for name in names:
        count[name] = count.get(name, 0) + 1
        new = name
        while count[name] > 1 and new in taken:
            new = f"{name} ({count[name]})"
            count[name] += new in taken
        taken.add(new)
        unique.append(new)
    return unique


def _look(path: Path) -> tuple[str, int]:
    """Finding code for a folder's entry that can't be used ("" for a usable one), and its size."""
    try:
        status = path.stat()
    except OSError:
        return "dangling-link", 0
    if not stat.S_ISREG(status.st_mode):
        return "not-a-file", 0
    return "nested-zip" if is_archive_name(path.name) else "", status.st_size


def _open_zip(stream: BinaryIO, path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except READ_ERRORS as error:
        raise DamagedFile(
            f"{path}: is not a readable zip ({error}); it may have been cut off: copy it again."
        ) from error


def _members(archive: zipfile.ZipFile, path: Path) -> Files:
    infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
    packed = path.stat().st_size
    _refuse_bomb(infos, packed, path)
    for info in infos:
        if info.flag_bits & 1:
            shown = printable(str(_member(info.filename)))
            raise DamagedFile(f"{path}: {shown} is encrypted; unpack it with its password first.")
    listed = [(info.filename, info.file_size, _opener(archive, info)) for info in infos]
    return _of_archive(listed, packed, {})


def _of_tar(path: Path, kind: str, stream: BinaryIO) -> Files:
    found = read_tar(path, kind, stream, MAX_FILES)
    odd = {"not-a-file": [printable(name) for name in found.not_files]} if found.not_files else {}
    listed = [(member.name, member.size, member.open) for member in found.members]
    return _of_archive(listed, path.stat().st_size, odd)


def _of_archive(
    listed: list[tuple[str, int, Opener]], packed: int, odd: dict[str, list[str]]
) -> Files:
    """Members of an archive by their names there, sizes and how to open them."""
    found: list[tuple[str, int, Opener]] = []
    jsons: list[tuple[str, int, Opener]] = []
    summaries = [(name, opener) for name, _, opener in listed if _member(name).name == SUMMARY]
    results = {_member(name).parent for name, opener in summaries if is_summary(opener)}
    for name, size, opener in listed:
        member = _member(name)
        shown = printable(str(member))
        if len(member.parts) > MAX_DEPTH:
            odd.setdefault(DEEP, []).append(short(shown))
            continue
        if results and results.intersection(member.parents):
            continue
        if _is_unsafe(member):
            odd.setdefault("unsafe-name", []).append(shown)
            continue
        if member.suffix.lower() == JSON:
            jsons.append((shown, size, opener))
        if is_archive_name(member.name):
            odd.setdefault("nested-zip", []).append(shown)
        elif not _is_clutter(member.name) or _is_dicom(opener):
            found.append((shown, size, opener))
    return _files(found, jsons, odd, packed, archive=True)


def _member(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _is_unsafe(member: PurePosixPath) -> bool:
    """Whether a member's name leads out of the zip, or is empty."""
    return (
        not member.parts or member.is_absolute() or ".." in member.parts or ":" in member.parts[0]
    )


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    return lambda: archive.open(info)  # type: ignore[return-value]


def _refuse_bomb(infos: list[zipfile.ZipInfo], packed: int, path: Path) -> None:
    """By the sizes that the directory gives; `zipfile` reads no more of a member than that."""
    unpacked = sum(info.file_size for info in infos)
    if unpacked > unpacked_limit(packed) or len(infos) > MAX_FILES:
        raise DamagedFile(
            f"{path}: {len(infos)} files would unpack from {packed / 2**20:.1f} to "
            f"{unpacked / 2**20:.0f} MiB, which no CT exam does; refused as a zip bomb."
        )


def _is_clutter(name: str) -> bool:
    lower = name.lower()
    if is_packed_name(lower):
        lower = lower.removesuffix(".gz")
    return lower in CLUTTER or lower.startswith("._") or Path(lower).suffix in CLUTTER_SUFFIXES


def _is_dicom(open_file: Callable[[], BinaryIO]) -> bool:
    """Whether a file named like clutter is an image nevertheless."""
    try:
        with open_file() as stream:
            return looks_like_dicom(stream.read(132))
    except READ_ERRORS:
        return False
