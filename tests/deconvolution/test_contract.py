"""What holds for every method: for those in `METHODS` by being there, and for the network.

Where a method can't hold a claim by what it is, the claim names it and says why.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_tissue import (
    EVERY_METHOD,
    GRID,
    INPUT,
    TIME,
    Slab,
    curves,
    everything,
    flat,
    scaled,
    slab,
    solve,
    tissue,
)

import bolus
from bolus.deconvolution.methods import DELAY_METHODS, METHODS, deconvolve
from bolus.errors import ImplausibleValues, NoPerfusion
from bolus.simulate.kudo import SHAPES
from bolus.types import CNN, MAP_UNITS, Curves, Maps
from bolus.workers import THREADS
from sampled import sampled

every_method = pytest.mark.parametrize("method", EVERY_METHOD)
every_deconvolution = pytest.mark.parametrize("method", METHODS)

FEELS_DELAY = {"ssvd": "its matrix is causal", "osvd": "its threshold goes with the curve"}
"""Deconvolutions whose flow depends on when the bolus comes to the tissue."""
HAS_PRIOR_OF_VOLUME = {"bma": 0.04}
"""Deconvolutions that know how much blood is usual, and how far that may draw a map."""
USES_BLAS = ("bma", CNN)
"""Methods with products of large matrices: OpenBLAS adds up in another order when it has another
number of threads, which changes the last digits."""
LOOKS_AROUND = ("bma", CNN)
"""Methods in which a voxel's maps depend on its neighbours."""


@pytest.fixture(scope="module")
def measured() -> Slab:
    return slab()


@pytest.fixture(scope="module")
def solved(measured: Slab) -> dict[str, Maps]:
    """Maps of each method, as they were made first."""
    return {method: solve(method, measured) for method in EVERY_METHOD}


@pytest.fixture(scope="module")
def grid_curves() -> Curves:
    return curves(np.stack([tissue(*p) for p in GRID]))


def assert_alike(one: Maps, two: Maps, limit: float, but: tuple[str, ...] = ()) -> None:
    """Equal in all maps within a relative and absolute ``limit``."""
    for name, values in flat(one).items():
        if name not in but:
            np.testing.assert_allclose(flat(two)[name], values, rtol=limit, atol=limit)


def assert_same_bits(one: Maps, two: Maps) -> None:
    assert everything(one).keys() == everything(two).keys()
    for name, values in everything(one).items():
        assert values.tobytes() == everything(two)[name].tobytes(), name
    assert one.parameters == two.parameters


# what maps are


@every_method
def test_maps_are_single_precision_in_their_places(
    method: str, measured: Slab, solved: dict[str, Maps]
) -> None:
    maps = solved[method]
    inside = measured.curves.voxels
    assert maps.method == method
    for name, values in everything(maps).items():
        assert values.dtype == np.float32, name
        assert values.shape == inside.shape, name
        assert np.isfinite(values).all(), name
        assert not values[~inside].any(), name
    assert (maps.cbf >= 0).all()
    assert (maps.mtt >= 0).all()
    assert set(maps.se) <= set(MAP_UNITS)
    assert all((values[inside] > 0).all() for values in maps.se.values())
    assert (maps.delay is not None) == (method in (*DELAY_METHODS, CNN))


@every_method
def test_central_volume_theorem_holds_to_the_last_bit(method: str, solved: dict[str, Maps]) -> None:
    maps = solved[method]
    np.testing.assert_array_equal(maps.cbv, maps.cbf * maps.mtt / np.float32(60))


@every_deconvolution
def test_units_are_those_of_the_maps(method: str, grid_curves: Curves) -> None:
    maps = flat(deconvolve(method, grid_curves, INPUT))
    cbv, mtt, delay = np.array(GRID).T
    np.testing.assert_allclose(maps["cbv"], cbv, rtol=0.03)
    # deconvolution by inversion blunts flow; what is wrong by a factor is a unit
    np.testing.assert_allclose(maps["cbf"], 60 * cbv / mtt, rtol=0.45)
    np.testing.assert_allclose(maps["mtt"], mtt, rtol=0.6)
    np.testing.assert_allclose(maps["tmax"], delay + mtt / 2, atol=4)


