"""Values that vendors and converters spoil are repaired where the head shows what was meant."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import SIZE, exam, save, store, truth
from niftifactory import save_nifti
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from bolus.acquire.exam import read_exam
from bolus.acquire.repair_values import looks_like_head_ct, repair_values
from bolus.errors import ImplausibleValues
from bolus.options import Choices
from bolus.pipeline import run_exam
from bolus.quality.verdict import verdict
from bolus.types import Exam, Grade

Y, X = np.mgrid[:SIZE, :SIZE] - 15.5
OUTSIDE = np.hypot(Y, X) > 16.5
"""The corners, outside of the circle that is reconstructed."""


def dense_truth(hu: int = 1500) -> NDArray[np.int16]:
    """The factory's exam with a graded skull."""
    frames = truth().astype(np.int32)
    skull = frames > 600
    frames[skull] += (np.arange(skull.sum()) % (hu - 700)).astype(np.int32)
    return frames.astype(np.int16)


def stored_as(
    folder: Path, stored: NDArray[np.integer], *, bits: int, signed: bool, intercept: int | None
) -> Path:
    """The factory's exam with other pixels (T, Z, Y, X)."""

    def change(one: FileDataset, pixels: NDArray[np.integer]) -> FileDataset:
        one.BitsStored, one.HighBit, one.PixelRepresentation = bits, bits - 1, int(signed)
        if intercept is None:
            del one.RescaleIntercept
        else:
            one.RescaleIntercept = intercept
        store(one, pixels)
        return one

    planes = stored.reshape(-1, SIZE, SIZE)
    return save(folder, [change(one, p) for one, p in zip(exam(), planes, strict=True)])


def padded(value: int) -> NDArray[np.int64]:
    """Stored values of the factory's exam, with padding outside of the circle."""
    stored = truth().astype(np.int64) + 1024
    stored[..., OUTSIDE] = value
    return stored


def codes(found: Exam) -> dict[str, Grade]:
    return {one.code: one.grade for one in found.findings}


def is_the_exam(frames: NDArray[np.float32], expected: NDArray[np.integer]) -> bool:
    """Whether values are right; what was padding is air of any kind."""
    inside = np.broadcast_to(~OUTSIDE, frames.shape)
    return np.array_equal(frames[inside], expected[inside]) and frames[~inside].max() < -900


@pytest.mark.parametrize(
    ("value", "bits"),
    [(63536, 16), (65535, 16), (32768, 16), (62512, 16), (4095, 12), (2096, 12), (1024, 12)],
)
def test_padding_that_nobody_declared_is_air(value: int, bits: int, tmp_path: Path) -> None:
    found = read_exam(stored_as(tmp_path, padded(value), bits=bits, signed=False, intercept=-1024))
    assert codes(found) == {"padding-undeclared": Grade.NOTE}
    assert f"{OUTSIDE.sum() * 3} voxels of each frame" in found.findings[0].message
    assert is_the_exam(found.frames, truth())


@pytest.mark.parametrize("value", [-2000, -1024, -3024 + 1024, -32768])
def test_padding_below_air_needs_no_finding(value: int, tmp_path: Path) -> None:
    found = read_exam(stored_as(tmp_path, padded(value), bits=16, signed=True, intercept=-1024))
    assert codes(found) == {}
    assert is_the_exam(found.frames, truth())


