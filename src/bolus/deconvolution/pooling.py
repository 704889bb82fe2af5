"""How frequent each residue function is around each voxel, by expectation maximisation."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from bolus.types import Curves, Float32Array, IntArray

ROUNDS = 50
POOLING_MM = 10.0
"""SD of the neighbourhood over which the mix of shapes is pooled."""
CELL_MM = 2.5
"""Neighbourhoods are averaged on cubes of this size."""
WHOLE_BRAIN = 0.6
"""Weight of the whole brain's mix against the neighbourhood's: tissue whose curves distinguish
shapes informs tissue whose curves don't.  Chosen on the Kudo phantom (slope of CBF in linear
tissue 0.80 without, 0.99 with it) and two simulated exams."""
LEAST_SHARE = 0.02
"""Probability that every shape keeps everywhere."""


def pool_shapes(likelihood: Float32Array, curves: Curves) -> Float32Array:
    """(V, S) prior probability of each shape around each voxel, by expectation maximisation.

    Parameters
    ----------
    likelihood : (V, S) evidence of each shape, as a share of the best one's.
    curves : give the positions of the voxels.
    """
    cell, grid = _cells(curves)
    order = np.argsort(cell, kind="stable")
    occupied, start, count = np.unique(cell[order], return_index=True, return_counts=True)
    end = np.append(start, len(cell)).astype(np.int64)
    sorted_likelihood = likelihood[order]
    smoothers = [_smoother(n) for n in grid]

    def neighbourhood(per_cell: Float32Array) -> Float32Array:
        volume = np.zeros((int(np.prod(grid)), per_cell.shape[1]), np.float32)
        volume[occupied] = per_cell
        return _smooth(volume.reshape(*grid, -1), smoothers).reshape(volume.shape)[occupied]

    shapes = likelihood.shape[1]
    nearby = np.maximum(neighbourhood(count.astype(np.float32)[:, None]), np.float32(1e-6))
    share: Float32Array = np.full((occupied.size, shapes), 1 / shapes, np.float32)
    total = np.empty_like(share)
    for _ in range(ROUNDS):
        _sum_responsibilities(sorted_likelihood, end, share, total)
        whole = (total.sum(axis=0, dtype=np.float64) / len(cell)).astype(np.float32)
        share = np.asarray(neighbourhood(total) / nearby, np.float32)
        share *= np.float32((1 - LEAST_SHARE) * (1 - WHOLE_BRAIN))
        share += np.float32((1 - LEAST_SHARE) * WHOLE_BRAIN) * whole
        share += np.float32(LEAST_SHARE / shapes)
    result = np.empty_like(likelihood)
    result[order] = np.repeat(share, count, axis=0)
    return result


def _smoother(n: int) -> Float32Array:
    """(n, n) matrix of the Gaussian filter along an axis of ``n`` cells."""
    matrix = gaussian_filter1d(np.eye(n), POOLING_MM / CELL_MM, axis=0)
    return np.asarray(matrix, np.float32)


def _smooth(volume: Float32Array, smoothers: list[Float32Array]) -> Float32Array:
    """(Z, Y, X, S) filtered along the first three axes."""
    z, y, x, s = volume.shape
    volume = _along(volume.reshape(1, z, -1), smoothers[0]).reshape(z, y, -1)
    volume = _along(volume, smoothers[1]).reshape(z * y, x * s)
    return np.asarray(_along_last(volume, *_diagonals(smoothers[2], s), s)).reshape(z, y, x, s)


@njit(cache=True, fastmath=True)
def _along(values, matrix):  # type: ignore[no-untyped-def]
    """(A, n, B) values times (n, n) ``matrix`` along the second axis, its zeros left out."""
    n = len(matrix)
    out = np.zeros_like(values)
    for i in range(len(values) * n):
        row = out[i // n, i % n]
        for j in range(n):
            weight = matrix[i % n, j]
            if weight != 0:
                source = values[i // n, j]
                for k in range(row.size):
                    row[k] += weight * source[k]
    return out


def _diagonals(matrix: Float32Array, width: int) -> tuple[IntArray, Float32Array]:
    """Offsets of the diagonals of a matrix that hold anything, and their values (D, n * width): of
    each row, ``width`` times in a row, 0 where the diagonal is outside."""
    n = len(matrix)
    offsets = [d for d in range(1 - n, n) if np.diagonal(matrix, d).any()]
    values = np.zeros((len(offsets), n), np.float32)
    for row, d in zip(values, offsets, strict=True):
        row[max(0, -d) : n - max(0, d)] = np.diagonal(matrix, d)
    return np.array(offsets), np.repeat(values, width, axis=1)


@njit(cache=True, fastmath=True)
def _along_last(values, offsets, diagonals, width):  # type: ignore[no-untyped-def]
    """(A, n * width) values times an (n, n) matrix, diagonal by diagonal to have long loops."""
    out = np.zeros_like(values)
    length = values.shape[1]
    for a in range(len(values)):
        for d in range(len(offsets)):
            shift = offsets[d] * width
            first, last = max(0, -shift), length - max(0, shift)
            source, target = values[a, first + shift : last + shift], out[a, first:last]
            factor = diagonals[d, first:last]
            for k in range(target.size):
                target[k] += factor[k] * source[k]
    return out


@njit(cache=True, parallel=True, fastmath=True)
def _sum_responsibilities(likelihood, start, share, total):  # type: ignore[no-untyped-def]
    """Sum over each cell's voxels of the probabilities of the shapes, given the cell's shares."""
    shapes = likelihood.shape[1]
    for c in prange(len(share)):
        sums = np.zeros(shapes, np.float32)
        own = share[c]
        for v in range(start[c], start[c + 1]):
            joint = np.float32(0)
            for s in range(shapes):
                joint += likelihood[v, s] * own[s]
            scale = np.float32(1) / joint
            for s in range(shapes):
                sums[s] += likelihood[v, s] * scale
        for s in range(shapes):
            total[c, s] = sums[s] * own[s]


def _cells(curves: Curves) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Index of the cube of `CELL_MM` each voxel is in, and the grid of cubes."""
    position = np.argwhere(curves.voxels) * (np.array(curves.spacing_mm) / CELL_MM)
    index = position.astype(np.intp)
    index -= index.min(axis=0)
    grid = tuple(int(n) for n in index.max(axis=0) + 1)
    return np.ravel_multi_index(tuple(index.T), grid), grid
