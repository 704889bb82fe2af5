"""From curves and an arterial input to perfusion maps: one function per method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

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
from bolus.errors import ImplausibleValues, NoPerfusion
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
"""The command line, the docs' table and the tests are generated from this."""

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
"""Methods that fit the delay; an impulse response has no measurable onset."""

LONGEST_INTERVAL_S = 20.0
"""Median interval of frames: a bolus passes in that time."""
MOST_SAMPLES = 5000
"""Of the common grid: more than half an hour at 0.5 s."""
LARGEST = 1e15
"""Beyond it the squares that fits add up leave single precision; no contrast comes near."""


def deconvolve(method: str, curves: Curves, input_hu: Float64Array) -> Maps:
    """Maps of one method.

    Parameters
    ----------
    method : a key of `METHODS`.
    curves : tissue curves on the common time grid.
    input_hu : (N,) arterial input on the same grid, scaled for partial volume, HU.

    Raises
    ------
    ImplausibleValues
        Curves, times or the input hold what is no number, or frames are too far apart to show a
        bolus.
    NoPerfusion
        There is no voxel, or no contrast in the input.
    """
    # other types would have every kernel compiled anew
    tissue = np.ascontiguousarray(curves.tissue_hu, np.float32)
    curves, input_hu = replace(curves, tissue_hu=tissue), np.asarray(input_hu, np.float64)
    _require_numbers(curves, input_hu)
    if not len(curves.tissue_hu):
        raise NoPerfusion("there is no voxel to make maps of: the mask is empty")
    if input_hu.sum() <= 0:
        raise NoPerfusion(
            "the arterial input has no area, so nothing can be divided by it; choose another "
            "artery, and look whether its curve is enhancement above the baseline"
        )
    _require_time_course(curves)
    voxel, parameters = METHODS[method](curves, input_hu)
    return to_maps(method, voxel, curves.voxels, parameters)


def _require_time_course(curves: Curves) -> None:
    """The tables of `nlr` and the matrices of the SVD family have limits."""
    interval_s, samples = curves.frame_interval_s, curves.grid_s.size
    if interval_s > LONGEST_INTERVAL_S or samples > MOST_SAMPLES:
        raise ImplausibleValues(
            f"the frames are {interval_s:g} s apart and span {curves.grid_s[-1]:g} s, in which no "
            "bolus can be followed; are the times in seconds?"
        )


def _require_numbers(curves: Curves, input_hu: Float64Array) -> None:
    """One value that is no number would make `nlr` read beyond its tables, and `bma` change the
    maps of every other voxel."""
    for what, values in (
        ("the tissue's curves", curves.tissue_hu),
        ("the arterial input", input_hu),
        ("the times", curves.times_s),
        ("the frames' weights", curves.weight),
        ("the noise", np.array([curves.noise_hu])),
    ):
        # NaN fails every comparison
        if values.size and not -LARGEST < values.min() <= values.max() < LARGEST:
            raise ImplausibleValues(
                f"{what} hold values that are not finite numbers, from which no maps can be made; "
                "leave those voxels or frames out, or check the images for damaged pixels"
            )
