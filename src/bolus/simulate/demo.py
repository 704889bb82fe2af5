"""The built-in exam on disk: DICOM, and the truth beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from bolus.errors import OutputError
from bolus.simulate.dicom import write_dicom
from bolus.simulate.exam import simulate_exam
from bolus.simulate.truth import write_truth

EXAM = "exam.zip"
TRUTH = "truth"
RESULTS = "results"


def write_demo(folder: Path) -> Path:
    """Write the built-in exam as ``exam.zip`` and its truth as ``truth/``; same bytes every time.

    Parameters
    ----------
    folder : made if absent; may hold a former demo, which is replaced.

    Returns
    -------
    Path
        The exam.

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
    return folder / EXAM
