"""Every unused part of an exam is counted, reported and graded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import FRAMES, SLICES, exam, save
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from bolus.acquire.checks import _sampling
from bolus.acquire.exam import read_exam
from bolus.errors import NoReadableFiles
from bolus.types import Exam, Finding, Grade


def finding(found: Exam, code: str) -> Finding:
    return next(one for one in found.findings if one.code == code)


def as_rgb(one) -> None:
    stored = np.frombuffer(one.PixelData, "<u2")
    one.SamplesPerPixel, one.PhotometricInterpretation, one.PlanarConfiguration = 3, "RGB", 0
    one.BitsAllocated = one.BitsStored = 8
    one.HighBit = 7
    one.PixelData = np.repeat((stored // 16).astype(np.uint8), 3).tobytes()
    one["PixelData"].VR = "OB"


CHANGES: dict[str, tuple[Callable, str]] = {
    "photometric": (
        lambda one: setattr(one, "PhotometricInterpretation", "MONOCHROME1"),
        "colour or inverted",
    ),
    "rescale type": (lambda one: setattr(one, "RescaleType", "OD"), "not Hounsfield units (OD)"),
    "image type": (
        lambda one: setattr(one, "ImageType", ["DERIVED", "SECONDARY", "AVERAGE"]),
        "projection or average",
    ),
    "modality": (lambda one: setattr(one, "Modality", "MR"), "not CT (MR)"),
    "samples": (as_rgb, "colour or inverted"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_an_image_of_the_series_that_is_of_another_kind_is_a_warning(
    kind: str, tmp_path: Path
) -> None:
    change, words = CHANGES[kind]
    images = exam()
    change(images[31])
    found = read_exam(save(tmp_path, images))
    told = finding(found, "images-left-out")
    assert told.grade == Grade.WARNING
    assert "1 images" in told.message
    assert words in told.message
    assert len(found.frames) == FRAMES - 1


def test_a_frame_whose_files_are_missing_is_a_warning(tmp_path: Path) -> None:
    found = read_exam(
        save(tmp_path, [one for one in exam() if one.InstanceNumber not in (16, 17, 18)])
    )
    assert len(found.frames) == FRAMES - 1
    assert [one.grade for one in found.findings if one.code.startswith("sampling")] == [
        Grade.WARNING
    ]


def test_a_scan_at_two_rates_lacks_no_frame() -> None:
    steps = np.repeat([1.0, 2.0], 15)[:, None]
    assert [one.grade for one in _sampling(steps, 1.0)] == [Grade.NOTE]
    lost = np.ones((29, 1))
    lost[11] = 2.0
    assert [one.grade for one in _sampling(lost, 1.0)] == [Grade.WARNING]


def test_a_fifth_of_the_series_left_out_fails_the_exam(tmp_path: Path) -> None:
    images = exam()
    for one in images[: 4 * SLICES]:
        one.RescaleType = "OD"
    found = read_exam(save(tmp_path, images))
    assert finding(found, "images-left-out").grade == Grade.FAIL


def test_a_localizer_in_the_series_is_a_note(tmp_path: Path) -> None:
    images = exam()
    scout = exam()[0]
    scout.SOPInstanceUID += ".9"
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    found = read_exam(save(tmp_path, [*images, scout]))
    assert [one.grade for one in found.findings] == [Grade.NOTE]
    assert "1 x localizer" in finding(found, "images-beside").message


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(512) + path.read_bytes()[512:])


def inner_zip(path: Path) -> None:
    with zipfile.ZipFile(path.with_name("late"), "w") as archive:
        archive.write(path, path.name)
    path.unlink()


@pytest.mark.parametrize("lose", [empty, zeroed, inner_zip])
def test_a_file_that_was_an_image_is_a_warning(
    lose: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = save(tmp_path, exam())
    (folder / "readme.doc").write_text("no image")
    lose(folder / "IM00060.dcm")
    found = read_exam(folder)
    assert finding(found, "files-lost").grade == Grade.WARNING
    assert "1 files" in finding(found, "files-lost").message
    assert finding(found, "files-ignored").grade == Grade.NOTE


def of_another_kernel(one: FileDataset) -> None:
    one.ConvolutionKernel = "H60s"


def inverted(one: FileDataset) -> None:
    one.PhotometricInterpretation = "MONOCHROME1"


def without_times(one: FileDataset) -> None:
    del one.AcquisitionTime, one.ContentTime


@pytest.mark.parametrize("frame", [9, FRAMES - 1])
def test_a_frame_with_another_kernel_in_its_header_is_used_with_a_warning(
    frame: int, tmp_path: Path
) -> None:
    images = exam()
    for number, one in enumerate(images):
        one.SeriesInstanceUID += f".{number // SLICES}"
        if number // SLICES == frame:
            of_another_kernel(one)
    found = read_exam(save(tmp_path, images))
    assert len(found.frames) == FRAMES
    assert finding(found, "mixed-kernel").grade == Grade.WARNING


@pytest.mark.parametrize("change", [inverted, without_times])
@pytest.mark.parametrize("frame", [9, FRAMES - 1])
def test_a_frame_in_a_series_of_its_own_is_not_lost_in_silence(
    change: Callable[[FileDataset], None], frame: int, tmp_path: Path
) -> None:
    images = exam()
    for number, one in enumerate(images):
        one.SeriesInstanceUID += f".{number // SLICES}"
        one.SeriesNumber = 100 + number // SLICES
        if number // SLICES == frame:
            change(one)
    found = read_exam(save(tmp_path, images))
    assert finding(found, "images-left-out").grade == Grade.WARNING
    assert f"{SLICES} images" in finding(found, "images-left-out").message


def test_frames_called_localizers_are_frames(tmp_path: Path) -> None:
    images = exam()
    for one in images[-SLICES:]:
        one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    found = read_exam(save(tmp_path, images))
    assert finding(found, "images-left-out").grade == Grade.WARNING


@pytest.mark.parametrize("name", ["IM00031.txt", "VERSION", "1.2.3.json", "._31"])
def test_an_image_is_one_whatever_its_file_is_called(name: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "exam", exam())
    (folder / "IM00031.dcm").rename(folder / name)
    assert len(read_exam(folder).frames) == FRAMES
    with zipfile.ZipFile(tmp_path / "exam.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    assert len(read_exam(tmp_path / "exam.zip").frames) == FRAMES


def cd_index() -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    index = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    index.FileSetID = "CD"
    index.DirectoryRecordSequence = []
    return index


def test_the_index_of_a_cd_is_no_image_and_stands_for_its_folder(tmp_path: Path) -> None:
    save(tmp_path / "cd" / "IMAGES", exam())
    save(tmp_path / "cd", [cd_index()], ["DICOMDIR"])
    found = read_exam(tmp_path / "cd")
    assert len(found.frames) == FRAMES
    assert found.findings == ()
    named = read_exam(tmp_path / "cd" / "DICOMDIR")
    assert np.array_equal(named.frames, found.frames)
    assert named.findings == ()


def test_the_index_of_a_cd_without_its_images_says_where_to_look(tmp_path: Path) -> None:
    save(tmp_path / "cd", [cd_index()], ["DICOMDIR"])
    with pytest.raises(NoReadableFiles, match="index of a CD"):
        read_exam(tmp_path / "cd" / "DICOMDIR")


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be opened, but by those who may open everything."""
    folder = tmp_path / "exam" / "closed"
    folder.mkdir(parents=True, mode=0o000)
    yield folder
    folder.chmod(0o755)


def described(path: Path) -> subprocess.CompletedProcess[str]:
    """`bolus info`, run without root's right to open everything."""
    command = [sys.executable, "-P", "-m", "bolus", "info", str(path)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root opens everything, and there is no setpriv")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_folder_that_may_not_be_opened_is_counted(closed: Path) -> None:
    save(closed.parent, exam())
    told = described(closed.parent)
    assert "warning  closed-folder: 1 folders can't be opened" in told.stdout, told.stderr


def test_nifti_in_a_closed_folder_ends_in_one_line(closed: Path) -> None:
    told = described(closed / "head.nii.gz")
    assert told.returncode == 3
    assert told.stderr.count("\n") == 1
    assert "access is denied" in told.stderr


def test_folders_too_deep_are_counted(tmp_path: Path) -> None:
    save(tmp_path, exam())
    deep = tmp_path / "/".join("d" * 80)
    deep.mkdir(parents=True)
    assert finding(read_exam(tmp_path), "deep-folder").grade == Grade.WARNING
