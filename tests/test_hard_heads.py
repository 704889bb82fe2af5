"""Heads that aren't as in the book: the same lesions are found, or the exam says why not."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bolus.lesion.midline import left_side
from bolus.metrics import dice
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.case import scan
from bolus.simulate.exam import simulate_exam
from bolus.simulate.priors import case_seed, clinical_case
from bolus.simulate.recipe import Recipe, generator
from bolus.simulate.slab import make_slab
from bolus.simulate.truth import Truth
from bolus.types import Lesion, Results

SEED = 5
EASY = Recipe(matrix=96, pixel_mm=2.3, slices=8, slice_mm=6.5, bottom_mm=-16.0, frames=28, dt_s=2.0)
HEADS = {
    "easy": EASY,
    "leaning": replace(EASY, tilt_deg=(0.0, 20.0, 0.0)),
    "turned": replace(EASY, tilt_deg=(8.0, -10.0, 25.0), offset_mm=(20.0, -12.0)),
    "opened": replace(EASY, craniectomy="left", calcified=True),
    "old and fresh": replace(EASY, old_infarct_ml=30.0, old_infarct_side="left"),
    "old": replace(EASY, old_infarct_ml=30.0, side="none"),
    "both sides": replace(EASY, side="both", core_ml=40, penumbra_ml=120),
    "streaks": replace(EASY, bottom_mm=-22.0, streaks_hu=40.0),
    "two rates": replace(EASY, timing="two-rate", frames=22, first_mas=400.0),
    "moved": replace(EASY, slice_mm=5.0, bottom_mm=-10.0, motion_mm=5.0),
}


@cache
def analysed(name: str) -> tuple[Results, Truth]:
    exam, truth = simulate_exam(SEED, HEADS[name])
    return analyse(exam, Choices(methods=("nlr",)), Stages()), truth


def lesion(name: str) -> Lesion:
    return analysed(name)[0].methods["nlr"].lesion


def codes(name: str) -> set[str]:
    return {finding.code for finding in analysed(name)[0].findings}


@pytest.mark.parametrize(
    "name",
    ["easy", "leaning", "turned", "opened", "old and fresh", "streaks", "two rates"],
)
def test_a_hard_head_has_its_lesion_where_it_is_and_as_large_as_it_is(name: str) -> None:
    found = lesion(name)
    _, truth = analysed(name)
    assert found.side == "left"
    assert dice(found.labels > 0, truth.hypo) > 0.82
    assert found.hypoperfused_ml == pytest.approx(truth.hypo_ml, abs=12)
    assert found.core_ml == pytest.approx(truth.core_ml, abs=6)


@pytest.mark.parametrize("name", ["easy", "leaning", "turned"])
def test_the_midline_is_the_heads_not_the_images(name: str) -> None:
    results, _ = analysed(name)
    across = make_slab(HEADS[name], generator(SEED, "slab"))
    x_mm = across.atlas_positions(across.heights_mm())[0, 1:-1]
    brain = results.tissue.brain
    wrong = brain & (left_side(brain, results.geometry) != (x_mm < 0))
    assert wrong.sum() < 0.025 * brain.sum()


def test_an_easy_head_raises_no_concerns() -> None:
    assert codes("easy") <= {"lesion-at-slab-edge"}


def test_an_old_infarct_is_not_core_and_is_named() -> None:
    results, truth = analysed("old")
    found = results.methods["nlr"].lesion
    assert truth.core_ml == truth.hypo_ml == 0
    old = truth.tissue == 5
    assert old.sum() * truth.geometry.voxel_ml > 20
    assert np.median(truth.cbf[old]) < 6
    assert found.core_ml == found.hypoperfused_ml == 0
    note = next(f for f in results.findings if f.code == "old-infarct")
    assert "on the right" in note.message
    assert "left" not in note.message


def test_an_old_infarct_next_to_a_fresh_one_stays_out_of_its_volumes() -> None:
    _, truth = analysed("old and fresh")
    assert "old-infarct" in codes("old and fresh")
    old = truth.tissue == 5
    assert ((lesion("old and fresh").labels > 0) & old).sum() < 0.03 * old.sum()


@pytest.mark.parametrize("name", ["easy", "leaning", "turned", "opened", "streaks"])
def test_ventricles_and_sulci_are_no_old_infarct(name: str) -> None:
    assert "old-infarct" not in codes(name)


def test_a_head_with_both_sides_affected_says_so_and_has_its_reference_on_both() -> None:
    found = lesion("both sides")
    _, truth = analysed("both sides")
    assert found.side == "both"
    assert "lesion-both-sides" in codes("both sides")
    assert "both" in found.reference
    assert dice(found.labels > 0, truth.hypo) > 0.85
    results, _ = analysed("both sides")
    healthy = truth.valid & (truth.painted == 0) & results.tissue.parenchyma
    mean = results.methods["nlr"].maps.cbf[healthy].mean()
    assert found.reference_cbf == pytest.approx(mean, rel=0.07)


def test_calcifications_are_neither_brain_nor_vessel() -> None:
    results, truth = analysed("opened")
    _, plain = analysed("easy")
    dense = truth.brain & (plain.baseline < 60) & (truth.baseline > 110)
    assert dense.sum() > 5
    assert not (results.tissue.parenchyma & dense).any()
    assert (results.tissue.vessel & dense).sum() <= 0.2 * dense.sum()


def test_an_open_skull_keeps_its_brain() -> None:
    results, truth = analysed("opened")
    assert (results.tissue.brain & truth.brain).sum() > 0.93 * truth.brain.sum()
    assert (results.tissue.brain & ~truth.brain).sum() < 0.01 * truth.brain.sum()


def test_motion_of_a_thin_slab_is_reported_and_what_it_disturbed_is_no_vessel() -> None:
    results, truth = analysed("moved")
    assert {"motion-through-plane", "motion-edge-slices"} <= codes("moved")
    assert results.arrival_s == pytest.approx(truth.recipe.arrival_s, abs=2)
    assert dice(lesion("moved").labels > 0, truth.hypo) > 0.7
    # a head at rest has as much
    share = (results.tissue.vessel & (truth.vessel_fraction < 0.01)).sum() / truth.brain.sum()
    still, still_truth = analysed("easy")
    rim = still.tissue.vessel & (still_truth.vessel_fraction < 0.01)
    assert share < 2 * rim.sum() / still_truth.brain.sum()


@pytest.mark.parametrize("number", [1, 11])
def test_flow_is_on_its_scale_where_bone_moved_next_to_vessels(number: int) -> None:
    """Two heads of the network's validation; flow was drawn 34 and 20 % too high when bone that
    moved in counted as blood."""
    seed = case_seed(99, number)
    exam, truth = scan(seed, clinical_case(seed))
    maps = analyse(exam, Choices(methods=("cnn",)), Stages()).methods["cnn"].maps
    where = truth.valid & (maps.cbf > 0)
    assert np.median(maps.cbf[where] / truth.cbf[where]) == pytest.approx(1, abs=0.12)


def test_traits_leave_the_rest_of_the_exam_alone() -> None:
    quiet = Recipe(matrix=64, pixel_mm=3.6, slices=4, slice_mm=10, frames=12, mas=math.inf)
    plain, _ = simulate_exam(SEED, quiet)
    marked, _ = simulate_exam(SEED, replace(quiet, calcified=True, old_infarct_ml=20.0))
    changed = np.abs(marked.frames[0] - plain.frames[0]) > 1
    assert 0.001 < changed.mean() < 0.05
    assert not (changed & (plain.frames[0] > 300)).any()
