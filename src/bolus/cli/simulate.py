"""``bolus simulate``: a cohort of exams with known truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

LayoutName = Literal["nifti", "dicom", "unitobrain"]


def simulate(
    cohort: Path,
    *,
    cases: Annotated[int, Parameter(name=["--cases", "-n"])],
    seed: int,
    layout: LayoutName = "nifti",
    matrix: int | None = None,
    workers: int | None = None,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Create a cohort of simulated exams with ground truth, for training and testing.

    Heads, lesions, boluses, protocols, motion and noise vary as in clinical practice.  The same
    seed gives the same files.  An interrupted cohort is continued, and a complete one can be
    extended to more cases.

    Parameters
    ----------
    cohort
        Folder for the cohort; new, or one that holds part of the same cohort.
    cases
        Total number of exams in the cohort.
    seed
        Random seed; cohorts with different seeds share no exam.
    layout
        "nifti": exam.nii.gz, exam.json and truth/ in a folder per case; "dicom": the exam as
        DICOM files; "unitobrain": sibling folders as that data set is distributed, with
        registered and filtered frames and maps by nlr.
    matrix
        Rows and columns, for layout unitobrain only (512 by default).
    workers
        Processes, one per core by default; each holds one exam in memory.
    quiet
        Print nothing but errors.
    """
    from bolus.simulate.cohort import simulate_cohort
    from bolus.terminal import stage_printer

    try:
        with stage_printer(quiet) as progress:
            made = simulate_cohort(
                cohort, cases, seed, layout, matrix=matrix, workers=workers, progress=progress
            )
    except KeyboardInterrupt:
        print(
            "bolus: interrupted; finished cases are kept, the same command continues with the next",
            file=sys.stderr,
        )
        raise SystemExit(130) from None
    if not quiet:
        print(f"{cases} cases in {cohort}, {made} of them new")
