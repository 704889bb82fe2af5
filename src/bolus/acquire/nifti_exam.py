"""The NIfTI files that an exam is made of, each with the JSON files that describe it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from bolus.acquire.bids_sidecar import read_sidecar
from bolus.acquire.source import Opener, Source, is_nifti_name
from bolus.files.regular_file import open_regular
from bolus.plain_text import printable
from bolus.types import Finding

SUBJECT_FOLDER = re.compile(r"sub-[A-Za-z0-9]+", re.IGNORECASE)
"""Of a BIDS tree."""
LETTERS = "letters in names, which dcm2niix gives in any order"
NUMBERS = "one of several numbers in names, which tell different orders"


@dataclass(frozen=True)
class NiftiFile:
    """One NIfTI file of an exam."""

    name: str
    """For messages."""
    open: Callable[[], BinaryIO]
    jsons: tuple[tuple[str, Callable[[], BinaryIO]], ...] = ()
    """Name and opener of each JSON file that describes it, the general ones first."""

    def fields(self) -> dict[str, Any]:
        """Of its JSON files; the specific ones override the general ones.

        Raises
        ------
        DamagedFile
            One of them is no JSON object.
        """
        found: dict[str, Any] = {}
        for name, open_json in self.jsons:
            found.update(read_sidecar(open_json, name))
        return found


@dataclass(frozen=True)
class NiftiExam:
    """A file with a time course, or one file for each time point, in the order of their names."""

    files: tuple[NiftiFile, ...]
    findings: tuple[Finding, ...] = ()
    order: str = ""
    """Why the order of several files is in doubt by their names: `LETTERS`, `NUMBERS` or not."""

    @property
    def name(self) -> str:
        """Of the first file, for messages."""
        return self.files[0].name

    def __str__(self) -> str:
        """As `name`."""
        return self.name


def named_exam(path: Path) -> NiftiExam:
    """The exam of one NIfTI file on disk."""
    # in its own folder without case, as Windows names files
    jsons = {**jsons_above(path.parent), **_of_folder(path.absolute().parent, "")}
    of_file = tuple((name, jsons[name]) for name in describing(path.name, jsons))
    return NiftiExam((NiftiFile(path.name, lambda: open_regular(path), of_file),))


def of_source(
    source: Source, jsons: Mapping[str, Source], above: Mapping[str, Opener]
) -> NiftiFile:
    """A file of a folder or an archive.

    Parameters
    ----------
    jsons
        Its JSON files by their names.
    above
        Those of the folders above it (see `jsons_above`).
    """
    openers = {**above, **{name: json.open for name, json in jsons.items()}}
    names = describing(source.name, openers)
    return NiftiFile(source.name, source.open, tuple((name, openers[name]) for name in names))


def jsons_above(folder: Path) -> dict[str, Opener]:
    """JSON files of the folders above one of a BIDS subject, up to that of all subjects."""
    folder = folder.absolute()
    # of "sub-01/ses-1/ct" those of "sub-01/ses-1", "sub-01" and what holds it
    subjects = [at for at, part in enumerate(folder.parts) if SUBJECT_FOLDER.fullmatch(part)]
    if not subjects:
        return {}
    found: dict[str, Opener] = {}
    for up, parent in enumerate(folder.parents[: len(folder.parts) - subjects[0]], 1):
        found.update(_of_folder(parent, "../" * up))
    return found


def _of_folder(folder: Path, before: str) -> dict[str, Opener]:
    try:
        with os.scandir(folder) as listing:
            names = sorted(e.name for e in listing if e.name.lower().endswith(".json"))
    except OSError:  # closed: nobody can tell what it holds
        return {}
    return {before + printable(name): partial(open_regular, folder / name) for name in names}


def describing(name: str, jsons: Collection[str]) -> list[str]:
    """Names of the JSON files that describe a NIfTI file, the most general ones first.

    By the inheritance principle of BIDS: in the file's folder or above it, with the same suffix
    and no entity that the file's name lacks; last the one of its own name, in any case.
    """
    folder, own = _split(json_name(name))
    beside = [other for other in jsons if _split(other) == (folder, own)]
    entities, suffix = _entities(own)
    general = []
    for other in jsons if entities else ():
        where, stem = _split(other)
        theirs, other_suffix = _entities(stem)
        up = _levels_up(where, folder)
        if other in beside or up is None or theirs is None or suffix != other_suffix:
            continue
        if entities is not None and theirs <= entities:
            general.append((-up, len(theirs), other))
    exact = sorted(beside, key=lambda other: (other != json_name(name), other))[:1]
    return [other for _, _, other in sorted(general)] + exact


def _split(name: str) -> tuple[str, str]:
    """Folder and stem of a JSON file; names without case, as Windows takes them."""
    folder, _, last = name.rpartition("/")
    return folder, last.lower().removesuffix(".json")


def _entities(stem: str) -> tuple[frozenset[str] | None, str]:
    """``sub-01`` and ``task-ctp`` of ``sub-01_task-ctp_ct``, and its suffix; None if others."""
    *parts, suffix = stem.split("_")
    return (None if any("-" not in part for part in parts) else frozenset(parts)), suffix


def _levels_up(where: str, folder: str) -> int | None:
    """How many levels one folder is above another; None if it isn't."""
    levels = folder.count("/") + 1 if folder else 0
    if where.startswith(".."):
        return levels + where.count("..")
    if where and where != folder and not folder.startswith(f"{where}/"):
        return None
    return levels - (where.count("/") + 1 if where else 0)


def json_name(name: str) -> str:
    """``head.json`` for ``head.nii.gz``."""
    lower = name.lower()
    for ending in (".nii.gz", ".nii"):
        if lower.endswith(ending):
            return name[: -len(ending)] + ".json"
    return name + ".json"


def is_nifti(path: Path) -> bool:
    """Whether the name is that of a NIfTI file."""
    return is_nifti_name(path.name)
