"""Lesions painted into maps are found with the volumes that were painted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bolus.errors import UsageError
from bolus.lesion.measure import measure_lesion
from bolus.lesion.midline import find_midline, left_side
from bolus.lesion.morphology import drop_small, fill_holes, smooth_within
from bolus.lesion.old_infarct import old_infarct
from bolus.lesion.presets import PRESETS, preset_for
from bolus.options import METHOD_NAMES
from bolus.types import Geometry, Lesion, Maps, Tissue

SHAPE = (8, 100, 90)
SPACING = (5.0, 1.8, 1.6)


def geometry(flip_x: bool = False, shear: float = 0.0) -> Geometry:
    dz, dy, dx = SPACING
    affine = np.array([
        [0, 0, -dx if flip_x else dx, dx * 44.5 if flip_x else -dx * 44.5],
        [shear, dy, 0, -dy * 49.5],
        [dz, 0, 0, -17.5],
        [0, 0, 0, 1],
    ], float)  # fmt: skip
    return Geometry(SHAPE, affine)


def positions(grid: Geometry) -> np.ndarray:
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def head(grid: Geometry) -> Tissue:
    p = positions(grid)
    brain = (p[..., 0] / 65) ** 2 + (p[..., 1] / 80) ** 2 < 1
    nothing = np.zeros(grid.shape, bool)
    return Tissue(np.where(brain, 35, -1000).astype(np.float32), brain, nothing, nothing)


def ball(grid: Geometry, x: float, radius: float, z: float = 0.0) -> np.ndarray:
    p = positions(grid) - [x, 0, z]
    return np.asarray((p**2).sum(axis=-1) < radius**2)


def maps_with(grid: Geometry, hypo: np.ndarray, core: np.ndarray) -> Maps:
    brain = head(grid).brain
    tmax = np.where(hypo, 11.0, 3.0)
    cbf = np.where(core, 8.0, np.where(hypo, 25.0, 50.0))
    mtt = np.where(hypo, 9.0, 4.5)
    every = (cbf, cbf * mtt / 60, mtt, tmax, tmax, tmax - mtt / 2)
    return Maps("test", *(np.where(brain, v, 0).astype(np.float32) for v in every))


def find(grid: Geometry, x: float = 30, preset: str = "rapid", z: float = 0) -> Lesion:
    maps = maps_with(grid, ball(grid, x, 16, z), ball(grid, x, 11, z))
    return measure_lesion(maps, head(grid), grid, preset)


def ml(mask: np.ndarray) -> float:
    return float(mask.sum()) * 5.0 * 1.8 * 1.6 / 1000


def test_volumes_are_those_painted() -> None:
    grid = geometry()
    lesion = find(grid)
    assert lesion.hypoperfused_ml == pytest.approx(ml(ball(grid, 30, 16)), rel=0.05)
    assert lesion.core_ml == pytest.approx(ml(ball(grid, 30, 11)), rel=0.08)
    assert lesion.penumbra_ml == lesion.hypoperfused_ml - lesion.core_ml == lesion.mismatch_ml
    assert lesion.mismatch_ratio == lesion.hypoperfused_ml / lesion.core_ml
    assert 0.6 < lesion.hir < 1  # all of it is painted above 10 s, but for its smoothed edge
    assert lesion.reference_cbf == pytest.approx(50, rel=0.01)
    labels = lesion.labels
    assert ml(labels == 2) == pytest.approx(lesion.core_ml)
    assert ml(labels > 0) == pytest.approx(lesion.hypoperfused_ml)


@pytest.mark.parametrize(("x", "side"), [(30, "left"), (-30, "right")])
@pytest.mark.parametrize("flip_x", [False, True])
def test_the_side_is_the_patients_however_rows_are_stored(
    x: float, side: str, flip_x: bool
) -> None:
    assert find(geometry(flip_x), x).side == side


def test_lesions_of_both_sides_are_said_to_be_so() -> None:
    grid = geometry()
    hypo = ball(grid, 30, 20) | ball(grid, -30, 20)
    lesion = measure_lesion(maps_with(grid, hypo, hypo & False), head(grid), grid, "rapid")
    assert lesion.side == "both"
    assert "both" in lesion.reference
    assert lesion.mismatch_ratio is None


def test_a_healthy_brain_has_no_lesion() -> None:
    grid = geometry()
    nothing = np.zeros(SHAPE, bool)
    lesion = measure_lesion(maps_with(grid, nothing, nothing), head(grid), grid, "rapid")
    assert lesion.side == "none"
    assert lesion.core_ml == lesion.hypoperfused_ml == 0
    assert lesion.mismatch_ratio is None
    assert lesion.hir is None
    assert lesion.cbv_index is None
    assert not lesion.hypoperfused_lower_bound


def test_tilted_slices_keep_their_volume() -> None:
    straight, tilted = geometry(), geometry(shear=1.5)
    assert tilted.voxel_ml == pytest.approx(straight.voxel_ml)
    assert find(tilted).core_ml == pytest.approx(find(straight).core_ml, rel=0.1)


def test_a_lesion_cut_by_the_slab_is_a_lower_bound() -> None:
    inside, cut = find(geometry()), find(geometry(), z=17.5)
    assert not inside.hypoperfused_lower_bound
    assert not inside.findings
    assert cut.hypoperfused_lower_bound
    assert cut.core_lower_bound
    assert [f.code for f in cut.findings] == ["lesion-at-slab-edge"]


def test_islands_below_the_cluster_limits_are_dropped_and_larger_ones_kept() -> None:
    grid = geometry()
    small, large = ball(grid, -30, 7), ball(grid, 30, 16)
    maps = maps_with(grid, small | large, small & False)
    labels = measure_lesion(maps, head(grid), grid, "rapid").labels
    assert not labels[small].any()
    assert labels[large].any()


def test_vessels_and_csf_are_never_lesion() -> None:
    grid = geometry()
    hypo = ball(grid, 30, 22)
    half = positions(grid)[..., 1] > 0
    tissue = replace(head(grid), csf=hypo & half)
    labels = measure_lesion(maps_with(grid, hypo, hypo), tissue, grid, "rapid").labels
    assert not labels[half].any()
    assert labels[~half].any()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_measures_by_its_own_rule(preset: str) -> None:
    grid = geometry()
    lesion = find(grid, preset=preset)
    rule = PRESETS[preset]
    assert (lesion.preset, lesion.core_rule) == (preset, rule.core_text)
    if rule.core_map == "relative CBF":
        # the painted core has 16 % of normal flow, the penumbra 50 %; a higher threshold takes
        # more of the smoothed edge between them, never the penumbra
        assert ml(ball(grid, 30, 10)) < lesion.core_ml < ml(ball(grid, 30, 14))
    elif preset == "syngo":
        assert lesion.core_ml == 0  # CBV is 1.2 in the painted core, not below
    assert lesion.hypoperfused_ml == pytest.approx(ml(ball(grid, 30, 16)), rel=0.05)


def test_a_threshold_on_the_delay_needs_a_method_that_fits_it() -> None:
    grid = geometry()
    hypo = ball(grid, 30, 16)
    maps = replace(maps_with(grid, hypo, hypo & False), delay=None)
    with pytest.raises(UsageError, match="no delay map"):
        measure_lesion(maps, head(grid), grid, "mistar")


def test_the_midline_follows_a_turned_head() -> None:
    grid = geometry()
    p = positions(grid)
    turned = p[..., 0] * np.cos(0.2) + p[..., 1] * np.sin(0.2) - 8
    along = -p[..., 0] * np.sin(0.2) + p[..., 1] * np.cos(0.2)
    brain = (turned / 60) ** 2 + (along / 80) ** 2 < 1
    left = left_side(brain, grid)
    wrong = brain & (left != (turned > 0))
    assert wrong.sum() < 0.03 * brain.sum()


def test_a_cavity_on_one_side_is_an_old_infarct_and_ventricles_are_none() -> None:
    grid = geometry()
    ventricles = ball(grid, 14, 11) | ball(grid, -12, 9)
    cavity = ball(grid, -40, 13)
    midline = find_midline(head(grid).brain, grid)
    assert not old_infarct(ventricles, midline, grid).any()
    found = old_infarct(ventricles | cavity, midline, grid)
    assert (found & cavity).sum() > 0.9 * cavity.sum()
    assert not (found & ventricles).any()


def test_late_tissue_all_over_is_no_silent_reference() -> None:
    grid = geometry()
    nothing = np.zeros(SHAPE, bool)
    maps = maps_with(grid, nothing, nothing)
    late = replace(maps, tmax=(maps.tmax + 2 * (maps.tmax > 0)).astype(np.float32))
    assert not measure_lesion(maps, head(grid), grid, "rapid").findings
    codes = [f.code for f in measure_lesion(late, head(grid), grid, "rapid").findings]
    assert codes == ["reference-late"]


def test_a_lesser_lesion_on_the_other_side_gives_up_that_side_as_reference() -> None:
    grid = geometry()
    hypo = ball(grid, 30, 26) | ball(grid, -30, 16)
    lesion = measure_lesion(maps_with(grid, hypo, hypo & False), head(grid), grid, "rapid")
    assert lesion.side == "left"
    assert "both" in lesion.reference
    assert "lesion-both-sides" in [f.code for f in lesion.findings]


def test_smoothing_takes_nothing_from_outside_the_mask() -> None:
    grid = geometry()
    mask = ball(grid, 0, 30)
    values = np.where(mask, 7.0, 1e6).astype(np.float32)
    smooth = smooth_within(values, mask, grid, 2.0)
    np.testing.assert_allclose(smooth[mask], 7.0, rtol=1e-5)
    assert (smooth[~mask] == 0).all()


def test_a_map_of_whole_numbers_is_smoothed_like_one_of_others() -> None:
    grid = geometry()
    values = np.random.default_rng(4).integers(0, 60, grid.shape)
    mask = positions(grid)[..., 0] > 0
    whole, others = (
        smooth_within(values.astype(kind), mask, grid, 2.0) for kind in (np.uint8, np.float32)
    )
    np.testing.assert_array_equal(whole, others)


def test_clusters_touch_at_corners_and_holes_are_filled_in_plane() -> None:
    mask = np.zeros((3, 9, 9), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    mask[2, 4, 4] = True
    assert drop_small(mask, 2.0, 1.0).sum() == 2
    ring = np.zeros((1, 7, 7), bool)
    ring[0, 2:5, 2:5] = True
    ring[0, 3, 3] = False
    everywhere = np.ones_like(ring)
    assert fill_holes(ring, everywhere, 1.0, 1.0).sum() == 9
    assert fill_holes(ring, ring, 1.0, 1.0).sum() == 8


def test_calibrated_thresholds_exist_for_every_method_and_for_no_other() -> None:
    for method in METHOD_NAMES:
        rule = preset_for("calibrated", method)
        assert 4 < rule.hypoperfused_above < 9
        assert 0.1 < rule.core_below < 0.8
        assert method in rule.source
    with pytest.raises(KeyError):
        preset_for("calibrated", "magic")
