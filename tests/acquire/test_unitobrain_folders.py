"""Exams in the layout of the UniToBrain data set."""

from __future__ import annotations

import numpy as np
import pytest
from dicomfactory import START_S, exam, ge_time, image, save, store, times, tm, truth

from bolus.acquire.exam import read_exam
from bolus.errors import MissingTiming, NotCT

RAW, REGISTERED = "MOL-002", "MOL-002_Registered"
FILTERED = REGISTERED + "_Filtered_3mm_20HU"


def cine(frames: int, slices: int) -> list:
    images = exam(frames, slices)
    for i, one in enumerate(images):
        one.AcquisitionTime = one.ContentTime = tm(START_S)
        ge_time(one, 424.992 + times(frames, slices).ravel()[i], "DS")
    return images


@pytest.mark.parametrize("folder", [RAW, REGISTERED, FILTERED])
def test_patient_folders_are_recognised(tmp_path, folder):
    found = read_exam(save(tmp_path / folder, cine(20, 3)))
    assert found.scanner.source == "unitobrain"
    assert np.array_equal(found.frames, truth())
    processed = [f.code for f in found.findings]
    assert processed == ([] if folder == RAW else ["already-registered"])


def test_registered_exam_an_hour_later_with_tenths_of_hu(tmp_path):
    raw = read_exam(save(tmp_path / RAW, exam(seconds=lambda t, z: 2.2 * t)))
    images = exam(seconds=lambda t, z: 2.2 * t, start_s=START_S + 3603)
    for one, hu in zip(images, truth().reshape(-1, 32, 32), strict=True):
        one.ImageType = ["ORIGINAL", "SECONDARY", "AXIAL"]
        one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 0.1, -1000, "US"
        one.BitsStored, one.HighBit = 16, 15
        store(one, np.maximum(hu.astype(np.int32) + 1000, 0) * 10)
    found = read_exam(save(tmp_path / REGISTERED, images))
    assert np.allclose(found.frames, np.maximum(raw.frames, -1000), atol=1e-3)
    assert found.times_s.tobytes() == raw.times_s.tobytes()


def test_lost_clock_falls_back_to_the_published_protocol(tmp_path):
    images = exam(89, 1)
    for one in images:
        one.AcquisitionTime = one.ContentTime = tm(START_S)
    found = read_exam(save(tmp_path / RAW, images))
    assert "timing-assumed" in [f.code for f in found.findings]
    assert np.allclose(np.diff(found.times_s[:, 0]), 0.5)
    with pytest.raises(MissingTiming):
        read_exam(save(tmp_path / "elsewhere", images))


def test_maps_are_no_exam(tmp_path):
    hu = truth()[0]
    maps = [image(hu[z], 0, z, START_S) for z in range(3)]
    for one in maps:
        one.SeriesDescription, one.RescaleType = "", "US"
    folder = tmp_path / (FILTERED + "_Maps")
    save(folder / "NLR_CBV", maps)
    with pytest.raises(NotCT, match="map"):
        read_exam(folder)
    with pytest.raises(NotCT, match="map"):
        read_exam(folder / "NLR_CBV")
