"""``describe`` says what ``read_exam`` will do, without looking at a pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dicomfactory import SERIES, STUDY, exam, save, times, zipped
from niftifactory import save_nifti

from bolus.acquire.describe import describe
from bolus.acquire.dicom import pixels
from bolus.acquire.exam import read_exam


def with_localizer() -> list:
    images = exam()
    localizer = exam()[0]
    localizer.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    localizer.SeriesInstanceUID, localizer.SeriesNumber = STUDY + ".1", 1
    localizer.SeriesDescription = "FACTORY^HEAD scout"
    return [localizer, *images]


def test_series_and_why_they_are_used_or_not(tmp_path):
    found = describe(save(tmp_path, with_localizer()))
    assert [(s.number, s.files, s.verdict) for s in found.series] == [
        ("1", 1, "localizer"),
        ("7", 60, "used"),
    ]
    assert found.series[1].uid == SERIES


def test_description_agrees_with_the_exam(tmp_path):
    folder = save(tmp_path / "exam", exam())
    found, exam_read = describe(zipped(folder, tmp_path / "exam.zip")), read_exam(folder)
    assert found.frames == len(exam_read.frames)
    assert found.geometry.affine.tobytes() == exam_read.geometry.affine.tobytes()
    assert found.scanner == exam_read.scanner
    assert found.clock == "AcquisitionTime"
    assert [s.first_s for s in found.slice_times] == pytest.approx(times()[0])
    assert [s.last_s for s in found.slice_times] == pytest.approx(times()[-1])
    assert {(s.dt_min_s, s.dt_max_s, s.dt_median_s) for s in found.slice_times} == {(2.2, 2.2, 2.2)}


def test_pixels_are_not_decoded(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(pixels, "hounsfield", refuse)
    assert describe(save(tmp_path, exam())).usable


def test_an_unusable_exam_is_described_with_its_error(tmp_path):
    found = describe(save(tmp_path, with_localizer()[:13]))
    assert not found.usable
    assert found.to_dict()["error"]["type"] == "TooFewFrames"
    assert found.to_dict()["error"]["exit_code"] == 3
    assert len(found.series) == 2


def test_description_is_json_and_identifies_nobody(tmp_path):
    text = json.dumps(describe(save(tmp_path / "d", with_localizer())).to_dict(), allow_nan=False)
    assert "FACTORY^HEAD" not in text
    assert json.loads(text)["geometry"]["slices"] == 3
    nifti = describe(save_nifti(tmp_path / "n"))
    assert json.loads(json.dumps(nifti.to_dict(), allow_nan=False))["frames"] == 20
    assert np.isclose(nifti.slice_times[0].dt_median_s, 2.2)
