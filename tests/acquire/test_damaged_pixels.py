"""An image with damaged pixels costs what a missing image costs: its frame, and a warning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicomfactory import FRAMES, SLICES, compress, exam, save, times, truth
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from bolus.acquire.dicom import pixels as pixels_module
from bolus.acquire.exam import read_exam
from bolus.errors import DamagedFile


def damaged(folder: Path, cuts: dict[int, int], syntax=None) -> Path:
    """An exam whose images of the given numbers are cut to a length."""
    images = exam()
    for one in images if syntax else ():
        compress(one, syntax)
    save(folder, images)
    for index, length in cuts.items():
        path = folder / f"IM{index + 1:05d}.dcm"
        path.write_bytes(path.read_bytes()[:length])
    return folder


def scrambled(folder: Path, indices: list[int], syntax) -> Path:
    """An exam whose compressed images of the given numbers hold zeros after their first bytes."""
    damaged(folder, {}, syntax)
    for index in indices:
        path = folder / f"IM{index + 1:05d}.dcm"
        data = path.read_bytes()
        start = data.rindex(b"\xe0\x7f\x10\x00") + 40
        path.write_bytes(data[:start] + bytes(len(data) - start - 8) + data[-8:])
    return folder


@pytest.mark.parametrize("length", [600, -2060, -500], ids=["header", "no pixels", "pixels"])
def test_every_cut_costs_one_frame(tmp_path, length):
    found = read_exam(damaged(tmp_path, {30: length}))
    assert np.array_equal(found.frames, np.delete(truth(), 10, axis=0))
    assert np.allclose(found.times_s, np.delete(times(), 10, axis=0))
    codes = [f.code for f in found.findings]
    assert codes[1:] == ["frames-dropped", "sampling-gap"]
    assert codes[0] in ("files-unreadable", "images-damaged")


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_corrupt_streams_cost_their_frames(tmp_path, syntax):
    found = read_exam(scrambled(tmp_path, [30, 45], syntax))
    assert np.array_equal(found.frames, np.delete(truth(), [10, 15], axis=0))
    assert "2 images" in {f.code: f.message for f in found.findings}["images-damaged"]


def test_first_frame_may_be_the_damaged_one(tmp_path):
    found = read_exam(scrambled(tmp_path, [0], JPEGLSLossless))
    assert np.array_equal(found.frames, truth()[1:])
    assert found.times_s.min() == 0


@pytest.mark.parametrize(("missing", "enough"), [((3,), True), ((3, 6), False)])
def test_missing_pixels_and_corrupt_streams_add_up(tmp_path, missing, enough):
    folder = scrambled(tmp_path, [30], JPEGLSLossless)
    for index in missing:
        path = folder / f"IM{index + 1:05d}.dcm"
        data = path.read_bytes()
        path.write_bytes(data[: data.rindex(b"\xe0\x7f\x10\x00")])
    if enough:
        assert np.array_equal(read_exam(folder).frames, np.delete(truth(), [1, 10], axis=0))
    else:
        with pytest.raises(DamagedFile, match=r"IM00004\.dcm.*no pixels"):
            read_exam(folder)


@pytest.mark.parametrize("first", [12, 13])
def test_more_frames_than_may_be_lost_end_in_the_first_file(tmp_path, first):
    cuts = dict.fromkeys((first, 31, 45), -500)
    with pytest.raises(DamagedFile, match=rf"IM000{first + 1}\.dcm.*cut off"):
        read_exam(damaged(tmp_path, cuts))


def test_all_streams_corrupt_end_early_in_the_first_file(tmp_path, monkeypatch):
    tried = []
    hounsfield = pixels_module.Decoder.decode

    def count(self, one, data):
        tried.append(one.name)
        return hounsfield(self, one, data)

    monkeypatch.setattr(pixels_module.Decoder, "decode", count)
    with pytest.raises(DamagedFile, match=r"IM00001\.dcm.*decoded"):
        read_exam(scrambled(tmp_path, list(range(FRAMES * SLICES)), JPEGLSLossless))
    # two frames may be lost; nothing is tried after the first image of the third
    assert len(tried) == 2 * SLICES + 1


def test_a_damaged_copy_of_an_intact_image_costs_nothing(tmp_path):
    folder = save(tmp_path, exam())
    data = (folder / "IM00031.dcm").read_bytes()
    (folder / "copy.dcm").write_bytes(data[:-500])
    found = read_exam(folder)
    assert np.array_equal(found.frames, truth())
    assert [f.code for f in found.findings] == ["images-damaged"]
