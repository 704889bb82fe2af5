"""Outlines as DICOM Segmentation objects."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bolus import __version__
from bolus.plain_text import RESEARCH_USE
from bolus.types import Geometry

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

SEGMENTS = {1: ("Core", 2), 2: ("Penumbra", 1)}
"""Segment number to its label and the label's number in bolus's masks."""
UID_ROOT = "2.25."
EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate",
    "StudyTime", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes that DICOM requires and that are unknown here."""


def seg_bytes(
    labels: NDArray[np.uint8],
    geometry: Geometry,
    identity: Mapping[str, str],
    *,
    rater: str,
    description: str,
) -> bytes:
    """A mask as the content of a DICOM SEG file: BINARY, segments core and penumbra.

    It belongs to the exam's study and frame of reference; the person's name, number and birth date
    are empty, as bolus never keeps them.  Source images are not referenced: the mask was drawn on
    maps.

    Parameters
    ----------
    labels : (Z, Y, X) uint8: 0 none, 1 penumbra, 2 core; something must be outlined.
    geometry : their grid.
    identity : ``dicom_identity`` of summary.json; new UIDs are made where it has none.
    rater : who drew it.
    description : of the series, at most 64 characters.
    """
    from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
    from highdicom.seg import Segmentation

    down, right = geometry.affine[:3, 1], geometry.affine[:3, 2]
    z_mm, y_mm, x_mm = geometry.spacing_mm
    masks = np.stack([labels == value for _, value in SEGMENTS.values()], axis=-1)
    drawn = np.flatnonzero(labels.any(axis=(1, 2)))
    content = labels.tobytes() + rater.encode() + repr(sorted(identity.items())).encode()
    made = Segmentation(
        source_images=[_image_header(geometry, identity, content)],
        pixel_array=masks[drawn],
        segmentation_type="BINARY",
        segment_descriptions=[_segment(number) for number in SEGMENTS],
        series_instance_uid=_uid(b"series", content),
        series_number=1,
        sop_instance_uid=_uid(b"instance", content),
        instance_number=1,
        manufacturer="bolus",
        manufacturer_model_name="bolus",
        software_versions=__version__,
        device_serial_number="0",
        content_label="OUTLINE",
        content_description=RESEARCH_USE,
        content_creator_name=f"{rater}^",  # the caret: a single name component
        pixel_measures=PixelMeasuresSequence(
            pixel_spacing=[_decimal(y_mm), _decimal(x_mm)],
            slice_thickness=_decimal(z_mm),
            spacing_between_slices=_decimal(z_mm),
        ),
        plane_orientation=PlaneOrientationSequence(
            "PATIENT", [_decimal(v) for v in [*(right / x_mm), *(down / y_mm)]]
        ),
        plane_positions=[
            PlanePositionSequence(
                "PATIENT", [_decimal(v) for v in (geometry.affine @ [z, 0, 0, 1])[:3]]
            )
            for z in drawn
        ],
        series_description=description[:64],
    )
    _without_source(made)
    stream = BytesIO()
    made.save_as(stream)
    return stream.getvalue()


def _segment(number: int) -> SegmentDescription:
    from highdicom.seg import SegmentDescription
    from pydicom.sr.coding import Code

    label, _ = SEGMENTS[number]
    kinds = {
        "Core": Code("55641003", "SCT", "Infarct"),
        "Penumbra": Code("52674009", "SCT", "Ischemia"),
    }
    return SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=Code("49755003", "SCT", "Morphologically Abnormal Structure"),
        segmented_property_type=kinds[label],
        algorithm_type="MANUAL",
    )


def _image_header(geometry: Geometry, identity: Mapping[str, str], content: bytes) -> Dataset:
    """An image header in the exam's study, from which the SEG takes study and frame of reference:
    the images themselves are not available."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    z_mm, y_mm, x_mm = geometry.spacing_mm
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = _uid(b"image", content)
    image.StudyInstanceUID = identity.get("StudyInstanceUID") or _uid(b"study", content)
    image.SeriesInstanceUID = _uid(b"source", content)
    image.FrameOfReferenceUID = identity.get("FrameOfReferenceUID") or _uid(b"frame", content)
    image.Modality = "CT"
    for name in EMPTY:
        setattr(image, name, "")
    image.Rows, image.Columns = geometry.shape[1:]
    image.ImagePositionPatient = [_decimal(v) for v in geometry.affine[:3, 3]]
    right, down = geometry.affine[:3, 2] / x_mm, geometry.affine[:3, 1] / y_mm
    image.ImageOrientationPatient = [_decimal(v) for v in [*right, *down]]
    image.PixelSpacing = [_decimal(y_mm), _decimal(x_mm)]
    image.SliceThickness = _decimal(z_mm)
    return image


def _without_source(made: Dataset) -> None:
    """Take out what refers to the stand-in."""
    for name in ("ReferencedSeriesSequence", "SourceImageSequence"):
        if name in made:
            delattr(made, name)
    for frame in made.PerFrameFunctionalGroupsSequence:
        if "DerivationImageSequence" in frame:
            frame.DerivationImageSequence = []


def _uid(kind: bytes, content: bytes) -> str:
    """A UID that the same outline always has (ISO/IEC 9834-8 form, from a hash)."""
    digest = hashlib.sha256(kind + b"\0" + content).digest()[:16]
    return UID_ROOT + str(int.from_bytes(digest, "big"))


def _decimal(value: float) -> float:
    """A number that DICOM's 16 characters can hold."""
    return float(f"{value:.8g}")
