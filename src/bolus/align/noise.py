"""How noisy the frames are."""

from __future__ import annotations

import numpy as np

from bolus.errors import IncompleteExam
from bolus.types import BoolArray, Float32Array

MAD_TO_SD = 1.4826


def noise_sd(baseline: Float32Array, mask: BoolArray) -> float:
    """SD of the noise of one frame, from differences of successive frames without contrast.

    Differences cancel the anatomy; the median absolute deviation ignores vessels that already
    fill and edges that moved.

    Parameters
    ----------
    baseline : (B, Z, Y, X) float32, HU
        At least two frames before the bolus, raw or filtered.
    mask : (Z, Y, X) bool
        Brain.

    Returns
    -------
    float, HU

    Raises
    ------
    IncompleteExam
        With fewer than two frames or an empty mask there is nothing to measure.
    """
    if len(baseline) < 2 or not mask.any():
        raise IncompleteExam(
            f"The noise can't be measured from {len(baseline)} frames before the bolus and "
            f"{int(mask.sum())} brain voxels; two frames and a brain are needed. Check the exam's "
            "arrival of contrast and its brain mask."
        )
    steps = np.diff(baseline[:, mask].astype(np.float64), axis=0)
    centred = np.abs(steps - np.median(steps, axis=1, keepdims=True))
    return MAD_TO_SD * float(np.median(centred)) / float(np.sqrt(2.0))


def curve_noise_sd(curves: Float32Array, most: int = 20_000) -> float:
    """SD of the noise of curves with contrast in them, from their second differences.

    Second differences of independent noise have six times its variance; those of a bolus sampled
    every 1-2 s are far smaller.

    Parameters
    ----------
    curves : (V, T) float32, HU
    most : int
        Evenly spread curves that are looked at.

    Returns
    -------
    float, HU; 0 where fewer than three samples or no curves are given
    """
    some = curves[:: max(1, len(curves) // most)].astype(np.float64)
    if some.shape[1] < 3 or not len(some):
        return 0.0
    return MAD_TO_SD * float(np.median(np.abs(np.diff(some, n=2, axis=1)))) / float(np.sqrt(6.0))
