"""Blood curves: analytic facts, and the range of the clinic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.simulate.bolus import Bolus, convolve, gamma_variate, make_bolus, transit
from bolus.simulate.recipe import Recipe, generator
from bolus.types import Float64Array

TIME_S = np.arange(0, 120, 0.1)


@given(
    arrival_s=st.floats(0, 20), peak=st.floats(1, 900), alpha=st.floats(1, 8), beta=st.floats(1, 4)
)
def test_gamma_variate_peaks_where_and_as_high_as_it_says(
    arrival_s: float, peak: float, alpha: float, beta: float
) -> None:
    top = gamma_variate(np.array([arrival_s + alpha * beta]), arrival_s, peak, alpha, beta)[0]
    curve = gamma_variate(TIME_S, arrival_s, peak, alpha, beta)
    assert top == pytest.approx(peak)
    assert curve.max() <= peak * (1 + 1e-12)
    assert not curve[arrival_s >= TIME_S].any()


@pytest.mark.parametrize(("delay_s", "mean_s", "shape"), [(0, 1, 2), (1.5, 4.5, 3), (7, 16, 2)])
def test_transit_keeps_the_area_and_adds_its_mean(
    delay_s: float, mean_s: float, shape: float
) -> None:
    before = gamma_variate(TIME_S, 5.0, 100.0, 3.0, 1.5)
    after = convolve(before, transit(TIME_S, delay_s, mean_s, shape))
    assert after.sum() == pytest.approx(before.sum(), rel=2e-3)

    def centre(curve: Float64Array) -> float:
        return float((curve * TIME_S).sum() / curve.sum())

    assert centre(after) - centre(before) == pytest.approx(delay_s + mean_s, abs=0.15)


def _width(bolus: Bolus, curve: Float64Array) -> float:
    above = bolus.time_s[curve >= curve.max() / 2]
    return float(above[-1] - above[0])


@pytest.mark.parametrize("seed", range(12))
def test_curves_lie_within_the_clinical_range(seed: int) -> None:
    """p5-p95 of 93 clinical pairs (ISLES 2018), a little wider where a range is narrow."""
    bolus = make_bolus(Recipe(), generator(seed, "bolus"))
    artery, vein, time_s = bolus.artery_hu, bolus.vein_hu, bolus.time_s
    lag_s = time_s[vein.argmax()] - time_s[artery.argmax()]
    rise_s = time_s[artery.argmax()] - time_s[np.argmax(artery > 0.1 * artery.max())]
    assert 4.0 <= lag_s <= 9.4
    assert 5.0 <= rise_s <= 12.4
    assert 8.8 <= _width(bolus, artery) <= 19.5
    assert 9.3 <= _width(bolus, vein) <= 22.2
    end = (time_s > 55) & (time_s < 58)
    assert 0.12 <= artery[end].mean() / artery.max() <= 0.36
    assert 0.15 <= vein[end].mean() / vein.max() <= 0.65
    assert 61 <= vein.max() <= 397


def test_the_artery_reaches_the_height_and_arrives_when_the_recipe_says() -> None:
    bolus = make_bolus(Recipe(peak_hu=420.0, arrival_s=11.0), generator(5, "bolus"))
    assert bolus.artery_hu.max() == pytest.approx(420.0)
    assert np.abs(bolus.artery_hu[bolus.time_s <= 11.0]).max() < 1e-9
    assert bolus.artery_hu[bolus.time_s > 12.0].min() > 0
