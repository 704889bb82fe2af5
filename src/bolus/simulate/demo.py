"""The built-in exam on disk: DICOM, and the truth next to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bolus.errors import OutputError
from bolus.simulate.case import TRUTH, appearing, part_name, write_case
from bolus.simulate.exam import simulate_exam

EXAM = "exam.zip"
NAMES = (TRUTH, EXAM)
RESULTS = "results"


@dataclass(frozen=True)
class Demo:
    """Location of the exam, and its true volumes."""

    exam: Path
    core_ml: float
    hypoperfused_ml: float


def write_demo(folder: Path) -> Demo:
    """Write the built-in exam as ``exam.zip`` and its truth as ``truth/``; same bytes every time.

    Parameters
    ----------
    folder : created if absent; may hold a previous demo, which is replaced.

    Raises
    ------
    OutputError
        The folder holds anything else, or can't be written.
    UsageError
        The brain atlas isn't installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hidden = part_name(NAMES)
        strangers = {p.name for p in folder.iterdir()} - {*NAMES, RESULTS, hidden}
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {error.strerror}") from error
    if strangers:
        raise OutputError(
            f"{folder} holds other things ({min(strangers)}); give the demo a new folder"
        )
    exam, truth = simulate_exam()
    with appearing(folder, NAMES) as part:
        write_case(exam, truth, part, EXAM)
    return Demo(folder / EXAM, truth.core_ml, truth.hypo_ml)
