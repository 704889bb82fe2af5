"""What must be found in a data set before anybody learns from it, and the three verbs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App
from trees import (
    USUAL,
    dicom_exam,
    dicom_map,
    edit_dicom,
    geometry,
    nifti,
    nifti_exam,
    simulated_case,
    unitobrain_patient,
)

from bolus.cli.dataset import dataset
from bolus.dataset.check import Checked, check_index, plausibility
from bolus.dataset.layouts import index_folder
from bolus.errors import UsageError
from bolus.types import Grade

SMALL = {"frames": 8, "slices": 2}
OF_THE_EXAM = {"few-frames", "scan-short", "sampling-coarse", "frames-unusual", "no-air"}


def run(*words: object) -> int:
    """Exit code of `bolus dataset`."""
    app = App(name="bolus", result_action="return_value")
    app.command(dataset)
    try:
        app(["dataset", *map(str, words)], exit_on_error=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def codes(checked: Checked, name: str) -> set[str]:
    (case,) = [case for case in checked.cases if case.name == name]
    return {finding.code for finding in case.findings} - OF_THE_EXAM


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    for number in range(3):
        simulated_case(tmp_path / f"cohort/case-{number:05d}", seed=number)
    return tmp_path / "cohort"


def overwrite(cohort: Path, name: str, values: np.ndarray) -> None:
    nifti(cohort / f"case-00001/truth/{name}.nii.gz", values, geometry())


@pytest.mark.parametrize("deep", [False, True])
def test_good_data_pass(cohort: Path, deep: bool) -> None:
    checked = check_index(index_folder(cohort), deep=deep)
    assert checked.passed
    assert all(not codes(checked, case.name) for case in checked.cases)


@pytest.mark.parametrize(("name", "value"), USUAL.items())
def test_usual_values_are_plausible_and_wrong_units_are_not(name: str, value: float) -> None:
    def found(v: float) -> list[str]:
        return [f.code for f in plausibility(name, np.full((2, 8, 8), v, np.float32))]

    assert found(value) == []
    assert found(value * 1000) == ["map-implausible"]  # ms for s, ml/kg...
    assert found(0.0) == ["map-empty"]
    assert found(np.nan) == ["map-empty"]
    if name in ("cbf", "cbv"):
        assert found(value / 100) == ["map-implausible"]  # ml/ml for ml/100 g


def test_map_in_ms_makes_a_case_unusable(cohort: Path) -> None:
    overwrite(cohort, "mtt", np.full(geometry().shape, 6000.0, np.float32))
    checked = check_index(index_folder(cohort))
    assert not checked.passed
    assert codes(checked, "case-00001") == {"map-implausible"}
    assert [case.usable for case in checked.cases] == [True, False, True]


def test_exam_that_changed_since_it_was_indexed(cohort: Path) -> None:
    index = index_folder(cohort)
    nifti_exam(cohort / "case-00001/exam.nii.gz", seed=99)
    assert codes(check_index(index), "case-00001") == {"exam-changed"}
    (cohort / "case-00001/exam.nii.gz").unlink()
    assert codes(check_index(index), "case-00001") == {"exam-unreadable"}


def test_pixels_cut_off_late_in_the_exam_are_found_by_the_deep_check(cohort: Path) -> None:
    path = cohort / "case-00001/exam.nii.gz"
    path.write_bytes(path.read_bytes()[:-20_000])
    index = index_folder(cohort)
    assert check_index(index).passed
    assert codes(check_index(index, deep=True), "case-00001") == {"exam-unreadable"}


def test_truth_that_contradicts_itself(cohort: Path) -> None:
    overwrite(cohort, "valid", np.zeros(geometry().shape, np.uint8))
    assert codes(check_index(index_folder(cohort)), "case-00001") == {"truth-unusable"}


def test_map_damaged_after_indexing(cohort: Path) -> None:
    index = index_folder(cohort)
    (cohort / "case-00001/truth/cbf.nii.gz").write_bytes(b"")
    assert {"map-unusable", "truth-unusable"} == codes(check_index(index), "case-00001")


def test_copy_under_another_name_is_found_by_pixels(tmp_path: Path) -> None:
    """Other UIDs, other patient, other file names, one slice less: still the same exam."""
    unitobrain_patient(tmp_path, "MOL-002", seed=2, frames=8, slices=3)
    exam = tmp_path / "MOL-002_Registered_Filtered_3mm_20HU"
    copy = shutil.copytree(exam, tmp_path / exam.name.replace("002", "003"))
    shutil.copytree(f"{exam}_Maps", f"{copy}_Maps")
    for number, path in enumerate(sorted(copy.iterdir())):
        ids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "PatientID": "x"}
        edit_dicom(path, SOPInstanceUID=f"1.2.3.4.{number}", **ids)
        path.rename(copy / f"{number}.dcm")
    index = index_folder(tmp_path)
    checked = check_index(index)
    assert "duplicate" in codes(checked, "MOL-002")
    assert "duplicate" in codes(checked, "MOL-003")
    assert checked.passed  # a split keeps them together


def test_copy_in_another_encoding_is_found_by_the_deep_check(tmp_path: Path) -> None:
    """Whole HU stored with another intercept: other bytes, the same exam."""
    for patient in ("MOL-002", "MOL-003"):
        unitobrain_patient(tmp_path, patient, seed=2, **SMALL)
    exam = tmp_path / "MOL-003_Registered_Filtered_3mm_20HU"
    import pydicom

    for number, path in enumerate(sorted(exam.iterdir())):
        pixels = pydicom.dcmread(path).pixel_array + 100
        ids = {"StudyInstanceUID": "1.2.3", "SOPInstanceUID": f"1.2.3.{number}"}
        edit_dicom(path, PixelData=pixels.tobytes(), RescaleIntercept="-1124", **ids)
    index = index_folder(tmp_path)
    assert "duplicate" not in codes(check_index(index), "MOL-002")
    assert "duplicate" in codes(check_index(index, deep=True), "MOL-002")


def test_map_of_other_slices_makes_a_case_unusable(tmp_path: Path) -> None:
    unitobrain_patient(tmp_path, "MOL-002", seed=2, **SMALL)
    folder = tmp_path / "MOL-002_Registered_Filtered_3mm_20HU_Maps/NLR_MTT"
    shutil.rmtree(folder)
    dicom_map(folder, 6.0, [500.0, 505.0])
    assert codes(check_index(index_folder(tmp_path)), "MOL-002") == {"map-unusable"}


def test_verbs_from_index_to_leak_check(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, split = tmp_path / "index.json", tmp_path / "split.json"
    assert run("index", cohort, "-o", index, "-q") == 0
    assert run("split", index, "-o", split, "--test", 1, "--seed", 3) == 0
    assert "train 2, validation 0, test 1" in capsys.readouterr().out
    assert run("check", index, "--split", split, "-q") == 0
    assert "3 of 3 cases are usable" in capsys.readouterr().out
    assert run("check", index, "--json", "-q") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True
    assert [case["verdict"] for case in told["cases"]] == ["doubtful"] * 3  # short exams


def test_check_fails_for_an_unusable_case(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overwrite(cohort, "cbv", np.full(geometry().shape, 0.03, np.float32))
    index = tmp_path / "index.json"
    assert run("index", cohort, "-o", index) == 0
    assert "3 cases of 3 patients, 3 usable" in capsys.readouterr().out
    assert run("check", index, "-q") == 4
    out = capsys.readouterr().out
    assert "unusable" in out
    assert "The median of CBV is 0.03" in out


def test_check_fails_for_a_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        simulated_case(tmp_path / f"cohort/case-{number:05d}", seed=min(number, 1))
    index, split = tmp_path / "index.json", tmp_path / "split.json"
    assert run("index", tmp_path / "cohort", "-o", index, "-q") == 0
    assert run("split", index, "-o", split, "--test", 1) == 0
    sides = json.loads(split.read_text())["folds"][0]
    assert sides["test"] == ["case-00000"]  # the two others are one exam
    sides["test"], sides["train"] = ["case-00000", "case-00001"], ["case-00002"]
    fields = json.loads(split.read_text()) | {"folds": [sides]}
    split.write_text(json.dumps(fields))
    assert run("check", index, "--split", split, "-q") == 4
    assert "leak: case-00001 (test) and case-00002 (train)" in capsys.readouterr().out


def test_check_refuses_the_split_of_another_data_set(cohort: Path, tmp_path: Path) -> None:
    index, split = tmp_path / "index.json", tmp_path / "split.json"
    run("index", cohort, "-o", index, "-q")
    run("split", index, "-o", split, "--folds", 3)
    assert run("check", index, "--split", split, "-q") == 0
    simulated_case(cohort / "case-00003", seed=3)
    run("index", cohort, "-o", index, "-q")
    with pytest.raises(UsageError, match="another data set"):
        run("check", index, "--split", split)


def test_split_needs_test_or_folds(cohort: Path, tmp_path: Path) -> None:
    run("index", cohort, "-o", tmp_path / "index.json", "-q")
    for choice in ([], ["--test", 1, "--folds", 2]):
        with pytest.raises(UsageError, match="either"):
            run("split", tmp_path / "index.json", "-o", tmp_path / "split.json", *choice)


def test_findings_of_a_case_are_reported_once(cohort: Path) -> None:
    for case in check_index(index_folder(cohort)).cases:
        assert len(case.findings) == len(set(case.findings))
        assert all(finding.grade is not Grade.NOTE for finding in case.findings)


def test_several_processes_make_the_same_index(tmp_path: Path) -> None:
    for number in range(3):
        dicom_exam(tmp_path / f"MOL-{number:03d}_Registered", number, **SMALL)
    alone = index_folder(tmp_path)
    seen: list[tuple[int, int]] = []
    several = index_folder(tmp_path, progress=lambda done, of: seen.append((done, of)), processes=2)
    assert several == alone
    assert seen == [(1, 3), (2, 3), (3, 3)]