@every_method
def test_parameters_are_plain_numbers_and_words(method: str, solved: dict[str, Maps]) -> None:
    parameters = solved[method].parameters
    assert parameters
    for name, value in parameters.items():
        assert type(name) is str
        assert type(value) in (float, int, str), name
        assert isinstance(value, str) or np.isfinite(value), name


# what changes nothing


@every_method
def test_the_same_input_gives_the_same_bits_and_is_left_as_it_was(
    method: str, measured: Slab, solved: dict[str, Maps]
) -> None:
    own = measured.curves
    given_arrays = (
        own.tissue_hu, own.grid_s, own.times_s, own.weight, own.voxels, measured.input_hu,
        measured.vessel,
    )  # fmt: skip
    before = [array.tobytes() for array in given_arrays]
    again = solve(method, measured)
    assert [array.tobytes() for array in given_arrays] == before
    assert_same_bits(solved[method], again)
    assert not any(
        np.shares_memory(values, array)
        for values in everything(again).values()
        for array in given_arrays
    )


@every_deconvolution
def test_precision_and_order_in_memory_of_what_is_given_change_no_bit(
    method: str, measured: Slab, solved: dict[str, Maps]
) -> None:
    hu = measured.curves.tissue_hu
    for same in (hu.astype(np.float64), np.asfortranarray(hu), np.repeat(hu, 2, axis=0)[::2]):
        given_so = replace(measured, curves=replace(measured.curves, tissue_hu=same))
        assert_same_bits(solve(method, given_so), solved[method])
    single = np.float32(measured.input_hu)
    exact = deconvolve(method, measured.curves, single.astype(np.float64))
    assert_same_bits(deconvolve(method, measured.curves, single), exact)


@every_method
def test_numbas_threads_change_no_bit(method: str, measured: Slab, solved: dict[str, Maps]) -> None:
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(3 - min(threads, 2))
        assert_same_bits(solve(method, measured), solved[method])
    finally:
        numba.set_num_threads(threads)


def test_threads_of_a_process_change_no_bit_or_only_the_last(tmp_path: Path) -> None:
    here = Path(__file__).parent
    path = os.pathsep.join(filter(None, [str(here.parent), os.environ.get("PYTHONPATH")]))
    running = []
    for threads in ("1", "2"):
        own = dict.fromkeys(THREADS, threads) | {"PYTHONPATH": path}
        command = [sys.executable, here / "save_maps.py", tmp_path / f"{threads}.npz"]
        running.append(subprocess.Popen(command, env={**os.environ, **own}))
    assert [process.wait() for process in running] == [0, 0]
    one, two = (np.load(tmp_path / f"{threads}.npz") for threads in ("1", "2"))
    assert one.files == two.files
    assert {name.split()[0] for name in one.files} == {*EVERY_METHOD}
    for name in one.files:
        if name.split()[0] in USES_BLAS:
            np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-3, err_msg=name)
        else:
            np.testing.assert_array_equal(two[name], one[name], name)


@every_method
@pytest.mark.parametrize("shift_s", [-31.0, 7.0, 1024.0])
def test_another_start_of_the_clock_moves_the_time_to_peak_alone(
    method: str, measured: Slab, solved: dict[str, Maps], shift_s: float
) -> None:
    own = measured.curves
    moved = replace(
        own,
        grid_s=own.grid_s + shift_s,
        times_s=own.times_s + shift_s,
        arrival_s=own.arrival_s + shift_s,
    )
    maps = solve(method, replace(measured, curves=moved))
    assert_alike(solved[method], maps, 2e-3, but=("ttp",))
    inside = own.voxels
    np.testing.assert_allclose(maps.ttp[inside], solved[method].ttp[inside] + shift_s, atol=2e-3)


@every_deconvolution
def test_a_later_injection_changes_nothing_but_the_time_to_peak(method: str) -> None:
    time_s = np.arange(0.0, 90.0, 1.0)
    rows = [np.interp(time_s, TIME, tissue(*p), left=0, right=0) for p in GRID]
    rows = [np.where(time_s < 60, r, 0) for r in rows]
    early = curves(np.stack(rows), time_s=time_s)
    late = replace(early, tissue_hu=np.roll(early.tissue_hu, 5, axis=1))
    source = np.where(time_s < 60, np.interp(time_s, TIME, INPUT), 0)
    one = deconvolve(method, early, source)
    two = deconvolve(method, late, np.roll(source, 5))
    np.testing.assert_allclose(two.ttp, one.ttp + 5, atol=1e-2)
    # the singular vectors of sSVD's triangular matrix are not quite shift-invariant
    assert_alike(one, two, 0.02 if method == "ssvd" else 5e-3, but=("ttp",))


