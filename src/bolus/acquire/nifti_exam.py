"""The NIfTI files that an exam is made of, each with the JSON file of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bolus.acquire.sources import Source
from bolus.files.regular_file import open_regular
from bolus.types import Finding


@dataclass(frozen=True)
class NiftiFile:
    """One NIfTI file of an exam."""

    name: str
    """For messages."""
    open: Callable[[], BinaryIO]
    open_json: Callable[[], BinaryIO] | None
    """None where there is no JSON file."""

    @property
    def json_name(self) -> str:
        """``head.json`` for ``head.nii.gz``."""
        return json_name(self.name)


@dataclass(frozen=True)
class NiftiExam:
    """A file with a time course, or one file for each time point, in the order of their names."""

    files: tuple[NiftiFile, ...]
    findings: tuple[Finding, ...] = ()
    numbered: bool = True
    """Whether numbers in their names tell the order of several files."""

    @property
    def name(self) -> str:
        """Of the first file, for messages."""
        return self.files[0].name

    def __str__(self) -> str:
        """As `name`."""
        return self.name


def named_exam(path: Path) -> NiftiExam:
    """The exam of one NIfTI file on disk."""
    beside = path.with_name(json_name(path.name))
    return NiftiExam(
        (NiftiFile(path.name, lambda: open_regular(path), lambda: open_regular(beside)),)
    )


def of_source(source: Source, jsons: Mapping[str, Source]) -> NiftiFile:
    """A file of a folder or an archive; ``jsons`` are its JSON files by their names."""
    beside = jsons.get(json_name(source.name))
    return NiftiFile(source.name, source.open, beside.open if beside else None)


def json_name(name: str) -> str:
    """``head.json`` for ``head.nii.gz``."""
    lower = name.lower()
    for ending in (".nii.gz", ".nii"):
        if lower.endswith(ending):
            return name[: -len(ending)] + ".json"
    return name + ".json"


def is_nifti_name(name: str) -> bool:
    """Whether the name of a file, with or without its folders, is that of a NIfTI file."""
    return name.lower().endswith((".nii", ".nii.gz"))


def is_nifti(path: Path) -> bool:
    """Whether the name is that of a NIfTI file."""
    return is_nifti_name(path.name)
