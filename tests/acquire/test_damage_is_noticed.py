"""A flipped bit never becomes another map: what has a checksum is compared with it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import FRAMES, enhanced, exam, save, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from niftifactory import save_nifti
from pydicom.uid import JPEGLSLossless

from bolus.acquire.exam import read_exam
from bolus.errors import AmbiguousExam, DamagedFile
from bolus.types import Exam


def same(a: Exam, b: Exam) -> bool:
    return (
        np.array_equal(a.frames, b.frames)
        and np.array_equal(a.times_s, b.times_s)
        and np.array_equal(a.geometry.affine, b.geometry.affine)
    )


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, Exam]:
    """A ``.nii.gz``, its bytes and what it holds."""
    path = save_nifti(tmp_path_factory.mktemp("nifti"))
    return path, path.read_bytes(), read_exam(path)


@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_single_flipped_bit_of_a_nii_gz_changes_no_value(
    packed: tuple[Path, bytes, Exam], share: float, bit: int
) -> None:
    path, content, whole = packed
    damaged = bytearray(content)
    damaged[int(share * len(damaged))] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        found, refusal = read_exam(path), ""
    except DamagedFile as error:
        found, refusal = None, str(error)
    path.write_bytes(content)
    # bits of the gzip header's date and system mean nothing
    assert "head.nii.gz" in refusal if found is None else same(found, whole)


def test_a_nii_gz_that_ends_after_its_last_voxel_is_cut_off(tmp_path: Path) -> None:
    path = save_nifti(tmp_path)
    path.write_bytes(path.read_bytes()[:-8])  # its checksum and size
    with pytest.raises(DamagedFile, match=r"head\.nii\.gz"):
        read_exam(path)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("what", ["header", "pixels", "behind the pixels"])
def test_a_flipped_bit_of_a_zip_is_a_lost_image(method: int, what: str, tmp_path: Path) -> None:
    images = exam()
    for one in images:
        one.DataSetTrailingPadding = np.random.default_rng(0).bytes(400)
    folder = save(tmp_path / "exam", images)
    target = tmp_path / "exam.zip"
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    whole = read_exam(target)
    with zipfile.ZipFile(target) as archive:
        info = archive.getinfo("IM00031.dcm")
    start = info.header_offset + 30 + len(info.filename)
    at = {"header": 0.2, "pixels": 0.6, "behind the pixels": 0.95}[what]
    damaged = bytearray(target.read_bytes())
    damaged[start + int(at * info.compress_size)] ^= 4
    target.write_bytes(damaged)
    found = read_exam(target)
    lost = {"images-damaged", "files-unreadable"} & {one.code for one in found.findings}
    assert lost, "read as if nothing were wrong"
    assert len(found.frames) == len(whole.frames) - 1


def test_a_deflated_file_that_is_cut_off_is_lost(tmp_path: Path) -> None:
    images = exam()
    for one in images:
        one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
        one.DataSetTrailingPadding = np.random.default_rng(0).bytes(400)
    folder = save(tmp_path, images)
    assert read_exam(folder).findings == ()
    path = folder / "IM00031.dcm"
    path.write_bytes(path.read_bytes()[:-40])  # in the padding: all pixels are there
    assert {one.code for one in read_exam(folder).findings} >= {"files-unreadable"}


def contradicting(compressed: bool) -> object:
    """An enhanced file two of whose frames say that they are the same slice and time."""
    file = enhanced()
    groups = file.PerFrameFunctionalGroupsSequence
    groups[5].FrameContentSequence = groups[6].FrameContentSequence
    if compressed:
        file.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    return file


@pytest.mark.parametrize("compressed", [False, True])
def test_frames_of_one_file_that_contradict_each_other_are_refused(
    compressed: bool, tmp_path: Path
) -> None:
    save(tmp_path, [contradicting(compressed)], ["enhanced.dcm"])
    with pytest.raises(AmbiguousExam, match=r"enhanced\.dcm"):
        read_exam(tmp_path)


def test_a_compressed_exam_that_came_twice_with_new_uids_is_one(tmp_path: Path) -> None:
    images = exam()
    for one in images:
        one.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    save(tmp_path / "first", images)
    whole = read_exam(tmp_path)
    for one in images[:2]:
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID + ".7"
        one.InstitutionName = "Elsewhere"
    save(tmp_path / "again", images[:2])
    found = read_exam(tmp_path)
    assert same(found, whole)
    assert [one.code for one in found.findings] == ["duplicates-dropped"]


def test_an_enhanced_file_in_a_zip_is_unpacked_once_for_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "exam", [enhanced()], ["enhanced.dcm"])
    target = zipped(folder, tmp_path / "exam.zip")
    opened = []
    original = zipfile.ZipFile.open

    def counted(self: zipfile.ZipFile, *arguments: object, **how: object) -> object:
        opened.append(arguments)
        return original(self, *arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile.ZipFile, "open", counted)
    found = read_exam(target)
    assert len(found.frames) == FRAMES
    assert len(opened) <= 3  # whether it is an image, its header, its pixels
    assert same(found, read_exam(folder))