@every_deconvolution
@pytest.mark.parametrize("factor", [0.01, 0.5, 3.0, 1000.0])
def test_strength_and_unit_of_the_contrast_cancel(
    method: str, measured: Slab, solved: dict[str, Maps], factor: float
) -> None:
    maps = solve(method, scaled(measured, factor, factor))
    assert_alike(solved[method], maps, 5e-3)
    for name, error in maps.se.items():
        np.testing.assert_allclose(error, solved[method].se[name], rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_network_hardly_feels_the_strength_of_the_contrast(
    measured: Slab, solved: dict[str, Maps], factor: float
) -> None:
    """It is told how strong the bolus and the noise are, and may make use of it."""
    maps = solve(CNN, scaled(measured, factor, factor))
    inside = measured.curves.voxels & ~measured.vessel
    for name, limit in (("cbf", 0.5), ("cbv", 0.06), ("mtt", 0.3), ("tmax", 0.3), ("ttp", 0.3)):
        change = getattr(maps, name)[inside] - getattr(solved[CNN], name)[inside]
        assert np.abs(change).mean() < limit, name


@pytest.mark.parametrize("method", [m for m in METHODS if m not in LOOKS_AROUND])
@pytest.mark.parametrize("factor", [2.0**-7, 2.0**-1, 2.0**9])
def test_factors_of_two_cancel_to_the_last_bit(
    method: str, measured: Slab, solved: dict[str, Maps], factor: float
) -> None:
    maps = solve(method, scaled(measured, factor, factor))
    for name, values in everything(solved[method]).items():
        np.testing.assert_array_equal(everything(maps)[name], values)


@every_deconvolution
@pytest.mark.parametrize("factor", [2.0**-40, 1e-6, 2.0**30])
def test_arrays_may_be_in_any_unit(method: str, factor: float) -> None:
    """From Hounsfield units to molar concentrations: the inside brings inputs to one peak."""
    rows = np.stack([tissue(*p, "exponential") for p in GRID])
    rows += np.random.default_rng(3).normal(0, 0.3, rows.shape)
    one, two = (bolus.deconvolve(rows * k, INPUT * k, method, times_s=TIME) for k in (1.0, factor))
    if np.log2(factor) % 1:
        assert_alike(one, two, 5e-3)
    else:
        assert_same_bits(one, two)


@every_method
def test_order_of_slices_changes_nothing(
    method: str, measured: Slab, solved: dict[str, Maps]
) -> None:
    own = measured.curves
    half = len(own.tissue_hu) // 2
    assert own.voxels[0].sum() == half
    turned = replace(own, tissue_hu=np.concatenate([own.tissue_hu[half:], own.tissue_hu[:half]]))
    maps = everything(solve(method, replace(measured, curves=turned)))
    for name, values in everything(solved[method]).items():
        # sums over voxels in single precision
        np.testing.assert_allclose(maps[name][::-1], values, rtol=2e-3, atol=1e-3)


@every_deconvolution
def test_order_of_voxels_changes_nothing(method: str, grid_curves: Curves) -> None:
    turned = replace(grid_curves, tissue_hu=np.ascontiguousarray(grid_curves.tissue_hu[::-1]))
    both = flat(deconvolve(method, grid_curves, INPUT))
    for name, values in flat(deconvolve(method, turned, INPUT)).items():
        # bma sums over voxels in single precision: their order moves the last digits, by 1.6e-5
        # with OpenBLAS's kernels for Haswell
        np.testing.assert_allclose(values[::-1], both[name], rtol=3e-5, atol=1e-5)


# what changes what


@every_deconvolution
@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_more_of_the_same_tissue_has_more_flow_and_volume_and_the_same_times(
    method: str, measured: Slab, solved: dict[str, Maps], factor: float
) -> None:
    maps = solve(method, scaled(measured, factor, 1.0))
    one, limit = solved[method], HAS_PRIOR_OF_VOLUME.get(method, 1e-3)
    inside = measured.curves.voxels & ~measured.vessel
    for name, times in (("cbf", factor), ("cbv", factor), ("mtt", 1), ("tmax", 1), ("ttp", 1)):
        expected = times * getattr(one, name)[inside]
        np.testing.assert_allclose(getattr(maps, name)[inside], expected, rtol=limit, atol=limit)


@pytest.mark.parametrize("method", [m for m in METHODS if m not in FEELS_DELAY])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_later_bolus_moves_the_times_alone(method: str, shape: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 64, TIME.size))
    maps = {}
    for late in (0.0, -3.0, -1.5, 1.5, 3.0):
        rows = np.stack([tissue(4.0, mtt, late, shape) for mtt in (4.0, 6.0, 10.0)])
        own = deconvolve(method, curves((rows[:, None] + noise).reshape(-1, 60)), INPUT)
        found = flat(own) | ({} if own.delay is None else {"delay": own.delay.ravel()})
        maps[late] = {name: v.reshape(3, -1).mean(axis=1) for name, v in found.items()}
    for late, found in maps.items():
        for name, values in found.items():
            if name in ("cbf", "cbv", "mtt"):
                np.testing.assert_allclose(values, maps[0.0][name], rtol=0.02)
            else:
                np.testing.assert_allclose(values - late, maps[0.0][name], atol=0.5)


