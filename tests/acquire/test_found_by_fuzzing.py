"""Faults that hostile inputs of ``tests/fuzz`` found, each as its smallest example."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import enhanced, exam, image, save, store, truth, zipped
from niftifactory import VOLUME_TIMING, save_nifti

from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.errors import (
    AmbiguousExam,
    BolusError,
    DamagedFile,
    ImplausibleValues,
    NotCT,
    TooFewFrames,
)
from bolus.files.regular_file import open_regular

PATIENT = "FACTORY^HEAD"


def test_a_member_of_a_zip_without_a_name_is_reported(tmp_path: Path) -> None:
    path = zipped(save(tmp_path / "exam", exam()), tmp_path / "exam.zip")
    with zipfile.ZipFile(path, "a") as archive:
        nameless = zipfile.ZipInfo("placeholder")
        nameless.filename = "\0x"  # what zipfile reads back as ""
        archive.writestr(nameless, b"hello")
    found = read_exam(path)
    assert [f.code for f in found.findings] == ["unsafe-name"]
    assert np.array_equal(found.frames, truth())


def test_an_lzma_member_that_asks_for_all_memory_is_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "exam.zip"
    save(tmp_path / "exam", exam())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for file in sorted((tmp_path / "exam").iterdir()):
            archive.write(file, file.name)

    def greedy(*_: object, **__: object) -> None:
        raise MemoryError

    # how much there is to ask for depends on the computer
    monkeypatch.setattr("lzma.LZMADecompressor", greedy)
    with pytest.raises(DamagedFile, match=r"IM00001\.dcm"):
        read_exam(path)


def test_words_of_libraries_stand_in_one_line(tmp_path: Path) -> None:
    path = save_nifti(tmp_path, name="head.nii")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DamagedFile, match=r"head\.nii: not a readable NIfTI") as caught:
        read_exam(path)
    assert str(caught.value).isprintable()


def test_names_of_files_and_series_in_messages_command_no_terminal(tmp_path: Path) -> None:
    with pytest.raises(BolusError, match=r"no series \?\[2J;") as caught:
        read_exam(save(tmp_path / "ex\x1bam", exam()), series="\x1b[2J")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", [3e38, 1e6])
def test_values_that_no_ct_gives_are_refused(value: float, tmp_path: Path) -> None:
    data = truth().transpose(3, 2, 1, 0).astype(np.float32)
    data[3, 4, 1, 12] = value
    with pytest.raises(ImplausibleValues, match="cannot occur in CT"):
        read_exam(save_nifti(tmp_path, data))


def test_values_far_below_air_are_reported(tmp_path: Path) -> None:
    data = truth().transpose(3, 2, 1, 0).astype(np.float32)
    data[16, 16, 1, 12] = -3e38
    (finding,) = read_exam(save_nifti(tmp_path, data)).findings
    assert finding.code == "values-missing"


@pytest.mark.parametrize(("rows", "columns"), [(24, 32), (32, 24), (31, 32)])
def test_a_matrix_smaller_than_the_pixels_is_no_crop(
    rows: int, columns: int, tmp_path: Path
) -> None:
    images = exam()
    for one in images:
        one.Rows, one.Columns = rows, columns
    with pytest.raises(DamagedFile, match=r"IM00001.dcm: holds more pixels than"):
        read_exam(save(tmp_path / "exam", images))


def test_frames_that_an_enhanced_file_does_not_describe_are_not_left_out(tmp_path: Path) -> None:
    file = enhanced()
    del file.PerFrameFunctionalGroupsSequence[-3:]
    file.NumberOfFrames = 57
    with pytest.raises(DamagedFile, match="more pixels than 57 x 32 x 32"):
        read_exam(save(tmp_path / "exam", [file]))


def test_a_few_bytes_behind_the_pixels_are_none(tmp_path: Path) -> None:
    images = exam()
    for one in images:
        one.PixelData += bytes(4)
    assert np.array_equal(read_exam(save(tmp_path / "exam", images)).frames, truth())


def test_a_length_that_swallows_the_patients_name_does_not_show_it(tmp_path: Path) -> None:
    """The modality's length is wrong; the following elements, with the name, count as its value."""
    for path in save(tmp_path / "exam", exam()).iterdir():
        data = path.read_bytes()
        at = data.index(b"\x08\0\x60\0CS\x02\0") + 6
        end = data.index(PATIENT.encode()) + len(PATIENT)
        path.write_bytes(data[:at] + struct.pack("<H", end - at - 2) + data[at + 2 :])
    with pytest.raises(NotCT) as caught:
        read_exam(tmp_path / "exam")
    found = describe(tmp_path / "exam")
    assert PATIENT not in f"{caught.value} {found.series} {found.error}"


