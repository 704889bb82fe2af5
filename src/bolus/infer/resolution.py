"""Exams with finer pixels than the training exams': averaged, and maps interpolated back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from bolus.infer.features import Sampled
from bolus.types import BoolArray, Float32Array, Float64Array, IntArray

FINEST_MM = 0.75
"""Smaller pixels are averaged: whole numbers of them, so that at least this results."""
VESSEL_SHARE = 0.5
"""Of a block's perfused voxels."""
VALID_SHARE = 0.5
"""The same."""


def factor_for(pixel_mm: float) -> int:
    """How many pixels in each direction are averaged to reach the network's pixel size."""
    # 0.375 mm twice are 0.75 mm, also after rounding
    return max(int(np.ceil(FINEST_MM / pixel_mm - 1e-3)), 1)


def coarsened(fine: Sampled, factor: int) -> Sampled:
    """Mean over the perfused voxels of each block of ``factor`` x ``factor`` in-plane voxels.

    The noise stays as it is: the filter, whose width is in mm, has made neighbours equal.
    """
    shape = tuple(-(-n // factor) for n in fine.voxels.shape[1:])
    z, y, x = np.nonzero(fine.voxels)
    block = np.ravel_multi_index((z, y // factor, x // factor), (len(fine.voxels), *shape))
    mean, voxels = _block_mean(block, (len(fine.voxels), *shape))
    vessel = np.zeros(voxels.shape, bool)
    vessel[voxels] = mean @ fine.vessel[fine.voxels].astype(np.float32) >= VESSEL_SHARE
    depth, rows, columns = fine.spacing_mm
    return replace(
        fine,
        curves_hu=mean @ fine.curves_hu,
        area_hu=mean @ fine.area_hu,
        moment_s=mean @ fine.moment_s,
        level_hu=mean @ fine.level_hu,
        clear=mean @ fine.clear.astype(np.float32) >= VESSEL_SHARE,
        voxels=voxels,
        vessel=vessel,
        spacing_mm=(depth, rows * factor, columns * factor),
    )


def coarsened_truth(
    targets: Float32Array, valid: BoolArray, voxels: BoolArray, factor: int
) -> tuple[Float32Array, BoolArray]:
    """Maps and where they hold, for `coarsened` curves.

    Parameters
    ----------
    targets : (N, Z, Y, X)
    valid : (Z, Y, X)
    voxels : (Z, Y, X), those of the curves.

    Returns
    -------
    targets : (N, Z, y, x) float32, mean over a block's valid voxels, or over its perfused ones
        where fewer than `VALID_SHARE` of these are valid.
    valid : (Z, y, x) bool, the other blocks.
    """
    shape = (len(voxels), *(-(-n // factor) for n in voxels.shape[1:]))
    z, y, x = np.nonzero(voxels)
    block = np.ravel_multi_index((z, y // factor, x // factor), shape)
    mean, blocks = _block_mean(block, shape)
    holds = valid[voxels].astype(np.float32)
    values = targets[:, voxels].astype(np.float32).T
    share = mean @ holds
    good = share >= VALID_SHARE
    whole = mean @ values
    of_valid = (mean @ (values * holds[:, None])) / np.maximum(share, 1e-6)[:, None]
    coarse = np.zeros((len(targets), *shape), np.float32)
    coarse[:, blocks] = np.where(good[:, None], of_valid, whole).T
    found = np.zeros(shape, bool)
    found[blocks] = good
    return coarse, found


def _block_mean(
    block: IntArray, shape: tuple[int, ...]
) -> tuple[sparse.csr_array[np.float32, tuple[int, int]], BoolArray]:
    """(blocks, V) matrix that averages, and the mask of blocks with any voxel."""
    ids, row, count = np.unique(block, return_inverse=True, return_counts=True)
    weight = (1 / count[row]).astype(np.float32)
    mean = sparse.csr_array((weight, (row, np.arange(len(row)))), shape=(len(ids), len(row)))
    voxels = np.zeros(shape, bool)
    voxels.ravel()[ids] = True
    return mean, voxels


def refined(
    maps: Float32Array, voxels: BoolArray, factor: int, shape: tuple[int, int]
) -> Float32Array:
    """Maps of blocks on the exam's own grid: linear between the centres of perfused blocks.

    Parameters
    ----------
    maps : (N, Z, y, x) float32
    voxels : (Z, y, x) bool, blocks that have a value.
    shape : (Y, X) of the exam.

    Returns
    -------
    (N, Z, Y, X) float32
    """
    down, across = (_between(n, factor, m) for n, m in zip(shape, maps.shape[-2:], strict=True))
    weight = down @ voxels.astype(np.float32) @ across.T
    values = down @ np.where(voxels, maps, 0) @ across.T
    return np.asarray(values / np.maximum(weight, 1e-6), np.float32)


def _between(fine: int, factor: int, coarse: int) -> Float64Array:
    """(fine, coarse) weights of linear interpolation; beyond the last centre its value holds."""
    at = np.clip((np.arange(fine) - (factor - 1) / 2) / factor, 0, coarse - 1)
    return np.asarray(np.maximum(1 - np.abs(at[:, None] - np.arange(coarse)), 0))