@pytest.mark.parametrize("method", FEELS_DELAY)
def test_methods_that_feel_the_delay_really_do(method: str) -> None:
    early, on_time = (
        deconvolve(method, curves(tissue(4.0, 4.0, late)[None]), INPUT).cbf[0, 0, 0]
        for late in (-1.5, 0.0)
    )
    assert abs(early / on_time - 1) > 0.02


# irregular times


@every_deconvolution
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(1, 58), min_size=1, max_size=8))
def test_missing_frames_cost_little(
    method: str, measured: Slab, solved: dict[str, Maps], missing: set[int]
) -> None:
    own = measured.curves
    kept = [t for t in range(TIME.size) if t not in missing]
    thinned = replace(
        own,
        tissue_hu=np.ascontiguousarray(own.tissue_hu[:, kept]),
        times_s=own.times_s[kept],
        weight=own.weight[kept],
    )
    maps = solve(method, replace(measured, curves=thinned))
    inside = own.voxels & ~measured.vessel
    for name in ("cbf", "cbv", "mtt"):
        ratio = getattr(maps, name)[inside] / getattr(solved[method], name)[inside]
        assert np.median(ratio) == pytest.approx(1, abs=0.08), name
    late = maps.tmax[inside] - solved[method].tmax[inside]
    assert np.median(late) == pytest.approx(0, abs=0.5)


@every_deconvolution
@pytest.mark.parametrize("late_s", [0.4, 1.7])
def test_slices_measured_one_after_another_have_the_same_maps(method: str, late_s: float) -> None:
    times_s = np.stack([TIME, np.minimum(TIME + late_s, 60.0 + 0.01 * TIME)], axis=1)
    rows = [tissue(*p, "exponential", time_s=times_s[:, z]) for z in (0, 1) for p in GRID]
    voxels = np.ones((2, 3, 6), bool)
    own = replace(sampled(TIME, np.stack(rows), voxels, 0.1), times_s=times_s)
    maps = deconvolve(method, own, INPUT)
    np.testing.assert_allclose(maps.cbf[1], maps.cbf[0], rtol=0.06)
    np.testing.assert_allclose(maps.cbv[1], maps.cbv[0], rtol=0.06)
    np.testing.assert_allclose(maps.tmax[1], maps.tmax[0], atol=0.6)
    np.testing.assert_allclose(maps.ttp[1], maps.ttp[0], atol=1.0)


@every_deconvolution
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


# little, nothing, and what is no curve


@every_method
def test_an_empty_mask_is_refused(method: str, measured: Slab) -> None:
    nothing = replace(
        measured.curves,
        tissue_hu=measured.curves.tissue_hu[:0],
        voxels=np.zeros_like(measured.curves.voxels),
    )
    with pytest.raises(NoPerfusion, match="the mask is empty"):
        solve(method, replace(measured, curves=nothing))


