"""The AIF lies in an artery, the VOF in a vein, and the scale undoes partial volume."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.anatomy.baseline import baseline_and_arrival
from bolus.anatomy.segment import segment
from bolus.arteries.confidence import above_circle, place_findings
from bolus.arteries.curve_features import gamma_misfit
from bolus.arteries.find import find_arteries
from bolus.arteries.partial_volume import area_scale
from bolus.arteries.regions import delays, weighted_mean
from bolus.errors import NoPerfusion, UsageError
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe
from bolus.timegrid import common_grid
from bolus.types import Arteries, Exam, Grade, Vessel
from drawn_head import VOF_LAG_S, Head, arterial, draw_head


def chosen(
    exam: Exam,
    aif_voxel: tuple[int, ...] | None = None,
    vof_voxel: tuple[int, ...] | None = None,
) -> Arteries:
    baseline = baseline_and_arrival(exam)
    tissue = segment(exam, baseline)
    grid = common_grid(exam.times_s)
    return find_arteries(exam, baseline, tissue, grid, aif_voxel=aif_voxel, vof_voxel=vof_voxel)


def codes(arteries: Arteries) -> list[str]:
    return [finding.code for finding in arteries.findings]


@pytest.fixture(scope="module")
def drawn() -> tuple[Exam, Head, Arteries]:
    exam, head = draw_head()
    return exam, head, chosen(exam)


def test_the_aif_is_the_proximal_artery_and_the_vof_the_sinus(
    drawn: tuple[Exam, Head, Arteries],
) -> None:
    _, head, arteries = drawn
    assert head.artery[tuple(arteries.aif.voxels.T)].all()
    assert head.sinus[tuple(arteries.vof.voxels.T)].all()
    assert 4 <= len(arteries.aif.voxels) <= 20
    assert 4 <= len(arteries.vof.voxels) <= 20
    assert arteries.aif.confidence > 0.9
    assert arteries.vof.confidence > 0.9
    assert arteries.findings == ()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("noise_hu", [3.0, 8.0])
def test_the_scaled_area_is_that_of_blood(seed: int, noise_hu: float) -> None:
    exam, head = draw_head(seed=seed, noise_hu=noise_hu)
    arteries = chosen(exam)
    assert arteries.input_hu.sum() == pytest.approx(head.area_hu_s, rel=0.08)
    assert arteries.scale == pytest.approx(1 / 0.8, rel=0.08)


def test_the_vof_peaks_later_by_the_transit_time(drawn: tuple[Exam, Head, Arteries]) -> None:
    exam, _, arteries = drawn
    grid = common_grid(exam.times_s)
    lag = grid[arteries.vof.curve_hu.argmax()] - grid[arteries.aif.curve_hu.argmax()]
    assert lag == pytest.approx(VOF_LAG_S + 1, abs=2)


def test_twice_the_contrast_leaves_the_aif_where_it_was() -> None:
    # noise goes along: an exam in other units
    one, _ = draw_head(peak_hu=250.0, noise_hu=3.0)
    two, _ = draw_head(peak_hu=500.0, noise_hu=6.0)
    first, second = chosen(one), chosen(two)
    np.testing.assert_array_equal(first.aif.voxels, second.aif.voxels)
    np.testing.assert_allclose(second.aif.curve_hu, 2 * first.aif.curve_hu, atol=2.0)
    assert second.scale == pytest.approx(first.scale, rel=0.02)


def test_a_mirrored_head_has_the_mirrored_aif(drawn: tuple[Exam, Head, Arteries]) -> None:
    exam, _, arteries = drawn
    mirrored = chosen(replace(exam, frames=np.ascontiguousarray(exam.frames[..., ::-1])))
    columns = exam.frames.shape[3]
    for name in ("aif", "vof"):
        back = getattr(mirrored, name).voxels * [1, 1, -1] + [0, 0, columns - 1]
        expected = getattr(arteries, name).voxels
        assert {tuple(v) for v in back} == {tuple(v) for v in expected}
    np.testing.assert_allclose(mirrored.input_hu, arteries.input_hu, rtol=1e-6, atol=1e-4)


def test_the_choice_is_the_same_to_the_bit(drawn: tuple[Exam, Head, Arteries]) -> None:
    exam, _, arteries = drawn
    again = chosen(exam)
    assert again.input_hu.tobytes() == arteries.input_hu.tobytes()
    assert again.vof.curve_hu.tobytes() == arteries.vof.curve_hu.tobytes()


def test_slices_a_second_apart_give_the_same_aif() -> None:
    together, head = draw_head(slice_offset_s=0.0)
    apart, _ = draw_head(slice_offset_s=0.5)
    one, two = chosen(together), chosen(apart)
    assert head.artery[tuple(two.aif.voxels.T)].all()
    grid = common_grid(apart.times_s)
    moved = np.interp(grid, common_grid(together.times_s), one.input_hu)
    assert np.abs(two.input_hu - moved).max() < 0.08 * moved.max()


def test_a_given_artery_is_taken_and_judged(drawn: tuple[Exam, Head, Arteries]) -> None:
    exam, head, automatic = drawn
    z, y, x = np.argwhere(head.late_artery)[6]
    arteries = chosen(exam, aif_voxel=(x, y, z))
    assert arteries.aif.manual
    assert not arteries.vof.manual
    assert head.late_artery[tuple(arteries.aif.voxels.T)].all()
    assert [z, y, x] in arteries.aif.voxels.tolist()
    assert arteries.aif.confidence < automatic.aif.confidence
    assert "aif-late" in codes(arteries)


def test_a_given_vein_is_taken(drawn: tuple[Exam, Head, Arteries]) -> None:
    exam, head, _ = drawn
    z, y, x = np.argwhere(head.sinus)[10]
    arteries = chosen(exam, vof_voxel=(x, y, z))
    assert arteries.vof.manual
    assert head.sinus[tuple(arteries.vof.voxels.T)].all()


def test_tissue_given_as_aif_does_not_pass_in_silence(
    drawn: tuple[Exam, Head, Arteries],
) -> None:
    exam, _, _ = drawn
    arteries = chosen(exam, aif_voxel=(75, 70, 1))
    assert arteries.aif.confidence < 0.3
    assert any(finding.grade is Grade.FAIL for finding in arteries.findings)
    assert {"aif-weak", "aif-area"} <= set(codes(arteries))


@pytest.mark.parametrize("voxel", [(1, 1, 1), (400, 5, 1), (-3, 50, 1), (50, 50, 9), (50, 50)])
@pytest.mark.parametrize("which", ["aif_voxel", "vof_voxel"])
def test_a_point_outside_the_brain_is_the_users_mistake(
    drawn: tuple[Exam, Head, Arteries], voxel: tuple[int, ...], which: str
) -> None:
    with pytest.raises(UsageError, match=rf"^{which[:3]} (needs|[-0-9,]+ lies outside)"):
        chosen(drawn[0], **{which: voxel})


def test_swapped_curves_are_reported(drawn: tuple[Exam, Head, Arteries]) -> None:
    exam, head, _ = drawn
    artery, sinus = np.argwhere(head.artery)[6], np.argwhere(head.sinus)[10]
    arteries = chosen(exam, aif_voxel=tuple(sinus[::-1]), vof_voxel=tuple(artery[::-1]))
    assert "vof-before-aif" in codes(arteries)
    assert 1 <= arteries.scale <= 10


def test_without_a_vein_the_largest_vessel_scales_and_it_is_said() -> None:
    exam, head = draw_head()
    baseline = baseline_and_arrival(exam)
    tissue = segment(exam, baseline)
    arteries_only = replace(tissue, vessel=head.artery)
    arteries = find_arteries(exam, baseline, arteries_only, common_grid(exam.times_s))
    assert "vof-missing" in codes(arteries)
    assert arteries.vof.confidence == 0
    assert arteries.scale == pytest.approx(1, abs=0.1)


def test_without_any_vessel_there_is_nothing_to_choose() -> None:
    exam, head = draw_head()
    baseline = baseline_and_arrival(exam)
    tissue = segment(exam, baseline)
    nothing = replace(tissue, vessel=np.zeros_like(head.brain))
    with pytest.raises(NoPerfusion, match="no artery"):
        find_arteries(exam, baseline, nothing, common_grid(exam.times_s))


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
@pytest.mark.parametrize("end_s", [60.0, 34.0])
def test_the_scale_is_right_even_if_the_exam_ends_early(share: float, end_s: float) -> None:
    grid = np.arange(0.0, end_s)
    aif = share * 300 * arterial(grid, 8.0)
    delayed = 300 * arterial(grid - 4.0, 8.0)
    kernel = np.exp(-grid / 2)
    vof = np.convolve(delayed, kernel / kernel.sum())[: grid.size]
    assert area_scale(aif, vof, grid) == pytest.approx(1 / share, rel=0.03)


def test_the_scale_stays_between_one_and_ten() -> None:
    grid = np.arange(60.0)
    aif = 100 * arterial(grid, 8.0)
    vof = arterial(grid - 5, 8.0)
    assert area_scale(aif, 50 * vof, grid) == 1
    assert area_scale(aif, 5000 * vof, grid) == 10


def test_what_competed_is_kept_with_its_marks(drawn: tuple[Exam, Head, Arteries]) -> None:
    exam, head, arteries = drawn
    best, *others = arteries.candidates
    np.testing.assert_array_equal(best.voxels, arteries.aif.voxels)
    assert best.delay_s == 0
    late = [v for v in others if head.late_artery[tuple(v.voxels.T)].all()]
    assert late
    # it starts 4 s later and rises for 9 instead of 6 s
    assert late[0].delay_s == pytest.approx(4 + 3, abs=1.5)
    assert late[0].parts["earliness"] < 0.05
    scores = [v.score for v in arteries.candidates]
    assert scores == sorted(scores, reverse=True)
    for vessel in arteries.candidates + arteries.vein_candidates:
        assert vessel.score == pytest.approx(np.prod([max(p, 0.01) for p in vessel.parts.values()]))
        assert all(0 <= part <= 1 for part in vessel.parts.values())
        assert vessel.curve_hu.shape == common_grid(exam.times_s).shape
    assert head.sinus[tuple(arteries.vein_candidates[0].voxels.T)].all()


def test_the_share_of_blood_and_the_diameter_are_those_drawn(
    drawn: tuple[Exam, Head, Arteries],
) -> None:
    _, head, arteries = drawn
    assert arteries.aif.fraction == pytest.approx(0.8, rel=0.08)
    assert arteries.scale == pytest.approx(1 / arteries.aif.fraction)
    area_mm2 = 0.8 * head.artery[0].sum() * 1.8**2
    assert arteries.aif.diameter_mm == pytest.approx(2 * np.sqrt(area_mm2 / np.pi), rel=0.25)


def test_a_few_hu_more_everywhere_change_nothing(drawn: tuple[Exam, Head, Arteries]) -> None:
    exam, _, arteries = drawn
    brighter = chosen(replace(exam, frames=exam.frames + np.float32(2)))
    np.testing.assert_array_equal(brighter.aif.voxels, arteries.aif.voxels)
    np.testing.assert_array_equal(brighter.vof.voxels, arteries.vof.voxels)
    np.testing.assert_allclose(brighter.input_hu, arteries.input_hu, atol=0.01)


PRINT_DIGEST = """
import hashlib
from drawn_head import draw_head
from test_find_arteries import chosen
a = chosen(draw_head()[0])
scores = repr([v.parts for v in a.candidates])
print(hashlib.sha256(a.input_hu.tobytes() + scores.encode()).hexdigest())
"""


def test_the_number_of_threads_changes_no_bit() -> None:
    digests = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        made = subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            env=environment,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(made.stdout)
    assert len(digests) == 1


def test_an_artery_too_faint_for_the_vessel_mask_is_found_by_its_course() -> None:
    exam, head = draw_head()
    baseline = baseline_and_arrival(exam)
    tissue = replace(segment(exam, baseline), vessel=head.sinus)
    arteries = find_arteries(exam, baseline, tissue, common_grid(exam.times_s))
    assert head.artery[tuple(arteries.aif.voxels.T)].all()
    assert head.sinus[tuple(arteries.vof.voxels.T)].all()
    assert "vof-missing" not in codes(arteries)


@pytest.mark.parametrize(("bottom_mm", "distal"), [(-22.0, False), (25.0, True)])
def test_a_slab_above_the_circle_of_willis_says_that_its_artery_is_late(
    bottom_mm: float, distal: bool
) -> None:
    recipe = Recipe(matrix=128, pixel_mm=1.8, slices=4, bottom_mm=bottom_mm)
    exam, _ = simulate_exam(7601, recipe)
    arteries = chosen(exam)
    assert ("aif-distal" in codes(arteries)) is distal
    upside_down = replace(exam, frames=exam.frames[:, ::-1], times_s=exam.times_s[:, ::-1])
    affine = exam.geometry.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (recipe.slices - 1)
    affine[:3, 0] *= -1
    turned = replace(upside_down, geometry=replace(exam.geometry, affine=affine))
    tissue = segment(turned, baseline_and_arrival(turned))
    assert above_circle(tissue, turned.geometry) is distal


@given(shift_s=st.floats(-8, 8), height=st.floats(0.05, 20), level=st.floats(-50, 50))
def test_the_delay_of_a_curve_depends_on_neither_its_height_nor_its_level(
    shift_s: float, height: float, level: float
) -> None:
    grid = np.arange(60.0)
    template = 200 * arterial(grid, 15.0)
    curve = height * arterial(grid - shift_s, 15.0) + level
    assert delays(curve[None], template, grid)[0] == pytest.approx(shift_s, abs=0.15)


@given(seed=st.integers(0, 10_000))
def test_weighting_by_blood_gives_less_noise_for_the_height(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = np.arange(60.0)
    blood = 250 * arterial(grid, 10.0)
    share = rng.uniform(0.1, 1.0, 12)
    noise = rng.normal(0, 6, (12, 60))
    mean, effective = weighted_mean(share[:, None] * blood + noise)
    height = mean @ blood / (blood @ blood)
    expected = (share**2).sum() / share.sum()
    assert height == pytest.approx(expected, rel=0.03)
    assert effective == pytest.approx(share.sum() ** 2 / (share**2).sum(), rel=0.1)
    # signal to noise: sqrt(sum of squares) instead of sum / sqrt(n)
    assert height * effective**0.5 > share.mean() * 12**0.5 * 0.99


def test_a_curve_that_never_rises_is_no_bolus() -> None:
    assert gamma_misfit(-np.ones(40), np.arange(40.0)) == 1
    assert gamma_misfit(np.zeros(40), np.arange(40.0)) == 1


def test_a_tiny_share_of_blood_is_said() -> None:
    grid = np.arange(60.0)
    aif = 20 * arterial(grid, 8.0)
    assert area_scale(aif, 190 * arterial(grid - 4, 8.0), grid) == pytest.approx(9.5, rel=0.02)
    tiny = Vessel(aif, np.zeros((4, 3), np.int64), 0.9)
    assert [f.code for f in place_findings(tiny, 9.5, above=False)] == ["aif-scale"]
    assert place_findings(tiny, 8.5, above=False) == []
