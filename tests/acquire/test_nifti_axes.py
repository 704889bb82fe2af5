"""Axes of length 1 and time on another axis: the same exam, or a refusal with the way out."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
from dicomfactory import truth
from niftifactory import AFFINE_RAS, VOLUME_TIMING, save_nifti
from numpy.typing import NDArray

import bolus
from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.acquire.nifti import open_nifti, read_first_frame
from bolus.errors import AmbiguousExam, BadGeometry, MissingTiming, TooFewFrames, UsageError
from bolus.types import Grade

XYZT = truth().transpose(3, 2, 1, 0)


def anatomy(slices: int) -> NDArray[np.int16]:
    """The exam (x, y, z, t) of a head whose slices differ, as real ones do."""
    volume = truth(20, slices).transpose(3, 2, 1, 0).copy()
    for z in range(slices):
        volume[:, :, z] = np.roll(volume[:, :, z], z % 3, axis=0)
    return volume


MANY = anatomy(9)
"""As many slices as could be frames."""


@pytest.mark.parametrize(
    "shape",
    [
        lambda x, y, z, t: (x, y, z, 1, t),
        lambda x, y, z, t: (x, y, z, t, 1),
        lambda x, y, z, t: (x, y, z, t, 1, 1),
        lambda x, y, z, t: (x, y, z, 1, 1, t),
        lambda x, y, z, t: (1, x, y, z, t),
        lambda x, y, z, t: (x, y, 1, z, t),
    ],
    ids=["z1t", "zt1", "zt11", "z11t", "1xyzt", "y1zt"],
)
def test_axes_of_length_one_are_dropped(tmp_path, shape):
    path = save_nifti(tmp_path, XYZT.reshape(shape(*XYZT.shape)))
    found = read_exam(path)
    assert np.array_equal(found.frames, truth())
    assert found.findings == ()
    assert np.array_equal(read_first_frame(open_nifti(path)), truth()[0])


def test_the_step_of_a_fifth_axis_is_its_own(tmp_path):
    path = save_nifti(tmp_path, XYZT.reshape(*XYZT.shape[:3], 1, -1), sidecar=None, name="a.nii")
    data = bytearray(path.read_bytes())
    np.frombuffer(data, "<f4", 2, 92)[:] = 1.0, 1.5  # pixdim[4], pixdim[5]
    path.write_bytes(data)
    found = read_exam(path)
    assert found.times_s[1, 0] == 1.5
    assert [f.code for f in found.findings] == ["timing-from-header", "scan-short"]


def test_a_single_slice_is_no_axis_to_drop(tmp_path):
    found = read_exam(save_nifti(tmp_path, XYZT[:, :, :1]))
    assert found.frames.shape == (20, 1, *truth().shape[2:])


@pytest.mark.parametrize("last", [0, 1, 2])
def test_five_true_dimensions_are_refused(tmp_path, last):
    with pytest.raises(BadGeometry, match="x, y, z and time are needed"):
        read_exam(save_nifti(tmp_path, np.stack([XYZT] * 2, last)))


@pytest.mark.parametrize("listed", [True, False], ids=["VolumeTiming", "RepetitionTime"])
@pytest.mark.parametrize("slices", [3, 9])
@pytest.mark.parametrize("axes", [(0, 1, 3, 2), (3, 0, 1, 2), (3, 2, 1, 0)], ids=str)
def test_time_on_another_axis_is_found_and_said(tmp_path, axes, slices, listed):
    sidecar = VOLUME_TIMING if listed else {"RepetitionTime": 2.2}
    data = anatomy(slices)
    path = save_nifti(tmp_path, data.transpose(axes), sidecar=sidecar)
    found = read_exam(path)
    plain = read_exam(save_nifti(tmp_path / "plain", data, sidecar=sidecar))
    assert np.array_equal(found.frames, plain.frames)
    assert np.array_equal(found.times_s, plain.times_s)
    assert np.allclose(found.geometry.affine, plain.geometry.affine)
    (moved,) = [f for f in found.findings if f.code == "time-axis-moved"]
    assert moved.grade == Grade.WARNING
    assert f"Axis {axes.index(3) + 1} of the NIfTI file, with 20 entries" in moved.message
    assert describe(path).geometry.shape == found.geometry.shape
    assert np.array_equal(read_first_frame(open_nifti(path)), found.frames[0])


@pytest.mark.parametrize("sidecar", [VOLUME_TIMING, {"RepetitionTime": 2.2}])
def test_many_slices_are_not_taken_for_time(tmp_path, sidecar):
    found = read_exam(save_nifti(tmp_path, MANY, sidecar=sidecar))
    assert found.frames.shape[:2] == (20, 9)
    assert found.findings == ()


def test_overlapping_slices_are_not_taken_for_time(tmp_path):
    """Neighbours that share most of their noise are more alike than frames are."""
    volume = np.repeat(truth(20, 4), 5, axis=1)[:, :16].transpose(3, 2, 1, 0)
    affine = AFFINE_RAS.astype(float)
    affine[2, 2] = 1.0
    found = read_exam(save_nifti(tmp_path, volume, affine))
    assert found.frames.shape[:2] == (20, 16)


def test_an_order_that_nothing_decides_is_refused_with_the_way_out(tmp_path):
    """Sixteen images each of which may be a slice or a frame, on axes of one length."""
    even = np.full((40, 40, 16, 3), 40.0, np.float32)
    even += np.random.default_rng(1).normal(0, 100, even.shape).astype(np.float32)
    data = even.transpose(2, 3, 0, 1)
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    with pytest.raises((AmbiguousExam, TooFewFrames, BadGeometry)) as caught:
        read_exam(save_nifti(tmp_path, data, affine, {"RepetitionTime": 2.0}))
    assert "time" in str(caught.value) or "mm" in str(caught.value)


def test_two_axes_of_the_listed_length_are_told_apart_or_refused(tmp_path):
    """20 listed times, and two axes of 20 that are equally alike: nothing says which is time."""
    noise = np.random.default_rng(2).normal(40, 10, (20, 40, 20, 5)).astype(np.float32)
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    with pytest.raises(AmbiguousExam, match=r"nothing says which axis is time.*x, y, z, time"):
        read_exam(save_nifti(tmp_path, noise, affine))


def test_two_volumes_are_too_few_and_no_slices_become_frames(tmp_path):
    with pytest.raises(TooFewFrames, match="2 frames"):
        read_exam(save_nifti(tmp_path, MANY[..., :2], sidecar={"RepetitionTime": 2.2}))


def test_a_file_in_nifti_2_is_read_likewise(tmp_path):
    image = nibabel.Nifti2Image(XYZT.reshape(*XYZT.shape[:3], 1, -1), AFFINE_RAS)
    nibabel.save(image, tmp_path / "head.nii")
    (tmp_path / "head.json").write_text('{"RepetitionTime": 2.2}')
    assert np.array_equal(read_exam(tmp_path / "head.nii").frames, truth())


def test_a_list_as_long_as_there_are_slices_moves_no_plausible_time_axis(tmp_path):
    path = save_nifti(tmp_path, MANY, sidecar={"FrameDuration": [2.2] * 9})
    with pytest.raises(MissingTiming, match=r"FrameDuration .* has 9 values, the image has 20"):
        read_exam(path)
    with pytest.raises(UsageError, match="9 times were given, the exam has 20 frames"):
        bolus.read_exam(path, times=[2.2 * t for t in range(9)])
    assert np.allclose(bolus.read_exam(path, interval_s=2.2).times_s[1], 2.2)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_an_intercept_that_is_no_number_is_none_with_a_warning(tmp_path, name):
    path = save_nifti(tmp_path, name="a.nii")
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([1, np.nan], "<f4").tobytes()  # scl_slope, scl_inter
    path.unlink()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    found = read_exam(tmp_path / name)
    assert np.array_equal(found.frames, truth())
    assert [(f.code, f.grade) for f in found.findings] == [("scale-repaired", Grade.WARNING)]
    assert np.array_equal(
        found.geometry.affine, read_exam(save_nifti(tmp_path / "b")).geometry.affine
    )
