"""Everything below a path as named byte streams: a folder, a zip, or one file.

Names are shown to the user and never used as paths: nothing is ever extracted to disk.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from bolus.acquire.results import SUMMARY, is_summary
from bolus.errors import DamagedFile, NoReadableFiles
from bolus.types import Finding, Grade

CLUTTER = frozenset({".ds_store", "thumbs.db", "desktop.ini", "dicomdir", "lockfile", "version"})
CLUTTER_SUFFIXES = frozenset(
    {".txt", ".csv", ".xml", ".html", ".htm", ".pdf", ".md", ".exe", ".inf", ".log", ".json"}
    | {".jpg", ".jpeg", ".png", ".gif", ".bmp"}
)
MAX_FILES = 100_000
"""A thin-slice perfusion study has some 10,000 images; ten times that is no exam."""
MAX_UNPACKED_BYTES = 64 * 2**30
MAX_RATIO = 100
"""A CT image shrinks by 2 to 4, one of air alone by some 50; only a bomb shrinks more."""
RATIO_FREE_BYTES = 64 * 2**20
"""Below this size a high ratio harms nobody."""


@dataclass(frozen=True)
class Source:
    """One file: its name inside the exam, its size in bytes and how to open it."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Files:
    """All files of an exam, sorted by name, and what was odd about the collection."""

    sources: tuple[Source, ...]
    odd: Mapping[str, list[str]] = field(default_factory=dict)
    """Names of files that can't be used, by the code of their finding."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """How many files can't be used; never their names, which can be those of patients."""
        return tuple(
            Finding(code, Grade.WARNING, f"{len(names)} files {_WHAT[code][0]}.", _WHAT[code][1])
            for code, names in sorted(self.odd.items())
        )


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """List the files below ``path``, readable as long as the context lives.

    Raises
    ------
    NoReadableFiles
        If there is no such path, or nothing in it.
    DamagedFile
        If a zip is damaged, encrypted or a bomb.
    """
    try:
        if path.is_dir():
            yield _checked(_folder(path), path)
        elif not path.is_file():
            raise NoReadableFiles(f"{path}: there is no such file or folder; check the spelling.")
        elif zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
            with _open_zip(path) as archive:
                yield _checked(_members(archive, path), path)
        else:
            yield _checked(Files((_on_disk(path, path.name),)), path)
    except PermissionError as error:
        raise NoReadableFiles(f"{path}: may not be read ({error.strerror}).") from error


def _checked(files: Files, path: Path) -> Files:
    if not files.sources:
        reasons = "".join(
            f" {len(names)} files {_WHAT[code][0]}, the first is {names[0]}."
            for code, names in sorted(files.odd.items())
        )
        raise NoReadableFiles(
            f"{path}: is empty, or holds no file that could be an image.{reasons}"
        )
    if len(files.sources) > MAX_FILES:
        raise NoReadableFiles(f"{path}: holds over {MAX_FILES} files; name the folder of one exam.")
    return files


def _on_disk(path: Path, name: str) -> Source:
    return Source(name, path.stat().st_size, lambda: path.open("rb"))


def _folder(root: Path) -> Files:
    """Every regular file below ``root``; links are followed, but no folder is entered twice."""
    sources: list[Source] = []
    odd: dict[str, list[str]] = {}
    entered: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        identity = Path(folder).stat()
        if (identity.st_dev, identity.st_ino) in entered:
            subfolders.clear()
            continue
        entered.add((identity.st_dev, identity.st_ino))
        if _is_result(Path(folder), names):
            subfolders.clear()
            continue
        subfolders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            shown = _printable(path.relative_to(root).as_posix())
            why_not = _why_not(path, name)
            if why_not:
                odd.setdefault(why_not, []).append(shown)
            elif not _is_clutter(name):
                sources.append(_on_disk(path, shown))
        if len(sources) > MAX_FILES:
            break
    return Files(tuple(sorted(sources, key=lambda s: s.name)), odd)


def _is_result(folder: Path, names: Sequence[str]) -> bool:
    summary = folder / SUMMARY
    return SUMMARY in names and summary.is_file() and is_summary(lambda: summary.open("rb"))


def _why_not(path: Path, name: str) -> str:
    """Finding code for a folder's entry that can't be used; "" for a usable one."""
    try:
        status = path.stat()
    except OSError:
        return "dangling-link"
    if not stat.S_ISREG(status.st_mode):
        return "not-a-file"
    return "nested-zip" if name.lower().endswith(".zip") else ""


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DamagedFile(
            f"{path}: is not a readable zip ({error}); it was perhaps cut off: copy it again."
        ) from error


def _members(archive: zipfile.ZipFile, path: Path) -> Files:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    _refuse_bomb(infos, path)
    sources: list[Source] = []
    odd: dict[str, list[str]] = {}
    summaries = [info for info in infos if _member(info).name == SUMMARY]
    results = {_member(i).parent for i in summaries if is_summary(_opener(archive, i))}
    for info in infos:
        member = _member(info)
        shown = _printable(str(member))
        if results.intersection(member.parents):
            continue
        if info.flag_bits & 1:
            raise DamagedFile(f"{path}: {shown} is encrypted; unpack it with its password first.")
        if member.is_absolute() or ".." in member.parts or ":" in member.parts[0]:
            odd.setdefault("unsafe-name", []).append(shown)
        elif member.suffix.lower() == ".zip":
            odd.setdefault("nested-zip", []).append(shown)
        elif not _is_clutter(member.name) and "__MACOSX" not in member.parts:
            sources.append(Source(shown, info.file_size, _opener(archive, info)))
    return Files(tuple(sorted(sources, key=lambda s: s.name)), odd)


def _member(info: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(info.filename.replace("\\", "/"))


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    return lambda: archive.open(info)  # type: ignore[return-value]


def _refuse_bomb(infos: list[zipfile.ZipInfo], path: Path) -> None:
    unpacked = sum(info.file_size for info in infos)
    packed = max(1, sum(info.compress_size for info in infos))
    if (
        unpacked > MAX_UNPACKED_BYTES
        or (unpacked > RATIO_FREE_BYTES and unpacked > MAX_RATIO * packed)
        or len(infos) > MAX_FILES
    ):
        raise DamagedFile(
            f"{path}: {len(infos)} files would unpack from {packed / 2**20:.1f} to "
            f"{unpacked / 2**20:.0f} MiB, which no CT exam does; refused as a zip bomb."
        )


def _is_clutter(name: str) -> bool:
    lower = name.lower()
    return lower in CLUTTER or lower.startswith("._") or Path(lower).suffix in CLUTTER_SUFFIXES


def _printable(name: str) -> str:
    """The name without control characters or undecodable bytes, fit for any terminal."""
    return "".join(c if c.isprintable() else "?" for c in name)


_WHAT = {
    "dangling-link": ("are links to nothing", "Copy the files themselves."),
    "not-a-file": ("are not regular files", ""),
    "nested-zip": ("are zips inside the exam and were not opened", "Unpack them first."),
    "unsafe-name": ("have names that point outside the zip and were not read", "Zip it again."),
}
