"""An exam comes out the same however a scanner, an archive or a clock arranged it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from dicomfactory import (
    DISTANCE_MM,
    FRAMES,
    ORIGIN,
    SERIES,
    SLICES,
    SPACING_MM,
    START_S,
    STEP_S,
    STUDY,
    as_ds,
    compress,
    exam,
    ge_time,
    save,
    store,
    times,
    tm,
    truth,
    zipped,
)
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from bolus.acquire.exam import read_exam
from bolus.types import Exam, Grade

HOUR_US = 3_600_000_000


def codes(exam: Exam) -> list[str]:
    return [finding.code for finding in exam.findings]


def same(a: Exam, b: Exam) -> bool:
    """Byte for byte the same exam."""
    return (
        a.frames.tobytes() == b.frames.tobytes()
        and a.times_s.tobytes() == b.times_s.tobytes()
        and a.geometry.affine.tobytes() == b.geometry.affine.tobytes()
        and (a.scanner, a.findings, a.dicom_identity) == (b.scanner, b.findings, b.dicom_identity)
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Exam:
    return read_exam(save(tmp_path_factory.mktemp("plain"), exam()))


def test_plain_exam_is_what_was_stored(plain):
    assert plain.frames.dtype == np.float32
    assert np.array_equal(plain.frames, truth())
    assert np.allclose(plain.times_s, times(), atol=1e-9)
    assert plain.geometry.shape == truth().shape[1:]
    assert plain.geometry.spacing_mm == pytest.approx((DISTANCE_MM, SPACING_MM, SPACING_MM))
    assert plain.geometry.affine @ [2, 3, 4, 1] == pytest.approx(
        [ORIGIN[0] + 4 * SPACING_MM, ORIGIN[1] + 3 * SPACING_MM, ORIGIN[2] + 2 * DISTANCE_MM, 1]
    )
    assert plain.findings == ()


def test_scanner_exposure_is_current_times_time_and_nobody_is_identified(plain):
    assert plain.scanner.exposure_mas == pytest.approx(200)
    assert (plain.scanner.source, plain.scanner.kvp) == ("dicom", 80)
    assert set(plain.dicom_identity) == {
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
    }
    assert "FACTORY^HEAD" not in repr(plain)


def test_shuffled_renamed_and_nested_files_give_the_same_bytes(plain, tmp_path):
    names = [f"{i % 4}/{i % 3}/{(i * 7919) % 104729:06d}" for i in range(FRAMES * SLICES)]
    images = [exam()[i] for i in np.random.default_rng(0).permutation(FRAMES * SLICES)]
    folder = save(tmp_path / "ex", images, names)
    (folder / "DICOMDIR").write_bytes(b"\0" * 200)
    (folder / "0" / ".DS_Store").write_bytes(b"x")
    assert same(read_exam(folder), plain)
    assert same(read_exam(zipped(folder, tmp_path / "ex.zip")), plain)


@pytest.mark.parametrize("start_s", [0.0, START_S + 3600, 86_400 - 20.0, 86_400 - 0.02])
def test_clock_shift_and_midnight_change_no_byte(plain, tmp_path, start_s):
    assert same(read_exam(save(tmp_path, exam(start_s=start_s))), plain)


@pytest.mark.parametrize("form", ["DS", "FD", "binary"])
def test_ge_cine_has_its_time_only_in_the_private_tag(tmp_path, form):
    images = exam()
    for i, one in enumerate(images):
        one.AcquisitionTime = one.ContentTime = tm(START_S)
        ge_time(one, 424.992 + times().ravel()[i], form)
    save(tmp_path, images)
    if form == "binary":
        as_ds(tmp_path)
    found = read_exam(tmp_path)
    assert np.allclose(found.times_s, times(), atol=2e-6)
    assert np.array_equal(found.frames, truth())


def test_ge_shuttle_keeps_a_time_axis_for_each_slice(tmp_path):
    # two table positions in turn; the first one is visited once more at the end
    def seconds(t: int, z: int) -> float:
        return 2.8 * t + (1.4 if z >= 2 else 0.0)

    images = [
        one
        for one in exam(20, 4, seconds)
        if one.ImagePositionPatient[2] < 50 or (one.SOPInstanceUID.split(".")[-2] != "20")
    ]
    found = read_exam(save(tmp_path, images))
    assert found.frames.shape[:2] == (19, 4)
    assert np.allclose(found.times_s[:, 3] - found.times_s[:, 0], 1.4)
    assert np.array_equal(found.frames, truth(20, 4)[:19])
    assert codes(found) == ["frames-trimmed"]
    assert found.findings[0].grade == Grade.WARNING


def test_table_positions_in_two_series_are_one_exam(tmp_path):
    images = exam(20, 4, lambda t, z: 2.8 * t + (1.4 if z >= 2 else 0.0))
    for one in images:
        if one.ImagePositionPatient[2] >= 50:
            one.SeriesInstanceUID = SERIES + "0"
            one.SeriesNumber = 8
    found = read_exam(save(tmp_path, images))
    assert np.array_equal(found.frames, truth(20, 4))
    assert found.dicom_identity["SeriesInstanceUID"] == f"{SERIES}\\{SERIES}0"


def test_one_series_for_each_pass(plain, tmp_path):
    images = exam(start_s=86_400 - 20)
    for i, one in enumerate(images):
        one.SeriesInstanceUID = f"{SERIES}.{i // SLICES}"
        one.SeriesNumber = one.AcquisitionNumber = i // SLICES + 1
    found = read_exam(save(tmp_path, images))
    assert np.array_equal(found.frames, truth())
    assert found.times_s.tobytes() == plain.times_s.tobytes()


def test_canon_volume_has_one_time_for_all_slices(tmp_path):
    found = read_exam(save(tmp_path, exam(seconds=lambda t, z: 2.2 * t)))
    assert np.ptp(found.times_s, axis=1).max() == 0
    assert np.array_equal(found.frames, truth())


def test_protocol_interval_stands_in_for_a_lost_clock_with_a_warning(tmp_path):
    images = exam()
    for i, one in enumerate(images):
        del one.AcquisitionTime, one.ContentTime
        one.AcquisitionNumber = i // SLICES + 1
        one.TemporalResolution = 2200
    found = read_exam(save(tmp_path, images))
    assert codes(found) == ["timing-assumed"]
    assert np.allclose(found.times_s[:, 0], STEP_S * np.arange(FRAMES))


def test_date_and_time_in_one_element(plain, tmp_path):
    images = exam()
    for one in images:
        one.AcquisitionDateTime = "20210716" + one.AcquisitionTime + "+0100"
        one.AcquisitionTime = tm(0)
        one.AcquisitionDate = ""
    assert same(read_exam(save(tmp_path, images)), plain)


def test_clocks_that_disagree_are_reported(tmp_path):
    images = exam()
    for i, one in enumerate(images):
        ge_time(one, 100 + 1.1 * times().ravel()[i], "FD")
    assert codes(read_exam(save(tmp_path, images))) == ["clocks-disagree"]


@pytest.mark.parametrize(
    "syntax",
    [JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless, RLELossless],
    ids=lambda uid: uid.name,
)
def test_compressed_pixels_are_the_uncompressed_ones(plain, tmp_path, syntax):
    images = exam()
    for one in images:
        compress(one, syntax)
    assert same(read_exam(save(tmp_path, images)), plain)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian], ids=lambda uid: uid.name
)
def test_other_transfer_syntaxes_give_the_same_bytes(plain, tmp_path, syntax):
    images = exam()
    for one in images:
        one.file_meta.TransferSyntaxUID = syntax
    assert same(read_exam(save(tmp_path, images)), plain)


def test_big_endian_gives_the_same_bytes(plain, tmp_path):
    for i, one in enumerate(exam()):
        one.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        one.PixelData = np.frombuffer(one.PixelData, "<u2").astype(">u2").tobytes()
        one.set_original_encoding(False, False)
        one.save_as(tmp_path / f"{i}.dcm")
    assert same(read_exam(tmp_path), plain)


def test_files_without_preamble_are_read(plain, tmp_path):
    save(tmp_path, exam())
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[132:])
    assert same(read_exam(tmp_path), plain)


def test_signed_pixels_with_padding_below_air(tmp_path):
    images = exam()
    for one, hu in zip(images, truth().reshape(-1, 32, 32), strict=True):
        one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 15, 1
        stored = hu.astype(np.int32) + 1024
        stored[:4, :4] = -2000
        store(one, stored)
        one.add_new(0x00280120, "SS", -2000)
    found = read_exam(save(tmp_path, images)).frames
    assert np.all(found[..., :4, :4] == -1024)
    assert np.array_equal(found[..., 4:, :], truth()[..., 4:, :])


def test_slope_of_each_file_counts(tmp_path):
    images = exam()
    for i, (one, hu) in enumerate(zip(images, truth().reshape(-1, 32, 32), strict=True)):
        one.RescaleSlope = (0.5, 1)[i % 2]
        one.BitsStored, one.HighBit = 16, 15
        store(one, (hu.astype(np.int32) + 1024) * (2, 1)[i % 2])
    assert np.array_equal(read_exam(save(tmp_path, images)).frames, truth())


def test_bits_above_the_stored_ones_are_no_pixels(plain, tmp_path):
    images = exam()
    for one in images:
        stored = np.frombuffer(one.PixelData, "<u2").reshape(32, 32).copy()
        stored[5, 5:9] |= 0x8000  # an overlay plane of old scanners
        store(one, stored)
    assert same(read_exam(save(tmp_path, images)), plain)


def artery_lps(found: Exam) -> np.ndarray:
    """Centre of the enhancing voxels in patient coordinates, mm."""
    gain = found.frames[8] - found.frames[0]
    index = np.argwhere(gain > 100).mean(axis=0)
    return (found.geometry.affine @ [*index, 1])[:3]


@pytest.mark.parametrize("flip", ["rows", "columns", "both", "transposed"])
def test_storage_direction_never_changes_sides(plain, tmp_path, flip):
    images = exam()
    for one in images:
        stored = np.frombuffer(one.PixelData, "<u2").reshape(32, 32)
        x, y, z = (float(v) for v in one.ImagePositionPatient)
        far = 31 * SPACING_MM
        row, column = [1, 0, 0], [0, 1, 0]
        if flip in ("columns", "both"):
            stored, x, row = stored[:, ::-1], x + far, [-1, 0, 0]
        if flip in ("rows", "both"):
            stored, y, column = stored[::-1], y + far, [0, -1, 0]
        if flip == "transposed":
            stored, row, column = stored.T, column, row
        one.ImagePositionPatient = [x, y, z]
        one.ImageOrientationPatient = [*row, *column]
        store(one, stored)
    found = read_exam(save(tmp_path, images))
    assert artery_lps(plain)[0] > 20  # LPS: the patient's left
    assert artery_lps(found) == pytest.approx(artery_lps(plain))
    assert found.geometry.affine[2, 0] > 0
    assert np.array_equal(np.sort(found.frames, axis=None), np.sort(plain.frames, axis=None))


def test_mirrored_head_gives_mirrored_frames(plain, tmp_path):
    images = exam()
    for one in images:
        store(one, np.frombuffer(one.PixelData, "<u2").reshape(32, 32)[:, ::-1])
    found = read_exam(save(tmp_path, images))
    assert found.geometry.affine.tobytes() == plain.geometry.affine.tobytes()
    assert np.array_equal(found.frames, plain.frames[..., ::-1])


def test_gantry_tilt_shears_the_stack(tmp_path):
    tilt = np.radians(15)
    images = exam()
    for one in images:
        one.ImageOrientationPatient = [1, 0, 0, 0, float(np.cos(tilt)), float(-np.sin(tilt))]
    found = read_exam(save(tmp_path, images))
    assert codes(found) == ["gantry-tilt"]
    assert found.geometry.spacing_mm[0] == pytest.approx(DISTANCE_MM * np.cos(tilt))
    assert found.geometry.affine[:3, 0] == pytest.approx([0, 0, DISTANCE_MM])


def test_localizers_reports_projections_and_maps_are_left_out(plain, tmp_path):
    extra = []
    for number, change in enumerate(
        [
            {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
            {"ImageType": ["DERIVED", "SECONDARY", "MIP"]},
            {"ImageType": ["DERIVED", "SECONDARY", "AVERAGE"]},
            {"SeriesDescription": "NLR_CBV", "RescaleType": "US"},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67", "Modality": "SR"},
            {"RescaleType": "Z_EFF"},
        ]
    ):
        one = copy.deepcopy(exam()[0])
        one.SeriesInstanceUID, one.SeriesNumber = f"{STUDY}.{100 + number}", 100 + number
        one.SOPInstanceUID += f".{number}"
        for key, value in change.items():
            setattr(one, key, value)
        extra.append(one)
    assert same(read_exam(save(tmp_path, [*extra, *exam()])), plain)


def test_plain_head_scan_before_the_perfusion_is_left_out(plain, tmp_path):
    before = exam(1, 30, start_s=START_S - 300)
    for one in before:
        one.SeriesInstanceUID, one.KVP, one.SeriesNumber = STUDY + ".3", 120, 3
        one.SOPInstanceUID += ".9"
    assert same(read_exam(save(tmp_path, [*before, *exam()])), plain)


def test_thin_reconstruction_of_the_same_scan_gives_way_with_a_note(tmp_path):
    thin = exam()
    for i, one in enumerate(thin):
        one.SeriesInstanceUID, one.SliceThickness, one.SeriesNumber = STUDY + ".2", 1.5, 2
        one.ImagePositionPatient[2] = 40 + 1.5 * (i % SLICES)
        one.SOPInstanceUID += ".2"
    folder = save(tmp_path, [*thin, *exam()])
    found = read_exam(folder)
    assert codes(found) == ["series-chosen"]
    assert found.scanner.slice_thickness_mm == DISTANCE_MM
    assert read_exam(folder, series="2").scanner.slice_thickness_mm == 1.5
    assert read_exam(folder, series=STUDY + ".2").geometry.spacing_mm[0] == pytest.approx(1.5)
