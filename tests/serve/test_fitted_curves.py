"""The curve drawn over a voxel's own is the one that its method means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest_serve import serving

from bolus.deconvolution import svd
from bolus.deconvolution.methods import FITTED, METHODS, deconvolve
from bolus.deconvolution.model import CBV_SCALE, Measured, peak_of
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.publish.write import publish
from bolus.serve.results_app import results_app
from bolus.simulate.kudo import SHAPES, blood_hu, residue_curve
from bolus.simulate.truth import Truth
from bolus.types import Exam, Results
from sampled import sampled

TIME = np.arange(0.0, 60.0, 1.0)
INPUT = blood_hu(TIME)
CBV, MTT, DELAY = 3.0, 8.0, 2.0


def true_curve(shape: str, delay: float = DELAY) -> np.ndarray:
    """(N,) noise-free curve, integrated by the phantom's own code."""
    return CBV / CBV_SCALE / MTT * residue_curve(shape, MTT, TIME - delay)  # type: ignore[arg-type]


def voxel(curve: np.ndarray, **maps: float) -> Measured:
    """A voxel of that curve whose maps are the truth where not given."""
    found = {"cbv": CBV, "mtt_s": MTT, "delay_s": DELAY} | maps
    return Measured(
        curve_hu=curve.astype(np.float32), times_s=TIME, grid_s=TIME, input_hu=INPUT, **found
    )


def of_peak(fit: np.ndarray, curve: np.ndarray) -> float:
    """Largest difference of two curves as a part of the second's peak."""
    return float(np.abs(fit - curve).max() / curve.max())


def test_the_box_fit_of_true_maps_is_the_true_curve() -> None:
    curve = true_curve("box")
    assert of_peak(FITTED["nlr"](voxel(curve)), curve) < 0.01


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("delay", [0.0, 1.5])
def test_averaging_draws_the_shape_that_the_tissue_has(shape: str, delay: float) -> None:
    """From true maps; a baseline under the measured curve doesn't lead it astray."""
    curve = true_curve(shape, delay)
    fit = FITTED["bma"](voxel(curve + 0.3, delay_s=delay))
    assert of_peak(fit, curve) < 0.01
    others = [true_curve(other, delay) for other in SHAPES if other != shape]
    assert min(of_peak(other, curve) for other in others) > 0.05


@pytest.mark.parametrize("method", ["nlr", "bma"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_fit_of_the_methods_own_maps_runs_through_the_curve(method: str, shape: str) -> None:
    curve = true_curve(shape)
    maps = deconvolve(method, sampled(TIME, curve[None], np.ones((1, 1, 1), bool), 0.1), INPUT)
    assert maps.delay is not None
    own = {"cbv": maps.cbv, "mtt_s": maps.mtt, "delay_s": maps.delay}
    fit = FITTED[method](voxel(curve, **{name: float(one.ravel()[0]) for name, one in own.items()}))
    rest = float(np.sqrt(np.mean((fit - curve) ** 2)) / curve.max())
    # a box is no exponential: it comes as near as it can
    assert rest < (0.12 if method == "nlr" and shape != "box" else 0.02)


def convolution(circular: bool) -> np.ndarray:
    """(L, L) matrix of the input, lower triangular or circulant over twice the scan's length."""
    n = TIME.size
    size = 2 * n if circular else n
    padded = np.concatenate([INPUT, np.zeros(size - n)])
    lag = np.subtract.outer(np.arange(size), np.arange(size))
    return np.where(circular | (lag >= 0), padded[lag % size], 0.0) * (TIME[1] - TIME[0])


def regularised(matrix: np.ndarray, method: str) -> np.ndarray:
    """Its inverse as the method's paper has it, by numpy's decomposition of the whole matrix."""
    if method == "tikhonov":
        u, s, vt = np.linalg.svd(matrix)
        return np.asarray((vt.T * (s / (s**2 + (svd.TIKHONOV_LAMBDA * s[0]) ** 2))) @ u.T)
    limit = svd.SSVD_THRESHOLD if method == "ssvd" else svd.BSVD_THRESHOLD
    return np.asarray(np.linalg.pinv(matrix, rcond=limit))


@pytest.mark.parametrize("method", ["ssvd", "bsvd", "tikhonov"])
def test_the_response_convolved_again_is_drawn_and_its_height_is_the_flow(method: str) -> None:
    noise = np.random.default_rng(5).normal(0, 0.4, TIME.size)
    curve = np.float32(true_curve("exponential") + noise)
    matrix = convolution(circular=method != "ssvd")
    padded = np.concatenate([curve, np.zeros(len(matrix) - curve.size)])
    response = regularised(matrix, method) @ padded
    fit = FITTED[method](voxel(curve))
    np.testing.assert_allclose(fit, (matrix @ response)[: curve.size], atol=1e-8)
    assert 0.01 < of_peak(fit, curve) < 0.3  # regularised: near the curve, not the curve

    maps = deconvolve(method, sampled(TIME, curve[None], np.ones((1, 1, 1), bool), 0.4), INPUT)
    ahead = round(-svd.EARLIEST_S / (TIME[1] - TIME[0]))
    lags = np.r_[: curve.size] if method == "ssvd" else np.r_[-ahead : curve.size]
    height, _ = peak_of.py_func(response[lags])
    flow = 60.0 * CBV_SCALE * height
    assert float(maps.cbf.ravel()[0]) == pytest.approx(flow, rel=1e-4)


@pytest.fixture(scope="module")
def every_method(small: tuple[Exam, Truth]) -> Results:
    return analyse(small[0], Choices(methods=tuple(METHODS)), Stages())


@pytest.fixture(scope="module")
def all_fits(
    every_method: Results, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a server of results of all deconvolutions."""
    folder: Path = tmp_path_factory.mktemp("fits") / "all"
    publish(every_method, folder)
    with serving(results_app([folder])) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_a_click_draws_every_fit_that_can_be_had_through_the_filtered_curve(
    all_fits: httpx.Client, every_method: Results
) -> None:
    where = np.argwhere(every_method.curves.voxels & every_method.tissue.parenchyma)
    left = dict.fromkeys(FITTED, 0.0)
    whole = 0.0
    for z, y, x in where[:: len(where) // 12]:
        found = all_fits.get(f"/api/exams/0/voxel/{x}/{y}/{z}").json()
        assert set(found["fits"]) == set(FITTED) == set(METHODS) - {"osvd"}
        curve = np.array(found["curve_hu"])
        whole += float(((curve - curve.mean()) ** 2).sum())
        for method, fit in found["fits"].items():
            drawn = np.interp(found["time_s"], found["fit_time_s"], fit)
            left[method] += float(((curve - drawn) ** 2).sum())
    assert all(0 < rest < 0.25 * whole for rest in left.values()), (left, whole)
