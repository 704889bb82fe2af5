"""Files of a case on disk, by the name of the cohort's layout.

Numerical code is imported where a case is made, in a worker process: the process that only
distributes work starts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bolus.errors import UsageError
from bolus.simulate.priors import CASES, case_seed, clinical_case


@dataclass(frozen=True)
class Layout:
    """How one case of a cohort is made and where it is stored."""

    names: Callable[[int], tuple[str, ...]]
    """Number of a case to the names of its folders; the last one appears last."""
    write: Callable[[Path, int, int, int], None]
    """Makes a case in a folder, under its names, from cohort's seed, number and matrix."""
    most_cases: int
    matrices: range | None = None
    """Rows and columns that can be chosen; None where each case has its own."""
    usual_matrix: int = 0


def _case_names(number: int) -> tuple[str, ...]:
    return (f"case-{number:05d}",)


def _write_nifti(folder: Path, seed: int, number: int, matrix: int) -> None:
    _write_clinical(folder, seed, number, "exam.nii.gz")


def _write_dicom(folder: Path, seed: int, number: int, matrix: int) -> None:
    _write_clinical(folder, seed, number, "exam")


def _write_clinical(folder: Path, seed: int, number: int, exam_name: str) -> None:
    from bolus.simulate.case import scan, write_case

    own_seed = case_seed(seed, number)
    exam, truth = scan(own_seed, clinical_case(own_seed))
    write_case(exam, truth, folder / _case_names(number)[0], exam_name)


def _patient_names(number: int) -> tuple[str, ...]:
    """As the UniToBrain data set is distributed; the maps last: where these exist, all do."""
    patient = f"MOL-{number:03d}"
    filtered = f"{patient}_Registered_Filtered_3mm_20HU"
    return f"{patient}_Truth", patient, f"{patient}_Registered", filtered, f"{filtered}_Maps"


def _write_patient(folder: Path, seed: int, number: int, matrix: int) -> None:
    from bolus.simulate.unitobrain import Folders, write_patient

    folders = Folders(*(folder / name for name in _patient_names(number)))
    write_patient(folders, case_seed(seed, number), matrix)


LAYOUTS = {
    "nifti": Layout(_case_names, _write_nifti, CASES),
    "dicom": Layout(_case_names, _write_dicom, CASES),
    "unitobrain": Layout(
        _patient_names,
        _write_patient,
        most_cases=1000,
        matrices=range(64, 1025, 16),
        usual_matrix=512,
    ),
}


def layout_for(name: str, cases: int, matrix: int | None) -> tuple[Layout, int]:
    """The layout, and the matrix to use; 0 where each case has its own.

    Raises
    ------
    UsageError
        There is no such layout, or it can't hold that many cases or this matrix.
    """
    if name not in LAYOUTS:
        raise UsageError(f"no layout '{name}'; choose from {', '.join(LAYOUTS)}")
    layout = LAYOUTS[name]
    if not 1 <= cases <= layout.most_cases:
        raise UsageError(f"--cases is {cases}; layout {name} takes 1 to {layout.most_cases}")
    if matrix is None:
        return layout, layout.usual_matrix
    if layout.matrices is None:
        raise UsageError(
            f"--matrix is for layout unitobrain only; in layout {name} each case has its own"
        )
    if matrix not in layout.matrices:
        raise UsageError(
            f"--matrix is {matrix}; give {layout.matrices[0]} to {layout.matrices[-1]} in steps of "
            f"{layout.matrices.step}"
        )
    return layout, matrix
