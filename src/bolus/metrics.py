"""How far two maps or two masks are apart, and how much values spread.

Conventions for what can't be measured are part of each function; callers that need another one
(None in JSON, for example) translate at their own place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bolus.types import BoolArray, Float32Array, Float64Array

FEWEST_VOXELS = 2
"""A correlation needs two pairs."""
MAD_TO_SD = 1.4826
"""SD of a normal distribution over its median absolute deviation, 1 / Phi^-1(3/4) (Rousseeuw and
Croux, J Am Stat Assoc 1993;88:1273)."""
LIMITS_SD = 1.96
"""Limits of agreement: 95 % of the differences, if they are normal (Bland and Altman 1986)."""


def dice(a: BoolArray, b: BoolArray) -> float:
    """Overlap of two masks of one shape; 1 for two empty ones."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def pearson(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Correlation coefficient of values (n,) with others; NaN where one of them doesn't vary."""
    if a.size < FEWEST_VOXELS or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def mean_absolute_error(found: NDArray[Any], true: NDArray[Any]) -> float:
    """In the maps' unit, summed in their precision."""
    return float(np.abs(found - true).mean())


def robust_sd(departures: Float32Array | Float64Array) -> float:
    """SD of values around 0 of which up to half may be outliers."""
    return MAD_TO_SD * float(np.median(np.abs(departures)))


def pearson_of_pixels(a: Float32Array, b: Float32Array) -> float:
    """As `pearson`, of images of any shape; 0 where one is constant, as before training.

    Kept apart for its rounding: histories of training runs are compared byte by byte.
    """
    x, y = (v.astype(np.float64).ravel() - v.mean(dtype=np.float64) for v in (a, b))
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


def image_agreement(
    found: Float32Array, target: Float32Array, brain: BoolArray
) -> dict[str, float]:
    """Agreement over all slices, as the paper of 2021 and its companion count it.

    Parameters
    ----------
    found, target : (N, Y, X) from 0 to 1.
    brain : (N, Y, X)

    Returns
    -------
    dict
        ``mse`` over whole images, as the loss; ``r`` over brain pixels; ``r_all`` over whole
        images, as the companion paper counts it (background included, which flatters).
    """
    return {
        "mse": float(np.square(found - target).mean(dtype=np.float64)),
        "r": pearson_of_pixels(found[brain], target[brain]),
        "r_all": pearson_of_pixels(found, target),
    }
