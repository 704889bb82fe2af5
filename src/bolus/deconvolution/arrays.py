"""Curves from any source (MR, phantoms, animals) as input of the methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bolus.data import numbers
from bolus.errors import UsageError
from bolus.metrics import robust_sd
from bolus.timegrid import common_grid, resample_vessels
from bolus.types import BoolArray, Curves, Float64Array, Maps

Made = TypeVar("Made", bound=Maps)

PEAK_HU = 300.0
"""Arterial peak to which inputs in any unit are brought; it cancels in flow, which is a ratio."""
TOGETHER_MM = (1e-3, 1e-3, 1e-3)
"""Spacing of curves without positions: they form one neighbourhood."""
ARRIVAL = 0.1
"""Foot of the arterial upslope, in parts of its peak."""
FEWEST_FRAMES = 4
FEWEST_BEFORE = 3
"""Steps between frames before the bolus from which noise is measured; else the last frames are
taken."""
LAST = 6
LEAST_PEAK = 1e-30
"""Below it a single-precision number loses its digits."""
LONGEST_S = 1e5
"""More than a day: no grid shall be made for it."""
FLAT_S = 3.0
FLAT = 0.2
"""A curve that keeps within a fifth of its mean for so long has not met the bolus yet."""
OFFSET_OF_INPUT = 0.05, 0.5
OFFSET_OF_TISSUE = 0.5
"""What such a curve may be above 0, in parts of its peak.  Blood has 40 HU of its own and enhances
by 300, brain 35 and 10; an input at more than half of its peak may be a constant infusion."""
OFFSET_SE = 4.0
"""Standard errors by which noise doesn't reach such a level by chance."""
LEAST_NOISE = 1e-3
"""Of the curves' typical peak: simulated curves may have none, on which no fit can be weighted."""


def curves_of(
    values: ArrayLike,
    aif: ArrayLike,
    times_s: ArrayLike,
    mask: ArrayLike | None = None,
    spacing_mm: Sequence[float] | None = None,
) -> tuple[Curves, Float64Array]:
    """Tissue curves and the arterial input in HU-like units on bolus's time grid.

    Parameters
    ----------
    values : (V, T), or (..., T) of the mask's shape; enhancement or concentration, 0 before the
        bolus.
    aif : (T,) arterial input in the same unit, already free of partial volume.
    times_s : (T,) rising, s; counted from the first.
    mask : at most three axes; which of ``values`` are curves.
    spacing_mm : distance of neighbouring voxels along the mask's axes; without it, curves have no
        neighbours and are pooled together.

    Returns
    -------
    curves : Curves
    input_hu : (N,)

    Raises
    ------
    UsageError
        The arrays don't fit together, hold non-finite values, or are not 0 before the bolus.
    """
    times = _times(numbers("times_s", times_s))
    artery = np.asarray(numbers("aif", aif), np.float64)
    if artery.shape != times.shape:
        raise UsageError(f"aif has shape {artery.shape}, but there are {times.size} times")
    voxels, rows = _rows(numbers("curves", values), mask, times.size)
    steps = TOGETHER_MM
    if spacing_mm is not None:
        steps = _steps(spacing_mm, np.ndim(values) - 1 if mask is None else np.ndim(mask))
    bad = int((~np.isfinite(rows)).any(axis=1).sum())
    if bad or not np.isfinite(artery).all():
        what = f"{bad} curves hold" if bad else "aif holds"
        raise UsageError(f"{what} NaN or infinity; leave such voxels out with a mask")
    peak = float(artery.max())
    if not peak > 0:
        raise UsageError("aif has no enhancement above 0; check its sign")
    if peak < LEAST_PEAK:
        raise UsageError(f"aif is at most {peak:g}, too small a number to compute with")
    _check_baseline(artery, rows.mean(axis=0, dtype=np.float64), times)
    scale = PEAK_HU / peak
    grid = common_grid(times[:, None])
    if grid.size < FEWEST_FRAMES:
        raise UsageError(
            f"the times span {times[-1] - times[0]:g} s; curves of a bolus take at least "
            f"{FEWEST_FRAMES} s: are the times in seconds?"
        )
    tissue = np.ascontiguousarray(rows * scale, np.float32)
    scaled = (artery * scale).astype(np.float32)[None]
    input_hu = resample_vessels(scaled, np.zeros(1, np.int64), times[:, None], grid)[0]
    arrival = int(np.argmax(artery > ARRIVAL * peak))
    curves = Curves(
        grid_s=grid,
        tissue_hu=tissue,
        times_s=np.repeat(times[:, None], len(voxels), axis=1),
        weight=np.ones(times.size),
        voxels=voxels,
        noise_hu=_noise(tissue, arrival),
        arrival_s=float(times[arrival]),
        spacing_mm=steps,
    )
    return curves, input_hu


