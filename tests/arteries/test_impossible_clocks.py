"""A bolus that no heart makes fails and names the clock; a slow heart's is read with care."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bolus.arteries.curve_features import gamma_misfit, shape
from bolus.arteries.findings import CLOCK_REMEDY, aif_findings
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.quality.verdict import verdict
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe
from bolus.types import Exam, Finding, Grade
from drawn_head import blood

GRID = np.arange(0, 80.5, 0.5)


def findings(rise_s: float, *, clock: float = 1.0, end_s: float = 80.0) -> dict[str, Finding]:
    """Of an artery that takes ``rise_s`` to its peak, as a clock that runs faster measures it."""
    grid = GRID[end_s >= GRID] * clock
    curve = 250 * (
        blood(grid / clock, 8.0, rise_s) + 0.15 * blood(grid / clock, 8 + 2 * rise_s, 15.0)
    )
    found = aif_findings(shape(curve, grid), gamma_misfit(curve, grid), 0.0, 0.5, 0.9)
    return {one.code: one for one in found}


@pytest.mark.parametrize("rise_s", [5.5, 8.0, 12.0, 14.0])
def test_a_heart_no_slower_than_most_raises_nothing_about_the_clock(rise_s: float) -> None:
    assert not findings(rise_s).keys() & {"aif-narrow", "aif-slow"}
    assert all(one.grade < Grade.FAIL for one in findings(rise_s).values())


@pytest.mark.parametrize("rise_s", [15.5, 16.2, 17.0])
def test_a_slow_heart_is_a_warning(rise_s: float) -> None:
    found = findings(rise_s)
    assert found.keys() & {"aif-wide", "aif-slow"}
    assert {one.grade for one in found.values()} == {Grade.WARNING}
    assert CLOCK_REMEDY not in {one.remedy for one in found.values()}


@pytest.mark.parametrize(("rise_s", "clock"), [(12.0, 2.0), (8.2, 3.0), (17.0, 2.0)])
def test_a_bolus_wider_than_any_fails_and_names_the_clock(rise_s: float, clock: float) -> None:
    wide = findings(rise_s, clock=clock)["aif-wide"]
    assert wide.grade == Grade.FAIL
    assert wide.remedy == CLOCK_REMEDY
    assert "wider than any bolus (limit 28 s)" in wide.message


def test_a_bolus_that_rises_for_longer_than_any_fails() -> None:
    assert findings(17.0, clock=1.7)["aif-slow"].grade == Grade.FAIL


def test_a_bolus_narrower_than_any_fails_unless_the_scan_cut_it() -> None:
    assert findings(5.5, clock=0.5)["aif-narrow"].grade == Grade.FAIL
    assert "aif-narrow" not in findings(5.5, clock=0.5, end_s=13.5)


@pytest.fixture(scope="module")
def minute() -> Exam:
    """A minute's scan."""
    recipe = Recipe(
        matrix=96, pixel_mm=2.3, slices=8, slice_mm=6.5, bottom_mm=-16.0, frames=40, dt_s=1.5
    )
    return simulate_exam(5, recipe)[0]


def test_a_minute_that_a_wrong_clock_made_two_is_not_reliable(minute: Exam) -> None:
    methods = Choices(methods=("ssvd",))
    right = analyse(minute, methods, Stages())
    assert verdict(right).grade < Grade.FAIL
    doubled = replace(minute, times_s=2 * minute.times_s)
    found = verdict(analyse(doubled, methods, Stages()))
    assert found.word == "not reliable"
    assert any("span 117 s" in one.message for one in found.reasons)
    assert CLOCK_REMEDY in {one.remedy for one in found.reasons}
