"""Information content of each frame: frames differ in dose, and so in noise."""

from __future__ import annotations

import numpy as np

from bolus.metrics import MAD_TO_SD
from bolus.types import BoolArray, Exam, Float32Array, Float64Array, Tissue

BLOCK_PX = 3
"""Noise is compared in means over blocks: interpolation by motion correction reduces noise in
single pixels, but hardly in blocks."""
ENOUGH_SLICES = 4
USUAL = 1.6
"""Frames whose noise variance is within this factor of the median frame's count as usual: half or
double the dose lies outside, chance inside."""
WEIGHT_LIMITS = (0.1, 10.0)
LEAST_NOISE_HU = 0.2
"""Below this noise in a block, changes of the anatomy dominate."""
FEWEST_BLOCKS = 200


def frame_weights(exam: Exam, tissue: Tissue) -> Float64Array:
    """Inverse noise variance of each frame, relative to the median frame's.

    Each frame is compared with what its neighbours in time interpolate to.  The differences
    between neighbouring blocks of pixels of that are noise of the three frames, whose variances
    add up: a tridiagonal system gives each frame's own.

    Parameters
    ----------
    exam : free of motion.
    tissue : masks.

    Returns
    -------
    (T,) float64
        1 for usual frames, 0.1 to 10 for others.
    """
    frames = len(exam.frames)
    usual = np.ones(frames)
    area = np.asarray(tissue.parenchyma.sum(axis=(1, 2)))
    slices = np.argsort(-area, kind="stable")[:ENOUGH_SLICES]
    if frames < 4:
        return usual
    mix = _neighbours(np.median(exam.times_s, axis=1))
    spread = [_block_spread(exam.frames[:, z], tissue.parenchyma[z], mix) for z in np.sort(slices)]
    total = np.concatenate(spread, axis=1)
    if total.shape[1] < FEWEST_BLOCKS:
        return usual
    observed = (MAD_TO_SD * np.median(np.abs(total), axis=1)) ** 2 / 2
    variance = np.linalg.solve(mix**2, observed)
    middle = float(np.median(variance))
    if middle < LEAST_NOISE_HU**2:
        return usual
    weight = np.clip(middle / np.maximum(variance, 1e-9 * middle), *WEIGHT_LIMITS)
    return np.asarray(np.where((weight > 1 / USUAL) & (weight < USUAL), usual, weight))


def _neighbours(times_s: Float64Array) -> Float64Array:
    """(T, T) matrix from frames to each frame minus the interpolation of its neighbours in time."""
    frames = times_s.size
    mix = np.eye(frames)
    for t in range(1, frames - 1):
        after = (times_s[t] - times_s[t - 1]) / (times_s[t + 1] - times_s[t - 1])
        mix[t, t - 1], mix[t, t + 1] = after - 1, -after
    # the ends have one neighbour, which counts less so that the system can be solved
    mix[0, 1] = mix[-1, -2] = -0.5
    mix[0, 2] = mix[-1, -3] = -0.5
    return mix


def _block_spread(frames: Float32Array, plane: BoolArray, mix: Float64Array) -> Float64Array:
    """(T, n) differences of neighbouring blocks of the frames' departures from their neighbours."""
    y, x = (n // BLOCK_PX * BLOCK_PX for n in plane.shape)
    shape = (y // BLOCK_PX, BLOCK_PX, x // BLOCK_PX, BLOCK_PX)
    whole = np.asarray(plane[:y, :x].reshape(shape).all(axis=(1, 3)))
    pairs = whole[:, 1:] & whole[:, :-1]
    blocks = frames[:, :y, :x].reshape(len(frames), *shape).mean(axis=(2, 4), dtype=np.float64)
    steps = (blocks[:, :, 1:] - blocks[:, :, :-1])[:, pairs]
    return np.asarray(mix @ steps)
