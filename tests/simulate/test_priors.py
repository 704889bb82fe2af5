"""What clinics send lies within the cohort's priors, and no cohort shares a case with another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.errors import UsageError
from bolus.simulate.bolus import make_bolus
from bolus.simulate.priors import CASES, NOISE_HU, case_seed, clinical_case
from bolus.simulate.recipe import Recipe, generator
from bolus.types import Float64Array

# 5th and 95th percentile of 93 pairs of curves (ISLES 2018), and the median
CLINICAL = {
    "rise": (5.8, 7.9, 12.4),
    "artery's width": (8.8, 11.3, 19.5),
    "vein's width": (9.3, 13.2, 22.2),
    "lag": (4.0, 6.0, 9.4),
    "artery's tail": (0.12, 0.20, 0.36),
    "vein's tail": (0.15, 0.26, 0.65),
}
SCAN_END_S = 55.0
"""The clinical exams took 43 to 64 s; the tail is the mean of the last 3 s."""


@pytest.fixture(scope="module")
def recipes() -> list[Recipe]:
    return [clinical_case(case_seed(7, number)) for number in range(400)]


def _width_s(time_s: Float64Array, curve: Float64Array) -> float:
    above = time_s[curve >= curve.max() / 2]
    return float(above[-1] - above[0])


def _marks(recipe: Recipe, seed: int) -> dict[str, float]:
    """What was measured on the clinical curves, on those of a case seen for a minute."""
    bolus = make_bolus(recipe, generator(seed, "bolus"))
    seen = bolus.time_s < SCAN_END_S + 3
    time_s, artery, vein = (a[seen] for a in (bolus.time_s, bolus.artery_hu, bolus.vein_hu))
    last = time_s >= SCAN_END_S
    arrival_s = time_s[np.argmax(artery > 0.1 * artery.max())]
    return {
        "rise": time_s[artery.argmax()] - arrival_s,
        "artery's width": _width_s(time_s, artery),
        "vein's width": _width_s(time_s, vein),
        "lag": time_s[vein.argmax()] - time_s[artery.argmax()],
        "artery's tail": artery[last].mean() / artery.max(),
        "vein's tail": vein[last].mean() / vein.max(),
    }


def test_boluses_cover_the_clinical_curves_and_have_their_middle(recipes: list[Recipe]) -> None:
    """Of the range in which 90 % of clinical curves lie, how much does the cohort's range cover?

    All of widths and tails.  The lag of the vein is not drawn case by case and reaches half of its
    range; from arrival to peak the slowest clinical curves are slower than the cohort's.
    """
    least = dict.fromkeys(CLINICAL, 0.9) | {"rise": 0.75, "lag": 0.4, "vein's tail": 0.7}
    long = [(r, s) for s, r in enumerate(recipes) if r.duration_s > SCAN_END_S + 3]
    marks = [_marks(recipe, seed) for recipe, seed in long]
    assert len(marks) > 100
    for name, (low, middle, high) in CLINICAL.items():
        values = np.array([m[name] for m in marks])
        common = min(values.max(), high) - max(values.min(), low)
        assert common / (high - low) > least[name], name
        assert np.median(values) == pytest.approx(middle, rel=0.3), name


@given(st.integers(0, 2**40))
def test_a_seed_is_a_case_that_can_be(seed: int) -> None:
    recipe = clinical_case(seed)
    assert recipe == clinical_case(seed)
    assert recipe.slices * recipe.slice_mm >= 36
    assert 180 < recipe.matrix * recipe.pixel_mm < 260
    assert 20 < recipe.frame_starts_s[-1] < 75
    assert recipe.frames >= 5


def test_every_kind_of_protocol_lesion_and_difficulty_occurs(recipes: list[Recipe]) -> None:
    for name, kinds in (("timing", 4), ("side", 4), ("matrix", 3), ("craniectomy", 2)):
        assert len({getattr(r, name) for r in recipes}) == kinds
    noise = np.array([103.09 / np.sqrt(r.mas) for r in recipes])
    assert NOISE_HU[0] <= noise.min() < 5
    assert 14 < noise.max() <= NOISE_HU[1] + 0.01
    for name in ("motion_mm", "streaks_hu", "old_infarct_ml", "core_ml"):
        share = np.mean([getattr(r, name) > 0 for r in recipes])
        assert 0.05 < share < 0.95, name
    shares = np.array([r.residue_shares for r in recipes])
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares.std(axis=0).min() > 0.03


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, CASES - 1))
def test_two_cohorts_share_no_case(one: int, other: int, number: int) -> None:
    first, last = case_seed(other, 0), case_seed(other, CASES - 1)
    assert (first <= case_seed(one, number) <= last) == (one == other)
    assert clinical_case(case_seed(one, number)) != clinical_case(case_seed(one + 1, number))


@pytest.mark.parametrize(
    "wrong",
    [{"recirculation": 1.0}, {"collateral_dispersion": -0.1}, {"flow": 0.0}, {"rise_s": -1.0}],
)
def test_impossible_boluses_and_tissues_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Recipe(**wrong)  # type: ignore[arg-type]
