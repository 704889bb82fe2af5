"""Enhanced multi-frame CT: the same exam in one file."""

from __future__ import annotations

import numpy as np
from dicomfactory import DISTANCE_MM, enhanced, exam, save, times, truth

from bolus.acquire.exam import read_exam


def test_enhanced_file_is_the_classic_exam(tmp_path):
    found = read_exam(save(tmp_path, [enhanced()], ["one"]))
    assert np.array_equal(found.frames, truth())
    assert np.allclose(found.times_s, times(), atol=1e-9)
    classic = read_exam(save(tmp_path / "classic", exam()))
    assert found.geometry.affine.tobytes() == classic.geometry.affine.tobytes()
    assert found.findings == ()


def test_scanner_is_read_from_the_functional_groups(tmp_path):
    scanner = read_exam(save(tmp_path, [enhanced()], ["one"])).scanner
    assert (scanner.kvp, scanner.exposure_mas, scanner.kernel) == (80, 200, "H20f")
    assert scanner.slice_thickness_mm == DISTANCE_MM


def test_order_of_frames_in_the_file_does_not_matter(tmp_path):
    file = enhanced()
    order = np.random.default_rng(1).permutation(int(file.NumberOfFrames))
    groups = file.PerFrameFunctionalGroupsSequence
    file.PerFrameFunctionalGroupsSequence = [groups[i] for i in order]
    pixels = np.frombuffer(file.PixelData, "<u2").reshape(-1, 32, 32)
    file.PixelData = pixels[order].tobytes()
    assert np.array_equal(read_exam(save(tmp_path, [file], ["one"])).frames, truth())


def test_temporal_index_and_resolution_stand_in_for_lost_times(tmp_path):
    file = enhanced()
    for group in file.PerFrameFunctionalGroupsSequence:
        del group.FrameContentSequence[0].FrameReferenceDateTime
    file.TemporalResolution = 2200
    found = read_exam(save(tmp_path, [file], ["one"]))
    assert [finding.code for finding in found.findings] == ["timing-assumed"]
    assert np.array_equal(found.frames, truth())
