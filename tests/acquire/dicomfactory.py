"""Small CT perfusion exams as DICOM, with known content: 20 frames of 3 slices, 32 x 32.

``exam()`` gives data sets to change before ``save`` writes them; ``truth()`` is what must come out.
"""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "1.2.826.0.1.3680043.10.1"
SERIES = STUDY + ".7"
FRAME_OF_REFERENCE = STUDY + ".99"
FRAMES, SLICES, SIZE = 20, 3, 32
STEP_S = 2.2
START_S = 9 * 3600 + 12 * 60 + 3.25
ORIGIN = (-110.0, -120.0, 40.0)
SPACING_MM, DISTANCE_MM = 7.0, 5.0


def truth(frames: int = FRAMES, slices: int = SLICES) -> NDArray[np.int16]:
    """(T, Z, Y, X) HU: skull, brain, a nose in front, an artery on the patient's left."""
    y, x = np.mgrid[:SIZE, :SIZE]
    radius = np.hypot(y - 15.5, x - 15.5)
    head = np.where(radius < 14, 800, -1000)
    head[radius < 12] = 35
    head[0:3, 15:17] = 50
    volume = np.broadcast_to(head, (frames, slices, SIZE, SIZE)).copy()
    passing = np.round(200 * np.exp(-(((np.arange(frames) - 8) / 3.0) ** 2)))
    volume[:, :, 14:17, 22:25] += passing[:, None, None, None].astype(int)
    noise = np.random.default_rng(3).integers(-6, 7, volume.shape)
    return np.maximum(volume + noise, -1024).astype(np.int16)


def tm(seconds: float) -> str:
    """DICOM TM of a time of day in s."""
    us = round(seconds * 1e6) % 86_400_000_000
    return (
        f"{us // 3_600_000_000:02d}{us // 60_000_000 % 60:02d}"
        f"{us // 1_000_000 % 60:02d}.{us % 1_000_000:06d}"
    )


def image(hu: NDArray[np.int16], t: int, z: int, seconds: float) -> FileDataset:
    """One CT image with 12 bits and an intercept of -1024."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CT
    meta.MediaStorageSOPInstanceUID = f"{SERIES}.{t + 1}.{z + 1}"
    one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID = CT
    one.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.Modality = "CT"
    one.Manufacturer = "SIEMENS"
    one.ManufacturerModelName = "FACTORY"
    one.SeriesDescription = "VPCT 5.0"
    one.PatientID = "P1"
    one.PatientName = "FACTORY^HEAD"
    one.StudyInstanceUID, one.SeriesInstanceUID = STUDY, SERIES
    one.FrameOfReferenceUID = FRAME_OF_REFERENCE
    one.SeriesNumber, one.AcquisitionNumber, one.InstanceNumber = 7, 1, 1 + z + SLICES * t
    one.AcquisitionDate = one.ContentDate = "20210716"
    one.AcquisitionTime = one.ContentTime = tm(seconds)
    one.SliceThickness, one.KVP, one.ConvolutionKernel = DISTANCE_MM, 80, "H20f"
    one.XRayTubeCurrent, one.ExposureTime, one.Exposure = 500, 400, 25
    one.PatientPosition = "HFS"
    one.ImagePositionPatient = [ORIGIN[0], ORIGIN[1], ORIGIN[2] + DISTANCE_MM * z]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.PixelSpacing = [SPACING_MM, SPACING_MM]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    one.RescaleIntercept, one.RescaleSlope, one.RescaleType = -1024, 1, "HU"
    store(one, hu.astype(np.int32) + 1024)
    return one


def store(one: Dataset, stored: NDArray[np.integer]) -> None:
    """Put stored values into an image."""
    one.Rows, one.Columns = stored.shape
    kind = "<i2" if one.PixelRepresentation else "<u2"
    one.PixelData = np.ascontiguousarray(stored).astype(kind).tobytes()
    one["PixelData"].VR = "OW"


def times(frames: int = FRAMES, slices: int = SLICES) -> NDArray[np.float64]:
    """(T, Z) s after the first image: slices 50 ms apart."""
    return STEP_S * np.arange(frames)[:, None] + 0.05 * np.arange(slices)[None, :]


def exam(
    frames: int = FRAMES,
    slices: int = SLICES,
    seconds: Callable[[int, int], float] | None = None,
    start_s: float = START_S,
) -> list[FileDataset]:
    """Every image of an exam, frame by frame."""
    hu, when = truth(frames, slices), times(frames, slices)
    return [
        image(hu[t, z], t, z, start_s + (seconds(t, z) if seconds else when[t, z]))
        for t in range(frames)
        for z in range(slices)
    ]


def save(folder: Path, images: Iterable[Dataset], names: Iterable[str] | None = None) -> Path:
    """Write data sets into a folder, as IM00001.dcm ... unless named."""
    images = list(images)
    names = names or [f"IM{i + 1:05d}.dcm" for i in range(len(images))]
    for one, name in zip(images, names, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the factory writes odd values on purpose
            one.save_as(path)
    return folder


def zipped(folder: Path, target: Path) -> Path:
    """The folder as a zip."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    return target


