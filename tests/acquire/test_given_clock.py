"""Times that the user gives to an exam in DICOM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_habits import Images, frame_of
from dicomfactory import FRAMES, SLICES, STEP_S, exam, save, truth

from bolus.acquire.exam import read_exam
from bolus.acquire.given_times import given_times
from bolus.errors import MissingTiming
from bolus.types import Grade


def zeroed() -> Images:
    images = exam()
    for one in images:
        one.AcquisitionTime = one.ContentTime = "000000"
    return images


def test_a_lost_image_does_not_shift_the_later_ones_of_its_slice(tmp_path: Path) -> None:
    images = zeroed()
    del images[10 * SLICES + 1]
    found = read_exam(save(tmp_path, images), given=given_times(STEP_S))
    assert np.array_equal(found.frames, np.delete(truth(), 10, axis=0))
    assert np.allclose(found.times_s[:, 0], np.delete(STEP_S * np.arange(FRAMES), 10))


def test_a_frame_that_the_numbers_lack_keeps_its_place_in_time(tmp_path: Path) -> None:
    images = zeroed()
    for one in images:
        one.AcquisitionNumber = frame_of(one) + 1
        del one.InstanceNumber
    kept = [one for one in images if one.AcquisitionNumber != 8]
    found = read_exam(save(tmp_path, kept), given=given_times(STEP_S))
    assert np.allclose(found.times_s[:, 0], np.delete(STEP_S * np.arange(FRAMES), 7))


def test_lost_images_that_nothing_tells_are_refused(tmp_path: Path) -> None:
    images = zeroed()
    for number, one in enumerate(images):
        one.InstanceNumber = 1000 * (number % SLICES) + number // SLICES
    del images[10 * SLICES + 1]
    with pytest.raises(MissingTiming, match="send the exam again"):
        read_exam(save(tmp_path, images), given=given_times(STEP_S))


def test_a_clock_that_says_otherwise_is_a_warning(tmp_path: Path) -> None:
    found = read_exam(save(tmp_path, exam()), given=given_times(3.0))
    told = {f.code: f for f in found.findings}
    assert told["times-given"].grade == Grade.NOTE
    assert told["clocks-disagree"].grade == Grade.WARNING
    assert "3 s apart" in told["clocks-disagree"].message
    assert "every 2.2 s" in told["clocks-disagree"].message
