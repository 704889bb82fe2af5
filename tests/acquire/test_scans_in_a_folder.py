"""What lies beside a scan, or in its series, neither joins it nor hides it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_habits import Images, frame_of, place_of, uid
from dicomfactory import FRAMES, SLICES, START_S, STEP_S, STUDY, exam, save, store, tm, truth
from pydicom.dataset import FileDataset

from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.errors import AmbiguousExam
from bolus.types import Grade


def other_pixels(one: FileDataset, change: Callable[[np.ndarray], np.ndarray]) -> None:
    stored = np.frombuffer(one.PixelData, "<u2").reshape(one.Rows, one.Columns).astype(np.int32)
    store(one, np.clip(change(stored), 0, 4095))


def one_volume(seconds: float) -> Images:
    """The average of the scan as one more volume of the same protocol."""
    images = exam(1, SLICES, seconds=lambda _, z: seconds + 0.05 * z)
    mean = truth().mean(axis=0)
    for one in images:
        one.SeriesInstanceUID, one.SeriesNumber = STUDY + ".50", 50
        one.SOPInstanceUID = uid("average", one.InstanceNumber)
        store(one, mean[place_of(one)].astype(np.int32) + 1024)
    return images


@pytest.mark.parametrize("seconds", [-40.0, 9.7, STEP_S * FRAMES + 3.5, STEP_S * FRAMES + 30])
def test_a_volume_that_does_not_keep_the_interval_is_no_frame(
    seconds: float, tmp_path: Path
) -> None:
    found = read_exam(save(tmp_path, [*exam(), *one_volume(seconds)]))
    assert np.array_equal(found.frames, truth())


def test_averages_of_two_frames_do_not_come_between_the_frames(tmp_path: Path) -> None:
    images = exam(10, SLICES, seconds=lambda t, z: 2 * STEP_S * t + STEP_S / 2 + 0.05 * z)
    for one in images:
        one.SeriesInstanceUID, one.SeriesNumber = STUDY + ".51", 51
        one.SOPInstanceUID = uid("half", one.InstanceNumber)
        other_pixels(one, lambda stored: stored + 2)
    assert np.array_equal(read_exam(save(tmp_path, [*exam(), *images])).frames, truth())


def test_the_scan_wins_over_maps_that_claim_its_times(tmp_path: Path) -> None:
    maps = exam()
    shapes = np.random.default_rng(3).uniform(0, 90, (FRAMES, 8, 8))
    for one in maps:
        one.SeriesInstanceUID, one.SeriesNumber = STUDY + ".2", 2
        one.SOPInstanceUID = uid("map", one.InstanceNumber)
        store(one, np.kron(shapes[frame_of(one)], np.ones((4, 4))).astype(int) + 1024)
    found = read_exam(save(tmp_path, [*exam(), *maps]))
    assert np.array_equal(found.frames, truth())
    assert max((f.grade for f in found.findings), default=Grade.NOTE) == Grade.NOTE


def test_two_kernels_in_one_series_are_two_reconstructions(tmp_path: Path) -> None:
    sharp = exam()
    for one in sharp:
        one.SOPInstanceUID, one.ConvolutionKernel = uid("sharp", one.InstanceNumber), "H60s"
        other_pixels(one, lambda stored: stored + 3)
    found = read_exam(save(tmp_path, [*exam(), *sharp]))
    assert len(found.frames) == FRAMES
    assert "series-chosen" in {f.code for f in found.findings}


def overlapping_tables() -> Images:
    """Eight slices; the fifth one is in both series."""
    images = exam(FRAMES, 8)
    later = exam(FRAMES, 8, seconds=lambda t, z: STEP_S * t + 0.05 * z + 0.7)
    upper = [one for one in later if place_of(one) >= 4]
    for one in upper:
        one.SeriesInstanceUID, one.SeriesNumber = STUDY + ".61", 61
        one.SOPInstanceUID = uid("upper", one.InstanceNumber, place_of(one))
        other_pixels(one, lambda stored: stored + 1)
    lower = [one for one in images if place_of(one) < 5]
    return [*lower, *upper]


def test_table_positions_may_overlap_by_a_slice(tmp_path: Path) -> None:
    found = read_exam(save(tmp_path, overlapping_tables()))
    assert found.frames.shape[:2] == (FRAMES, 8)
    assert ("images-beside", Grade.WARNING) in {(f.code, f.grade) for f in found.findings}


def test_a_table_that_jumps_by_some_tenths_of_a_mm_loses_no_frame(tmp_path: Path) -> None:
    images = exam()
    for one in images:
        one.SeriesInstanceUID = uid("time point", frame_of(one))
        if frame_of(one) >= 9:
            one.ImagePositionPatient[2] += 0.2
    assert np.array_equal(read_exam(save(tmp_path, images)).frames, truth())


def test_tracking_in_the_scans_own_series_is_left_out_with_a_warning(tmp_path: Path) -> None:
    tracker = exam(9, 1, seconds=lambda t, _: t - 15.0)
    for one in tracker:
        one.SOPInstanceUID = uid("tracker", one.InstanceNumber)
    for one in (*tracker, *(images := exam())):
        del one.AcquisitionNumber, one.InstanceNumber
    found = read_exam(save(tmp_path, [*tracker, *images]))
    assert np.array_equal(found.frames, truth())
    assert {f.code for f in found.findings} == {"tracking-left-out"}


def test_exams_of_two_days_are_never_one(tmp_path: Path) -> None:
    later = exam(start_s=START_S + STEP_S * FRAMES)
    for one in later:
        one.SOPInstanceUID = uid("later", one.InstanceNumber)
        one.SeriesInstanceUID, one.SeriesNumber = STUDY + ".70", 70
        one.AcquisitionDate = one.ContentDate = "20210717"
        other_pixels(one, lambda stored: stored + 1)
    folder = save(tmp_path, [*exam(), *later])
    with pytest.raises(AmbiguousExam, match=r"scan-1 \(series 7.*scan-2 \(series 70"):
        read_exam(folder)
    assert np.array_equal(read_exam(folder, series="scan-1").frames, truth())
    assert {s.key for s in describe(folder).series} == {"scan-1", "scan-2"}


def test_a_second_injection_in_the_same_series_has_a_key_of_its_own(tmp_path: Path) -> None:
    later = exam(start_s=START_S + 240)
    for one in later:
        one.SOPInstanceUID = uid("later", one.InstanceNumber)
        other_pixels(one, lambda stored: stored + 1)
    folder = save(tmp_path, [*exam(), *later])
    with pytest.raises(AmbiguousExam, match="scan-2"):
        read_exam(folder)
    first, second = (read_exam(folder, series=key).frames for key in ("scan-1", "scan-2"))
    assert np.array_equal(first, truth()) != np.array_equal(second, truth())


def test_a_few_images_without_a_time_cost_their_frames_and_no_others(tmp_path: Path) -> None:
    images = exam()
    del images[31].AcquisitionTime
    for one in images:
        one.ContentTime = tm(START_S + 60 + 4 * frame_of(one))
    found = read_exam(save(tmp_path, images))
    assert len(found.frames) == FRAMES - 1
    assert np.allclose(np.diff(found.times_s[:8], axis=0), STEP_S)
    assert "images-without-time" in {f.code for f in found.findings}


def test_a_clock_that_runs_backwards_loses_against_one_that_follows_the_numbers(
    tmp_path: Path,
) -> None:
    images = exam()
    for one in images:
        one.AcquisitionTime = tm(START_S + 60 - STEP_S * frame_of(one))
        one.AcquisitionNumber = frame_of(one) + 1
    assert np.array_equal(read_exam(save(tmp_path, images)).frames, truth())
