"""Tissue curves follow the convolution model, exactly."""

from __future__ import annotations

import numpy as np
import pytest

from bolus.simulate.bolus import Bolus, gamma_variate
from bolus.simulate.enhance import CBV_SCALE, enhancement, make_templates
from bolus.simulate.perfusion import Perfusion
from bolus.simulate.residue import RESIDUES
from bolus.simulate.vessels import Vessels
from bolus.types import Float32Array, Float64Array

TIME_S = np.arange(0, 200, 0.1)
ARTERY = gamma_variate(TIME_S, 6.0, 300.0, 3.5, 2.2)
VEIN = gamma_variate(TIME_S, 10.0, 250.0, 3.5, 2.6)
TEMPLATES = make_templates(Bolus(TIME_S, ARTERY, VEIN, 6.0, 3.5, 2.2))
NO_BLOOD = np.zeros((1, 1, 1), np.float32)


def _voxel(value: float) -> Float32Array:
    return np.full((1, 1, 1), value, np.float32)


def _tissue(
    cbf: float, mtt: float, delay: float, dispersion: float, shares: list[float]
) -> Perfusion:
    return Perfusion(
        cbf=_voxel(cbf),
        cbv=_voxel(cbf * mtt / 60),
        mtt=_voxel(mtt),
        delay=_voxel(delay),
        dispersion=_voxel(dispersion),
        shares=np.array(shares, np.float32).reshape(-1, 1, 1, 1),
    )


def _vessels(artery: float = 0.0, vein: float = 0.0, delay: float = 0.0) -> Vessels:
    return Vessels(
        artery=_voxel(artery), vein=_voxel(vein), artery_delay_s=_voxel(delay),
        artery_dispersion_s=NO_BLOOD, vein_delay_s=_voxel(delay), clot=NO_BLOOD,
        fine_blood=NO_BLOOD, fine_clot=NO_BLOOD,
    )  # fmt: skip


def _curve(perfusion: Perfusion, vessels: Vessels, times_s: Float64Array) -> Float64Array:
    frames, _ = enhancement(perfusion, vessels, TEMPLATES, times_s[:, None])
    return frames[:, 0, 0, 0].astype(np.float64)


MIX = [0.1, 0.2, 0.3, 0.25, 0.15]


@pytest.mark.parametrize("mtt", [2.0, 4.1, 9.7, 22.0])
@pytest.mark.parametrize(("delay", "dispersion"), [(0.0, 0.0), (5.3, 0.0), (6.0, 2.7)])
def test_the_area_of_the_curve_gives_back_the_blood_volume(
    mtt: float, delay: float, dispersion: float
) -> None:
    curve = _curve(_tissue(50, mtt, delay, dispersion, MIX), _vessels(), TIME_S[:-100])
    assert abs(CBV_SCALE - 69.84) < 0.005
    assert CBV_SCALE * curve.sum() / ARTERY.sum() == pytest.approx(50 * mtt / 60, rel=2e-3)


@pytest.mark.parametrize("mtt", [3.1, 4.0, 11.3])
def test_the_centre_of_the_curve_lies_delay_and_mean_transit_after_the_artery(mtt: float) -> None:
    """First moments add up in a convolution; for a box, Tmax is delay + MTT / 2."""
    box_only = [1.0, 0, 0, 0, 0]
    curve = _curve(_tissue(40, mtt, 4.0, 1.5, box_only), _vessels(), TIME_S[:-100])
    centre = (curve * TIME_S[:-100]).sum() / curve.sum()
    arterial = (ARTERY * TIME_S).sum() / ARTERY.sum()
    # interpolation between two boxes widens R a little, which moves its centre by its variance
    assert centre - arterial == pytest.approx(4.0 + mtt / 2, abs=0.03)


@pytest.mark.parametrize("shape", range(len(RESIDUES)))
def test_the_curve_is_the_convolution_with_the_residue_function(shape: int) -> None:
    """Against a brute-force sum on a grid ten times finer."""
    residue = list(RESIDUES.values())[shape]
    shares = [float(i == shape) for i in range(len(RESIDUES))]
    cbf, mtt, delay = 45.0, 6.4, 2.35
    times = np.array([8.0, 12.0, 16.5, 21.0, 30.0, 45.0])
    curve = _curve(_tissue(cbf, mtt, delay, 0.0, shares), _vessels(), times)
    lag = np.arange(0.005, 120, 0.01)
    for t, value in zip(times, curve, strict=True):
        arterial = gamma_variate(t - delay - lag, 6.0, 300.0, 3.5, 2.2)
        expected = cbf / 60 / CBV_SCALE * (arterial * residue.value(lag, mtt)).sum() * 0.01
        assert value == pytest.approx(expected, rel=0.01, abs=0.01)


def test_time_to_peak_is_where_the_curve_peaks() -> None:
    tissue = _tissue(50, 5.0, 3.0, 0.5, MIX)
    _, ttp = enhancement(tissue, _vessels(), TEMPLATES, TIME_S[:, None])
    curve = _curve(tissue, _vessels(), TIME_S)
    assert ttp[0, 0, 0] == pytest.approx(TIME_S[curve.argmax()], abs=0.11)


def test_a_voxel_shares_its_signal_between_blood_and_tissue() -> None:
    tissue = _tissue(50, 4.0, 1.0, 0.0, MIX)
    times = TIME_S[:600]
    plain = _curve(tissue, _vessels(), times)
    assert _curve(tissue, _vessels(artery=1.0), times) == pytest.approx(ARTERY[:600], abs=1e-3)
    assert _curve(tissue, _vessels(vein=1.0), times) == pytest.approx(VEIN[:600], abs=1e-3)
    mixed = _curve(tissue, _vessels(artery=0.2, vein=0.3), times)
    expected = 0.5 * plain + 0.2 * ARTERY[:600] + 0.3 * VEIN[:600]
    assert mixed == pytest.approx(expected, abs=1e-3)
    late = _curve(tissue, _vessels(artery=1.0, delay=2.0), times)
    assert late[20:] == pytest.approx(ARTERY[:580], abs=0.1)
