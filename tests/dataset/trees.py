"""Small data sets on disk: exams of noise on 32 x 32 pixels, maps with known values."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from numpy.typing import NDArray

from bolus.simulate.dicom import write_dicom
from bolus.types import Exam, Geometry, Scanner

SIZE = 32
SPACING_MM = (5.0, 7.0, 7.0)
ORIGIN_MM = (-110.0, -120.0, 40.0)
NAME = "MUELLER^HANS"
USUAL = {"cbf": 30.0, "cbv": 3.0, "mtt": 6.0, "ttp": 20.0, "tmax": 4.0, "delay": 1.0}


def geometry(slices: int = 4) -> Geometry:
    """Axial slices of 5 mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, SPACING_MM[2]], [0, SPACING_MM[1], 0], [SPACING_MM[0], 0, 0]])
    affine[:3, 3] = ORIGIN_MM
    return Geometry((slices, SIZE, SIZE), affine)


def exam(seed: int, frames: int = 10, slices: int = 4, dt_s: float = 2.0) -> Exam:
    """A head of noise."""
    rng = np.random.default_rng(seed)
    hu = np.rint(rng.normal(40, 30, (frames, slices, SIZE, SIZE))).astype(np.float32)
    times_s = np.repeat(dt_s * np.arange(frames)[:, None], slices, axis=1)
    return Exam(hu, times_s, geometry(slices), Scanner("dicom", manufacturer="GE"))


def dicom_exam(folder: Path, seed: int, *, shuffled: bool = False, **protocol: int) -> Path:
    """An exam as DICOM files; if shuffled, their names say nothing of their order."""
    write_dicom(exam(seed, **protocol), folder)
    if shuffled:
        paths = sorted(folder.iterdir())
        order = np.random.default_rng(seed).permutation(len(paths))
        for path, k in zip(paths, order, strict=True):
            path.rename(folder / f"Filtered{k:05d}.new")
    return folder


def ras(place: Geometry) -> NDArray[np.float64]:
    """Affine of a NIfTI in x, y, z."""
    affine: NDArray[np.float64] = np.diag([-1.0, -1.0, 1.0, 1.0]) @ place.affine[:, [2, 1, 0, 3]]
    return affine


def nifti(path: Path, volume: NDArray[np.generic], place: Geometry) -> Path:
    """(Z, Y, X) or (T, Z, Y, X) as a NIfTI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(volume.T, ras(place)), path)
    return path


def nifti_exam(path: Path, seed: int, slices: int = 4) -> Path:
    """A 4D NIfTI with its JSON."""
    made = exam(seed, slices=slices)
    nifti(path, made.frames.astype(np.int16), made.geometry)
    fields = {"VolumeTiming": made.times_s[:, 0].tolist()}
    path.with_name(path.name.split(".")[0] + ".json").write_text(json.dumps(fields))
    return path


def simulated_case(folder: Path, seed: int, slices: int = 4) -> Path:
    """A case of a cohort: exam and truth."""
    nifti_exam(folder / "exam.nii.gz", seed, slices)
    truth(folder / "truth", slices)
    return folder


def truth(folder: Path, slices: int = 4) -> None:
    """Constant maps; half of the head is ill."""
    place = geometry(slices)
    for name, value in USUAL.items():
        nifti(folder / f"{name}.nii.gz", np.full(place.shape, value, np.float32), place)
    left = np.zeros(place.shape, np.uint8)
    left[:, :, : SIZE // 2] = 1
    masks = {"valid": np.ones_like(left), "brain": np.ones_like(left), "hypo": left, "core": left}
    for name, mask in masks.items():
        nifti(folder / f"{name}.nii.gz", mask, place)
    (folder / "truth.json").write_text("{}")


def dicom_map(
    folder: Path,
    value: float,
    positions_z: list[float],
    *,
    slope: float = 0.01,
    seed: int = 0,
    size: int = SIZE,
) -> Path:
    """A map as UniToBrain has them; slice k holds ``value + k``, files in shuffled order."""
    folder.mkdir(parents=True)
    numbers = np.random.default_rng(seed).permutation(len(positions_z))
    for k, (z, number) in enumerate(zip(positions_z, numbers, strict=True)):
        one = map_image(round((value + k) / slope), z, slope, size)
        one.save_as(folder / f"{folder.name}{number + 1:05d}.dcm", enforce_file_format=True)
    return folder


def map_image(stored: int, z: float, slope: float, size: int = SIZE) -> pydicom.Dataset:
    """One slice of a map, stored as a CT image."""
    one = pydicom.Dataset()
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    one.Modality, one.PatientName, one.PatientID = "CT", NAME, "P1"
    one.ImagePositionPatient = [ORIGIN_MM[0], ORIGIN_MM[1], z]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.PixelSpacing = [SPACING_MM[1], SPACING_MM[2]]
    one.Rows = one.Columns = size
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.RescaleSlope, one.RescaleIntercept, one.RescaleType = str(slope), "0", "US"
    one.PixelPaddingValue = 63536
    pixels = np.full((size, size), stored, np.uint16)
    pixels[0] = 0
    pixels[1] = 63536
    one.PixelData = pixels.tobytes()
    return one


def depths(slices: int = 4) -> list[float]:
    """z of the slices of `exam`, mm."""
    return [ORIGIN_MM[2] + SPACING_MM[0] * k for k in range(slices)]


NLR = {
    "NLR_CBF": USUAL["cbf"],
    "NLR_CBV": USUAL["cbv"],
    "NLR_MTT": USUAL["mtt"],
    "NLR_TTP": USUAL["ttp"],
    "NLR_Delay": USUAL["delay"],
}


def unitobrain_patient(
    root: Path, patient: str, seed: int, *, positions_z: list[float] | None = None, **protocol: int
) -> None:
    """Raw, filtered and maps; the raw exam is another one than the filtered."""
    filtered = f"{patient}_Registered_Filtered_3mm_20HU"
    dicom_exam(root / patient, seed + 1000, **protocol)
    dicom_exam(root / filtered, seed, shuffled=True, **protocol)
    z = depths(protocol.get("slices", 4)) if positions_z is None else positions_z
    for number, (name, value) in enumerate(NLR.items()):
        dicom_map(root / f"{filtered}_Maps" / name, value, z, seed=seed + number)


def edit_dicom(path: Path, **tags: object) -> None:
    """Change tags of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = pydicom.dcmread(path)
        for tag, value in tags.items():
            setattr(one, tag, value)
        one.save_as(path)
