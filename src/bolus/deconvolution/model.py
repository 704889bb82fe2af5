"""Shared by all methods: C_t = CBF (C_a * R), its constants, and the resulting maps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from bolus.types import BoolArray, Curves, Float32Array, Float64Array, IntArray, Maps

HAEMATOCRIT_LARGE = 0.45
HAEMATOCRIT_SMALL = 0.25
"""Haematocrit of arteries and of capillaries; their plasma ratio is 0.7333."""
BRAIN_DENSITY_G_ML = 1.05
"""The value in public perfusion code and in UniToBrain-era tools (1.04 is used elsewhere)."""
CBV_SCALE = 100.0 * (1 - HAEMATOCRIT_LARGE) / (1 - HAEMATOCRIT_SMALL) / BRAIN_DENSITY_G_ML
"""ml/100g of a tissue whose curve has the same area as the blood's: 69.84."""
MTT_PRIOR_S = 6.0
MTT_PRIOR_LOG_SD = 0.7
"""Log-normal prior of the model fits: normal grey matter (4 s) and penumbra (12 s) lie within one
SD of its median."""
DELAY_PRIOR_S = 1.5
DELAY_PRIOR_SD_S = 3.0
"""Normal prior of the model fits: weak, it matters only where noise hides the delay."""
PRIOR_PARAMETERS: dict[str, float | str] = {
    "mtt_prior_s": MTT_PRIOR_S,
    "mtt_prior_log_sd": MTT_PRIOR_LOG_SD,
    "delay_prior_s": DELAY_PRIOR_S,
    "delay_prior_sd_s": DELAY_PRIOR_SD_S,
}
MTT_CEILING_S = 60.0
"""Longer transit times can't be distinguished from zero flow within a one-minute scan."""

SAME_TIME_S = 0.1
"""Slices closer in time than this share their model curves."""

PART = 512
"""Voxels that a thread processes at a time."""
UNROLL = 4


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
    """s after the arterial input; None where a method has none."""
    se: dict[str, Float32Array] = field(default_factory=dict)
    """Standard errors by map name; empty where a method has none."""


@dataclass(frozen=True)
class Measured:
    """One voxel: its curve, what its maps say, and the arterial input; what a fit is drawn from."""

    curve_hu: Float32Array
    """(T,) enhancement, HU."""
    times_s: Float64Array
    """(T,) of its slice."""
    cbv: float
    """ml/100g."""
    mtt_s: float
    delay_s: float | None
    """None where the method has none."""
    grid_s: Float64Array
    """(N,) common grid; the fit is given there."""
    input_hu: Float64Array
    """(N,) scaled arterial input, HU."""

    @property
    def dt_s(self) -> float:
        """Interval of the common time grid, s."""
        return float(self.grid_s[1] - self.grid_s[0])


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


@njit(cache=True, fastmath=True)
def multiply(curve, matrix, out):  # type: ignore[no-untyped-def]
    """``out`` = ``curve`` times ``matrix``; several rows at once, to load and store less."""
    out[:] = 0
    paired = len(curve) // UNROLL * UNROLL
    for t in range(0, paired, UNROLL):
        c0, c1, c2, c3 = curve[t : t + UNROLL]
        m0, m1, m2, m3 = matrix[t], matrix[t + 1], matrix[t + 2], matrix[t + 3]
        for k in range(out.size):
            out[k] += c0 * m0[k] + c1 * m1[k] + c2 * m2[k] + c3 * m3[k]
    for t in range(paired, len(curve)):
        for k in range(out.size):
            out[k] += curve[t] * matrix[t, k]


@njit(cache=True)
def peak_of(values):  # type: ignore[no-untyped-def]
    """Height and position of the maximum, by the parabola through three samples.

    A maximum at an end stays that sample.
    """
    k = 0
    for i in range(1, values.size):
        k = i if values[i] > values[k] else k
    if k == 0 or k == values.size - 1:
        return values[k], np.float32(k)
    left, mid, right = values[k - 1], values[k], values[k + 1]
    bend = left - 2 * mid + right
    if bend >= 0:
        return mid, np.float32(k)
    # prevents division by zero for flat triples
    shift = 0.5 * (left - right) / min(bend, -1e-12)
    return np.float32(mid - 0.25 * (left - right) * shift), np.float32(k + shift)


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
            "hematocrit_large_vessels": HAEMATOCRIT_LARGE,
            "hematocrit_small_vessels": HAEMATOCRIT_SMALL,
        },
    )


def on_grid(voxel: Measured) -> Float64Array:
    """(N,) its curve at the common times, HU."""
    return np.asarray(np.interp(voxel.grid_s, voxel.times_s, voxel.curve_hu))
