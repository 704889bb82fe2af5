"""Exams that dcm2niix converted (Debian's package) are those of their DICOM files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

import bolus
from bolus.errors import MissingTiming
from bolus.simulate.dicom import write_dicom
from bolus.simulate.distributed import patient_of, write_processed, write_raw
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe
from bolus.types import Exam, Grade

pytestmark = pytest.mark.skipif(
    shutil.which("dcm2niix") is None, reason="dcm2niix is not installed (apt-get install dcm2niix)"
)

PLAIN = Recipe(
    matrix=96, pixel_mm=2.4, slices=5, slice_mm=10.0, bottom_mm=-14.0, frames=25, dt_s=2.0
)
RECIPES = {
    "volume": replace(PLAIN, timing="volume"),
    "cine": PLAIN,
    "shuttle": replace(PLAIN, timing="shuttle", dt_s=2.81),
    "two-rate": replace(PLAIN, timing="two-rate"),
}
WRITERS: dict[str, Callable[[Exam, Path], object]] = {
    "dicom": write_dicom,
    "raw": lambda exam, folder: write_raw(exam, folder, patient_of(exam, "MOL-001")),
    "registered": lambda exam, folder: write_processed(
        exam, folder, patient_of(exam, "MOL-001"), "Registered"
    ),
    "filtered": lambda exam, folder: write_processed(
        exam, folder, patient_of(exam, "MOL-001"), "Filtered"
    ),
}


@pytest.fixture(scope="module")
def exams() -> dict[str, Exam]:
    return {name: simulate_exam(3, recipe)[0] for name, recipe in RECIPES.items()}


def converted(dicom: Path, *options: str) -> Path:
    """A folder of what dcm2niix makes of another one."""
    out = dicom.with_name(f"{dicom.name}-nifti")
    out.mkdir()
    command = ["dcm2niix", "-o", out, "-f", "exam", "-z", "y", "-ba", "n", *options, dicom]
    subprocess.run(command, check=True, capture_output=True)
    return out


def from_back_to_front(exam: Exam) -> Exam:
    """With rows in the order that dcm2niix turns them to."""
    affine = exam.geometry.affine.copy()
    affine[:3, 3] += affine[:3, 1] * (exam.geometry.shape[1] - 1)
    affine[:3, 1] *= -1
    geometry = replace(exam.geometry, affine=affine)
    return replace(exam, frames=np.ascontiguousarray(exam.frames[:, :, ::-1]), geometry=geometry)


def same_images(found: Exam, dicom: Exam) -> None:
    assert np.allclose(found.frames, dicom.frames, rtol=0, atol=1e-3)
    assert np.allclose(found.geometry.affine, dicom.geometry.affine, atol=1e-3)


def same_maps(found: Exam, dicom: Exam) -> None:
    ours, theirs = (bolus.run(exam, "osvd")["osvd"] for exam in (found, dicom))
    for name in ("cbf", "cbv", "mtt", "tmax", "ttp"):
        one, other = (np.asarray(getattr(result.maps, name)) for result in (ours, theirs))
        assert np.allclose(one, other, rtol=1e-4, atol=1e-4), name
    assert ours.lesion.core_ml == pytest.approx(theirs.lesion.core_ml)


@pytest.mark.parametrize("writer", ["dicom", "registered", "filtered"])
@pytest.mark.parametrize("recipe", ["volume", "two-rate"])
def test_an_exam_of_whole_volumes_gives_the_same_maps(tmp_path, exams, recipe, writer):
    WRITERS[writer](exams[recipe], tmp_path / "exam")
    dicom = from_back_to_front(bolus.read_exam(tmp_path / "exam"))
    found = bolus.read_exam(converted(tmp_path / "exam"))
    same_images(found, dicom)
    assert np.allclose(found.times_s, dicom.times_s, atol=1e-5)
    assert "slice-times-lost" in [f.code for f in found.findings]
    if recipe == "volume" or writer == "dicom":
        same_maps(found, dicom)


@pytest.mark.parametrize("writer", ["dicom", "registered", "filtered"])
@pytest.mark.parametrize(("recipe", "grade"), [("cine", Grade.NOTE), ("shuttle", Grade.WARNING)])
def test_times_of_slices_are_lost_and_that_is_said(tmp_path, exams, recipe, grade, writer):
    WRITERS[writer](exams[recipe], tmp_path / "exam")
    dicom = from_back_to_front(bolus.read_exam(tmp_path / "exam"))
    found = bolus.read_exam(converted(tmp_path / "exam"))
    same_images(found, dicom)
    assert np.allclose(found.times_s[:, 0], dicom.times_s[:, 0], atol=1e-5)
    (lost,) = [f for f in found.findings if f.code == "slice-times-lost"]
    assert lost.grade == grade
    assert "DICOM files themselves" in lost.remedy
    assert np.abs(found.times_s - dicom.times_s).max() < RECIPES[recipe].dt_s / 2 + 1e-6


@pytest.mark.parametrize("recipe", ["volume", "two-rate", "shuttle"])
def test_times_in_a_private_tag_are_lost_and_can_be_given(tmp_path, exams, recipe):
    write_raw(exams[recipe], tmp_path / "exam", patient_of(exams[recipe], "MOL-001"))
    dicom = from_back_to_front(bolus.read_exam(tmp_path / "exam"))
    nifti = converted(tmp_path / "exam")
    with pytest.raises(MissingTiming, match=r"dcm2niix found no interval.*--interval"):
        bolus.read_exam(nifti)
    found = bolus.read_exam(nifti, times=dicom.times_s[:, 0])
    same_images(found, dicom)
    assert np.allclose(found.times_s[:, 0], dicom.times_s[:, 0], atol=1e-5)
    if recipe == "volume":
        maps = bolus.run(nifti, "osvd", times=dicom.times_s[:, 0])["osvd"].maps
        assert np.allclose(maps.cbf, bolus.run(dicom, "osvd")["osvd"].maps.cbf, atol=1e-4)


@pytest.mark.parametrize("times", ["read", "given"])
def test_a_series_for_each_time_point_gives_the_same_maps(tmp_path, exams, times):
    """dcm2niix names them exam, exama, examb... in the order in which it finds them."""
    exam = exams["volume"]
    write_dicom(exam, tmp_path / "exam")
    dicom = from_back_to_front(bolus.read_exam(tmp_path / "exam"))
    series: dict[int, str] = {}
    for path in (tmp_path / "exam").iterdir():
        image = pydicom.dcmread(path)
        number = int(image.AcquisitionNumber)
        image.SeriesInstanceUID = series.setdefault(number, generate_uid())
        image.SeriesNumber = 100 + number
        image.save_as(path)
    options = [] if times == "read" else ["-b", "n"]
    nifti = converted(tmp_path / "exam", *options, "-f", "exam" if times == "read" else "%s")
    assert len(list(nifti.glob("*.nii.gz"))) == len(exam.frames)
    found = bolus.read_exam(nifti, interval_s=2.0 if times == "given" else None)
    same_images(found, dicom)
    assert np.allclose(found.times_s, dicom.times_s, atol=1e-5)
