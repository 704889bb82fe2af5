"""Everything together on simulated exams: real anatomy, correlated noise, known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bolus.anatomy.baseline import Baseline, baseline_and_arrival
from bolus.anatomy.segment import segment
from bolus.arteries.find import find_arteries
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe
from bolus.simulate.truth import Truth
from bolus.timegrid import common_grid
from bolus.types import Arteries, Exam, Tissue

RECIPE = Recipe(matrix=160, pixel_mm=1.45, slices=6, bottom_mm=-12.0)
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def found(
    request: pytest.FixtureRequest,
) -> tuple[Exam, Truth, Baseline, Tissue, Arteries]:
    exam, truth = simulate_exam(request.param, RECIPE)
    baseline = baseline_and_arrival(exam)
    tissue = segment(exam, baseline)
    arteries = find_arteries(exam, baseline, tissue, common_grid(exam.times_s))
    return exam, truth, baseline, tissue, arteries


Found = tuple[Exam, Truth, Baseline, Tissue, Arteries]


def test_the_brain_mask_is_the_brain(found: Found) -> None:
    _, truth, _, tissue, _ = found
    overlap = (tissue.brain & truth.brain).sum()
    assert 2 * overlap / (tissue.brain.sum() + truth.brain.sum()) >= 0.95


def test_no_parenchyma_is_lost_to_csf_and_vessels(found: Found) -> None:
    _, truth, _, tissue, _ = found
    assert tissue.csf[truth.valid].mean() < 0.01
    assert tissue.vessel[truth.valid].mean() < 0.025


def test_clear_csf_and_vessels_are_left_out(found: Found) -> None:
    _, truth, _, tissue, _ = found
    clear = (truth.tissue == 3) & (truth.baseline < 15) & tissue.brain
    assert tissue.csf[clear].mean() > 0.6
    large = (truth.vessel_fraction > 0.3) & tissue.brain
    assert tissue.vessel[large].mean() > 0.9
    bloody = truth.vessel_fraction > 0.05
    assert bloody[tissue.parenchyma].mean() < 0.005


def test_a_painted_core_is_not_mistaken_for_csf(found: Found) -> None:
    _, truth, _, tissue, _ = found
    assert tissue.csf[truth.core].mean() < 0.01


def test_arrival_is_within_a_frame(found: Found) -> None:
    _, truth, baseline, _, _ = found
    artery = truth.bolus.artery_hu
    foot = truth.bolus.time_s[int(np.argmax(artery > 0.03 * artery.max()))]
    assert baseline.arrival_s == pytest.approx(foot, abs=RECIPE.dt_s)


def test_aif_and_vof_lie_in_vessels(found: Found) -> None:
    _, truth, _, _, arteries = found
    assert (truth.vessel_fraction[tuple(arteries.aif.voxels.T)] > 0.2).all()
    assert (truth.vessel_fraction[tuple(arteries.vof.voxels.T)] > 0.8).all()


def test_the_scaled_aif_is_the_blood_curve(found: Found) -> None:
    exam, truth, _, _, arteries = found
    grid = common_grid(exam.times_s)
    blood = np.interp(grid, truth.bolus.time_s, truth.bolus.artery_hu)
    assert arteries.input_hu.sum() == pytest.approx(blood.sum(), rel=0.15)
    assert np.corrcoef(arteries.input_hu, blood)[0, 1] > 0.98
    assert arteries.aif.confidence > 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_a_weak_bolus_still_has_its_artery(seed: int) -> None:
    # 80 HU in the carotid at 7 HU noise: noise blobs compete
    exam, truth = simulate_exam(seed, replace(RECIPE, peak_hu=80.0))
    baseline = baseline_and_arrival(exam)
    tissue = segment(exam, baseline)
    grid = common_grid(exam.times_s)
    arteries = find_arteries(exam, baseline, tissue, grid)
    assert (truth.vessel_fraction[tuple(arteries.aif.voxels.T)] > 0.1).all()
    blood = np.interp(grid, truth.bolus.time_s, truth.bolus.artery_hu)
    assert arteries.input_hu.sum() == pytest.approx(blood.sum(), rel=0.15)


def test_shuttle_slices_half_an_interval_apart_share_one_arterial_curve() -> None:
    recipe = replace(RECIPE, timing="shuttle", dt_s=2.8, frames=22)
    exam, truth = simulate_exam(1, recipe)
    baseline = baseline_and_arrival(exam)
    grid = common_grid(exam.times_s)
    arteries = find_arteries(exam, baseline, segment(exam, baseline), grid)
    blood = np.interp(grid, truth.bolus.time_s, truth.bolus.artery_hu)
    assert arteries.input_hu.sum() == pytest.approx(blood.sum(), rel=0.15)
    assert abs(grid[arteries.input_hu.argmax()] - grid[blood.argmax()]) <= 2
