"""Claims about deconvolution, checked against curves whose perfusion is known."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bolus.deconvolution.methods import METHODS, deconvolve
from bolus.deconvolution.model import CBV_SCALE, multiply, peak_of
from bolus.simulate.kudo import SHAPES, blood_hu, kudo_phantom, residue_curve
from bolus.types import Curves, Maps
from sampled import sampled

TIME = np.arange(0.0, 60.0, 1.0)
INPUT = blood_hu(TIME)


def curves(tissue: np.ndarray, noise_hu: float = 0.1, time_s: np.ndarray = TIME) -> Curves:
    return sampled(time_s, tissue, np.ones((1, 1, len(tissue)), bool), noise_hu)


def tissue(cbv: float, mtt: float, delay: float, shape: str = "box") -> np.ndarray:
    return cbv / CBV_SCALE / mtt * residue_curve(shape, mtt, TIME - delay)  # type: ignore[arg-type]


def flat(maps: Maps) -> dict[str, np.ndarray]:
    return {k: getattr(maps, k).ravel() for k in ("cbf", "cbv", "mtt", "tmax", "ttp")}


GRID = [(c, m, d) for c in (1.5, 4.0) for m in (4.0, 8.0, 14.0) for d in (0.0, 2.0, 4.0)]


@pytest.fixture(scope="module")
def grid_curves() -> Curves:
    return curves(np.stack([tissue(*p) for p in GRID]))


@pytest.mark.parametrize("method", METHODS)
def test_central_volume_theorem_holds_to_the_last_bit(method: str, grid_curves: Curves) -> None:
    maps = deconvolve(method, grid_curves, INPUT)
    np.testing.assert_array_equal(maps.cbv, maps.cbf * maps.mtt / np.float32(60))


@pytest.mark.parametrize("method", METHODS)
def test_blood_volume_of_a_complete_curve_is_its_share_of_the_input(
    method: str, grid_curves: Curves
) -> None:
    maps = flat(deconvolve(method, grid_curves, INPUT))
    np.testing.assert_allclose(maps["cbv"], [c for c, _, _ in GRID], rtol=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_maps_do_not_depend_on_the_scale_of_the_hounsfield_units(
    method: str, grid_curves: Curves
) -> None:
    doubled = replace(grid_curves, tissue_hu=grid_curves.tissue_hu * 2, noise_hu=0.2)
    one = flat(deconvolve(method, grid_curves, INPUT))
    two = flat(deconvolve(method, doubled, INPUT * 2))
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_later_injection_changes_nothing_but_the_time_to_peak(method: str) -> None:
    time_s = np.arange(0.0, 90.0, 1.0)
    rows = [np.interp(time_s, TIME, tissue(*p), left=0, right=0) for p in GRID]
    rows = [np.where(time_s < 60, r, 0) for r in rows]
    early = curves(np.stack(rows), time_s=time_s)
    late = replace(early, tissue_hu=np.roll(early.tissue_hu, 5, axis=1))
    source = np.where(time_s < 60, np.interp(time_s, TIME, INPUT), 0)
    one = flat(deconvolve(method, early, source))
    two = flat(deconvolve(method, late, np.roll(source, 5)))
    np.testing.assert_allclose(two.pop("ttp"), one.pop("ttp") + 5, atol=1e-2)
    # the singular vectors of sSVD's triangular matrix are not quite shift-invariant
    limit = 0.02 if method == "ssvd" else 5e-3
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=limit, atol=limit)


@pytest.mark.parametrize("method", ["nlr", "bma", "bsvd", "tikhonov"])
@pytest.mark.parametrize("shape", SHAPES)
def test_flow_does_not_change_when_the_bolus_arrives_earlier_or_later(
    method: str, shape: str
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 64, TIME.size))
    flow, tmax = [], []
    for delay in (0.0, -3.0, -1.5, 1.5, 3.0):
        rows = np.stack([tissue(4.0, mtt, delay, shape) for mtt in (4.0, 6.0, 10.0)])
        maps = flat(deconvolve(method, curves((rows[:, None] + noise).reshape(-1, 60)), INPUT))
        flow.append(maps["cbf"].reshape(3, -1).mean(axis=1))
        tmax.append(maps["tmax"].reshape(3, -1).mean(axis=1) - delay)
    np.testing.assert_allclose(flow[1:], np.tile(flow[0], (4, 1)), rtol=0.02)
    np.testing.assert_allclose(tmax[1:], np.tile(tmax[0], (4, 1)), atol=0.35)


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


@pytest.mark.parametrize("method", METHODS)
def test_a_voxel_without_contrast_has_no_flow(method: str) -> None:
    maps = flat(deconvolve(method, curves(np.zeros((3, TIME.size))), INPUT))
    for name in ("cbf", "cbv"):
        np.testing.assert_array_equal(maps[name], 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_noise_never_makes_a_map_that_is_not_finite(method: str, shape: str) -> None:
    rng = np.random.default_rng(7)
    rows = np.stack([tissue(*p, shape) for p in GRID])
    noisy = rows + rng.normal(0, 5, (20, *rows.shape))
    maps = deconvolve(method, curves(noisy.reshape(-1, TIME.size), noise_hu=5), INPUT)
    for values in flat(maps).values():
        assert np.isfinite(values).all()
    assert maps.cbf.min() >= 0
    assert maps.mtt.min() >= 0


@pytest.mark.parametrize("method", METHODS)
def test_voxels_are_independent_of_their_neighbours_and_of_threads(
    method: str, grid_curves: Curves
) -> None:
    threads = numba.get_num_threads()
    both = deconvolve(method, grid_curves, INPUT)
    try:
        numba.set_num_threads(1)
        again = deconvolve(method, grid_curves, INPUT)
    finally:
        numba.set_num_threads(threads)
    for name, values in flat(both).items():
        np.testing.assert_array_equal(values, flat(again)[name])
    turned = replace(grid_curves, tissue_hu=np.ascontiguousarray(grid_curves.tissue_hu[::-1]))
    for name, values in flat(deconvolve(method, turned, INPUT)).items():
        # bma sums over voxels in single precision: their order moves the last digits, by 1.6e-5
        # with OpenBLAS's kernels for Haswell
        np.testing.assert_allclose(values[::-1], flat(both)[name], rtol=3e-5, atol=1e-5)


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


@pytest.mark.parametrize("method", METHODS)
def test_a_slice_measured_long_before_and_after_the_others_is_no_trouble(method: str) -> None:
    early = curves(np.stack([tissue(4.0, 4.0, 1.0)] * 2))
    times = np.stack([TIME, np.linspace(-25.0, 80.0, TIME.size)], axis=1)
    rows = np.stack([np.interp(times[:, z], TIME, tissue(4.0, 4.0, 1.0)) for z in (0, 1)]).astype(
        np.float32
    )
    both = replace(early, tissue_hu=rows, times_s=times, voxels=np.ones((2, 1, 1), bool))
    one, two = (flat(deconvolve(method, both, INPUT)) for _ in range(2))
    for name, values in one.items():
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values, two[name])
    assert one["cbf"][0] == pytest.approx(
        flat(deconvolve(method, early, INPUT))["cbf"][0], rel=0.02
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level_hu", [0.0, 5.0])
def test_curves_without_noise_or_bolus_give_finite_maps(method: str, level_hu: float) -> None:
    maps = deconvolve(method, curves(np.full((4, TIME.size), level_hu), noise_hu=0.0), INPUT)
    assert all(np.isfinite(values).all() for values in flat(maps).values())
