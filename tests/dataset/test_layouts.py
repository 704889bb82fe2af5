"""Each layout is recognised, its irregular cases are findings, and anything else is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from trees import (
    USUAL,
    depths,
    dicom_exam,
    geometry,
    map_image,
    nifti,
    nifti_exam,
    simulated_case,
    truth,
    unitobrain_patient,
)

from bolus.dataset.index import Index
from bolus.dataset.layouts import index_folder
from bolus.dataset.maps import read_maps
from bolus.errors import NoReadableFiles, UsageError
from bolus.types import Grade

SMALL = {"frames": 8, "slices": 2}


def codes(index: Index, name: str) -> set[str]:
    """Codes of a case's findings, without those of the tiny exam itself."""
    of_the_exam = {"few-frames", "scan-short", "sampling-coarse", "frames-unusual"}
    (case,) = [case for case in index.cases if case.name == name]
    return {finding.code for finding in case.findings} - of_the_exam


def uto(root: Path, patient: str = "MOL-002") -> Path:
    unitobrain_patient(root, patient, seed=int(patient[-3:]), **SMALL)
    return root / f"{patient}_Registered_Filtered_3mm_20HU_Maps"


def test_unitobrain_as_distributed(tmp_path: Path) -> None:
    uto(tmp_path / "DeepHealth_IEEE")
    (tmp_path / "DeepHealth_IEEE/MOL-002_Maps.txt").write_text("skipped")
    index = index_folder(tmp_path)  # the folder around it will do, too
    assert index.layout == "unitobrain"
    assert index.root == tmp_path / "DeepHealth_IEEE"
    (case,) = index.cases
    assert (case.name, case.patient, case.frames, case.slices) == ("MOL-002", "MOL-002", 8, 2)
    assert case.exam.name == "MOL-002_Registered_Filtered_3mm_20HU"
    assert case.raw is not None
    assert case.raw.name == "MOL-002"
    assert sorted(case.maps) == ["cbf", "cbv", "delay", "mtt", "ttp"]
    assert case.usable
    assert not codes(index, "MOL-002")


def test_both_protocols_of_unitobrain_are_distinguished(tmp_path: Path) -> None:
    for patient, seed, frames, dt_s in (("MOL-002", 2, 89, 0.5), ("MOL-001", 1, 18, 2.81)):
        exam = tmp_path / f"{patient}_Registered_Filtered_3mm_20HU"
        dicom_exam(exam, seed, frames=frames, slices=1, dt_s=dt_s)  # type: ignore[arg-type]
    index = index_folder(tmp_path)
    assert [case.frames for case in index.cases] == [18, 89]
    assert all("frames-unusual" not in {f.code for f in case.findings} for case in index.cases)
    assert "excluded-by-authors" in codes(index, "MOL-001")
    assert "slices-unusual" in codes(index, "MOL-002")


def test_exam_of_another_protocol_is_a_finding(tmp_path: Path) -> None:
    uto(tmp_path)
    assert "frames-unusual" in {f.code for f in index_folder(tmp_path).cases[0].findings}


def test_exams_the_authors_call_slg_are_findings(tmp_path: Path) -> None:
    uto(tmp_path)
    dicom_exam(tmp_path / "SLG-001", 5, **SMALL)
    index = index_folder(tmp_path)
    assert {"excluded-by-authors", "maps-missing"} <= codes(index, "SLG-001")


def test_simulated_unitobrain_has_truth_and_no_exclusions(tmp_path: Path) -> None:
    uto(tmp_path, "MOL-060")
    truth(tmp_path / "MOL-060_Truth", slices=2)
    (case,) = index_folder(tmp_path).cases
    assert case.truth == tmp_path / "MOL-060_Truth"
    assert "excluded-by-authors" not in {f.code for f in case.findings}


def test_nine_map_slices_for_eight_of_the_exam(tmp_path: Path) -> None:
    """Like MOL-010."""
    maps = uto(tmp_path)
    map_image(300, depths(3)[2], 0.01).save_as(maps / "NLR_CBV/extra.dcm", enforce_file_format=True)
    index = index_folder(tmp_path)
    assert codes(index, "MOL-002") == {"map-slices-extra"}
    assert index.cases[0].usable
    assert read_maps(index.cases[0], index)["cbv"].shape[0] == 2


def test_missing_map_slices_are_a_finding_and_nan(tmp_path: Path) -> None:
    """Like the patients of whom 7, 6 or 4 slices can be used."""
    unitobrain_patient(tmp_path, "MOL-073", 73, positions_z=depths(3)[1:], frames=8, slices=3)
    index = index_folder(tmp_path)
    assert codes(index, "MOL-073") == {"map-slices-missing"}
    maps = read_maps(index.cases[0], index)
    assert np.isnan(maps["mtt"][0]).all()
    assert np.isfinite(maps["mtt"][1:]).all()


def test_without_maps_a_patient_is_no_use(tmp_path: Path) -> None:
    shutil.rmtree(uto(tmp_path))
    index = index_folder(tmp_path)
    assert codes(index, "MOL-002") == {"maps-missing"}
    assert not index.cases[0].usable
    assert index.of({"MOL-002"}) == ()


