"""Cohorts of `bolus simulate`, and exams of `bolus demo`: a folder per case with exam and truth.

::

    COHORT/case-00012/exam.nii.gz, exam.json    or exam/*.dcm, or exam.zip
    COHORT/case-00012/truth/cbf.nii.gz ...      see bolus.simulate.truth.write_truth
"""

from __future__ import annotations

from pathlib import Path

from bolus.dataset.case import FoundCase, entries
from bolus.dataset.index import MAP_NAMES
from bolus.types import Finding, Grade

EXAMS = ("exam.nii.gz", "exam.nii", "exam.zip", "exam")
LOOKED_FOR = "CASE/exam.nii.gz (or exam/, exam.zip) with CASE/truth/truth.json (bolus simulate)"


def find(root: Path) -> list[FoundCase]:
    """Cases of a cohort; none if it isn't one."""
    folders = [folder for folder in entries(root) if folder.is_dir() and exam_of(folder)]
    if not any(_truth_of(folder) for folder in folders):
        return []
    return [_case(folder) for folder in folders]


def exam_of(folder: Path) -> Path | None:
    """The exam in the folder of a case."""
    return next((folder / name for name in EXAMS if (folder / name).exists()), None)


def _truth_of(folder: Path) -> Path | None:
    truth = folder / "truth"
    return truth if (truth / "truth.json").is_file() else None


def _case(folder: Path) -> FoundCase:
    exam, truth = exam_of(folder), _truth_of(folder)
    assert exam is not None
    missing = Finding("truth-missing", Grade.FAIL, "This exam has no ground truth.")
    return FoundCase(
        name=folder.name,
        patient=folder.name,
        exam=exam,
        maps=true_maps(truth) if truth else {},
        truth=truth,
        findings=() if truth else (missing,),
        needs_maps=False,
    )


def true_maps(truth: Path) -> dict[str, Path]:
    """The maps in a folder of truth."""
    paths = {name: truth / f"{name}.nii.gz" for name in MAP_NAMES}
    return {name: path for name, path in paths.items() if path.is_file()}
