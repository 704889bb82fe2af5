"""The built-in exam on disk: DICOM, and the truth beside it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bolus.errors import OutputError
from bolus.simulate.dicom import write_dicom
from bolus.simulate.exam import simulate_exam
from bolus.simulate.truth import write_truth

EXAM = "exam.zip"
TRUTH = "truth"
RESULTS = "results"


@dataclass(frozen=True)
class Demo:
    """Where the exam is, and what is to be found in it."""

    exam: Path
    core_ml: float
    hypoperfused_ml: float


def write_demo(folder: Path) -> Demo:
    """Write the built-in exam as ``exam.zip`` and its truth as ``truth/``; same bytes every time.

    Parameters
    ----------
    folder : made if absent; may hold a former demo, which is replaced.

    Raises
    ------
    OutputError
        The folder holds anything else, or can't be written.
    UsageError
        The brain atlas isn't installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = {p.name for p in folder.iterdir()} - {EXAM, TRUTH, RESULTS}
        if strangers:
            raise OutputError(
                f"{folder} holds other things ({min(strangers)}); give the demo a new folder"
            )
        exam, truth = simulate_exam()
        part = folder / f".{EXAM}.part.zip"
        truth_part = folder / f".{TRUTH}.part"
        try:
            write_dicom(exam, part)
            write_truth(truth, truth_part)
            shutil.rmtree(folder / TRUTH, ignore_errors=True)
            truth_part.replace(folder / TRUTH)
            part.replace(folder / EXAM)
        finally:
            part.unlink(missing_ok=True)
            shutil.rmtree(truth_part, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {error.strerror}") from error
    return Demo(folder / EXAM, truth.core_ml, truth.hypo_ml)
