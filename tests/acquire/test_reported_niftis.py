"""The exams of public reports that concern NIfTI and CDs, where the checkout has them beside it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import bolus
from bolus.errors import AmbiguousExam
from bolus.types import Grade

REPORTS = Path(__file__).parents[3] / "shared" / "exams" / "reports"

pytestmark = pytest.mark.skipif(
    not REPORTS.exists(), reason="shared/exams/reports is not beside this checkout"
)


@pytest.fixture
def unpacked(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name: str = request.param
    with zipfile.ZipFile(REPORTS / f"{name}.zip") as archive:
        archive.extractall(tmp_path / name)
    return tmp_path / name


def check(path: Path, slices: int = 4) -> None:
    found = bolus.read_exam(path)
    assert found.frames.shape == (40, slices, 64, 64)
    assert np.allclose(np.diff(found.times_s[:, 0]), 1.5)
    assert max([f.grade for f in found.findings], default=Grade.NOTE) == Grade.NOTE
    assert bolus.describe(path).usable


@pytest.mark.parametrize("unpacked", ["11-isles2018-five-dimensions"], indirect=True)
def test_isles_2018_in_five_dimensions(unpacked):
    check(unpacked)
    check(unpacked / "exam.nii.gz")
    check(REPORTS / "11-isles2018-five-dimensions.zip")


@pytest.mark.parametrize("unpacked", ["12-isles2024-subject-folder"], indirect=True)
@pytest.mark.parametrize("below", [".", "sub-stroke0001", "sub-stroke0001/ses-01"])
def test_isles_2024_by_subject_and_session(unpacked, below):
    check(unpacked / below)


@pytest.mark.parametrize("unpacked", ["14-sidecar-with-bom-or-latin1"], indirect=True)
def test_a_json_file_with_a_mark_or_in_latin_1(unpacked):
    check(unpacked / "bom.nii.gz")
    check(unpacked / "latin1.nii.gz")
    with pytest.raises(AmbiguousExam, match=r"bom\.nii\.gz with 40 frames, latin1\.nii\.gz"):
        bolus.read_exam(unpacked)


@pytest.mark.parametrize("unpacked", ["16-dicomdir-named"], indirect=True)
def test_a_named_dicomdir_stands_for_its_folder(unpacked):
    check(unpacked / "DICOMDIR")
    named, folder = (bolus.read_exam(path) for path in (unpacked / "DICOMDIR", unpacked))
    assert np.array_equal(named.frames, folder.frames)
    assert named.dicom_identity == folder.dicom_identity
