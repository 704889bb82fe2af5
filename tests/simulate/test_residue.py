"""Residue functions obey the central volume theorem."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from bolus.simulate.residue import RESIDUES

shapes = pytest.mark.parametrize("name", RESIDUES)


@shapes
@given(mtt_s=st.floats(2.0, 30.0))
def test_all_tracer_is_there_at_the_start_and_none_comes_back(name: str, mtt_s: float) -> None:
    values = RESIDUES[name].value(np.linspace(0, 200, 2001), mtt_s)
    assert values[0] == 1.0
    assert np.all(np.diff(values) <= 1e-12)
    assert values.min() >= 0.0


@shapes
@pytest.mark.parametrize("mtt_s", [2.0, 4.3, 12.0, 30.0])
def test_the_integral_is_exactly_the_mean_transit_time(name: str, mtt_s: float) -> None:
    residue = RESIDUES[name]

    def value(t: float) -> float:
        return float(residue.value(np.array([t]), mtt_s)[0])

    breaks = [mtt_s, 2 * mtt_s]
    whole = quad(value, 0, 3 * mtt_s, points=breaks)[0] + quad(value, 3 * mtt_s, 40 * mtt_s)[0]
    assert whole == pytest.approx(mtt_s, rel=1e-6)
    assert residue.area(np.array([60 * mtt_s]), mtt_s)[0] == pytest.approx(mtt_s, rel=1e-12)


@shapes
@given(mtt_s=st.floats(2.0, 30.0), until_s=st.floats(0.0, 60.0))
def test_the_closed_form_area_is_that_of_the_function(
    name: str, mtt_s: float, until_s: float
) -> None:
    residue = RESIDUES[name]
    t = np.linspace(0, until_s, 4001)
    middle = (t[1:] + t[:-1]) / 2
    summed = residue.value(middle, mtt_s).sum() * (t[1] - t[0])
    assert residue.area(np.array([until_s]), mtt_s)[0] == pytest.approx(summed, abs=0.02)


def test_the_shares_of_the_shapes_add_up_to_one() -> None:
    assert sum(one.share for one in RESIDUES.values()) == pytest.approx(1.0)
