"""The Kudo phantom at 8 HU noise: what the benchmark's table claims, held as limits."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from bolus.deconvolution.methods import deconvolve
from bolus.metrics import pearson
from bolus.simulate.kudo import SHAPES, KudoPhantom, Shape, kudo_phantom
from bolus.types import Maps
from kudo import Preparation, curves_of
from tables import slope


def solved(
    shape: Shape, method: str, preparation: Preparation
) -> tuple[KudoPhantom, Maps, np.ndarray]:
    phantom = kudo_phantom(shape, seed=5)
    curves, input_hu = curves_of(phantom, preparation)
    return phantom, deconvolve(method, curves, input_hu), curves.voxels


def test_box_fit_of_box_tissue_reaches_095_on_every_map() -> None:
    phantom, maps, inner = solved("box", "nlr", "Gaussian")
    for name in ("cbf", "cbv", "mtt", "tmax"):
        assert pearson(getattr(maps, name)[inner], getattr(phantom, name)[inner]) > 0.95


@pytest.mark.parametrize("shape", SHAPES)
def test_averaging_over_shapes_finds_flow_whatever_the_shape(shape: Shape) -> None:
    phantom, maps, inner = solved(shape, "bma", "bolus")
    assert 0.9 < slope(maps.cbf[inner], phantom.cbf[inner]) < 1.1
    for name in ("cbf", "cbv", "mtt", "tmax"):
        assert pearson(getattr(maps, name)[inner], getattr(phantom, name)[inner]) > 0.97


def test_all_shapes_of_the_phantom_are_made() -> None:
    assert get_args(Shape) == SHAPES
