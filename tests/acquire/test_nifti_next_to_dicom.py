"""A folder of DICOM files is never silently replaced by a NIfTI file that lies beside them."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicomfactory import exam, save, truth, zipped
from niftifactory import AFFINE_RAS, save_nifti

from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.errors import AmbiguousExam, NoReadableFiles

MASK = (truth()[0] > 0).astype(np.uint8).transpose(2, 1, 0)


def former_results(folder: Path, schema: str = "bolus-summary/1") -> Path:
    """A folder of results: a summary, maps and an image in DICOM."""
    save_nifti(folder, MASK, name="cbf.nii.gz", sidecar=None)
    save_nifti(folder, name="curves.nii.gz", sidecar=None)
    save(folder / "dicom", exam()[:3])
    (folder / "summary.json").write_text(json.dumps({"schema": schema}))
    return folder


@pytest.mark.parametrize("names", [["mask.nii.gz"], ["mask.nii", "brain.nii.gz"]])
def test_masks_next_to_dicom_are_ignored_with_a_note(tmp_path, names):
    folder = save(tmp_path, exam())
    for name in names:
        save_nifti(folder, MASK, name=name, sidecar=None)
    found = read_exam(folder)
    assert found.scanner.source == "dicom"
    assert [(f.code, f.grade.name) for f in found.findings] == [("files-ignored", "NOTE")]
    assert f"({len(names)} of them NIfTI)" in found.findings[0].message
    assert describe(folder).findings == found.findings


@pytest.mark.parametrize("place", [".", "converted"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_time_course_next_to_dicom_must_be_named(tmp_path, place, kind):
    folder = save(tmp_path / "exam", exam())
    path = folder / place / "old.nii"
    path.parent.mkdir(exist_ok=True)
    nibabel.save(kind(truth().transpose(3, 2, 1, 0), AFFINE_RAS), path)
    with pytest.raises(AmbiguousExam, match=r"old\.nii.*the NIfTI file itself"):
        read_exam(folder)
    assert isinstance(describe(folder).error, AmbiguousExam)


def test_a_named_nifti_is_read_whatever_is_next_to_it(tmp_path):
    path = save_nifti(save(tmp_path, exam()))
    assert read_exam(path).scanner.source == "nifti"


def test_other_dicom_next_to_a_nifti_does_not_matter(tmp_path):
    report = exam()[0]
    report.SOPClassUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.67", "SR"
    save_nifti(save(tmp_path, [report]))
    assert read_exam(tmp_path).scanner.source == "nifti"


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_former_results_inside_the_exam_are_skipped_quietly(tmp_path, packed):
    folder = save(tmp_path / "exam", exam())
    former_results(folder / "results")
    path = zipped(folder, tmp_path / "exam.zip") if packed else folder
    found = read_exam(path)
    assert found.findings == ()
    assert np.array_equal(found.frames, truth())


def test_former_results_next_to_a_nifti_are_skipped_quietly(tmp_path):
    path = save_nifti(tmp_path)
    former_results(tmp_path / "results")
    assert read_exam(tmp_path).frames.tobytes() == read_exam(path).frames.tobytes()


def test_a_folder_with_another_summary_is_no_result(tmp_path):
    folder = save(tmp_path / "exam", exam())
    former_results(folder / "other", schema="somebody's")
    with pytest.raises(AmbiguousExam):
        read_exam(folder)


def test_results_alone_are_no_exam(tmp_path):
    with pytest.raises(NoReadableFiles):
        read_exam(former_results(tmp_path / "results"))
