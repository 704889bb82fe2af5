"""What must never become a map in silence: each broken exam ends in its named error or finding.

One row of ``CASES`` is one kind of broken input: how to make it, the error class (or the finding's
code) it must end in, and words the message must hold (the file to look at, what is wrong).
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from dicomfactory import (
    DISTANCE_MM,
    FRAMES,
    SERIES,
    SLICES,
    START_S,
    STUDY,
    compress,
    enhanced,
    exam,
    save,
    store,
    tm,
    truth,
    zipped,
)
from niftifactory import VOLUME_TIMING, save_nifti
from pydicom.uid import UID, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from bolus import errors
from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam

Builder = Callable[[Path], Path]
ITEM = b"\xfe\xff\x00\xe0"
MPEG2 = "1.2.840.10008.1.2.4.100"
META = b"\0" * 128 + b"DICM\x02\0\x10\0UI\x14\0" + b"1.2.840.10008.1.2.1\0"
DEEP = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * 5000
HEAD = truth().transpose(3, 2, 1, 0)


class Case(NamedTuple):
    name: str
    build: Builder
    expected: type[errors.BolusError] | str
    """Error class, or code of a finding on a readable exam."""
    words: tuple[str, ...]


def written(change: Callable[[list], object], names: list[str] | None = None) -> Builder:
    """An exam whose images were changed before writing."""

    def build(folder: Path) -> Path:
        images = exam()
        changed = change(images)
        return save(folder / "exam", changed if isinstance(changed, list) else images, names)

    return build


def all_with(**values: object) -> Builder:
    """An exam all of whose images carry the given values."""

    def change(images: list) -> None:
        for one in images:
            for key, value in values.items():
                setattr(one, key, value)

    return written(change)


def one_with(index: int, **values: object) -> Builder:
    """An exam one of whose images carries the given values."""

    def change(images: list) -> None:
        for key, value in values.items():
            setattr(images[index], key, value)

    return written(change)


def bytes_of(change: Callable[[bytes], bytes], index: int = 30) -> Builder:
    """An exam one of whose files (IM00031.dcm) is damaged after writing."""

    def build(folder: Path) -> Path:
        path = save(folder / "exam", exam()) / f"IM{index + 1:05d}.dcm"
        path.write_bytes(change(path.read_bytes()))
        return path.parent

    return build


def loose(name: str, data: bytes) -> Builder:
    """A folder that holds one file."""

    def build(folder: Path) -> Path:
        (folder / "exam").mkdir()
        (folder / "exam" / name).write_bytes(data)
        return folder / "exam"

    return build


def added(*extra: Callable[[Path], object]) -> Builder:
    """A good exam with something beside it."""

    def build(folder: Path) -> Path:
        save(folder / "exam", exam())
        for add in extra:
            add(folder / "exam")
        return folder / "exam"

    return build


def cut_files(indices: Iterable[int]) -> Builder:
    """An exam with the pixels of some files cut off."""

    def build(folder: Path) -> Path:
        save(folder / "exam", exam())
        for index in indices:
            path = folder / "exam" / f"IM{index + 1:05d}.dcm"
            path.write_bytes(path.read_bytes()[:-500])
        return folder / "exam"

    return build


def compressed(
    syntax: str, damage: Callable[[bytes], bytes], indices: Iterable[int] = (30,)
) -> Builder:
    """An exam some of whose compressed images are damaged from their length on."""

    def build(folder: Path) -> Path:
        images = exam()
        for one in images:
            compress(one, UID(syntax))
        save(folder / "exam", images)
        for index in indices:
            path = folder / "exam" / f"IM{index + 1:05d}.dcm"
            data = path.read_bytes()
            offsets = data.index(ITEM, data.rindex(b"\xe0\x7f\x10\x00"))
            start = data.index(ITEM, offsets + 1) + len(ITEM)
            path.write_bytes(data[:start] + damage(data[start:]))
        return folder / "exam"

    return build


def noisy_stream(data: bytes) -> bytes:
    """A code stream of random bytes, its length untouched."""
    return data[:4] + noise(data[4:])


def wrong_length(data: bytes) -> bytes:
    return struct.pack("<I", 0x7FFFFFF0) + data[4:]


def noise(data: bytes) -> bytes:
    garbage = np.random.default_rng(5).integers(0, 256, len(data), dtype=np.uint8).tobytes()
    return garbage[:-8] + data[-8:]


def empty_folder(folder: Path) -> Path:
    (folder / "exam").mkdir()
    return folder / "exam"


def empty_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "exam.zip", "w"):
        pass
    return folder / "exam.zip"


def truncated_zip(folder: Path) -> Path:
    path = zipped(save(folder / "exam", exam()), folder / "exam.zip")
    path.write_bytes(path.read_bytes()[:20_000])
    return path


def damaged_member(folder: Path) -> Path:
    path = zipped(save(folder / "exam", exam()), folder / "exam.zip")
    data = bytearray(path.read_bytes())
    name = data.index(b"IM00031.dcm")
    data[name + 11 : name + 111] = b"\xff" * 100
    path.write_bytes(data)
    return path


def zip_bomb(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(1000))
        # the size a bomb gives in the directory; nothing of it needs to be unpacked to see it
        archive.filelist[0].file_size = 2**40
    return folder / "bomb.zip"


def traversal_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "evil.zip", "w") as archive:
        archive.writestr("../../evil.dcm", b"\0" * 128 + b"DICM")
    return folder / "evil.zip"


def encrypted_zip(folder: Path) -> Path:
    path = zipped(save(folder / "exam", exam()[:1]), folder / "exam.zip")
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 8] |= 1
    path.write_bytes(data)
    return path


def nested_zip(folder: Path) -> Path:
    inner = zipped(save(folder / "exam", exam()), folder / "inner.zip")
    with zipfile.ZipFile(folder / "outer.zip", "w") as archive:
        archive.write(inner, "inner.zip")
    return folder / "outer.zip"


def symlink_loop(folder: Path) -> Path:
    save(folder / "exam" / "a", exam())
    (folder / "exam" / "a" / "again").symlink_to(folder / "exam", target_is_directory=True)
    (folder / "exam" / "self").symlink_to(folder / "exam" / "self")
    return folder / "exam"


def fifo(folder: Path) -> Path:
    save(folder / "exam", exam())
    os.mkfifo(folder / "exam" / "pipe.dcm")
    return folder / "exam"


def folder_named_dcm(folder: Path) -> Path:
    (folder / "exam" / "x.dcm").mkdir(parents=True)
    return folder / "exam"


def map_of_each_slice(images: list) -> list:
    for one in images:
        one.SeriesDescription = "NLR CBV"
    return images[:SLICES]


def second_patient(images: list) -> list:
    other = exam()
    for one in images + other:
        one.SOPInstanceUID += ".0"
    for one in other:
        one.PatientID, one.StudyInstanceUID, one.SeriesInstanceUID = (
            "P2",
            STUDY + "9",
            STUDY + "9.1",
        )
    return images + other


def second_exam(images: list) -> list:
    other = exam(start_s=START_S + 1800)
    for one in other:
        one.SeriesInstanceUID, one.SeriesNumber, one.SOPInstanceUID = (
            SERIES + "8",
            8,
            one.SOPInstanceUID + ".8",
        )
        store(one, np.frombuffer(one.PixelData, "<u2").reshape(one.Rows, one.Columns) ^ 1)
    return images + other


def mixed_patients_in_series(images: list) -> None:
    for one in images[::2]:
        one.PatientID = "P2"


def fast_clock(images: list) -> None:
    for i, one in enumerate(images):
        one.AcquisitionTime = one.ContentTime = tm(START_S + 0.022 * (i // SLICES))


def without_times(images: list) -> None:
    for one in images:
        del one.AcquisitionTime, one.AcquisitionDate, one.ContentTime


def equal_times(images: list) -> None:
    for one in images:
        one.AcquisitionTime = one.ContentTime = tm(START_S)


def duplicate_differs(images: list) -> list:
    other = exam()[7]
    stored = np.frombuffer(other.PixelData, "<u2").reshape(32, 32).copy()
    stored[9, 9] += 1
    store(other, stored)
    return [*images, other]


def same_time_twice(images: list) -> None:
    images[9].AcquisitionTime = images[12].AcquisitionTime


def colour(images: list) -> None:
    for one in images:
        one.SamplesPerPixel, one.PhotometricInterpretation, one.PlanarConfiguration = 3, "RGB", 0
        one.PixelData = bytes(32 * 32 * 3)
        one.BitsAllocated = one.BitsStored = 8
        one.HighBit = 7


def grey_levels(images: list) -> None:
    for one, hu in zip(images, truth().reshape(-1, 32, 32), strict=True):
        store(one, np.clip((hu + 160) / 400 * 255, 0, 255).astype(np.int32))
        one.RescaleIntercept = 0


def constant(images: list) -> None:
    for one in images:
        store(one, np.full((32, 32), 1060))


def frozen(images: list) -> None:
    for one in images:
        store(one, np.frombuffer(images[0].PixelData, "<u2").reshape(32, 32))


def unscaled(images: list) -> None:
    for one in images:
        del one.RescaleIntercept


def other_matrix(images: list) -> None:
    store(images[4], np.full((16, 32), 1060))


def uneven(images: list) -> None:
    for one in images:
        if one.ImagePositionPatient[2] > 49:
            one.ImagePositionPatient[2] += 2


def many_missing(images: list) -> list:
    return [s for i, s in enumerate(images) if i % SLICES != 1 or i < len(images) * 0.6]


def one_frame_lost(images: list) -> list:
    return images[: 9 * SLICES] + images[10 * SLICES :]


def one_image_lost(images: list) -> list:
    return images[:31] + images[32:]


def backwards(images: list) -> None:
    """The instance numbers run against the clock; the clock is right."""
    for i, one in enumerate(images):
        one.InstanceNumber = len(images) - i


def relabelled(images: list) -> None:
    for one in images:
        compress(one, JPEGLSLossless)
        one.file_meta.TransferSyntaxUID = UID(MPEG2)


def forged_size(images: list) -> None:
    for one in images:
        one.Rows = one.Columns = 65535


def forged_compressed_size(images: list) -> None:
    for one in images:
        compress(one, JPEGLSLossless)
        one.Rows = one.Columns = 100


def forged_one(images: list) -> None:
    images[5].Rows = 4000


def tilted_one(images: list) -> None:
    images[5].ImageOrientationPatient = [1, 0, 0, 0, 0.9, -0.43589]


def impossible_orientation(images: list) -> None:
    for one in images:
        one.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]


def no_position(images: list) -> None:
    del images[3].ImagePositionPatient


def moving_table(images: list) -> None:
    for one in images[36:]:
        one.ImagePositionPatient[0] += 20


def far_apart(images: list) -> None:
    for one in images:
        one.ImagePositionPatient[2] = 40 + 100 * (one.ImagePositionPatient[2] - 40)


def one_thick_slice(images: list) -> list:
    for one in images:
        one.SliceThickness = "1e8"
    return images[::SLICES]


def on_the_roof(images: list) -> None:
    for one in images:
        one.ImagePositionPatient[0] += 20_000


def tube_changes(images: list) -> None:
    for one in images[30:]:
        one.KVP = 120


def kernel_changes(images: list) -> None:
    for one in images[30:]:
        one.ConvolutionKernel = "H60s"


def odd_values(images: list) -> None:
    """Unusual text, an unknown character set, invalid dates and numbers, empty elements."""
    for one in images:
        one.SpecificCharacterSet = "ISO 2022 IR 999"
        one.add_new(0x00100010, "PN", "M\u00fcller^\u5c71".encode())
        one.AccessionNumber = one.StudyID = one.PatientSex = ""
    images[3].add_new(0x00080022, "SH", "10102")


def one_wrong_slope(images: list) -> None:
    images[16].RescaleSlope = 1.3


def follow_up(images: list) -> list:
    later = exam(start_s=START_S + 1800)
    for one in later:
        one.SOPInstanceUID += ".2"
    return images + later


def pause(images: list) -> list:
    later = exam(start_s=START_S + 55)
    for one in later:
        one.SOPInstanceUID += ".2"
    return images + later


def four_slices_one_lost(images: list) -> list:
    return [s for s in exam(FRAMES, 4) if s.ImagePositionPatient[2] != 40 + DISTANCE_MM]


def enhanced_with(change: Callable[[object], object]) -> Builder:
    def build(folder: Path) -> Path:
        file = enhanced()
        change(file)
        return save(folder / "exam", [file], ["enhanced.dcm"])

    return build


def short_groups(file) -> None:
    file.NumberOfFrames = FRAMES * SLICES + 5


def cut_pixels(file) -> None:
    file.PixelData = file.PixelData[:-4000]


def half_gone(file) -> None:
    file.PixelData = file.PixelData[: len(file.PixelData) // 2]


def lost_clock(file) -> None:
    for group in file.PerFrameFunctionalGroupsSequence:
        del group.FrameContentSequence


def masked(data: np.ndarray) -> np.ndarray:
    data = data.astype(np.float32)
    data[:3] = np.nan
    return data


def cut_nifti(folder: Path) -> Path:
    path = save_nifti(folder)
    path.write_bytes(path.read_bytes()[:-3000])
    return path


def singular_affine(folder: Path) -> Path:
    path = save_nifti(folder, name="head.nii", codes=(1, 0))
    data = path.read_bytes()
    return named(path, data[:312] + bytes(16) + data[328:])  # srow_z


def affine_with(index: int, value: float) -> Builder:
    """A NIfTI one of whose 12 numbers of the affine (srow_x, y, z) is another."""

    def build(folder: Path) -> Path:
        path = save_nifti(folder, name="head.nii", codes=(1, 0))
        data = bytearray(path.read_bytes())
        data[280 + 4 * index : 284 + 4 * index] = struct.pack("<f", value)
        return named(path, bytes(data))

    return build


def named(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def nifti_beside_dicom(folder: Path) -> Path:
    save_nifti(folder / "exam", name="old.nii.gz")
    return save(folder / "exam", exam())


def two_niftis(folder: Path) -> Path:
    save_nifti(folder / "exam", name="a.nii")
    return save_nifti(folder / "exam", np.roll(HEAD, 1, axis=0), name="b.nii").parent


CASES = [
    # the path
    Case("missing path", lambda d: d / "nowhere", errors.NoReadableFiles, ("nowhere", "no such")),
    Case("empty folder", empty_folder, errors.NoReadableFiles, ("exam", "empty")),
    Case("empty zip", empty_zip, errors.NoReadableFiles, ("exam.zip", "empty")),
    Case("truncated zip", truncated_zip, errors.DamagedFile, ("exam.zip", "copy it again")),
    Case("damaged zip member", damaged_member, "files-unreadable", ("1 DICOM",)),
    Case("zip bomb", zip_bomb, errors.DamagedFile, ("bomb.zip", "zip bomb")),
    Case("path traversal in a zip", traversal_zip, errors.NoReadableFiles, ("evil", "outside")),
    Case("encrypted zip", encrypted_zip, errors.DamagedFile, ("exam.zip", "password")),
    Case("zip in a zip", nested_zip, errors.NoReadableFiles, ("inner.zip", "not opened")),
    Case("folder named like a file", folder_named_dcm, errors.NoReadableFiles, ("exam", "empty")),
    Case("symlink loop", symlink_loop, "dangling-link", ("broken links",)),
    Case("named pipe", fifo, "not-a-file", ("not regular",)),
    # the files
    Case("text named .dcm", loose("a.dcm", b"hello" * 99), errors.NoReadableFiles, ("a.dcm",)),
    Case("random bytes", loose("r.dcm", noise(bytes(9999))), errors.NoReadableFiles, ("r.dcm",)),
    Case("empty file", loose("e.dcm", b""), errors.NoReadableFiles, ("e.dcm",)),
    Case("nothing in the file", loose("d.dcm", META), errors.DamagedFile, ("d.dcm", "cut off")),
    Case("endless nesting", loose("n.dcm", META + DEEP), errors.DamagedFile, ("n.dcm", "header")),
    Case("truncated header", bytes_of(lambda b: b[:600]), "files-unreadable", ("1 DICOM",)),
    Case("truncated pixels", bytes_of(lambda b: b[:-500]), "images-damaged", ("1 images",)),
    Case("no pixels", bytes_of(lambda b: b[:-2060]), "images-damaged", ("1 images",)),
    Case("truncated pixels in all", cut_files(range(60)), errors.DamagedFile, ("IM00001", "cut")),
    Case("truncated in 3 frames", cut_files((12, 30, 45)), errors.DamagedFile, ("IM00013", "cut")),
    Case(
        "corrupt JPEG Lossless",
        compressed(JPEGLosslessSV1, noisy_stream),
        "images-damaged",
        ("1 images",),
    ),
    Case(
        "corrupt JPEG-LS",
        compressed(JPEGLSLossless, noisy_stream),
        "images-damaged",
        ("1 images",),
    ),
    Case(
        "corrupt JPEG 2000",
        compressed(JPEG2000Lossless, noisy_stream),
        "images-damaged",
        ("1 images",),
    ),
    Case(
        "corrupt RLE",
        compressed(RLELossless, noisy_stream),
        "images-damaged",
        ("1 images",),
    ),
    Case(
        "corrupt JPEG-LS in all",
        compressed(JPEGLSLossless, noisy_stream, range(60)),
        errors.DamagedFile,
        ("IM00001.dcm", "decoded"),
    ),
    Case("fragment longer than the file", compressed(JPEGLSLossless, wrong_length), "", ()),
    Case("unknown codec", written(relabelled), errors.DamagedFile, ("IM00001", MPEG2, "export")),
    # not a perfusion exam
    Case("only localizers", all_with(ImageType=["X", "LOCALIZER"]), errors.NotCT, ("localizer",)),
    Case(
        "only dose reports",
        all_with(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67", Modality="SR"),
        errors.NotCT,
        ("SR", "IM00001"),
    ),
    Case("only projections", all_with(ImageType=["D", "S", "MIP"]), errors.NotCT, ("projection",)),
    Case("perfusion maps", written(map_of_each_slice), errors.TooFewFrames, ("1 images",)),
    Case("maps by type", all_with(ImageType=["D", "S", "CBV"]), errors.NotCT, ("perfusion map",)),
    Case(
        "named like a map",
        all_with(SeriesDescription="CT Brain Perfusion 5s delay"),
        "",
        (),
    ),
    Case(
        "MR",
        all_with(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR"),
        errors.NotCT,
        ("not CT (MR)",),
    ),
    Case("colour images", written(colour), errors.NotCT, ("colour",)),
    Case("another unit", all_with(RescaleType="MGML"), "rescale-type-unusual", ("MGML",)),
    Case("single volume", written(lambda i: i[:SLICES]), errors.TooFewFrames, ("1 images", "8")),
    Case("three frames", written(lambda i: i[: 3 * SLICES]), errors.TooFewFrames, ("3 images",)),
    # time
    Case("all times equal", written(equal_times), errors.MissingTiming, ("IM000", "time")),
    Case("no time tags", written(without_times), errors.MissingTiming, ("IM000", "time")),
    Case("clock of milliseconds", written(fast_clock), errors.MissingTiming, ("0.022", "unit")),
    Case("numbered backwards", written(backwards), "", ()),
    Case("a frame is missing", written(one_frame_lost), "sampling-gap", ("4.4 s",)),
    Case("pause inside the scan", written(pause), "sampling-gap", ("13.2 s",)),
    Case("two scans in a series", written(follow_up), errors.AmbiguousExam, ("scan-2", "--series")),
    Case(
        "two images at one time",
        written(same_time_twice),
        errors.AmbiguousExam,
        ("IM00010", "IM00013"),
    ),
    # completeness
    Case("an image is missing", written(one_image_lost), "frames-dropped", ("1 of 20",)),
    Case("many images missing", written(many_missing), errors.IncompleteExam, ("12", "20")),
    Case("a slice is missing", written(four_slices_one_lost), errors.IncompleteExam, ("missing",)),
    Case("identical duplicates", written(lambda i: i + exam()[5:9]), "duplicates-dropped", ("4 ",)),
    Case(
        "duplicates that differ",
        written(duplicate_differs),
        errors.AmbiguousExam,
        ("IM00008.dcm", "IM00061.dcm"),
    ),
    Case("two patients", written(second_patient), errors.AmbiguousExam, ("2 patients", "IM00001")),
    Case("patients mixed", written(mixed_patients_in_series), errors.AmbiguousExam, ("patients",)),
    Case(
        "two exams",
        written(second_exam),
        errors.AmbiguousExam,
        ("scan-1 (series 7, 20", "--series"),
    ),
    # geometry
    Case("mixed matrix sizes", written(other_matrix), errors.BadGeometry, ("IM00005", "16 x 32")),
    Case("mixed orientation", written(tilted_one), errors.BadGeometry, ("IM00006", "orientation")),
    Case(
        "impossible orientation", written(impossible_orientation), errors.BadGeometry, ("angles",)
    ),
    Case("no position", written(no_position), errors.BadGeometry, ("IM00004", "position")),
    Case("no pixel size", all_with(PixelSpacing=[0, 0]), errors.BadGeometry, ("IM00001", "size")),
    Case("uneven slices", written(uneven), errors.BadGeometry, ("unevenly", "7.00 mm")),
    Case("field of view moves", written(moving_table), errors.BadGeometry, ("IM000", "20.00 mm")),
    Case("slices far apart", written(far_apart), errors.BadGeometry, ("IM00001", "500 mm")),
    Case("thin slices apart", all_with(SliceThickness=1.5), "slices-apart", ("5 mm apart",)),
    Case(
        "one slice, of any thickness",
        written(one_thick_slice),
        errors.BadGeometry,
        ("1e+08 mm", "distance of its slices"),
    ),
    Case("pixels of 50 mm", all_with(PixelSpacing=[50, 50]), errors.BadGeometry, ("50 mm",)),
    Case("tiny field of view", all_with(PixelSpacing=[1, 1]), errors.BadGeometry, ("32 mm",)),
    Case("a place on the roof", written(on_the_roof), errors.BadGeometry, ("scanner's origin",)),
    Case("forged matrix", written(forged_size), errors.DamagedFile, ("IM00001", "65535")),
    Case("one forged matrix", written(forged_one), "images-damaged", ("1 images",)),
    Case("forged, compressed", written(forged_compressed_size), errors.DamagedFile, ("IM00001",)),
    # values
    Case("negative slope", all_with(RescaleSlope=-1), errors.ImplausibleValues, ("IM000", "-1")),
    Case("slope far too large", all_with(RescaleSlope=10), errors.ImplausibleValues, ("slope",)),
    Case("slope too large", all_with(RescaleSlope=1.05), "brain-unusual", ("HU",)),
    Case("no intercept", written(unscaled), "intercept-missing", ("1024 HU",)),
    Case("grey levels", written(grey_levels), errors.ImplausibleValues, ("not Hounsfield",)),
    Case("constant pixels", written(constant), errors.ImplausibleValues, ("empty",)),
    Case("one volume in all frames", written(frozen), errors.ImplausibleValues, ("identical",)),
    Case("slope beyond any CT", all_with(RescaleSlope="1e300"), errors.ImplausibleValues, ("1",)),
    Case(
        "one wrong slope", written(one_wrong_slope), "images-unlike-others", ("frame 6", "slice 2")
    ),
    Case(
        "position beyond Earth",
        one_with(3, ImagePositionPatient=[0, 0, "1e300"]),
        errors.BadGeometry,
        ("IM00004",),
    ),
    Case("kV changes", written(tube_changes), "mixed-kvp", ("80",)),
    Case("kernel changes", written(kernel_changes), "mixed-kernel", ("H60s",)),
    Case("impossible bits", all_with(BitsStored=99), errors.DamagedFile, ("IM000", "99 bits")),
    Case("odd but harmless headers", written(odd_values), "", ()),
    # enhanced multi-frame
    Case(
        "enhanced: too many frames", enhanced_with(short_groups), errors.DamagedFile, ("65", "60")
    ),
    Case("enhanced: cut off", enhanced_with(cut_pixels), "images-damaged", ("2 images",)),
    Case("enhanced: half gone", enhanced_with(half_gone), errors.DamagedFile, ("enhanced", "few")),
    Case("enhanced: no times", enhanced_with(lost_clock), errors.MissingTiming, ("enhanced",)),
    # NIfTI
    Case("NIfTI: 3D", lambda d: save_nifti(d, HEAD[..., 0]), errors.TooFewFrames, ("head", "four")),
    Case(
        "NIfTI: 5D",
        lambda d: save_nifti(d, np.stack([HEAD] * 2, -1)),
        errors.BadGeometry,
        ("head",),
    ),
    Case("NIfTI: masked", lambda d: save_nifti(d, masked(HEAD)), "values-missing", ("NaN",)),
    Case(
        "NIfTI: all NaN",
        lambda d: save_nifti(d, HEAD * np.float32("nan")),
        errors.ImplausibleValues,
        ("head",),
    ),
    Case(
        "NIfTI: no times",
        lambda d: save_nifti(d, sidecar=None, step_s=0),
        errors.MissingTiming,
        ("VolumeTiming",),
    ),
    Case("NIfTI: no JSON", lambda d: save_nifti(d, sidecar=None), "timing-from-header", ("2.2 s",)),
    Case(
        "NIfTI: broken JSON",
        lambda d: save_nifti(d, sidecar='{"a": '),
        errors.DamagedFile,
        ("head.json",),
    ),
    Case(
        "NIfTI: JSON list",
        lambda d: save_nifti(d, sidecar="[1]"),
        errors.DamagedFile,
        ("head.json",),
    ),
    Case(
        "NIfTI: wrong count",
        lambda d: save_nifti(d, sidecar={"VolumeTiming": [0, 1]}),
        errors.MissingTiming,
        ("2 values", "20"),
    ),
    Case(
        "NIfTI: times as text",
        lambda d: save_nifti(d, sidecar={"RepetitionTime": "2 s"}),
        errors.MissingTiming,
        ("RepetitionTime",),
    ),
    Case(
        "NIfTI: times in ms",
        lambda d: save_nifti(d, sidecar={"RepetitionTime": 2200}),
        "timing-unit",
        ("2200", "milliseconds"),
    ),
    Case(
        "NIfTI: times go back",
        lambda d: save_nifti(d, sidecar={"VolumeTiming": [5, *VOLUME_TIMING["VolumeTiming"][1:]]}),
        errors.MissingTiming,
        ("increase",),
    ),
    Case(
        "NIfTI: no orientation",
        lambda d: save_nifti(d, codes=(0, 0)),
        "orientation-unknown",
        ("swapped",),
    ),
    Case("NIfTI: singular affine", singular_affine, errors.BadGeometry, ("head.nii", "singular")),
    Case(
        "NIfTI: NaN in the affine", affine_with(5, np.nan), errors.BadGeometry, ("head.nii", "NaN")
    ),
    Case("NIfTI: infinite affine", affine_with(0, np.inf), errors.BadGeometry, ("infinite",)),
    Case("NIfTI: huge affine", affine_with(11, 1e30), errors.BadGeometry, ("infinite or larger",)),
    Case("NIfTI: slices 500 mm apart", affine_with(10, 500.0), errors.BadGeometry, ("500 mm",)),
    Case("NIfTI: sheared slices", affine_with(2, 9.0), errors.BadGeometry, ("sheared",)),
    Case("NIfTI: rows askew", affine_with(1, 5.0), errors.BadGeometry, ("right angles",)),
    Case(
        "NIfTI: a slice from next year",
        lambda d: save_nifti(d, sidecar={**VOLUME_TIMING, "SliceTiming": [0, 0, 3e7]}),
        errors.MissingTiming,
        ("head.nii.gz", "3e+07 s apart"),
    ),
    Case(
        "NIfTI: a scan of an hour",
        lambda d: save_nifti(d, np.repeat(HEAD, 35, axis=3), sidecar={"RepetitionTime": 5.5}),
        errors.MissingTiming,
        ("span 3844 s",),
    ),
    Case("NIfTI: cut off", cut_nifti, errors.DamagedFile, ("head.nii.gz",)),
    Case("NIfTI: text", lambda d: named(d / "a.nii", b"hello"), errors.DamagedFile, ("a.nii",)),
    Case("NIfTI: and DICOM", nifti_beside_dicom, errors.AmbiguousExam, ("old.nii.gz", "itself")),
    Case("NIfTI: two of them", two_niftis, errors.AmbiguousExam, ("a.nii", "b.nii")),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_broken_input_ends_in_its_named_error_or_finding(case: Case, tmp_path: Path, capfd):
    path = case.build(tmp_path)
    if isinstance(case.expected, str):
        found = read_exam(path)
        findings = {f.code: f.message for f in found.findings}
        if case.expected == "":
            assert findings == {}
            assert np.array_equal(found.frames, truth())
        else:
            assert case.expected in findings
        message = findings.get(case.expected, "")
    else:
        with pytest.raises(errors.BolusError) as caught:
            read_exam(path)
        assert type(caught.value) is case.expected, caught.value
        message = str(caught.value)
    for word in case.words:
        assert word in message
    assert "FACTORY" not in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_info_of_broken_input_never_fails_otherwise(case: Case, tmp_path: Path):
    path = case.build(tmp_path)
    try:
        found = describe(path)
    except errors.NoReadableFiles:
        assert case.expected is errors.NoReadableFiles
        return
    in_pixels = (errors.DamagedFile, errors.ImplausibleValues)
    if isinstance(case.expected, str):
        assert found.usable
    elif found.usable:
        assert case.expected in in_pixels
    else:
        assert type(found.error) is case.expected


def test_there_are_enough_kinds_of_broken_input():
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
