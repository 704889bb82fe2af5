"""A 4D NIfTI gives the same exam as the DICOM files it was made of."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from dicomfactory import STEP_S, exam, save, truth
from niftifactory import AFFINE_RAS, save_nifti

from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.errors import NotAnExam


def world_values(found) -> dict[tuple[float, ...], float]:
    """Value of the peak frame at each place in the patient."""
    index = np.argwhere(np.ones(found.geometry.shape, bool))
    places = index @ found.geometry.affine[:3, :3].T + found.geometry.affine[:3, 3]
    values = found.frames[8].ravel()
    return dict(zip(map(tuple, np.round(places, 3).tolist()), values.tolist(), strict=True))


@pytest.mark.parametrize("name", ["head.nii", "head.nii.gz"])
def test_nifti_equals_the_dicom_exam(tmp_path, name):
    found = read_exam(save_nifti(tmp_path / "n", name=name))
    dicom = read_exam(save(tmp_path / "d", exam(seconds=lambda t, z: STEP_S * t)))
    assert found.frames.tobytes() == dicom.frames.tobytes()
    assert found.times_s.tobytes() == dicom.times_s.tobytes()
    assert np.allclose(found.geometry.affine, dicom.geometry.affine, atol=1e-4)
    assert (found.scanner.source, found.findings) == ("nifti", ())


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)], ids=str)
def test_every_voxel_order_gives_the_same_anatomy(tmp_path, axes, flips):
    data, affine = truth().transpose(3, 2, 1, 0), AFFINE_RAS.astype(float)
    for axis in flips:
        last = np.eye(4)
        last[axis, axis], last[axis, 3] = -1, data.shape[axis] - 1
        data, affine = np.flip(data, axis), affine @ last
    data = data.transpose(*axes, 3)
    affine = affine[:, [*axes, 3]]
    found = read_exam(save_nifti(tmp_path, data, affine))
    plain = read_exam(save_nifti(tmp_path / "plain"))
    assert found.geometry.shape == plain.geometry.shape
    assert found.geometry.affine[2, 0] > 0
    assert world_values(found) == world_values(plain)


def test_integer_data_are_scaled(tmp_path):
    stored = ((truth().transpose(3, 2, 1, 0).astype(np.int32) + 1024) * 2).astype(np.int16)
    image = nibabel.Nifti1Image(stored, AFFINE_RAS)
    image.header.set_slope_inter(0.5, -1024)
    path = save_nifti(tmp_path, name="a.nii")
    data = bytearray(image.to_bytes())
    np.frombuffer(data, "<f4", 2, 112)[:] = 0.5, -1024
    path.write_bytes(data)
    assert np.array_equal(read_exam(path).frames, truth())


@pytest.mark.parametrize(
    ("sidecar", "expected"),
    [
        ({"RepetitionTime": 2.0}, lambda t, z: 2.0 * t),
        ({"FrameDuration": 2.0}, lambda t, z: 2.0 * t),
        ({"FrameTimesStart": [2.5 * t for t in range(20)]}, lambda t, z: 2.5 * t),
        (
            {"RepetitionTime": 2.0, "SliceTiming": [0, 1.0, 0.5]},
            lambda t, z: 2 * t + [0, 1, 0.5][z],
        ),
        (
            {
                "RepetitionTime": 2.0,
                "SliceTiming": [0, 1.0, 0.5],
                "SliceEncodingDirection": "k-",
            },
            lambda t, z: 2 * t + [0.5, 1, 0][z],
        ),
    ],
    ids=["RepetitionTime", "FrameDuration", "FrameTimesStart", "SliceTiming", "k-"],
)
def test_times_come_from_the_sidecar(tmp_path, sidecar, expected):
    found = read_exam(save_nifti(tmp_path, sidecar=sidecar))
    assert np.allclose(found.times_s, [[expected(t, z) for z in range(3)] for t in range(20)])


def test_slice_times_follow_the_slices_when_they_are_turned_over(tmp_path):
    data = truth().transpose(3, 2, 1, 0)[:, :, ::-1]
    affine = AFFINE_RAS.astype(float)
    affine[:, 3] += 2 * affine[:, 2]
    affine[:, 2] *= -1
    sidecar = {"RepetitionTime": 2.0, "SliceTiming": [0.0, 0.3, 0.9]}
    found = read_exam(save_nifti(tmp_path, data, affine, sidecar))
    assert np.allclose(found.times_s[0], [0.9, 0.3, 0.0])
    assert np.array_equal(found.frames, truth())


def test_time_unit_of_the_header_counts(tmp_path):
    path = save_nifti(tmp_path, sidecar=None, name="a.nii", step_s=2200)
    data = bytearray(path.read_bytes())
    data[123] = 2 | 16  # mm and ms
    path.write_bytes(data)
    assert describe(path).slice_times[0].dt_median_s == pytest.approx(2.2)


def test_a_folder_with_one_nifti_is_that_exam(tmp_path):
    path = save_nifti(tmp_path / "sub-01")
    assert np.array_equal(read_exam(path.parent).frames, truth())


def test_missing_nifti_is_missing(tmp_path):
    with pytest.raises(NotAnExam, match="no such file"):
        read_exam(tmp_path / "head.nii.gz")
