"""One simulated case on disk: an exam as written by a scanner, and its ground truth."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from bolus.errors import OutputError
from bolus.simulate.dicom import write_dicom
from bolus.simulate.exam import simulate_exam
from bolus.simulate.nifti import whole_microseconds, write_exam
from bolus.simulate.recipe import Recipe
from bolus.simulate.truth import Truth, write_truth
from bolus.types import Exam

TRUTH = "truth"


def scan(seed: int, recipe: Recipe) -> tuple[Exam, Truth]:
    """`simulate_exam` in the units in which scanners store: whole HU, whole microseconds.

    Raises
    ------
    UsageError
        The brain atlas isn't installed.
    """
    exam, truth = simulate_exam(seed, recipe)
    np.rint(exam.frames, out=exam.frames)
    return replace(exam, times_s=whole_microseconds(exam.times_s)), truth


def write_case(exam: Exam, truth: Truth, folder: Path, exam_name: str) -> None:
    """Write the exam under its name and the truth as ``truth/`` next to it.

    Parameters
    ----------
    exam_name : ``*.nii.gz`` for NIfTI, ``*.zip`` for an archive of DICOM files, anything else for
        a folder of them.

    Raises
    ------
    OutputError
        ``folder`` can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if exam_name.endswith(".nii.gz"):
            write_exam(exam, folder / exam_name)
        else:
            write_dicom(exam, folder / exam_name)
    except OSError as error:
        raise OutputError(f"{folder}: the exam can't be written ({error.strerror}).") from error
    write_truth(truth, folder / TRUTH)


@contextmanager
def appearing(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Give a hidden folder whose entries ``names`` move to ``folder`` if all goes well.

    Each entry appears completely; if the last one exists, all do.  Existing entries are replaced.

    Raises
    ------
    OutputError
        ``folder`` can't be written.
    """
    part = folder / part_name(names)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            yield part
            remove(folder, names)
            for name in names:
                (part / name).rename(folder / name)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {error.strerror}.") from error


def part_name(names: Sequence[str]) -> str:
    """Name of the hidden folder in which these wait until they are complete."""
    return f".{names[-1]}.part"


def remove(folder: Path, names: Sequence[str]) -> None:
    """Remove these files and folders, the last one first, where they are."""
    for path in (folder / name for name in reversed(names)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