@pytest.mark.filterwarnings("ignore:The value length")
def test_long_texts_of_a_header_are_cut(tmp_path: Path) -> None:
    images = exam()
    for one in images:
        one.add_new(0x00080070, "LO", b"A" * 60_000)
        one.add_new(0x00080008, "CS", b"\\".join([b"B" * 6000] * 10))
    found = read_exam(save(tmp_path / "exam", images)).scanner
    assert found.manufacturer == "A" * 61 + "..."
    assert len(describe(tmp_path / "exam").series[0].image_type) < 200


def test_long_texts_of_a_json_file_are_cut(tmp_path: Path) -> None:
    path = save_nifti(tmp_path, sidecar={**VOLUME_TIMING, "Manufacturer": "A" * 5000})
    assert read_exam(path).scanner.manufacturer == "A" * 61 + "..."


def test_file_meta_information_of_an_unknown_kind_costs_no_exam(tmp_path: Path) -> None:
    for path in save(tmp_path / "exam", exam()).iterdir():
        path.write_bytes(path.read_bytes().replace(b"\x02\0\x02\0UI", b"\x02\0\x02\0TI", 1))
    assert np.array_equal(read_exam(tmp_path / "exam").frames, truth())


@pytest.mark.filterwarnings("ignore:The value length")
def test_copies_with_long_ids_that_differ_at_their_end_are_different_images(
    tmp_path: Path,
) -> None:
    other = image(truth()[2, 1] + 1, 2, 1, 0.0)
    images = exam()
    other.AcquisitionTime = images[7].AcquisitionTime
    images[7].SOPInstanceUID, other.SOPInstanceUID = "1." * 40 + "1", "1." * 40 + "2"
    store(other, truth()[2, 1].astype(np.int32) + 1030)
    with pytest.raises(AmbiguousExam, match="two different images"):
        read_exam(save(tmp_path / "exam", [*images, other]))


def test_a_path_that_no_file_can_have_is_an_ordinary_error() -> None:
    for name in ("a\0b", "\ud800"):
        with pytest.raises(FileNotFoundError):
            open_regular(Path(name))


def test_an_image_with_the_time_of_another_slice_is_reported(tmp_path: Path) -> None:
    images = exam()
    images[0].AcquisitionTime = images[4].AcquisitionTime
    findings = read_exam(save(tmp_path / "exam", images)).findings
    assert {(f.code, f.grade.name) for f in findings} == {
        ("sampling-uneven", "WARNING"),
        ("order-contradicted", "WARNING"),
    }


def test_copies_of_one_image_are_one_frame(tmp_path: Path) -> None:
    with pytest.raises(TooFewFrames, match="has 1 frames"):
        read_exam(save(tmp_path / "exam", exam()[:1] * 12))


@pytest.mark.parametrize("current_ma", [-1e308, 1e308, 0.0, -500.0])
def test_a_tube_load_that_no_tube_has_is_unknown(tmp_path: Path, current_ma: float) -> None:
    file = enhanced()
    del file.XRayTubeCurrent, file.ExposureTime
    (shared,) = file.SharedFunctionalGroupsSequence
    shared.CTExposureSequence[0].XRayTubeCurrentInmA = current_ma
    shared.CTExposureSequence[0].ExposureTimeInms = 1e308
    found = describe(save(tmp_path, [file], ["one"]))
    assert found.scanner is not None
    assert found.scanner.exposure_mas is None
    json.dumps(found.to_dict(), allow_nan=False)
