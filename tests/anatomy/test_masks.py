"""Brain, CSF and vessels where they were drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from bolus.anatomy.baseline import baseline_and_arrival
from bolus.anatomy.brain_mask import brain_mask, enclosure
from bolus.anatomy.segment import segment
from bolus.errors import ImplausibleValues
from bolus.metrics import dice
from bolus.types import Exam, Tissue
from drawn_head import Head, draw_head


def segmented(exam: Exam) -> Tissue:
    return segment(exam, baseline_and_arrival(exam))


@pytest.fixture(scope="module")
def drawn() -> tuple[Exam, Head, Tissue]:
    exam, head = draw_head()
    return exam, head, segmented(exam)


def test_the_brain_is_what_the_skull_holds(drawn: tuple[Exam, Head, Tissue]) -> None:
    _, head, tissue = drawn
    assert dice(tissue.brain, head.brain) > 0.97


@pytest.mark.parametrize(
    ("angle_deg", "shift"), [(15.0, (0.0, 0.0)), (0.0, (-4.0, 9.0)), (-35.0, (3.0, -8.0))]
)
def test_a_tilted_or_off_centre_head_is_followed(
    angle_deg: float, shift: tuple[float, float]
) -> None:
    exam, head = draw_head(angle_deg=angle_deg, shift=shift, slices=2)
    assert dice(segmented(exam).brain, head.brain) > 0.97


def test_an_open_skull_neither_loses_the_brain_nor_lets_it_flow_out() -> None:
    exam, head = draw_head(gap_deg=80.0, slices=2)
    brain = segmented(exam).brain
    assert (brain & head.brain).sum() > 0.9 * head.brain.sum()
    assert (brain & ~head.brain).sum() < 0.05 * head.brain.sum()


@pytest.mark.parametrize("gap_deg", [0.0, 80.0])
def test_a_wider_field_of_view_changes_nothing(gap_deg: float) -> None:
    exam, _ = draw_head(gap_deg=gap_deg, slices=2)
    image = exam.frames[0]
    wide = np.pad(image, ((0, 0), (7, 20), (30, 11)), mode="edge")
    brain = brain_mask(image, exam.geometry)
    found = brain_mask(wide, replace(exam.geometry, shape=wide.shape))
    np.testing.assert_array_equal(found[:, 7:-20, 30:-11], brain)
    assert found.sum() == brain.sum()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_brain_larger_than_any_is_refused(axis: int) -> None:
    exam, _ = draw_head(slices=2)
    affine = exam.geometry.affine.copy()
    affine[:, axis] *= 60 if axis == 0 else 3
    with pytest.raises(ImplausibleValues, match=r"no brain has over 2300 ml or 280 cm2"):
        brain_mask(exam.frames[0], replace(exam.geometry, affine=affine))


def test_dense_rods_of_the_head_rest_change_nothing() -> None:
    exam, head = draw_head(slices=2)
    frames = exam.frames.copy()
    frames[:, :, 2:4, 5:50] = 1500
    frames[:, :, 108:111, :] = 1500
    assert dice(segmented(replace(exam, frames=frames)).brain, head.brain) > 0.97


@pytest.mark.parametrize("change_hu", [-8.0, 15.0])
def test_masks_follow_the_grey_levels_not_fixed_numbers(
    change_hu: float, drawn: tuple[Exam, Head, Tissue]
) -> None:
    exam, _, tissue = drawn
    shifted = segmented(replace(exam, frames=exam.frames + np.float32(change_hu)))
    assert dice(shifted.brain, tissue.brain) > 0.995
    assert dice(shifted.csf, tissue.csf) > 0.97
    assert dice(shifted.vessel, tissue.vessel) > 0.995


def test_csf_is_found_and_tissue_kept(drawn: tuple[Exam, Head, Tissue]) -> None:
    _, head, tissue = drawn
    assert tissue.csf[head.csf].mean() > 0.85
    around = ndimage.binary_dilation(head.csf, np.ones((1, 3, 3), bool))
    assert tissue.csf[head.brain & ~around].mean() < 0.005


def test_vessels_are_found_with_their_rim_and_tissue_kept(
    drawn: tuple[Exam, Head, Tissue],
) -> None:
    _, head, tissue = drawn
    vessels = head.artery | head.late_artery | (head.sinus & tissue.brain)
    assert tissue.vessel[vessels].all()
    cross = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)
    rim = ndimage.binary_dilation(vessels, cross) & tissue.brain
    assert tissue.vessel[rim].all()
    far = head.brain & ~ndimage.binary_dilation(vessels, np.ones((1, 7, 7), bool))
    assert tissue.vessel[far].mean() < 0.002


def test_bone_that_moved_in_next_to_a_vessel_is_neither_blood_nor_brain(
    drawn: tuple[Exam, Head, Tissue],
) -> None:
    exam, head, tissue = drawn
    beside = ndimage.binary_dilation(head.artery, np.ones((1, 3, 3), bool)) & ~head.artery
    moved_in = beside & head.brain
    assert tissue.vessel[moved_in].sum() > 10
    frames = exam.frames.copy()
    frames[len(frames) // 2 :, moved_in] += 850
    found = segmented(replace(exam, frames=frames))
    assert not (found.vessel | found.brain)[moved_in].any()
    assert found.vessel[head.artery].all()


def test_a_mirrored_head_has_mirrored_masks(drawn: tuple[Exam, Head, Tissue]) -> None:
    exam, _, tissue = drawn
    mirrored = segmented(replace(exam, frames=np.ascontiguousarray(exam.frames[..., ::-1])))
    for name in ("brain", "csf", "vessel"):
        np.testing.assert_array_equal(
            getattr(mirrored, name)[..., ::-1], getattr(tissue, name), err_msg=name
        )


def test_twice_the_contrast_marks_the_same_vessels(drawn: tuple[Exam, Head, Tissue]) -> None:
    _, _, tissue = drawn
    assert dice(segmented(draw_head(peak_hu=500.0)[0]).vessel, tissue.vessel) > 0.9


def test_rays_are_enclosed_inside_a_ring_and_half_free_outside() -> None:
    yy, xx = np.mgrid[:101, :101] - 50
    radius = np.hypot(yy, xx)
    share = enclosure(((radius > 30) & (radius < 33))[None])[0]
    assert share[50, 50] == 1
    assert share[50, 72] == 1
    assert 0.3 < share[50, 85] < 0.6
    assert share[2, 2] < 0.4
    np.testing.assert_array_equal(share, share[:, ::-1])
    np.testing.assert_array_equal(share, share[::-1])
