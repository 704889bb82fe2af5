"""DICOM files in the style of the UniToBrain data set (doi:10.21227/x8ea-vh16).

Its headers are known from three sample files; each choice made here is marked.
Pixels are not compressed here (the raw series of the data set is JPEG Lossless).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from bolus.simulate.dicom import START, common_header, place_image, uid
from bolus.types import Exam, Float32Array, Maps

RAW_NAME = "IM-0001-{:04d}-0001.dcm"
HOUR = timedelta(hours=1)
"""Registered series carry the time of acquisition and an hour."""
MID_SCAN_START_S = 400.0
"""The scanner's own clock, (0019,1024), has an arbitrary start; real ones read 425 to 471 s."""
PADDING = -2000
"""63536 as the unsigned number that the map files give."""


@dataclass(frozen=True)
class MapStyle:
    """How a map is stored and shown."""

    field: str
    """Of `bolus.types.Maps`."""
    slope: str
    low: int
    """The window, in the map's unit."""
    high: int
    signed: bool = False


MAP_STYLES = {
    "NLR_CBF": MapStyle("cbf", "0.1", 0, 60),
    "NLR_CBV": MapStyle("cbv", "0.01", 0, 4),
    "NLR_MTT": MapStyle("mtt", "0.01", 0, 16),
    "NLR_TTP": MapStyle("ttp", "0.01", 0, 40),
    "NLR_Delay": MapStyle("delay", "0.01", 0, 10, signed=True),
}
"""Only CBV's is known: unsigned, slope 0.01, centre 2, width 4.  The others are chosen here for the
ranges in which lesions show; the delay is signed because it can be negative, and so that 0 stays
the value outside the brain."""


@dataclass(frozen=True)
class Patient:
    """The patient of all series."""

    name: str
    """In the data set, for example MOL-012."""
    key: str
    """Source of all UIDs."""


def patient_of(exam: Exam, name: str) -> Patient:
    """The patient of an exam as scanned; other content, other UIDs."""
    content = hashlib.sha256(exam.times_s.tobytes() + exam.geometry.affine.tobytes())
    content.update(exam.frames.tobytes())
    return Patient(name, content.hexdigest())


def write_raw(exam: Exam, folder: Path, patient: Patient) -> None:
    """Frames as scanned: whole HU, their times in GE's private tag only.

    As in the data set's cine exams, AcquisitionTime is that of the scan in all files.
    """
    header = _header(exam, patient, "Raw", "SIMULATED PERFUSION")
    header.RescaleType = "HU"
    _store_as(header, "1", -1024, signed=True)
    for number, t, z in _images(exam):
        place_image(header, exam, patient.key, t, z)
        header.AcquisitionTime = header.ContentTime = START.strftime("%H%M%S")
        header.add_new(0x00190010, "LO", "GEMS_ACQU_01")
        mid_scan_s = MID_SCAN_START_S + float(exam.times_s[t, z])
        header.add_new(0x00191024, "DS", f"{mid_scan_s:.6f}")
        _write(header, exam.frames[t, z], folder / RAW_NAME.format(number), number)


def write_processed(exam: Exam, folder: Path, patient: Patient, name: str) -> None:
    """Frames registered or filtered, in steps of 0.1 HU from -1000 HU on.

    The time of a file is that of its own slice; whether the data set's files give this or one time
    to all slices of a frame is not known.
    """
    header = _header(exam, patient, name, f"Simulated {name.lower()}")
    header.ImageType = ["ORIGINAL", "SECONDARY", "AXIAL"]
    _store_as(header, "0.1", -1000, signed=False)
    for number, t, z in _images(exam):
        place_image(header, exam, patient.key, t, z)
        when = START + HOUR + timedelta(seconds=float(exam.times_s[t, z]))
        header.AcquisitionTime = header.ContentTime = when.strftime("%H%M%S.%f")
        _write(header, exam.frames[t, z], folder / f"{name}{number:05d}.dcm", number)


def write_maps(maps: Maps, exam: Exam, folder: Path, patient: Patient) -> None:
    """Each map as CT images in a folder of its name, from the lowest slice upwards."""
    for name, style in MAP_STYLES.items():
        header = _header(exam, patient, name, f"Simulated exam, {name}")
        header.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        _store_as(header, style.slope, 0, signed=style.signed)
        header.WindowCenter = f"{(style.low + style.high) / 2:g}"
        header.WindowWidth = f"{style.high - style.low}"
        header.PixelPaddingValue = PADDING if style.signed else PADDING % 2**16
        values: Float32Array = getattr(maps, style.field)
        for z, plane in enumerate(values):
            place_image(header, exam, patient.key, 0, z)
            _write(header, plane, folder / name / f"{name}{z + 1:05d}.dcm", z + 1)


def _images(exam: Exam) -> Iterator[tuple[int, int, int]]:
    """Number, frame and slice of each image, frame by frame."""
    frames, slices = exam.times_s.shape
    for t in range(frames):
        for z in range(slices):
            yield t * slices + z + 1, t, z


def _header(exam: Exam, patient: Patient, series: str, description: str) -> Dataset:
    header = common_header(exam, patient.key)
    header.PatientID, header.PatientName = f"SYNTHETIC-{patient.name}", f"SYNTHETIC^{patient.name}"
    header.SeriesInstanceUID = uid(patient.key, series)
    header.SeriesDescription = description
    header.SpacingBetweenSlices = f"{exam.geometry.spacing_mm[0]:g}"
    header.RescaleType = "US"
    header.WindowCenter, header.WindowWidth = "40", "400"
    return header


def _store_as(header: Dataset, slope: str, intercept: int, *, signed: bool) -> None:
    header.RescaleSlope, header.RescaleIntercept = slope, str(intercept)
    header.PixelRepresentation = int(signed)


def _write(header: Dataset, values: Float32Array, path: Path, number: int) -> None:
    """One file of what is in the header, with these values as pixels."""
    header.InstanceNumber = str(number)
    header.SOPInstanceUID = uid(header.SeriesInstanceUID, number)
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.PixelData = _stored(header, values).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, header, enforce_file_format=True)


def _stored(header: Dataset, values: Float32Array) -> NDArray[np.integer]:
    """Values in the header's steps, rounded to its integers."""
    kind = np.dtype("<i2" if header.PixelRepresentation else "<u2")
    slope, intercept = float(header.RescaleSlope), float(header.RescaleIntercept)
    steps = np.rint((values.astype(np.float64) - intercept) / slope)
    limits = np.iinfo(kind)
    return np.clip(steps, limits.min, limits.max).astype(kind)