def test_one_map_less_is_a_warning(tmp_path: Path) -> None:
    shutil.rmtree(uto(tmp_path) / "NLR_TTP")
    index = index_folder(tmp_path)
    assert codes(index, "MOL-002") == {"maps-incomplete"}
    assert index.cases[0].usable


def test_maps_without_exam_are_a_finding(tmp_path: Path) -> None:
    maps = uto(tmp_path)
    shutil.rmtree(tmp_path / "MOL-002")
    shutil.rmtree(tmp_path / maps.name.removesuffix("_Maps"))
    (case,) = index_folder(tmp_path).cases
    assert (case.frames, case.usable) == (0, False)


def test_truncated_files_empty_folders_and_mixed_patients_cost_only_their_case(
    tmp_path: Path,
) -> None:
    uto(tmp_path)
    cut = dicom_exam(tmp_path / "MOL-003", 3, **SMALL)
    for path in cut.iterdir():
        path.write_bytes(path.read_bytes()[:400])
    (tmp_path / "MOL-004").mkdir()
    dicom_exam(tmp_path / "MOL-005/one", 5, **SMALL)
    dicom_exam(tmp_path / "MOL-005/two", 6, **SMALL)
    for name in ("MOL-003", "MOL-004", "MOL-005"):
        shutil.copytree(
            tmp_path / "MOL-002_Registered_Filtered_3mm_20HU_Maps",
            tmp_path / f"{name}_Registered_Filtered_3mm_20HU_Maps",
        )
    index = index_folder(tmp_path)
    assert [case.usable for case in index.cases] == [True, False, False, False]
    assert all("exam-unreadable" in codes(index, case.name) for case in index.cases[1:])


def test_links_in_circles_are_no_trap(tmp_path: Path) -> None:
    uto(tmp_path)
    (tmp_path / "MOL-003").symlink_to(tmp_path / "MOL-003")
    (tmp_path / "MOL-002/again").symlink_to(tmp_path / "MOL-002")
    index = index_folder(tmp_path)
    assert [case.name for case in index.cases] == ["MOL-002"]


def test_cohort_of_bolus_simulate(tmp_path: Path) -> None:
    simulated_case(tmp_path / "case-00000", 1)
    dicom_exam(tmp_path / "case-00001/exam", 2, **SMALL)
    truth(tmp_path / "case-00001/truth", slices=2)
    (tmp_path / "cohort.json").write_text("{}")
    (tmp_path / ".case-00002.part").mkdir()
    index = index_folder(tmp_path)
    assert index.layout == "bolus-simulate"
    assert [case.slices for case in index.cases] == [4, 2]
    assert all(sorted(case.maps) == sorted(USUAL) and case.usable for case in index.cases)


def isles2018(root: Path, number: int, seed: int) -> None:
    case, uid = root / f"case_{number}", 345560 + 10 * number
    volume = np.full(geometry().shape, 4.0, np.float32)
    for k, kind in enumerate(("CT_4DPWI", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "CT", "OT")):
        name = f"SMIR.Brain.XX.O.{kind}.{uid + k}"
        if kind == "CT_4DPWI":
            nifti_exam(case / name / f"{name}.nii", seed)
        else:
            nifti(case / name / f"{name}.nii", volume, geometry())


def test_isles_2018(tmp_path: Path) -> None:
    isles2018(tmp_path / "TRAINING", 1, 1)
    isles2018(tmp_path / "TRAINING", 12, 2)
    isles2018(tmp_path / "TESTING", 1, 3)
    index = index_folder(tmp_path)
    assert index.layout == "isles2018"
    assert [c.name for c in index.cases] == [
        "TESTING/case_1",
        "TRAINING/case_1",
        "TRAINING/case_12",
    ]
    assert all(sorted(case.maps) == ["cbf", "cbv", "mtt", "tmax"] for case in index.cases)
    assert "patients-unknown" in codes(index, "TRAINING/case_1")
    assert all(case.usable for case in index.cases)


def isles2024(session: Path, space: str, maps: bool = True, slices: int = 4) -> None:
    stem = f"{session.parent.name}_{session.name}{space}"
    nifti_exam(session / f"{stem}_ctp.nii.gz", int(session.parent.name[-4:]), slices)
    for name in ("cbf", "cbv", "mtt", "tmax") if maps else ():
        volume = np.full(geometry(slices).shape, 4.0, np.float32)
        nifti(session / f"perfusion-maps/{stem}_{name}.nii.gz", volume, geometry(slices))


def test_isles_2024_takes_exam_and_maps_of_the_same_space(tmp_path: Path) -> None:
    root = tmp_path / "train"
    isles2024(root / "raw_data/sub-stroke0001/ses-01", "")
    isles2024(root / "derivatives/sub-stroke0001/ses-01", "_space-ncct", slices=6)
    isles2024(root / "raw_data/sub-stroke0002/ses-01", "", maps=False)
    isles2024(root / "derivatives/sub-stroke0002/ses-01", "_space-ncct", slices=6)
    (root / "raw_data/sub-stroke0002/ses-02").mkdir()
    index = index_folder(tmp_path)
    assert index.layout == "isles2024"
    assert [case.name for case in index.cases] == ["sub-stroke0001_ses-01", "sub-stroke0002_ses-01"]
    assert [case.patient for case in index.cases] == ["sub-stroke0001", "sub-stroke0002"]
    assert [case.slices for case in index.cases] == [4, 6]
    assert all(case.usable for case in index.cases)


