"""Spatially smooth random fields: tissue doesn't change from voxel to voxel at random."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from bolus.types import Float32Array, Float64Array


def _basis(length: int, spacing_mm: float, scale_mm: float) -> Float64Array:
    """(length, nodes) cubic B-spline weights with unit sum of squares in each row."""
    position = np.arange(length) * spacing_mm / scale_mm + 1.5
    nodes = int(np.ceil(position[-1])) + 2
    distance = np.abs(position[:, None] - np.arange(nodes))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    weights = np.where(distance < 1, near, far)
    unit: Float64Array = weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return unit


def normal_field(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    scale_mm: float,
) -> Float32Array:
    """Smooth Gaussian random field.

    Parameters
    ----------
    rng : source of randomness
    shape : (Z, Y, X)
    spacing_mm : distances of slices, rows and columns, mm
    scale_mm : distance between independent nodes, mm

    Returns
    -------
    (Z, Y, X) float32
        Mean 0 and standard deviation 1 at every voxel (over seeds).
    """
    z, y, x = (_basis(n, step, scale_mm) for n, step in zip(shape, spacing_mm, strict=True))
    nodes = rng.standard_normal((z.shape[1], y.shape[1], x.shape[1]))
    # plain einsum, one axis at a time: no BLAS, so the same bits with any number of threads
    field = np.einsum("zi,ijk->zjk", z, nodes)
    field = np.einsum("yj,zjk->zyk", y, field)
    return np.asarray(np.einsum("xk,zyk->zyx", x, field), dtype=np.float32)


def uniform_field(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    scale_mm: float,
    low: float,
    high: float,
) -> Float32Array:
    """Smooth random field, evenly distributed from ``low`` to ``high`` (over seeds)."""
    field = ndtr(normal_field(rng, shape, spacing_mm, scale_mm))
    scaled: Float32Array = (low + (high - low) * field).astype(np.float32)
    return scaled
