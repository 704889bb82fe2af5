"""Claims about deconvolution, checked against curves whose perfusion is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_tissue import GRID, INPUT, TIME, curves, flat, tissue

from bolus.deconvolution.methods import METHODS, deconvolve
from bolus.deconvolution.model import multiply, peak_of
from bolus.simulate.kudo import blood_hu, kudo_phantom, residue_curve
from bolus.types import Curves
from sampled import sampled


@pytest.fixture(scope="module")
def grid_curves() -> Curves:
    return curves(np.stack([tissue(*p) for p in GRID]))


def test_ssvd_depends_on_the_delay_as_it_must() -> None:
    early = flat(deconvolve("ssvd", curves(tissue(4.0, 4.0, -1.5)[None]), INPUT))
    on_time = flat(deconvolve("ssvd", curves(tissue(4.0, 4.0, 0.0)[None]), INPUT))
    assert early["cbf"][0] > 1.1 * on_time["cbf"][0]


@settings(max_examples=60, deadline=None)
@given(
    cbv=st.floats(0.5, 8), mtt=st.floats(2.5, 25), delay=st.floats(-2, 10), scale=st.floats(0.3, 2)
)
def test_box_fit_recovers_box_tissue(cbv: float, mtt: float, delay: float, scale: float) -> None:
    row = scale * tissue(cbv, mtt, delay)
    maps = flat(deconvolve("nlr", curves(row[None], noise_hu=0.01), scale * INPUT))
    np.testing.assert_allclose(maps["mtt"], mtt, rtol=0.03, atol=0.05)
    np.testing.assert_allclose(maps["cbf"], 60 * cbv / mtt, rtol=0.03)
    np.testing.assert_allclose(maps["tmax"], delay + mtt / 2, atol=0.1)


def test_box_fit_of_the_noise_free_phantom_is_exact() -> None:
    phantom = kudo_phantom("box", noise_hu=0.0)
    tile = np.ix_(range(5), range(16, 224, 32), range(16, 224, 32))
    rows = phantom.frames[(slice(None), *tile)].reshape(30, -1).T - 36.0
    fit = curves(rows, noise_hu=0.01, time_s=phantom.times_s)
    maps = flat(deconvolve("nlr", fit, blood_hu(phantom.times_s)))
    for name in ("cbf", "cbv", "mtt", "tmax"):
        assert np.corrcoef(maps[name], getattr(phantom, name)[tile].ravel())[0, 1] > 0.999


def test_time_to_peak_is_that_of_the_curve(grid_curves: Curves) -> None:
    fine = np.arange(0.0, 60.0, 0.01)
    truth = [fine[residue_curve("box", mtt, fine - delay).argmax()] for _, mtt, delay in GRID]
    for method in METHODS:
        ttp = flat(deconvolve(method, grid_curves, INPUT))["ttp"]
        # a box longer than the bolus has a flat top: any point on it is its maximum
        sharp = np.array([m for _, m, _ in GRID]) < 10
        np.testing.assert_allclose(ttp[sharp], np.array(truth)[sharp], atol=0.5)


def test_maps_are_zero_outside_the_mask_and_in_place_inside() -> None:
    mask = np.zeros((2, 3, 4), bool)
    mask[0, 1, 2] = mask[1, 2, 3] = True
    rows = np.stack([tissue(2.0, 4.0, 0.0), tissue(4.0, 4.0, 0.0)]).astype(np.float32)
    maps = deconvolve("nlr", sampled(TIME, rows, mask, 0.1), INPUT)
    assert maps.cbf[0, 1, 2] == pytest.approx(30, rel=0.03)
    assert maps.cbf[1, 2, 3] == pytest.approx(60, rel=0.03)
    assert (maps.cbf[~mask] == 0).all()


def test_the_peak_found_is_the_top_of_a_parabola() -> None:
    x = np.arange(9.0)
    for top, at, bend in ((5.0, 3.3, 1.0), (2.0, 5.75, 0.5)):
        height, position = peak_of((top - bend * (x - at) ** 2).astype(np.float32))
        assert position == pytest.approx(at, abs=1e-5)
        assert height == pytest.approx(top, abs=1e-5)


@pytest.mark.parametrize("values", [[3.0, 1.0, 0.0], [0.0, 1.0, 3.0], [2.0, 2.0, 2.0]])
def test_a_peak_at_an_end_stays_there(values: list[float]) -> None:
    height, position = peak_of(np.array(values, np.float32))
    assert height == max(values)
    assert position == values.index(max(values))


@given(st.integers(1, 11), st.integers(1, 40))
def test_the_product_made_by_rows_is_the_matrix_product(samples: int, columns: int) -> None:
    rng = np.random.default_rng(samples * 100 + columns)
    curve, matrix = rng.normal(size=samples), rng.normal(size=(samples, columns))
    out = np.empty(columns, np.float32)
    multiply(curve.astype(np.float32), matrix.astype(np.float32), out)
    np.testing.assert_allclose(out, curve @ matrix, rtol=1e-4, atol=1e-5)