def test_isles_2024_as_its_readme_has_it(tmp_path: Path) -> None:
    isles2024(tmp_path / "rawdata/sub-strokecase0001/ses-0001", "")
    (case,) = index_folder(tmp_path).cases
    assert (case.patient, case.usable) == ("sub-strokecase0001", True)


def result(folder: Path, methods: tuple[str, ...] = ("nlr",), **summary: object) -> Path:
    for method in methods:
        for name, value in USUAL.items():
            volume = np.full(geometry().shape, value, np.float32)
            nifti(folder / method / f"{name}.nii.gz", volume, geometry())
    (folder / "summary.json").write_text(json.dumps({"schema": "bolus-summary/1", **summary}))
    return folder


def test_own_exams_with_results_of_bolus(tmp_path: Path) -> None:
    exams, results = tmp_path / "exams", tmp_path / "results"
    nifti_exam(exams / "sub-01_ses-1.nii.gz", 1)
    nifti_exam(exams / "sub-01_ses-2.nii.gz", 2)
    dicom_exam(exams / "anna/first", 3)
    dicom_exam(exams / "berta", 4)
    result(results / "sub-01_ses-1")
    result(results / "sub-01_ses-2", ("bma", "cnn"))
    result(results / "anna/first")
    index = index_folder(exams, maps=results)
    assert index.layout == "bolus-run"
    assert [case.name for case in index.cases] == [
        "anna/first",
        "berta",
        "sub-01_ses-1",
        "sub-01_ses-2",
    ]
    assert [case.patient for case in index.cases] == ["anna", "berta", "sub-01", "sub-01"]
    assert [case.usable for case in index.cases] == [True, False, True, True]
    assert "maps-missing" in codes(index, "berta")
    assert codes(index, "sub-01_ses-2") == {"maps-method"}
    assert read_maps(index.cases[0], index)["tmax"].max() == np.float32(USUAL["tmax"])


def test_results_inside_the_folder_of_exams(tmp_path: Path) -> None:
    nifti_exam(tmp_path / "a.nii.gz", 1)
    result(tmp_path / "results/a")
    index = index_folder(tmp_path, maps=tmp_path / "results")
    assert [case.name for case in index.cases] == ["a"]


def test_maps_of_a_network_are_nothing_to_learn_from(tmp_path: Path) -> None:
    for name in "ab":
        nifti_exam(tmp_path / f"exams/{name}.nii.gz", 1)
    result(tmp_path / "results/a", ("cnn",))
    result(tmp_path / "results/b", ("nlr",))
    index = index_folder(tmp_path / "exams", maps=tmp_path / "results")
    assert codes(index, "a") == {"maps-missing"}


def test_results_of_another_exam_or_not_reliable(tmp_path: Path) -> None:
    dicom_exam(tmp_path / "exams/a", 1)
    nifti_exam(tmp_path / "exams/b.nii.gz", 2)
    result(tmp_path / "results/a", dicom_identity={"SeriesInstanceUID": "1.2.3"})
    result(tmp_path / "results/b", verdict={"grade": "fail"})
    result(tmp_path / "results/gone")
    index = index_folder(tmp_path / "exams", maps=tmp_path / "results")
    assert codes(index, "a") == {"maps-of-another-exam"}
    assert codes(index, "b") == {"results-not-reliable"}
    assert codes(index, "gone") == {"exam-unreadable"}
    assert not any(case.usable for case in index.cases)


def test_anything_else_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(NoReadableFiles) as refusal:
        index_folder(tmp_path)
    for word in ("holiday.jpg", "unitobrain", "isles2018", "isles2024", "bolus-simulate", "--maps"):
        assert word in str(refusal.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoReadableFiles, match="it is empty"):
        index_folder(tmp_path / "empty")
    with pytest.raises(NoReadableFiles, match="no such folder"):
        index_folder(tmp_path / "missing")
    with pytest.raises(NoReadableFiles, match="no results"):
        index_folder(tmp_path, maps=tmp_path / "empty")


def test_two_layouts_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "MOL-002").mkdir()
    simulated_case(tmp_path / "case-00000", 1)
    with pytest.raises(UsageError, match="unitobrain and bolus-simulate"):
        index_folder(tmp_path)


def test_findings_name_the_place_in_the_data_set_only(tmp_path: Path) -> None:
    maps = uto(tmp_path)
    for path in (maps / "NLR_MTT").iterdir():
        path.write_bytes(b"no DICOM")
    (case,) = index_folder(tmp_path).cases
    (finding,) = [f for f in case.findings if f.grade is Grade.FAIL]
    assert finding.message.startswith("MOL-002_Registered_Filtered_3mm_20HU_Maps/NLR_MTT")
