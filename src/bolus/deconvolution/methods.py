"""Curves and an arterial input to perfusion maps: one function per method."""

from __future__ import annotations

from collections.abc import Callable

from bolus.deconvolution.bma import bma
from bolus.deconvolution.model import VoxelMaps, to_maps
from bolus.deconvolution.nlr import nlr
from bolus.deconvolution.svd import bsvd, osvd, ssvd, tikhonov
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


__all__ = ["DELAY_METHODS", "METHODS", "Method", "deconvolve"]
