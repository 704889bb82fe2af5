"""What all methods share: C_t = CBF (C_a * R), its constants, and the maps made from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bolus.curves.timing import chunks, on_grid
from bolus.types import BoolArray, Curves, Float32Array, Float64Array, IntArray, Maps

HEMATOCRIT_LARGE = 0.45
HEMATOCRIT_SMALL = 0.25
"""Hematocrit of arteries and of capillaries; their plasma ratio is 0.7333."""
BRAIN_DENSITY_G_ML = 1.05
"""The value in public perfusion code and in UniToBrain-era tools (1.04 is used elsewhere)."""
CBV_SCALE = 100.0 * (1 - HEMATOCRIT_LARGE) / (1 - HEMATOCRIT_SMALL) / BRAIN_DENSITY_G_ML
"""ml/100g of a tissue whose curve has the same area as the blood's: 69.84."""
MTT_PRIOR_S = 6.0
MTT_PRIOR_LOG_SD = 0.7
"""Log-normal prior of the model fits: normal grey matter (4 s) and penumbra (12 s) lie within one
SD of its median."""
DELAY_PRIOR_S = 1.5
DELAY_PRIOR_SD_S = 3.0
"""Normal prior of the model fits: weak, it matters only where noise leaves the delay open."""
PRIOR_PARAMETERS: dict[str, float | str] = {
    "mtt_prior_s": MTT_PRIOR_S,
    "mtt_prior_log_sd": MTT_PRIOR_LOG_SD,
    "delay_prior_s": DELAY_PRIOR_S,
    "delay_prior_sd_s": DELAY_PRIOR_SD_S,
}
MTT_CEILING_S = 60.0
"""Longer transit times can't be told from no flow within a one-minute scan."""

SAME_TIME_S = 0.1
"""Slices closer in time than this share their model curves."""


@dataclass(frozen=True)
class VoxelMaps:
    """Estimates for V voxels, (V,) float32 each."""

    cbf: Float32Array
    """ml/100g/min."""
    mtt: Float32Array
    """s."""
    tmax: Float32Array
    """s after the arterial input."""
    ttp: Float32Array
    """s after the first frame."""
    delay: Float32Array | None = None
    """s after the arterial input; None where a method knows none."""
    se: dict[str, Float32Array] = field(default_factory=dict)
    """Standard errors by map name; empty where a method knows none."""


@dataclass(frozen=True)
class TimeGroup:
    """Slices that were measured at the same times."""

    times_s: Float64Array
    """(T,)."""
    rows: slice | IntArray
    """Their rows of ``Curves.tissue_hu``."""


def time_groups(curves: Curves) -> list[TimeGroup]:
    """The slices in groups of one time axis each, equal within `SAME_TIME_S`."""
    key = np.round(curves.times_s / SAME_TIME_S).astype(np.int64)
    _, group = np.unique(key, axis=1, return_inverse=True)
    group = group.ravel()
    if group.max() == 0:
        return [TimeGroup(curves.times_s.mean(axis=1), slice(None))]
    of_row = group[curves.slices]
    return [
        TimeGroup(curves.times_s[:, group == g].mean(axis=1), np.flatnonzero(of_row == g))
        for g in range(group.max() + 1)
    ]


def time_to_peak(curves: Curves) -> Float32Array:
    """Time of each measured curve's maximum, (V,) s after the first frame.

    The curve is smoothed with a 1-2-1 kernel, then the peak is refined by the parabola through
    the highest sample and its neighbours.
    """
    peaks = np.empty(curves.tissue_hu.shape[0], np.float32)
    slices = curves.slices
    for rows in chunks(peaks.size):
        c = on_grid(curves, rows, slices)
        smooth = c.copy()
        smooth[:, 1:-1] = 0.25 * c[:, :-2] + 0.5 * c[:, 1:-1] + 0.25 * c[:, 2:]
        _, position = refined_peak(smooth)
        peaks[rows] = curves.time_s[0] + position * curves.dt_s
    return peaks


def refined_peak(values: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Height and position (in samples) of each row's maximum, parabola through three samples.

    Rows whose maximum is at an end keep that sample.
    """
    rows = np.arange(values.shape[0])
    index = values.argmax(axis=1)
    inner = np.clip(index, 1, values.shape[1] - 2)
    left, mid, right = (values[rows, inner + k] for k in (-1, 0, 1))
    bend = left - 2 * mid + right
    # the guard keeps flat triples from dividing by zero
    shift = np.where(
        (index == inner) & (bend < 0), 0.5 * (left - right) / np.minimum(bend, -1e-12), 0
    )
    height = np.where(index == inner, mid - 0.25 * (left - right) * shift, values[rows, index])
    return height.astype(np.float32), (index + shift).astype(np.float32)


def transit_time(cbf: Float32Array, cbv: Float32Array) -> Float32Array:
    """MTT = 60 CBV / CBF, s; 0 where there is no flow."""
    flowing = cbf > 0
    mtt = np.zeros_like(cbf)
    np.divide(60 * np.maximum(cbv, 0), cbf, out=mtt, where=flowing)
    return np.minimum(mtt, MTT_CEILING_S)


def to_maps(
    method: str, voxel: VoxelMaps, voxels: BoolArray, parameters: dict[str, float | str]
) -> Maps:
    """Put the voxels' estimates back in their places; CBV follows from CBF and MTT exactly."""

    def place(values: Float32Array) -> Float32Array:
        volume = np.zeros(voxels.shape, np.float32)
        volume[voxels] = values
        return volume

    cbf, mtt = place(voxel.cbf), place(voxel.mtt)
    return Maps(
        method=method,
        cbf=cbf,
        cbv=cbf * mtt / np.float32(60),
        mtt=mtt,
        tmax=place(voxel.tmax),
        ttp=place(voxel.ttp),
        delay=None if voxel.delay is None else place(voxel.delay),
        se={name: place(values) for name, values in voxel.se.items()},
        parameters={
            **parameters,
            "brain_density_g_ml": BRAIN_DENSITY_G_ML,
            "hematocrit_large_vessels": HEMATOCRIT_LARGE,
            "hematocrit_small_vessels": HEMATOCRIT_SMALL,
        },
    )