def input_on(aif: ArrayLike, grid_s: Float64Array) -> Float64Array:
    """(N,) an arterial input that a user gives on the grid of an exam's curves, HU.

    Raises
    ------
    UsageError
        It has another length, or non-finite values.
    """
    values = np.asarray(numbers("aif", aif), np.float64)
    if values.shape != grid_s.shape or not np.isfinite(values).all():
        raise UsageError(
            f"aif has shape {values.shape}; give finite numbers at the {grid_s.size} times of "
            "curves.grid_s"
        )
    return values


def shaped(maps: Made, shape: tuple[int, ...]) -> Made:
    """The same maps in another shape."""

    def back(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.reshape(shape)
        if isinstance(value, dict):
            return {key: back(one) for key, one in value.items()}
        return value

    return type(maps)(**{name: back(value) for name, value in vars(maps).items()})


def _steps(spacing_mm: Sequence[float], axes: int) -> tuple[float, float, float]:
    """Of three axes, whatever number the mask has."""
    steps = numbers("spacing_mm", spacing_mm)
    if steps.shape != (axes,) or not all(0 < step < np.inf for step in steps):
        raise UsageError(f"spacing_mm gives a distance above 0 for each of {axes} axes")
    z, y, x = [1.0] * (3 - axes) + steps.tolist()
    return z, y, x


def _times(times_s: NDArray[Any]) -> Float64Array:
    times = np.asarray(times_s, np.float64)
    if times.ndim != 1 or times.size < FEWEST_FRAMES:
        raise UsageError(f"times_s has shape {times.shape}; give at least {FEWEST_FRAMES} times")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise UsageError("times_s must rise from frame to frame, s")
    if times[-1] - times[0] > LONGEST_S:
        raise UsageError(f"the times span {times[-1] - times[0]:g} s; are they in seconds?")
    since_first: Float64Array = times - times[0]
    return since_first


def _rows(
    values: NDArray[Any], mask: ArrayLike | None, frames: int
) -> tuple[BoolArray, NDArray[Any]]:
    """(Z, Y, X) mask and the curves in it, (V, T)."""
    if values.ndim < 1 or values.shape[-1] != frames:
        turned = values.ndim > 1 and len(values) == frames
        raise UsageError(
            f"curves have shape {values.shape}; their last axis is that of the {frames} times"
            f"{', not the first: give numpy.moveaxis(curves, 0, -1)' if turned else ''}"
        )
    where = np.ones(values.shape[:-1], bool) if mask is None else _mask(mask)
    if where.ndim > 3:
        what = "curves have, without time," if mask is None else "the mask has"
        raise UsageError(f"{what} {where.ndim} axes; give at most three")
    if values.shape[:-1] == where.shape:
        rows = values[where]
    elif values.ndim == 2 and len(values) == where.sum():
        rows = values
    else:
        raise UsageError(
            f"curves of shape {values.shape} are neither the {int(where.sum())} voxels of the mask "
            f"nor of its shape {where.shape}"
        )
    if not len(rows):
        raise UsageError("there are no curves" if mask is None else "the mask holds no voxel")
    return where.reshape((1,) * (3 - where.ndim) + where.shape), rows


def _mask(mask: ArrayLike) -> BoolArray:
    given = np.asarray(mask)
    if given.dtype.kind not in "biuf" or not np.isin(given, (0, 1)).all():
        raise UsageError("the mask holds other values than 0 and 1, or True and False")
    return given.astype(bool)


def _check_baseline(artery: Float64Array, tissue: Float64Array, times_s: Float64Array) -> None:
    """Refuse curves from which the level before the bolus was evidently not subtracted.

    Parameters
    ----------
    artery, tissue : (T,) the input and the mean of all curves.
    """
    first = slice(0, max(FEWEST_BEFORE, int(np.searchsorted(times_s, FLAT_S, side="right"))))
    low, high = OFFSET_OF_INPUT
    for what, curve, least in (("aif", artery, low), ("curves", tissue, OFFSET_OF_TISSUE)):
        begins, peak = curve[first], float(curve.max())
        level = float(begins.mean())
        error = float(robust_sd(np.diff(curve))) / np.sqrt(2 * begins.size)
        flat = np.abs(begins - level).max() <= FLAT * abs(level)
        enhances = artery[first].mean() < high * artery.max()
        if flat and enhances and level > max(least * peak, OFFSET_SE * error):
            raise UsageError(
                f"{what} begin at {level:.3g} and rise to {peak:.3g}: the level before the bolus "
                "is still in them; subtract from each curve the mean of its frames before the bolus"
            )


def _noise(tissue: NDArray[np.float32], arrival: int) -> float:
    """SD of a sample's noise, from steps between frames where nothing else changes."""
    before = tissue[:, :arrival]
    part = before if before.shape[1] > FEWEST_BEFORE else tissue[:, -LAST:]
    noise = robust_sd(np.diff(part, axis=1)) / np.sqrt(2)
    least = LEAST_NOISE * float(np.median(tissue.max(axis=1)))
    return float(max(noise, least, np.finfo(np.float32).tiny))
