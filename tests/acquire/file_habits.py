"""Habits of files: names, archives, encodings, enhanced images, what lies beside."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from dicom_habits import Habit, Images
from dicomfactory import FRAMES, SIZE, SLICES, START_S, STEP_S, compress, enhanced, tm, zipped
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)


def renamed(name: Callable[[int], str]) -> Callable[[Path], Path]:
    """The files under other names."""

    def pack(folder: Path) -> Path:
        for number, path in enumerate(sorted(folder.iterdir())):
            target = folder / name(number)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        return folder

    return pack


def in_tar(mode: str, name: str) -> Callable[[Path], Path]:
    """The folder as a tar."""

    def pack(folder: Path) -> Path:
        target = folder.with_name(name)
        with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
            archive.add(folder, folder.name)
        return target

    return pack


def gzipped(folder: Path) -> Path:
    """Every file gzipped on its own."""
    for path in sorted(folder.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    return folder


def without_preamble(folder: Path) -> Path:
    """Files that begin with their first element."""
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[132:])
    return folder


def with_index(folder: Path) -> Path:
    """A DICOMDIR beside the images."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    index = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    index.FileSetID = "CD"
    index.DirectoryRecordSequence = []
    index.save_as(folder / "DICOMDIR")
    return folder


def with_clutter(folder: Path) -> Path:
    """What file managers, viewers and CDs leave behind."""
    for name in ("Thumbs.db", ".DS_Store", "._IM00001.dcm", "VIEWER.EXE", "AUTORUN.INF", "a.html"):
        (folder / name).write_bytes(b"not an image" * 9)
    return folder


def in_syntax(syntax: UID) -> Callable[[Images], Images]:
    """The images in another transfer syntax, losslessly."""

    def change(images: Images) -> Images:
        for one in images:
            if syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
                one.file_meta.TransferSyntaxUID = syntax
            else:
                compress(one, syntax)
        return images

    return change


def as_enhanced(images: Images) -> Images:
    """All images in one file."""
    return [enhanced()]


def as_enhanced_by_index(images: Images) -> Images:
    """One file whose frames have an index, and the protocol's interval."""
    file = enhanced()
    for group in file.PerFrameFunctionalGroupsSequence:
        del group.FrameContentSequence[0].FrameReferenceDateTime
    file.TemporalResolution = 1000 * STEP_S
    return [file]


def as_enhanced_volumes(images: Images) -> Images:
    """A file for each time point; only the files have times."""
    whole = enhanced()
    pixels = np.frombuffer(whole.PixelData, "<u2").reshape(SLICES, FRAMES, SIZE, SIZE)
    groups = whole.PerFrameFunctionalGroupsSequence
    files = []
    for t in range(FRAMES):
        file = enhanced()
        own = [groups[z * FRAMES + t] for z in range(SLICES)]
        for group in own:
            del group.FrameContentSequence
        file.PerFrameFunctionalGroupsSequence = own
        file.NumberOfFrames, file.InstanceNumber = SLICES, t + 1
        file.PixelData = np.ascontiguousarray(pixels[:, t]).tobytes()
        file.AcquisitionDateTime = "20210716" + tm(START_S + STEP_S * t)
        file.AcquisitionTime = tm(START_S)
        file.SOPInstanceUID = generate_uid(entropy_srcs=["volume", str(t)])
        file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID
        files.append(file)
    return files


def _files(key: str, pack: Callable[[Path], Path]) -> Habit:
    return Habit(key, part="files", pack=pack)


FILE_HABITS: tuple[Habit, ...] = (
    _files("zip", lambda folder: zipped(folder, folder.with_name("exam.zip"))),
    _files("tar", in_tar("w", "exam.tar")),
    _files("tar-gz", in_tar("w:gz", "exam.tar.gz")),
    _files("gzipped-files", gzipped),
    _files("no-extension", renamed(lambda n: f"{n:05d}")),
    _files("siemens-ima", renamed(lambda n: f"HEAD.CT.{n:04d}.1.3.12.2.IMA")),
    _files("named-by-uid", renamed(lambda n: f"1.2.840.{n}.dcm")),
    _files("nested", renamed(lambda n: f"DICOM/{n % 7}/{n % 3}/IM{n}")),
    _files("non-ascii-names", renamed(lambda n: f"Schädel/Bild {n}.dcm")),
    _files("no-preamble", without_preamble),
    _files("dicomdir-in-folder", with_index),
    _files("dicomdir-named", lambda folder: with_index(folder) / "DICOMDIR"),
    _files("clutter", with_clutter),
    *(
        Habit(key, in_syntax(syntax), part="codec")
        for key, syntax in (
            ("implicit-vr", ImplicitVRLittleEndian),
            ("deflated", DeflatedExplicitVRLittleEndian),
            ("rle", RLELossless),
            ("jpeg-lossless", JPEGLosslessSV1),
            ("jpeg-ls", JPEGLSLossless),
            ("jpeg-2000", JPEG2000Lossless),
        )
    ),
    Habit("enhanced", as_enhanced, part="enhanced"),
    Habit(
        "enhanced-by-index",
        as_enhanced_by_index,
        "timing-assumed",
        moves_time=0.11,
        part="enhanced",
    ),
    Habit("enhanced-volumes", as_enhanced_volumes, moves_time=0.11, part="enhanced"),
)
