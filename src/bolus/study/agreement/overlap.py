"""Two outlines of the same lesion: overlap, distance of their borders, volumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from bolus.metrics import dice
from bolus.types import BoolArray, Float64Array, Geometry

PENUMBRA, CORE = 1, 2
REGIONS: dict[str, Callable[[NDArray[Any]], BoolArray]] = {
    "core": lambda labels: np.asarray(labels == CORE),
    "penumbra": lambda labels: np.asarray(labels == PENUMBRA),
    "hypoperfused": lambda labels: np.asarray(labels > 0),
}
"""The final paper's penumbra is the whole hypoperfused tissue, core + penumbra."""
FAR_PERCENTILE = 95
FACES = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True)
class Overlap:
    """The second outline of a region against the first."""

    dice: float
    """1 if both are empty, 0 if one is."""
    hd95_mm: float | None
    """None if one is empty or both are: there is no border to measure from."""
    first_ml: float
    second_ml: float

    @property
    def difference_ml(self) -> float:
        """Second minus first."""
        return self.second_ml - self.first_ml

    @property
    def relative_percent(self) -> float:
        """Difference over the mean of both; 0 if both are empty, so within -200 and 200."""
        mean = (self.first_ml + self.second_ml) / 2
        return 100 * self.difference_ml / mean if mean > 0 else 0.0


def overlap(first: BoolArray, second: BoolArray, geometry: Geometry) -> Overlap:
    """Overlap, distance and volumes of two masks on one grid.

    Parameters
    ----------
    first, second : (Z, Y, X) bool
    geometry : their grid; distances and volumes are in mm and ml of it.
    """
    return Overlap(
        dice=dice(first, second),
        hd95_mm=hd95(first, second, geometry),
        first_ml=int(first.sum()) * geometry.voxel_ml,
        second_ml=int(second.sum()) * geometry.voxel_ml,
    )


def hd95(first: BoolArray, second: BoolArray, geometry: Geometry) -> float | None:
    """95th percentile Hausdorff distance, mm: the larger of the two directed ones.

    A directed one is the 95th percentile, over the border voxels of one mask, of the distance to
    the nearest border voxel of the other, between centres in patient coordinates, so that voxels
    of any shape and tilted gantries count as they are.  A border voxel has a face on the outside,
    which the end of the volume is too (Maier-Hein et al., Nat Methods 2024;21:195).

    Returns
    -------
    float or None
        None if a mask is empty.
    """
    borders = [_border_mm(mask, geometry) for mask in (first, second)]
    if not all(len(border) for border in borders):
        return None
    one, two = borders
    apart = (cKDTree(two).query(one)[0], cKDTree(one).query(two)[0])
    return max(float(np.percentile(far, FAR_PERCENTILE)) for far in apart)


def _border_mm(mask: BoolArray, geometry: Geometry) -> Float64Array:
    index = np.argwhere(mask & ~ndimage.binary_erosion(mask, FACES))
    return np.asarray(index @ geometry.affine[:3, :3].T)
