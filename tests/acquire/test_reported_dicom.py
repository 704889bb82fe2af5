"""The exams of public reports that concern DICOM, where the checkout has them beside it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import bolus
from bolus.errors import MissingTiming
from bolus.types import Exam, Grade

REPORTS = Path(__file__).parents[3] / "shared" / "exams" / "reports"

pytestmark = pytest.mark.skipif(
    not REPORTS.exists(), reason="shared/exams/reports is not beside this checkout"
)


def unpacked(name: str, folder: Path) -> Path:
    with zipfile.ZipFile(REPORTS / f"{name}.zip") as archive:
        archive.extractall(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def control() -> Exam:
    return bolus.read_exam(REPORTS / "00-control.zip")


@pytest.mark.parametrize(
    ("name", "slices"),
    [
        ("02-ctp-named-delay-and-bolus-tracking", 10),
        ("03-bolus-tracking-in-study", 4),
        ("09-ctp-and-vendor-maps", 4),
        ("16-dicomdir-named", 4),
    ],
)
def test_frames_and_times_are_those_of_the_control(
    name: str, slices: int, control: Exam, tmp_path: Path
) -> None:
    found = bolus.read_exam(unpacked(name, tmp_path))
    assert np.array_equal(found.frames, control.frames[:, :slices])
    assert np.array_equal(found.times_s, control.times_s[:, :slices])
    assert found.findings == ()


def test_what_lies_beside_the_scan_is_named(tmp_path: Path) -> None:
    tracked = bolus.describe(unpacked("02-ctp-named-delay-and-bolus-tracking", tmp_path))
    assert {s.number: s.taken_for for s in tracked.series} == {
        "4": "bolus tracking or test bolus",
        "6": "perfusion scan",
    }
    mapped = bolus.describe(unpacked("09-ctp-and-vendor-maps", tmp_path))
    assert {s.taken_for for s in mapped.series if s.number != "1"} == {"perfusion maps"}


def test_a_constant_datetime_leaves_the_times_to_acquisition_time(tmp_path: Path) -> None:
    found = bolus.read_exam(unpacked("01-constant-acquisitiondatetime", tmp_path))
    assert np.allclose(np.diff(found.times_s, axis=0), 1.5)
    assert max(f.grade for f in found.findings) == Grade.NOTE


def test_whole_seconds_get_their_fractions_from_another_clock(
    control: Exam, tmp_path: Path
) -> None:
    found = bolus.read_exam(unpacked("05-whole-second-clock", tmp_path))
    assert np.array_equal(found.frames, control.frames[:, :4])
    assert np.allclose(np.diff(found.times_s, axis=0), 0.97)


def test_zeroed_times_are_refused_and_can_be_given(control: Exam, tmp_path: Path) -> None:
    folder = unpacked("18-times-zeroed", tmp_path)
    with pytest.raises(MissingTiming, match="--interval"):
        bolus.read_exam(folder)
    found = bolus.read_exam(folder, interval_s=1.5)
    assert np.array_equal(found.frames, control.frames[:, :4])
    assert np.allclose(np.diff(found.times_s, axis=0), 1.5)
    listed = bolus.read_exam(folder, times=[1.5 * t for t in range(40)])
    assert np.array_equal(listed.times_s, found.times_s)
