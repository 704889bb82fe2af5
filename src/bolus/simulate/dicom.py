"""Write an exam as classic CT DICOM: one file per slice and frame."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from bolus.errors import OutputError
from bolus.types import Exam

START = datetime(2000, 1, 1, 12, 0, 0)
"""When the synthetic exam was "acquired"; no real date."""
EXPOSURE_MS = 400
INTERCEPT = -1024
ZIP_TIME = (2000, 1, 1, 0, 0, 0)


def uid(*parts: object) -> UID:
    """Deterministic UID under 2.25 (a UUID as a decimal number) from a hash of the parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:16]
    return UID(f"2.25.{int.from_bytes(digest, 'big')}")


def write_dicom(exam: Exam, target: Path) -> int:
    """Write an exam as DICOM files, into a folder or, for ``*.zip``, an uncompressed archive.

    The style is that of a cine series: one series, each slice with its own acquisition time, the
    frame in AcquisitionNumber.  HU are rounded to integers.  The same exam gives the same bytes.

    Parameters
    ----------
    exam : Exam
    target : folder or path of a zip file

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    OutputError
        ``target`` can't be written.
    """
    count = 0
    try:
        if target.suffix.lower() == ".zip":
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
                for name, data in _files(exam):
                    archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), data)
                    count += 1
        else:
            target.mkdir(parents=True, exist_ok=True)
            for name, data in _files(exam):
                (target / name).write_bytes(data)
                count += 1
    except OSError as error:
        raise OutputError(f"{target}: the exam can't be written ({error.strerror}).") from error
    return count


def _files(exam: Exam) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file, frame by frame.

    UIDs come from the content: other pixels or times, other UIDs.
    """
    content = hashlib.sha256(exam.times_s.tobytes() + exam.geometry.affine.tobytes())
    for frame in exam.frames:
        content.update(_stored(frame).tobytes())
    exam_key = content.hexdigest()
    image = common_header(exam, exam_key)
    frames, slices = exam.times_s.shape
    for t in range(frames):
        for z in range(slices):
            place_image(image, exam, exam_key, t, z)
            number = t * slices + z + 1
            image.InstanceNumber = str(number)
            buffer = io.BytesIO()
            dcmwrite(buffer, image, enforce_file_format=True)
            yield f"CT{number:05d}.dcm", buffer.getvalue()


def common_header(exam: Exam, exam_key: str) -> Dataset:
    """Everything that all files share."""
    image = Dataset()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("bolus simulate")
    meta.ImplementationVersionName = "BOLUS_SIMULATE"
    image.file_meta = meta
    image.SOPClassUID = CTImageStorage
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.Modality = "CT"
    _patient_and_study(image, exam_key)
    image.SeriesInstanceUID = uid(exam_key, "series")
    image.FrameOfReferenceUID = uid(exam_key, "frame of reference")
    image.PositionReferenceIndicator = ""
    image.SeriesNumber = "1"
    image.SeriesDescription = "Simulated CT perfusion (bolus)"
    image.ProtocolName = "Simulated brain perfusion"
    image.BodyPartExamined = "HEAD"
    image.PatientPosition = "HFS"
    image.ContrastBolusAgent = "Simulated iodine"
    _scanner(image, exam)
    _pixels(image, exam)
    return image


def _patient_and_study(image: Dataset, exam_key: str) -> None:
    image.PatientName = "SYNTHETIC^BOLUS"
    image.PatientID = "SYNTHETIC"
    image.PatientBirthDate = ""
    image.PatientSex = ""
    image.PatientIdentityRemoved = "YES"
    image.DeidentificationMethod = "Simulated: there is no patient"
    image.StudyInstanceUID = uid(exam_key, "study")
    image.StudyID = "SYNTHETIC"
    image.StudyDate = image.SeriesDate = START.strftime("%Y%m%d")
    image.StudyTime = image.SeriesTime = START.strftime("%H%M%S")
    image.StudyDescription = "Simulated exam, not for clinical use"
    image.AccessionNumber = ""
    image.ReferringPhysicianName = ""


def _scanner(image: Dataset, exam: Exam) -> None:
    scanner = exam.scanner
    image.Manufacturer = scanner.manufacturer
    image.ManufacturerModelName = scanner.model
    image.SoftwareVersions = "bolus"
    image.ScanOptions = "CINE MODE"
    image.ConvolutionKernel = scanner.kernel
    image.KVP = f"{scanner.kvp or 0:g}"
    image.SliceThickness = f"{scanner.slice_thickness_mm or 0:g}"
    image.GantryDetectorTilt = "0"
    if scanner.exposure_mas is not None:
        image.ExposureTime = str(EXPOSURE_MS)
        image.XRayTubeCurrent = str(round(scanner.exposure_mas * 1000 / EXPOSURE_MS))
        image.Exposure = str(round(scanner.exposure_mas))


def _pixels(image: Dataset, exam: Exam) -> None:
    affine = exam.geometry.affine
    _, rows, columns = exam.geometry.shape
    _, row_mm, column_mm = exam.geometry.spacing_mm
    along_row, along_column = affine[:3, 2] / column_mm, affine[:3, 1] / row_mm
    image.ImageOrientationPatient = [f"{v:.6g}" for v in (*along_row, *along_column)]
    image.PixelSpacing = [f"{row_mm:.6g}", f"{column_mm:.6g}"]
    image.Rows, image.Columns = rows, columns
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 0
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = str(INTERCEPT), "1", "HU"
    image.WindowCenter, image.WindowWidth = "40", "80"


def place_image(image: Dataset, exam: Exam, exam_key: str, t: int, z: int) -> None:
    """Fill in what differs between files."""
    when = START + timedelta(seconds=float(exam.times_s[t, z]))
    position = exam.geometry.affine[:3, 3] + z * exam.geometry.affine[:3, 0]
    image.SOPInstanceUID = uid(exam_key, "image", t, z)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.AcquisitionDate = image.ContentDate = when.strftime("%Y%m%d")
    image.AcquisitionTime = image.ContentTime = when.strftime("%H%M%S.%f")
    image.AcquisitionNumber = str(t + 1)
    image.ImagePositionPatient = [f"{v:.8g}" for v in position]
    image.SliceLocation = f"{position[2]:.8g}"
    image.PixelData = _stored(exam.frames[t, z]).tobytes()


def _stored(frame: NDArray[np.float32]) -> NDArray[np.uint16]:
    return (np.clip(np.rint(frame), INTERCEPT, 3071) - INTERCEPT).astype("<u2")
