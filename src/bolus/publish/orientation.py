"""Display orientation: seen from the feet, patient's right on the image's left, nose up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bolus.types import BoolArray, Float64Array, Geometry, IntArray

MARGIN_MM = 8.0
"""Shown around the brain: enough to see the skull's inner table and vessels at the surface."""

MOST_SLICES = 24
"""Slices of an image; thinner stacks are shown in even steps, which the report says."""

Scalar = TypeVar("Scalar", bound=np.generic)
Triple = tuple[int, int, int]
Flips = tuple[bool, bool, bool]


@dataclass(frozen=True)
class View:
    """Radiological view of a stack: slices from inferior to superior, right is left, front up.

    Display indices are (slice, row, column); they grow towards the patient's head, back and left.
    """

    axes: Triple
    """Axis of the stored volume that becomes slice, row and column."""
    flips: Flips
    shape: Triple
    """Slices, rows and columns before cropping."""
    affine: Float64Array
    """(4, 4): display index before cropping to LPS mm."""
    slices: IntArray
    """Display indices of the slices shown, inferior first."""
    rows: slice
    columns: slice

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Distance of rows and of columns, mm."""
        return float(np.linalg.norm(self.affine[:3, 1])), float(np.linalg.norm(self.affine[:3, 2]))

    @property
    def crop_shape(self) -> tuple[int, int]:
        """Rows and columns shown."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def z_mm(self) -> Float64Array:
        """(S,) LPS z of each shown slice at the middle of the crop, mm."""
        middle = (self.rows.start + self.rows.stop - 1) / 2
        centre = (self.columns.start + self.columns.stop - 1) / 2
        points = [(k, middle, centre, 1.0) for k in self.slices]
        return np.array([(self.affine @ p)[2] for p in points])

    def arrange(self, volume: NDArray[Scalar]) -> NDArray[Scalar]:
        """A stored (Z, Y, X) volume in display order, whole."""
        return _turned(volume, self.axes, self.flips)

    def take(self, volume: NDArray[Scalar]) -> NDArray[Scalar]:
        """The part of a stored (Z, Y, X) volume that is shown, (S, R, C)."""
        return self.arrange(volume)[self.slices][:, self.rows, self.columns]

    def locate(self, voxels: IntArray) -> IntArray:
        """Display indices before cropping, (n, 3), of stored voxels z, y, x."""
        turned = voxels[:, self.axes]
        return np.where(self.flips, np.array(self.shape) - 1 - turned, turned)


def view_of(geometry: Geometry, brain: BoolArray) -> View:
    """The view of a stack, cropped to the brain; slices without brain are left out.

    Parameters
    ----------
    geometry : Geometry
        Storage order and direction are read from its affine.
    brain : (Z, Y, X) bool
    """
    axes, flips = _orientation(geometry.affine)
    affine = geometry.affine @ _stored_from_display(axes, flips, geometry.shape)
    row_mm, column_mm = np.linalg.norm(affine[:3, 1:3], axis=0)
    shown = _turned(brain, axes, flips)
    if not shown.any():
        shown = np.ones_like(shown)
    slices, rows, columns = np.nonzero(shown)
    return View(
        axes=axes,
        flips=flips,
        shape=(geometry.shape[axes[0]], geometry.shape[axes[1]], geometry.shape[axes[2]]),
        affine=affine,
        slices=_evenly(np.unique(slices)),
        rows=_span(rows, MARGIN_MM / row_mm, shown.shape[1]),
        columns=_span(columns, MARGIN_MM / column_mm, shown.shape[2]),
    )


def _turned(volume: NDArray[Scalar], axes: Triple, flips: Flips) -> NDArray[Scalar]:
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    return volume.transpose(axes)[steps]


def _orientation(affine: Float64Array) -> tuple[Triple, Flips]:
    """Stored axis nearest to superior, posterior and left, and whether it runs against it."""
    nearest = nib.io_orientation(affine)  # (3, 2): LPS axis and sign of each stored axis
    slices, rows, columns = (int(np.flatnonzero(nearest[:, 0] == lps)[0]) for lps in (2, 1, 0))
    against = [bool(sign < 0) for sign in nearest[:, 1]]
    return (slices, rows, columns), (against[slices], against[rows], against[columns])


def _stored_from_display(axes: Triple, flips: Flips, stored_shape: Triple) -> Float64Array:
    """(4, 4) from display index to stored index."""
    turn = np.zeros((4, 4))
    turn[3, 3] = 1.0
    for display, (stored, flip) in enumerate(zip(axes, flips, strict=True)):
        turn[stored, display] = -1.0 if flip else 1.0
        turn[stored, 3] = stored_shape[stored] - 1 if flip else 0.0
    return turn


def _evenly(slices: IntArray) -> IntArray:
    step = -(-len(slices) // MOST_SLICES)
    return slices[step // 2 :: step]


def _span(occupied: IntArray, margin: float, length: int) -> slice:
    pad = round(margin)
    return slice(max(int(occupied.min()) - pad, 0), min(int(occupied.max()) + pad + 1, length))
