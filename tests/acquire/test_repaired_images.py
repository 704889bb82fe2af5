"""Repairs of values touch the images that need them, and never the brain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import SIZE, exam, save, store, truth
from niftifactory import VOLUME_TIMING, save_nifti
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from bolus.acquire.checks import check_values
from bolus.acquire.exam import read_exam
from bolus.acquire.repair_values import repair_values
from bolus.errors import NotCT
from bolus.types import Exam, Float32Array, Grade

Y, X = np.mgrid[:SIZE, :SIZE] - 15.5
RADIUS = np.hypot(Y, X)
Images = Callable[[int, int], bool]
SOME: dict[str, Images] = {
    "the lowest slice": lambda t, z: z == 0,
    "every third frame": lambda t, z: t % 3 == 1,
    "one slice of the last frames": lambda t, z: z == 2 and t > 15,
    "one image": lambda t, z: (t, z) == (5, 1),
    "all but the first frame": lambda t, z: t > 0,
}


def calm_head(brain_hu: float, skull: bool = True) -> Float32Array:
    """(T, Z, Y, X) a smoothed exam: brain with noise of 0.7 HU, in whole numbers."""
    frames = np.random.default_rng(8).normal(brain_hu, 0.7, (20, 3, SIZE, SIZE))
    frames[:, :, (RADIUS > 12) & (RADIUS < 14)] += 800
    if skull:
        frames[..., RADIUS >= 14] -= 1000 + brain_hu
    return np.round(frames).astype(np.float32)


def some_images(
    folder: Path, which: Images, change: Callable[[FileDataset, NDArray[np.int16]], None]
) -> Path:
    """The factory's exam with some of its images changed."""
    images = exam()
    for i, one in enumerate(images):
        t, z = divmod(i, 3)
        if which(t, z):
            change(one, truth()[t, z])
    return save(folder, images)


def graded(found: Exam) -> dict[str, Grade]:
    return {one.code: one.grade for one in found.findings}


def test_brain_that_leaves_the_field_of_view_is_no_padding() -> None:
    frames = calm_head(36, skull=False)
    before = frames.copy()
    assert repair_values(frames) == []
    assert np.array_equal(frames, before)


@pytest.mark.parametrize("padding", [10, 35, 40])
def test_padding_with_a_value_of_brain_leaves_the_brain_alone(padding: int) -> None:
    frames = calm_head(padding)
    before, corners = frames.copy(), RADIUS > 16.5
    frames[..., corners] = padding
    assert [one.code for one in repair_values(frames)] == ["padding-undeclared"]
    assert (frames[..., corners] == -1024).all()
    assert np.array_equal(frames[..., ~corners], before[..., ~corners])


def test_cerebrospinal_fluid_next_to_padding_of_its_value_stays() -> None:
    frames = calm_head(36)
    frames[..., (RADIUS > 10) & (RADIUS < 12)] -= 36
    before, outside = frames.copy(), RADIUS >= 12
    frames[..., outside] = 0
    assert "padding-undeclared" in [one.code for one in repair_values(frames)]
    assert (frames[..., outside] == -1024).all()
    assert np.array_equal(frames[..., ~outside], before[..., ~outside])


def test_padding_of_some_frames_is_air_in_these() -> None:
    frames = calm_head(36)
    before, corners = frames.copy(), RADIUS > 16.5
    frames[::2, :, corners] = 3000
    assert [one.code for one in repair_values(frames)] == ["padding-undeclared"]
    assert frames[..., corners].max() < -900
    assert np.array_equal(frames[..., ~corners], before[..., ~corners])


@pytest.mark.parametrize("which", SOME)
def test_an_intercept_that_some_images_lack_is_made_up_for_in_these(
    which: str, tmp_path: Path
) -> None:
    def change(one: FileDataset, hu: NDArray[np.int16]) -> None:
        one.RescaleIntercept = 0

    found = read_exam(some_images(tmp_path, SOME[which], change))
    assert np.array_equal(found.frames, truth())
    assert graded(found) == {"intercept-missing": Grade.WARNING}
    count = sum(SOME[which](t, z) for t in range(20) for z in range(3))
    assert f"in {count} of 60 images" in found.findings[0].message


def test_a_slice_through_dense_bone_has_its_intercept() -> None:
    frames = calm_head(36)
    frames[:, 2, RADIUS < 13] = 1060  # the vertex
    frames[..., RADIUS >= 14] = -1024
    frames[:, 2, (RADIUS >= 13) & (RADIUS < 15)] = 24  # scalp
    before = frames.copy()
    assert repair_values(frames) == []
    assert np.array_equal(frames, before)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("which", SOME)
def test_negative_numbers_that_some_images_store_without_a_sign_get_it_back(
    which: str, bits: int, tmp_path: Path
) -> None:
    def change(one: FileDataset, hu: NDArray[np.int16]) -> None:
        one.BitsStored, one.HighBit, one.RescaleIntercept = bits, bits - 1, 0
        store(one, hu.astype(np.int32) & ((1 << bits) - 1))

    found = read_exam(some_images(tmp_path, SOME[which], change))
    assert np.array_equal(found.frames, truth())
    assert graded(found)["values-wrapped"] == Grade.WARNING
    assert "padding-undeclared" not in graded(found)


def test_grey_levels_without_air_are_named_although_their_padding_is_repaired() -> None:
    frames = np.maximum(calm_head(36), 0)
    found = (*repair_values(frames), *check_values(frames, "exam"))
    assert {"padding-undeclared", "no-air"} <= {one.code for one in found}


@pytest.mark.parametrize("highest", [100, 255])
def test_values_that_were_cut_off_above_are_named(highest: int) -> None:
    whole, cut = calm_head(36), np.minimum(calm_head(36), highest)
    assert "values-cut-off" not in {one.code for one in check_values(whole, "exam")}
    found = {one.code: one for one in check_values(cut, "exam")}
    assert found["values-cut-off"].grade == Grade.WARNING
    assert f"{highest} HU" in found["values-cut-off"].message


def test_a_doubled_slope_is_named_where_it_took_air_below_the_scale() -> None:
    right = calm_head(36)
    doubled = np.maximum(2 * right, -1024)
    assert "slope-doubtful" not in {one.code for one in check_values(right, "exam")}
    assert "slope-doubtful" not in {one.code for one in check_values(right + 20, "exam")}
    assert "slope-doubtful" in {one.code for one in check_values(doubled, "exam")}


@pytest.mark.parametrize("modality", ["MR", "PT", "nm"])
def test_a_nifti_that_says_it_is_not_ct_is_refused(modality: str, tmp_path: Path) -> None:
    with pytest.raises(NotCT, match=rf"head.nii.gz.*Modality {modality.upper()}"):
        read_exam(save_nifti(tmp_path, sidecar={**VOLUME_TIMING, "Modality": modality}))
    found = read_exam(save_nifti(tmp_path, sidecar={**VOLUME_TIMING, "Modality": "CT"}))
    assert graded(found) == {}
