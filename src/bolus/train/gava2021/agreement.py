"""Agreement of maps, with the definitions of the paper and its companion."""

from __future__ import annotations

import numpy as np

from bolus.types import BoolArray, Float32Array


def pearson_r(a: Float32Array, b: Float32Array) -> float:
    """Pearson's correlation of two sets of pixels; 0 where one of them is constant."""
    x, y = (v.astype(np.float64).ravel() - v.mean(dtype=np.float64) for v in (a, b))
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


def agreement(found: Float32Array, target: Float32Array, brain: BoolArray) -> dict[str, float]:
    """Agreement over all slices.

    Parameters
    ----------
    found, target : (N, Y, X) from 0 to 1.
    brain : (N, Y, X)

    Returns
    -------
    mse over whole images, as the loss; r over brain pixels; r_all over whole images, as the
    companion paper computes it (background included, which inflates it).
    """
    return {
        "mse": float(np.square(found - target).mean(dtype=np.float64)),
        "r": pearson_r(found[brain], target[brain]),
        "r_all": pearson_r(found, target),
    }
