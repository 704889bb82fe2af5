"""Averaging over residue functions: what it learns, and how sure it says it is."""

from __future__ import annotations

import numpy as np
import pytest

from bolus.deconvolution.bma import pool_shapes, shape_moments
from bolus.deconvolution.family import DELAYS_S, FAMILY, FINE_S, MTT_S, fine_curves
from bolus.deconvolution.methods import deconvolve
from bolus.deconvolution.model import CBV_SCALE
from bolus.simulate.kudo import SHAPES, Shape, blood_hu, residue_curve
from bolus.types import Curves
from sampled import sampled

TIME = np.arange(0.0, 60.0, 1.0)
INPUT = blood_hu(TIME)
SPACING = (5.0, 2.0, 2.0)


def slab(rows: np.ndarray, noise_hu: float, seed: int = 0) -> Curves:
    """One curve in every voxel of a 16 x 16 plane, with noise."""
    noisy = rows + np.random.default_rng(seed).normal(0, noise_hu, (256, TIME.size))
    voxels = np.ones((1, 16, 16), bool)
    return sampled(TIME, noisy, voxels, noise_hu, spacing_mm=SPACING)


def tissue(shape: Shape, cbv: float = 4.0, mtt: float = 5.0, delay: float = 1.0) -> np.ndarray:
    return cbv / CBV_SCALE / mtt * residue_curve(shape, mtt, TIME - delay)


@pytest.mark.parametrize("name", FAMILY)
def test_every_residue_function_starts_at_one_and_has_unit_area(name: str) -> None:
    u = np.arange(0.0, 60.0, 1e-3)
    values = FAMILY[name].function(u)
    assert values[0] == pytest.approx(1.0)
    assert np.trapezoid(values, u) == pytest.approx(1.0, abs=2e-3)
    assert (np.diff(values) <= 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_dictionary_holds_the_phantoms_exact_curves(shape: Shape) -> None:
    fine = fine_curves(TIME, INPUT)
    first = list(FAMILY).index(shape) * (fine.curve.size // len(FAMILY))
    for k in (first + 500, first + 800):
        mtt, delay = float(fine.mtt_s[k]), float(fine.delay_s[k])
        exact = residue_curve(shape, mtt, TIME - delay) / mtt
        own = fine.curves[fine.curve[k]]
        at = TIME - fine.start_s - fine.shift_s[k]
        made = np.interp(at, FINE_S * np.arange(own.size), own, left=0.0)
        assert np.abs(made - exact).max() < 0.02 * exact.max() + FINE_S


def test_dispersion_spreads_a_curve_and_keeps_its_area_and_mean_time() -> None:
    fine = fine_curves(TIME, INPUT)
    mean_s = []
    for name in ("gamma 6", "gamma 6, dispersed"):
        index = (list(FAMILY).index(name), 9, 16)
        k = int(np.ravel_multi_index(index, (len(FAMILY), MTT_S.size, DELAYS_S.size)))
        assert fine.delay_s[k] == 4.0
        own = fine.curves[fine.curve[k]].astype(float)
        time_s = FINE_S * np.arange(own.size) + fine.shift_s[k]
        early = time_s < 50
        mean_s.append((own * time_s)[early].sum() / own[early].sum())
    assert mean_s[1] == pytest.approx(mean_s[0], abs=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_tell_the_shape_that_one_voxel_can_not(shape: Shape) -> None:
    curves = slab(tissue(shape), noise_hu=1.0)
    evidence = shape_moments(curves, INPUT)[:, :, 0]
    alone = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    alone /= alone.sum(axis=1, keepdims=True)
    pooled = pool_shapes(alone, curves)
    # without delay there is no dispersion: both forms of a shape are the same curves
    right = [name.split(",")[0] == shape for name in FAMILY]
    doubt = 1 - alone[:, right].sum(axis=1).mean()
    assert doubt > 0.1
    assert 1 - pooled[:, right].sum(axis=1).mean() < doubt / 2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("delay", [-3.0, 0.0, 3.0])
def test_flow_is_right_for_every_shape_and_delay(shape: Shape, delay: float) -> None:
    maps = deconvolve("bma", slab(tissue(shape, delay=delay), noise_hu=0.5), INPUT)
    assert maps.cbf.mean() == pytest.approx(48, rel=0.1)
    assert maps.tmax.mean() == pytest.approx(delay + 2.5, abs=0.3)


def test_standard_errors_grow_with_noise() -> None:
    quiet = deconvolve("bma", slab(tissue("linear"), noise_hu=0.4), INPUT)
    noisy = deconvolve("bma", slab(tissue("linear"), noise_hu=2.0), INPUT)
    assert set(quiet.se) == {"cbf", "cbv", "mtt", "tmax"}
    for name, error in quiet.se.items():
        assert (error > 0).all()
        assert noisy.se[name].mean() > error.mean()


def test_a_mix_of_tissues_keeps_its_places() -> None:
    rows = np.where(np.arange(256)[:, None] % 16 < 8, tissue("box", 4, 5), tissue("box", 2, 12, 6))
    maps = deconvolve("bma", slab(rows, noise_hu=0.5), INPUT)
    assert maps.tmax[0, :, :8].mean() == pytest.approx(3.5, abs=0.4)
    assert maps.tmax[0, :, 8:].mean() == pytest.approx(12.0, abs=0.8)
