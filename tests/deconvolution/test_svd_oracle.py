"""The fast forms of SVD deconvolution equal the textbook's matrices."""

from __future__ import annotations

import numpy as np
import pytest

from bolus.deconvolution.methods import deconvolve
from bolus.deconvolution.model import CBV_SCALE
from bolus.deconvolution.svd import (
    BSVD_THRESHOLD,
    OSVD_OSCILLATION,
    OSVD_THRESHOLDS,
    TIKHONOV_LAMBDA,
)
from bolus.simulate.kudo import blood_hu, residue_curve
from bolus.types import Curves
from sampled import sampled

TIME = np.arange(0.0, 50.0, 1.0)
INPUT = blood_hu(TIME)
N = TIME.size


def block_circulant() -> np.ndarray:
    padded = np.concatenate([INPUT, np.zeros(N)])
    index = np.subtract.outer(np.arange(2 * N), np.arange(2 * N)) % (2 * N)
    return padded[index]


@pytest.fixture(scope="module")
def noisy() -> Curves:
    rng = np.random.default_rng(3)
    rows = [
        3 / CBV_SCALE / m * residue_curve("exponential", m, TIME - d)
        for m in (3.0, 6.0, 12.0)
        for d in (-1.0, 0.0, 3.0)
    ]
    tissue = np.repeat(rows, 5, axis=0) + rng.normal(0, 0.5, (5 * len(rows), N))
    voxels = np.ones((1, 1, len(tissue)), bool)
    return sampled(TIME, tissue, voxels, 0.5)


def impulse(curves: Curves, inverse: np.ndarray) -> np.ndarray:
    padded = np.concatenate([curves.tissue_hu, np.zeros_like(curves.tissue_hu)], axis=1)
    return padded @ inverse.T


def peak_flow(k: np.ndarray) -> np.ndarray:
    """CBF from the impulse response, its peak refined by a parabola, lags -5 s to the end."""
    ordered = np.concatenate([k[:, -5:], k[:, :N]], axis=1)
    at = np.clip(ordered.argmax(axis=1), 1, ordered.shape[1] - 2)
    fits = [
        np.polyfit([-1, 0, 1], row[i - 1 : i + 2], 2) for row, i in zip(ordered, at, strict=True)
    ]
    vertex = [c - b * b / (4 * a) for a, b, c in fits]
    return 60 * CBV_SCALE * np.maximum(vertex, 0)


def test_bsvd_is_the_truncated_svd_of_the_block_circulant_matrix(noisy: Curves) -> None:
    u, s, vt = np.linalg.svd(block_circulant())
    inverse = (vt.T * np.where(s >= BSVD_THRESHOLD * s[0] * (1 - 1e-9), 1 / s, 0)) @ u.T
    maps = deconvolve("bsvd", noisy, INPUT)
    np.testing.assert_allclose(maps.cbf.ravel(), peak_flow(impulse(noisy, inverse)), rtol=2e-3)


def test_tikhonov_solves_the_damped_least_squares_problem(noisy: Curves) -> None:
    a = block_circulant()
    damping = (TIKHONOV_LAMBDA * np.linalg.norm(a, 2)) ** 2
    inverse = np.linalg.solve(a.T @ a + damping * np.eye(2 * N), a.T)
    maps = deconvolve("tikhonov", noisy, INPUT)
    np.testing.assert_allclose(maps.cbf.ravel(), peak_flow(impulse(noisy, inverse)), rtol=2e-3)


def test_osvd_takes_the_lowest_threshold_that_oscillates_little(noisy: Curves) -> None:
    u, s, vt = np.linalg.svd(block_circulant())
    expected = np.full(len(noisy.tissue_hu), np.nan)
    for threshold in OSVD_THRESHOLDS:
        inverse = (vt.T * np.where(s >= threshold * s[0] * (1 - 1e-9), 1 / s, 0)) @ u.T
        k = impulse(noisy, inverse)
        k = np.concatenate([k[:, -5:], k[:, :N]], axis=1)
        index = np.abs(np.diff(k, 2, axis=1)).sum(axis=1) / k.max(axis=1) / k.shape[1]
        take = np.isnan(expected) & (
            (index < OSVD_OSCILLATION) | (threshold == OSVD_THRESHOLDS[-1])
        )
        flow = peak_flow(impulse(noisy, inverse))
        expected[take] = flow[take]
    maps = deconvolve("osvd", noisy, INPUT)
    np.testing.assert_allclose(maps.cbf.ravel(), expected, rtol=2e-3)


def test_ssvd_inverts_the_lower_triangular_matrix(noisy: Curves) -> None:
    a = np.array([[INPUT[i - j] if i >= j else 0.0 for j in range(N)] for i in range(N)])
    u, s, vt = np.linalg.svd(a)
    inverse = (vt.T * np.where(s > 0.2 * s[0], 1 / s, 0)) @ u.T
    k = noisy.tissue_hu @ inverse.T
    maps = deconvolve("ssvd", noisy, INPUT)
    assert (maps.cbf.ravel() >= 60 * CBV_SCALE * k.max(axis=1) * 0.999).all()
    np.testing.assert_allclose(maps.cbf.ravel(), 60 * CBV_SCALE * k.max(axis=1), rtol=0.05)