def ge_time(one: Dataset, seconds: float, form: str) -> None:
    """GE's mid-scan time as text ("DS"), double ("FD") or double in a text field ("binary")."""
    one.Manufacturer = "GE MEDICAL SYSTEMS"
    one.add_new(0x00190010, "LO", "GEMS_ACQU_01")
    if form == "DS":
        one.add_new(0x00191024, "DS", f"{seconds:.6f}"[:16])
    elif form == "FD":
        one.add_new(0x00191024, "FD", seconds)
    else:
        # the bytes as they stand in anonymised UniToBrain files; pydicom would refuse a DS of them
        one.add_new(0x00191024, "UN", struct.pack("<d", seconds))


def as_ds(folder: Path) -> None:
    """Relabel (0019,1024) from UN to DS in every file: 8 binary bytes in a text field."""
    for path in folder.rglob("*.dcm"):
        data = path.read_bytes()
        old = b"\x19\0\x24\x10UN\0\0\x08\0\0\0"
        at = data.index(old)
        path.write_bytes(data[:at] + b"\x19\0\x24\x10DS\x08\0" + data[at + len(old) :])


def compress(one: FileDataset, syntax: UID) -> None:
    """Compress with pydicom's encoders, or ours for JPEG Lossless.

    First-order prediction is one of those that plain JPEG Lossless allows.
    """
    if syntax in (JPEGLosslessSV1, JPEGLossless):
        stored = np.frombuffer(one.PixelData, "<u2").reshape(one.Rows, one.Columns)
        one.PixelData = encapsulate([jpeg_lossless(stored)])
        one["PixelData"].VR = "OB"
        one["PixelData"].is_undefined_length = True
        one.file_meta.TransferSyntaxUID = syntax
    else:
        plugin = {JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}.get(syntax, "pydicom")
        one.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)


def jpeg_lossless(stored: NDArray[np.integer]) -> bytes:
    """JPEG process 14, selection value 1 (ITU T.81 annex H), every category with a 5-bit code."""
    values = stored.astype(np.int64)
    predicted = np.roll(values, 1, axis=1)
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 2**15
    bits = []
    for difference in ((values - predicted + 2**15) % 2**16 - 2**15).ravel().tolist():
        size = abs(difference).bit_length()
        bits.append(f"{size:05b}")
        if 0 < size < 16:
            bits.append(f"{difference if difference > 0 else difference + 2**size - 1:0{size}b}")
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    body = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\0")
    rows, columns = values.shape
    frame = struct.pack(">HBHHBBBB", 11, 16, rows, columns, 1, 1, 0x11, 0)
    counts = [0, 0, 0, 0, 17] + [0] * 11
    table = struct.pack(">HB", 36, 0) + bytes(counts) + bytes(range(17))
    scan = struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0)
    parts = [b"\xff\xd8\xff\xc3", frame, b"\xff\xc4", table, b"\xff\xda", scan, body, b"\xff\xd9"]
    data = b"".join(parts)
    return data + b"\0" * (len(data) % 2)


def enhanced(frames: int = FRAMES, slices: int = SLICES) -> FileDataset:
    """The same exam as one enhanced multi-frame file, its frames stored slice by slice."""
    hu, when = truth(frames, slices), times(frames, slices)
    file = image(hu[0, 0], 0, 0, START_S)
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = CT + ".1"
    places = [(t, z) for z in range(slices) for t in range(frames)]
    file.NumberOfFrames = len(places)
    pixels = np.stack([hu[t, z] for t, z in places]).astype(np.int32) + 1024
    file.PixelData = pixels.astype("<u2").tobytes()
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    shared.PixelMeasuresSequence = [
        _item(PixelSpacing=[SPACING_MM, SPACING_MM], SliceThickness=DISTANCE_MM)
    ]
    shared.PixelValueTransformationSequence = [
        _item(RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU")
    ]
    shared.CTXRayDetailsSequence = [_item(KVP=80)]
    shared.CTExposureSequence = [_item(XRayTubeCurrentInmA=500.0, ExposureTimeInms=400.0)]
    shared.CTReconstructionSequence = [_item(ConvolutionKernel="H20f")]
    file.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for t, z in places:
        group = Dataset()
        group.PlanePositionSequence = [
            _item(ImagePositionPatient=[ORIGIN[0], ORIGIN[1], ORIGIN[2] + DISTANCE_MM * z])
        ]
        group.FrameContentSequence = [
            _item(
                FrameReferenceDateTime="20210716" + tm(START_S + when[t, z]),
                TemporalPositionIndex=t + 1,
            )
        ]
        groups.append(group)
    file.PerFrameFunctionalGroupsSequence = groups
    for key in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(file, key)
    return file


def _item(**values: object) -> Dataset:
    item = Dataset()
    for key, value in values.items():
        setattr(item, key, value)
    return item
