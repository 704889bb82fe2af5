"""Maps come back in their units on the exam's own slices, or not at all."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import SIZE, depths, dicom_map, geometry, map_image, nifti, ras, simulated_case

from bolus.dataset.layouts import index_folder
from bolus.dataset.maps import read_map, read_truth
from bolus.errors import BadGeometry, DamagedFile, NoReadableFiles
from bolus.types import Float32Array


def test_dicom_maps_are_matched_by_position_and_scaled(tmp_path: Path) -> None:
    """Slice k holds 2 + k ml/100 g, whatever its file is called; background and padding are 0."""
    for seed in range(3):
        values = read_map(
            dicom_map(tmp_path / f"NLR_CBV{seed}", 2.0, depths(), seed=seed), geometry()
        )
        assert values.dtype == np.float32
        assert values.shape == (4, SIZE, SIZE)
        assert (values[:, :2] == 0).all()
        for k in range(4):
            np.testing.assert_allclose(values[k, 2:], 2.0 + k, rtol=1e-6)


def test_negative_delays_survive(tmp_path: Path) -> None:
    folder = tmp_path / "NLR_Delay"
    folder.mkdir()
    for z in depths():
        one = map_image(100, z, 0.1)
        one.RescaleIntercept = "-20"
        one.save_as(folder / f"{z}.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_map(folder, geometry())[:, 2:], -10.0, rtol=1e-6)


def test_two_different_images_of_a_slice_are_not_guessed_between(tmp_path: Path) -> None:
    folder = dicom_map(tmp_path / "NLR_CBF", 30.0, depths())
    map_image(1, depths()[2], 0.01).save_as(folder / "again.dcm", enforce_file_format=True)
    values = read_map(folder, geometry())
    assert np.isnan(values[2]).all()
    assert np.isfinite(values[[0, 1, 3]]).all()


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("PixelSpacing", [3.5, 3.5]),
        ("ImageOrientationPatient", [-1, 0, 0, 0, 1, 0]),
        ("ImagePositionPatient", [-60.0, -120.0, 45.0]),
    ],
)
def test_dicom_map_elsewhere_is_refused(tmp_path: Path, tag: str, value: list[float]) -> None:
    one = map_image(100, depths()[1], 0.1)
    setattr(one, tag, value)
    (tmp_path / "NLR_CBF").mkdir()
    one.save_as(tmp_path / "NLR_CBF/1.dcm", enforce_file_format=True)
    with pytest.raises(BadGeometry, match="NLR_CBF"):
        read_map(tmp_path / "NLR_CBF", geometry())


def test_dicom_map_of_another_matrix_is_refused(tmp_path: Path) -> None:
    folder = dicom_map(tmp_path / "NLR_CBF", 30.0, depths(), size=64)
    with pytest.raises(BadGeometry, match="64 x 64"):
        read_map(folder, geometry())


def test_dicom_map_between_the_slices_is_refused(tmp_path: Path) -> None:
    folder = dicom_map(tmp_path / "NLR_CBF", 30.0, [z + 2.5 for z in depths()])
    with pytest.raises(BadGeometry, match="no image"):
        read_map(folder, geometry())


def test_truncated_dicom_map_is_refused(tmp_path: Path) -> None:
    folder = dicom_map(tmp_path / "NLR_CBF", 30.0, depths())
    path = next(folder.iterdir())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedFile, match=path.name):
        read_map(folder, geometry())


def numbered() -> Float32Array:
    return np.arange(4 * SIZE * SIZE, dtype=np.float32).reshape(4, SIZE, SIZE)


@given(
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_of_axes_of_a_nifti_does_not_matter(
    tmp_path: Path, order: list[int], flips: tuple[bool, bool, bool]
) -> None:
    """The same voxels at the same places, stored along other axes, are the same map."""
    image = nib.Nifti1Image(numbered().T, ras(geometry()))
    ornament = np.array(
        [[axis, -1 if flip else 1] for axis, flip in zip(order, flips, strict=True)]
    )
    nib.save(image.as_reoriented(ornament), tmp_path / "cbf.nii")
    np.testing.assert_array_equal(read_map(tmp_path / "cbf.nii", geometry()), numbered())


@given(
    shift_mm=st.tuples(*[st.sampled_from([0.0, 0.7, 3.0, -7.0])] * 3),
    scale=st.sampled_from([1.0, 1.03, 0.5]),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nifti_on_another_grid_is_refused_never_resampled(
    tmp_path: Path, shift_mm: tuple[float, float, float], scale: float
) -> None:
    affine = ras(geometry())
    affine[:3, :3] *= scale
    affine[:3, 3] += shift_mm
    nib.save(nib.Nifti1Image(numbered().T, affine), tmp_path / "cbf.nii")
    if scale == 1.0 and np.abs(np.array(shift_mm) / [7, 7, 5]).max() <= 0.1:
        np.testing.assert_array_equal(read_map(tmp_path / "cbf.nii", geometry()), numbered())
    else:
        with pytest.raises(BadGeometry, match="never resampled"):
            read_map(tmp_path / "cbf.nii", geometry())


def test_nifti_with_fewer_slices_is_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "cbf.nii.gz", numbered()[:3], geometry(3))
    with pytest.raises(BadGeometry, match="32 x 32 x 3"):
        read_map(path, geometry())


def test_damaged_missing_and_flat_niftis_are_reported(tmp_path: Path) -> None:
    path = nifti(tmp_path / "cbf.nii.gz", numbered(), geometry())
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DamagedFile, match="cbf"):
        read_map(path, geometry())
    path.write_bytes(b"no NIfTI")
    with pytest.raises(DamagedFile, match="not a readable NIfTI"):
        read_map(path, geometry())
    with pytest.raises(NoReadableFiles, match="missing"):
        read_map(tmp_path / "cbv.nii.gz", geometry())
    nib.save(nib.Nifti1Image(numbered()[0], np.eye(4)), tmp_path / "flat.nii")
    with pytest.raises(DamagedFile, match="three dimensions"):
        read_map(tmp_path / "flat.nii", geometry())
    flat = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(numbered().T, flat), tmp_path / "nowhere.nii")
    with pytest.raises(BadGeometry, match="no usable affine"):
        read_map(tmp_path / "nowhere.nii", geometry())


def test_truth_has_maps_and_masks(tmp_path: Path) -> None:
    simulated_case(tmp_path / "case-00000", 1)
    (case,) = index_folder(tmp_path).cases
    found = read_truth(case)
    assert {"cbf", "cbv", "mtt", "ttp", "tmax", "delay", "valid", "hypo", "core"} <= set(found)
    assert found["hypo"].dtype == np.bool_
    assert found["hypo"][:, :, : SIZE // 2].all()
    assert not found["hypo"][:, :, SIZE // 2 :].any()
    assert found["valid"].all()
    np.testing.assert_array_equal(found["cbf"], np.float32(30))


def test_truth_of_a_case_without_it_is_reported(tmp_path: Path) -> None:
    simulated_case(tmp_path / "case-00000", 1)
    simulated_case(tmp_path / "case-00001", 2)
    (tmp_path / "case-00000/truth/truth.json").unlink()
    with pytest.raises(NoReadableFiles, match="case-00000"):
        read_truth(index_folder(tmp_path).cases[0])
