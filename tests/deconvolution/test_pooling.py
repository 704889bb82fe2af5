"""Smoothing over neighbouring cells is the Gaussian filter it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bolus.deconvolution.pooling import CELL_MM, POOLING_MM, _smooth, _smoother


@pytest.mark.parametrize("grid", [(1, 1, 1), (3, 40, 50), (16, 7, 33)])
def test_products_with_matrices_are_the_gaussian_filter(grid: tuple[int, int, int]) -> None:
    volume = np.random.default_rng(0).random((*grid, 8)).astype(np.float32)
    smooth = _smooth(volume, [_smoother(n) for n in grid])
    for s in range(8):
        expected = gaussian_filter(volume[..., s].astype(float), POOLING_MM / CELL_MM)
        np.testing.assert_allclose(smooth[..., s], expected, rtol=1e-5)