WRAPPED: dict[str, Callable[[Path], Path]] = {
    "12 bits": lambda folder: stored_as(
        folder, truth() & 0xFFF, bits=12, signed=False, intercept=0
    ),
    "12 bits with padding of -2000": lambda folder: stored_as(
        folder, np.where(OUTSIDE, -2000, truth()) & 0xFFF, bits=12, signed=False, intercept=0
    ),
    "16 bits": lambda folder: stored_as(
        folder, truth().astype(np.int32) & 0xFFFF, bits=16, signed=False, intercept=0
    ),
    "12 bits as NIfTI": lambda folder: save_nifti(folder, (truth() & 0xFFF).transpose(3, 2, 1, 0)),
    "16 bits as NIfTI": lambda folder: save_nifti(
        folder, truth().view(np.uint16).transpose(3, 2, 1, 0)
    ),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_negative_numbers_stored_without_a_sign_get_it_back(how: str, tmp_path: Path) -> None:
    found = read_exam(WRAPPED[how](tmp_path))
    assert codes(found)["values-wrapped"] == Grade.WARNING
    assert is_the_exam(found.frames, truth())


def test_bone_that_a_wrong_sign_made_air_is_bone_again(tmp_path: Path) -> None:
    stored = dense_truth().astype(np.int32) + 1024
    assert stored.max() > 2047
    found = read_exam(stored_as(tmp_path, stored, bits=12, signed=True, intercept=-1024))
    assert codes(found) == {"values-wrapped": Grade.WARNING}
    assert np.array_equal(found.frames, dense_truth())


def test_noise_and_padding_below_air_are_no_wrapped_bone(tmp_path: Path) -> None:
    stored = padded(-2000)
    stored[:, :, 1, 12] = -7
    found = read_exam(stored_as(tmp_path, stored, bits=12, signed=True, intercept=-1024))
    assert codes(found) == {}
    assert found.frames.min() == -1024
    assert found.frames[0, 0, 1, 12] == -1024


@pytest.mark.parametrize("padding", [None, 0, 63536])
@pytest.mark.parametrize("intercept", [None, 0])
def test_a_missing_intercept_is_made_up_for(
    intercept: int | None, padding: int | None, tmp_path: Path
) -> None:
    stored = truth().astype(np.int32) + 1024 if padding is None else padded(padding)
    found = read_exam(stored_as(tmp_path, stored, bits=16, signed=False, intercept=intercept))
    assert codes(found)["intercept-missing"] == Grade.WARNING
    assert is_the_exam(found.frames, truth())


def test_a_missing_intercept_of_nifti_is_made_up_for(tmp_path: Path) -> None:
    stored = truth().astype(np.int16) + 1024
    found = read_exam(save_nifti(tmp_path, stored.transpose(3, 2, 1, 0)))
    assert codes(found)["intercept-missing"] == Grade.WARNING
    assert np.array_equal(found.frames, truth())


@pytest.mark.parametrize("offset", [1000, 900, 500])
def test_an_intercept_that_air_does_not_confirm_is_refused(offset: int, tmp_path: Path) -> None:
    stored = np.maximum(truth().astype(np.int32) + offset, 0)
    path = stored_as(tmp_path, stored, bits=16, signed=False, intercept=0)
    with pytest.raises(ImplausibleValues, match="slope or intercept are wrong"):
        read_exam(path)


@pytest.mark.parametrize("hu", [3071, 8000, 30000])
def test_metal_on_an_extended_scale_is_metal(hu: int, tmp_path: Path) -> None:
    metal = truth().astype(np.int32)
    metal[:, :, 14:17, 14:17] = hu  # a coil
    metal[:, :, 27:29, 10:20] = hu  # a plate
    metal[:, :, 12:20, :1] = hu  # a frame that leaves the field of view
    found = read_exam(stored_as(tmp_path, metal + 1024, bits=16, signed=False, intercept=-1024))
    assert np.array_equal(found.frames, metal)
    assert codes(found).keys() <= {"values-saturated"}


@pytest.mark.parametrize("hu", [12000, 30000])
def test_metal_next_to_undeclared_padding_stays(hu: int, tmp_path: Path) -> None:
    stored = padded(63536)
    stored[:, :, 14:17, 14:17] = hu + 1024
    found = read_exam(stored_as(tmp_path, stored, bits=16, signed=False, intercept=-1024))
    assert codes(found)["padding-undeclared"] == Grade.NOTE
    assert (found.frames[:, :, 14:17, 14:17] == hu).all()


def test_an_exam_as_it_should_be_keeps_its_bytes() -> None:
    frames = truth().astype(np.float32)
    assert repair_values(frames) == []
    assert np.array_equal(frames, truth())


def test_maps_and_grey_levels_are_no_head_ct() -> None:
    head = truth()[0].astype(np.float32)
    assert looks_like_head_ct(head)
    assert looks_like_head_ct(head[1])
    assert looks_like_head_ct(head[:, ::4, ::4])
    assert not looks_like_head_ct(head + 1024)
    assert not looks_like_head_ct(np.maximum(head, 0))  # a map: nothing around it
    assert not looks_like_head_ct(np.clip(head, -1000, 100))  # no skull
    assert not looks_like_head_ct(np.where(head < -900, np.nan, head))
    assert not looks_like_head_ct(head * 3)


def test_padding_stored_as_63536_changes_neither_motion_nor_verdict(
    shared_exams: Path, tmp_path: Path
) -> None:
    found = {}
    for name in ("00-control", "17-unsigned-63536-outside-the-circle"):
        with zipfile.ZipFile(shared_exams / "reports" / f"{name}.zip") as archive:
            archive.extractall(tmp_path / name)
        found[name] = run_exam(tmp_path / name, Choices(methods=("ssvd",)))
    control, other = found.values()
    assert np.array_equal(control.motion.displacement_mm, other.motion.displacement_mm)
    assert verdict(control).grade == verdict(other).grade == Grade.WARNING
    assert {f.code for f in other.findings} - {f.code for f in control.findings} == {
        "padding-undeclared"
    }
    one, two = (r.methods["ssvd"].maps for r in found.values())
    assert np.array_equal(one.cbf, two.cbf)
    assert np.array_equal(one.tmax, two.tmax)
