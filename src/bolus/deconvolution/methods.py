"""Curves and an arterial input to perfusion maps: one function per method."""

from __future__ import annotations

from collections.abc import Callable

from bolus.deconvolution.bma import bma, fitted_bma
from bolus.deconvolution.model import Measured, VoxelMaps, to_maps
from bolus.deconvolution.nlr import fitted_nlr, nlr
from bolus.deconvolution.svd import (
    bsvd,
    fitted_bsvd,
    fitted_ssvd,
    fitted_tikhonov,
    osvd,
    ssvd,
    tikhonov,
)
from bolus.types import Curves, Float64Array, Maps

Method = Callable[[Curves, Float64Array], tuple[VoxelMaps, dict[str, float | str]]]

METHODS: dict[str, Method] = {
    "nlr": nlr,
    "bma": bma,
    "ssvd": ssvd,
    "bsvd": bsvd,
    "osvd": osvd,
    "tikhonov": tikhonov,
}
"""The command line, the docs' table and the tests are made from this."""

FITTED: dict[str, Callable[[Measured], Float64Array]] = {
    "nlr": fitted_nlr,
    "bma": fitted_bma,
    "ssvd": fitted_ssvd,
    "bsvd": fitted_bsvd,
    "tikhonov": fitted_tikhonov,
}
"""Methods whose fit can be had from the maps or from the curve alone; `osvd` chooses a threshold
for each voxel and keeps none, the network has no model."""

DELAY_METHODS = ("nlr", "bma")
"""Methods that fit the delay; an impulse response has no onset that could be read."""


def deconvolve(method: str, curves: Curves, input_hu: Float64Array) -> Maps:
    """Maps of one method.

    Parameters
    ----------
    method : a key of `METHODS`.
    curves : tissue curves on the common time grid.
    input_hu : (N,) arterial input on the same grid, scaled for partial volume, HU.
    """
    voxel, parameters = METHODS[method](curves, input_hu)
    return to_maps(method, voxel, curves.voxels, parameters)


__all__ = ["DELAY_METHODS", "FITTED", "METHODS", "Method", "deconvolve"]
