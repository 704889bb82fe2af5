"""DICOM and NIfTI of a simulated exam: readable, in the right place, anonymous, the same twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from bolus.errors import OutputError
from bolus.simulate.dicom import write_dicom
from bolus.simulate.truth import Truth, write_truth
from bolus.types import Exam

# CT Image IOD (PS3.3 A.3): attributes of type 1 and 2 of its mandatory modules
REQUIRED = {
    "patient": ["PatientName", "PatientID", "PatientBirthDate", "PatientSex"],
    "study": ["StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"],
    "study's people": ["ReferringPhysicianName"],
    "series": ["Modality", "SeriesInstanceUID", "SeriesNumber", "Manufacturer"],
    "frame of reference": ["FrameOfReferenceUID", "PositionReferenceIndicator"],
    "plane": ["PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness"],
    "pixels": ["SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "PixelData"],
    "bits": ["BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"],
    "CT": ["ImageType", "RescaleIntercept", "RescaleSlope", "KVP", "AcquisitionNumber"],
    "SOP": ["SOPClassUID", "SOPInstanceUID", "InstanceNumber"],
}


@pytest.fixture(scope="module")
def files(noisy: tuple[Exam, Truth], tmp_path_factory: pytest.TempPathFactory) -> list[FileDataset]:
    folder = tmp_path_factory.mktemp("dicom")
    assert write_dicom(noisy[0], folder) == 25 * 5
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def test_every_file_is_a_complete_ct_image(files: list[FileDataset]) -> None:
    assert len(files) == 25 * 5
    for image in files:
        assert [n for names in REQUIRED.values() for n in names if n not in image] == []
        assert image.SOPClassUID == pydicom.uid.CTImageStorage
        assert image.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
    assert len({image.SOPInstanceUID for image in files}) == len(files)
    assert len({image.SeriesInstanceUID for image in files}) == 1
    assert all(pydicom.uid.UID(image.SOPInstanceUID).is_valid for image in files)


def test_pixels_and_times_survive(files: list[FileDataset], noisy: tuple[Exam, Truth]) -> None:
    exam = noisy[0]
    for image in files[::7]:
        t = int(image.AcquisitionNumber) - 1
        z = round((image.ImagePositionPatient[2] - exam.geometry.affine[2, 3]) / 10.0)
        hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
        assert np.abs(hu - exam.frames[t, z]).max() <= 0.501
        clock = str(image.AcquisitionTime)
        seconds = int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + float(clock[4:]) - 12 * 3600
        assert seconds == pytest.approx(exam.times_s[t, z], abs=1e-6)


def test_left_is_left_in_dicom_and_in_nifti(
    files: list[FileDataset], noisy: tuple[Exam, Truth], tmp_path: Path
) -> None:
    """Voxel (z, y, x) has the same position by IOP/IPP and by the truth's affine."""
    truth = noisy[1]
    write_truth(truth, tmp_path)
    hypo = nib.load(tmp_path / "hypo.nii.gz")
    i, j, k = np.nonzero(np.asarray(hypo.dataobj))
    ras = hypo.affine @ np.stack([i, j, k, np.ones_like(i)])
    assert np.mean(ras[0]) < -20  # the patient's left in RAS
    first = [image for image in files if image.AcquisitionNumber == 1]
    first.sort(key=lambda image: float(image.ImagePositionPatient[2]))
    n = len(i) // 2
    image = first[k[n]]
    row, column = np.reshape(np.array(image.ImageOrientationPatient, float), (2, 3))
    lps = (
        np.array(image.ImagePositionPatient, float)
        + row * i[n] * float(image.PixelSpacing[1])
        + column * j[n] * float(image.PixelSpacing[0])
    )
    assert lps * [-1, -1, 1] == pytest.approx(ras[:3, n], abs=1e-3)
    assert truth.hypo[k[n], j[n], i[n]]


def test_no_patient_is_identified(files: list[FileDataset]) -> None:
    for image in files:
        names = {str(e.value) for e in image.iterall() if e.VR == "PN" and e.value}
        assert names == {"SYNTHETIC^BOLUS"}
        assert image.PatientID == "SYNTHETIC"
        assert image.PatientIdentityRemoved == "YES"
        assert image.PatientBirthDate == ""
        assert image.AccessionNumber == ""
        assert {str(e.value) for e in image if e.VR == "DA" and e.value} == {"20000101"}
        assert "Simulated" in image.SeriesDescription


def test_the_same_exam_gives_the_same_bytes_and_another_one_other_uids(
    noisy: tuple[Exam, Truth], quiet: tuple[Exam, Truth], tmp_path: Path
) -> None:
    hashes = []
    for name in ("a.zip", "b.zip"):
        write_dicom(noisy[0], tmp_path / name)
        hashes.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert hashes[0] == hashes[1]
    write_dicom(noisy[0], tmp_path / "noisy")
    write_dicom(quiet[0], tmp_path / "quiet")
    one, other = (pydicom.dcmread(tmp_path / n / "CT00001.dcm") for n in ("noisy", "quiet"))
    assert one.StudyInstanceUID != other.StudyInstanceUID
    assert "XRayTubeCurrent" not in other


def test_truth_files_hold_the_truth_and_are_the_same_twice(
    quiet: tuple[Exam, Truth], tmp_path: Path
) -> None:
    truth = quiet[1]
    for name in ("one", "two"):
        write_truth(truth, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    cbf = np.asarray(nib.load(tmp_path / "one" / "cbf.nii.gz").dataobj)
    assert np.array_equal(cbf.transpose(2, 1, 0), truth.cbf)
    told = json.loads((tmp_path / "one" / "truth.json").read_text())
    assert told["hypo_ml"] == pytest.approx(truth.hypo_ml, abs=1e-3)
    assert told["recipe"]["mas"] is None
    assert max(told["arterial_hu"]) == pytest.approx(300.0, abs=1e-3)


def test_a_target_that_can_not_be_written_is_named(
    quiet: tuple[Exam, Truth], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        write_dicom(quiet[0], blocked / "exam")
    with pytest.raises(OutputError, match="file"):
        write_truth(quiet[1], blocked / "truth")
