"""From a noisy map to a lesion: smoothing inside a mask, clusters, holes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bolus.types import BoolArray, Float32Array, Geometry


def smooth_within(
    values: Float32Array, mask: BoolArray, geometry: Geometry, sigma_mm: float
) -> Float32Array:
    """In-plane Gaussian that averages over voxels of the mask only; 0 outside it."""
    _, dy, dx = geometry.spacing_mm
    sigma = (0.0, sigma_mm / dy, sigma_mm / dx)
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma, truncate=3.0)
    # a map read from a file may be of integer type
    inside = np.where(mask, values, 0).astype(np.float32)
    total = ndimage.gaussian_filter(inside, sigma, truncate=3.0)
    out = np.zeros_like(inside)
    np.divide(total, weight, out=out, where=mask)
    return out


def drop_small(mask: BoolArray, minimum_ml: float, voxel_ml: float) -> BoolArray:
    """The mask without its 26-connected clusters below ``minimum_ml``."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count == 0:
        return mask
    keep = np.bincount(labels.ravel()) * voxel_ml >= minimum_ml
    keep[0] = False
    return np.asarray(keep[labels])


def fill_holes(
    mask: BoolArray, allowed: BoolArray, maximum_ml: float, voxel_ml: float
) -> BoolArray:
    """The mask with in-plane holes of ``allowed`` voxels up to ``maximum_ml`` filled."""
    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(~mask, structure=in_plane)
    if count == 0:
        return mask
    small = np.bincount(labels.ravel()) * voxel_ml <= maximum_ml
    small[0] = False
    return mask | (small[labels] & allowed)