@every_method
def test_one_voxel_alone_has_maps(method: str, measured: Slab, solved: dict[str, Maps]) -> None:
    own = measured.curves
    place = tuple(np.argwhere(own.voxels & ~measured.vessel)[17])
    alone = np.zeros_like(own.voxels)
    alone[place] = True
    row = own.tissue_hu[alone[own.voxels]]
    maps = solve(
        method,
        replace(
            measured,
            curves=replace(own, tissue_hu=row, voxels=alone),
            vessel=np.zeros_like(alone),
        ),
    )
    for name, values in everything(maps).items():
        assert np.isfinite(values).all(), name
        assert not values[~alone].any(), name
        if method not in LOOKS_AROUND:
            assert values[place] == everything(solved[method])[name][place], name
    assert maps.cbf[place] > 0


@every_method
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_refused(method: str, measured: Slab, value: float) -> None:
    spoilt = measured.curves.tissue_hu.copy()
    spoilt[5, 20] = value
    with pytest.raises(ImplausibleValues, match="no finite number"):
        solve(method, replace(measured, curves=replace(measured.curves, tissue_hu=spoilt)))


@every_deconvolution
@pytest.mark.parametrize("value", [1e30, -1e30])
def test_a_sample_too_large_for_single_precision_is_refused(
    method: str, measured: Slab, value: float
) -> None:
    spoilt = measured.curves.tissue_hu.copy()
    spoilt[5, 20] = value
    with pytest.raises(ImplausibleValues, match="no finite number"):
        solve(method, replace(measured, curves=replace(measured.curves, tissue_hu=spoilt)))


def _with_nan(array: np.ndarray) -> np.ndarray:
    changed = array.copy()
    changed.flat[3] = np.nan
    return changed


ELSEWHERE: dict[str, Callable[[Slab], Slab]] = {
    "input": lambda s: replace(s, input_hu=_with_nan(s.input_hu)),
    "times": lambda s: replace(s, curves=replace(s.curves, times_s=_with_nan(s.curves.times_s))),
    "weights": lambda s: replace(s, curves=replace(s.curves, weight=_with_nan(s.curves.weight))),
    "noise": lambda s: replace(s, curves=replace(s.curves, noise_hu=float("nan"))),
}


@every_deconvolution
@pytest.mark.parametrize("where", ELSEWHERE)
def test_what_is_no_number_elsewhere_is_refused_and_named(
    method: str, measured: Slab, where: str
) -> None:
    with pytest.raises(ImplausibleValues, match=rf"\b{where} hold"):
        solve(method, ELSEWHERE[where](measured))


@every_deconvolution
@pytest.mark.parametrize("factor", [0.0, -1.0])
def test_an_input_without_contrast_is_refused(method: str, measured: Slab, factor: float) -> None:
    with pytest.raises(NoPerfusion, match="arterial input has no area"):
        solve(method, replace(measured, input_hu=factor * measured.input_hu))


@every_deconvolution
def test_a_voxel_without_contrast_has_no_flow(method: str) -> None:
    maps = deconvolve(method, curves(np.zeros((3, TIME.size))), INPUT)
    np.testing.assert_array_equal(maps.cbf, 0)
    np.testing.assert_array_equal(maps.cbv, 0)


@every_deconvolution
@pytest.mark.parametrize("level_hu", [-5.0, 0.0, 5.0])
def test_constant_curves_without_noise_give_finite_maps(method: str, level_hu: float) -> None:
    maps = deconvolve(method, curves(np.full((4, TIME.size), level_hu), noise_hu=0.0), INPUT)
    assert all(np.isfinite(values).all() for values in everything(maps).values())


@every_deconvolution
@pytest.mark.parametrize("shape", SHAPES)
def test_noise_never_makes_a_map_that_is_not_finite(method: str, shape: str) -> None:
    rng = np.random.default_rng(7)
    rows = np.stack([tissue(*p, shape) for p in GRID])
    noisy = rows + rng.normal(0, 5, (20, *rows.shape))
    maps = deconvolve(method, curves(noisy.reshape(-1, TIME.size), noise_hu=5), INPUT)
    for values in everything(maps).values():
        assert np.isfinite(values).all()
    assert maps.cbf.min() >= 0
    assert maps.mtt.min() >= 0
