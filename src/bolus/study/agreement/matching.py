"""Which file of one side belongs to which of the other: two files, two folders, two results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bolus.acquire.own_results import is_result_folder
from bolus.errors import NoReadableFiles, UsageError
from bolus.types import MAP_UNITS

ENDINGS = (".nii.gz", ".nii")
RESULT_FILES = ("lesion", *MAP_UNITS)
"""Of a method's folder; standard errors and differences are not compared."""
NAMED = 5
"""Maximum number of files named in a message."""


@dataclass(frozen=True)
class Match:
    """Two files that are compared."""

    name: str
    """Of the pair: its path without ending, "case-1/nlr/lesion"."""
    group: str
    """Group in the tables, "nlr/lesion"."""
    first: Path
    second: Path


def matches(first: Path, second: Path) -> tuple[Match, ...]:
    """Pair the files of two sides by name.

    Parameters
    ----------
    first, second : two NIfTI files; or two folders, of results of `bolus run` or of NIfTI files in
        the same layout.

    Raises
    ------
    NoReadableFiles
        A side is missing or holds no NIfTI file.
    UsageError
        One side is a file and the other a folder, or files have no partner.
    """
    for side in (first, second):
        if not side.exists():
            raise NoReadableFiles(f"{side} is missing; give NIfTI files or folders of them")
    if first.is_file() and second.is_file():
        return (Match(_stem(Path(first.name)), "files", first, second),)
    if first.is_file() or second.is_file():
        raise UsageError(
            f"{first} and {second} are a file and a folder; give two files or two folders"
        )
    if is_result_folder(first) and is_result_folder(second):
        return _of_results(first, second)
    return _of_folders(first, second)


def brain_of(path: Path) -> Path | None:
    """The brain mask of the result of `bolus run` that a file is part of, if there is one."""
    result = _result_of(path)
    brain = None if result is None else result / "brain.nii.gz"
    return brain if brain is not None and brain.is_file() else None


def _of_results(first: Path, second: Path) -> tuple[Match, ...]:
    """Methods by name; a single method of each side needs no common name."""
    ones, twos = _methods(first), _methods(second)
    shared = [(name, name) for name in ones if name in twos]
    if not shared and len(ones) == len(twos) == 1:
        shared = [(ones[0], twos[0])]
    if not shared:
        raise UsageError(
            f"{first} has {', '.join(ones) or 'no method'} and {second} has "
            f"{', '.join(twos) or 'no method'}; run a method on both"
        )
    found = []
    for one, two in shared:
        name = one if one == two else f"{two} against {one}"
        for key in RESULT_FILES:
            paths = [side / m / f"{key}.nii.gz" for side, m in ((first, one), (second, two))]
            missing = [path for path in paths if not path.is_file()]
            if missing:
                raise NoReadableFiles(f"{missing[0]} is missing; run these exams again")
            found.append(Match(f"{name}/{key}", f"{name}/{key}", *paths))
    return tuple(found)


def _methods(folder: Path) -> list[str]:
    return sorted(
        path.name
        for path in folder.iterdir()
        if (path / "cbf.nii.gz").is_file() and (path / "lesion.nii.gz").is_file()
    )


def _of_folders(first: Path, second: Path) -> tuple[Match, ...]:
    ones, twos = _files(first), _files(second)
    for side, files in ((first, ones), (second, twos)):
        if not files:
            raise NoReadableFiles(f"{side} holds no NIfTI files (*.nii, *.nii.gz)")
    alone = [f"{first / _named(ones, n)}" for n in ones if n not in twos]
    alone += [f"{second / _named(twos, n)}" for n in twos if n not in ones]
    if alone:
        more = f" and {len(alone) - NAMED} more" if len(alone) > NAMED else ""
        raise UsageError(
            f"no partner on the other side for {', '.join(alone[:NAMED])}{more}; give two folders "
            "with files of the same names"
        )
    return tuple(Match(name, _group(name), ones[name], twos[name]) for name in sorted(ones))


def _files(folder: Path) -> dict[str, Path]:
    """NIfTI files below a folder by path without ending; of results, maps and lesions only."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.endswith(ENDINGS) and not _is_aside(path, folder):
            found[_stem(path.relative_to(folder))] = path
    return found


def _is_aside(path: Path, top: Path) -> bool:
    """Hidden files, and files of a result other than maps and lesions."""
    if any(part.startswith(".") for part in path.relative_to(top).parts):
        return True
    result = _result_of(path)
    if result is None:
        return False
    inside = path.relative_to(result)
    return (
        len(inside.parts) != 2
        or inside.parts[0] not in _methods(result)
        or _stem(Path(inside.name)) not in RESULT_FILES
    )


def _result_of(path: Path) -> Path | None:
    """The result that a file lies in, at most two folders deep (``outlines/RATER``)."""
    return next((folder for folder in list(path.parents)[:3] if is_result_folder(folder)), None)


def _stem(path: Path) -> str:
    text = path.as_posix()
    return next((text[: -len(e)] for e in ENDINGS if text.endswith(e)), text)


def _named(files: dict[str, Path], name: str) -> str:
    ending = next(e for e in ENDINGS if files[name].name.endswith(e))
    return f"{name}{ending}"


def _group(name: str) -> str:
    """Cases in folders are grouped by their file names; files in one folder are one group."""
    parts = name.split("/")
    if len(parts) == 1:
        return "all"
    return "/".join(parts[1:])
