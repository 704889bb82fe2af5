"""Cavities left by old infarcts: as dark as CSF, and on one side only."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bolus.lesion.midline import Midline, positions, value_at
from bolus.lesion.morphology import drop_small
from bolus.types import BoolArray, Float64Array, Geometry

OPENING_MM = 3.0
"""Sulci and fissures are narrower than twice this."""
COUNTERPART_MM = 6.0
"""CSF this close to the mirror image is a counterpart: ventricles are never exactly symmetric."""
MINIMUM_ML = 3.0
"""As for hypoperfused tissue: smaller ones change no decision."""


def old_infarct(csf: BoolArray, midline: Midline, geometry: Geometry) -> BoolArray:
    """Wide spaces of CSF without a counterpart on the other side of the head.

    Parameters
    ----------
    csf : (Z, Y, X) bool
    midline : Midline
    geometry : Geometry

    Returns
    -------
    (Z, Y, X) bool
        Empty where ventricles and sulci are all there is.  Spaces whose mirror image lies outside
        of the slab don't count.
    """
    _, dy, dx = geometry.spacing_mm
    wide = np.zeros(csf.shape, bool)
    near = np.zeros(csf.shape, bool)
    for z, plane in enumerate(csf):
        wide[z] = _opened(plane, OPENING_MM, (dy, dx))
        near[z] = _distance(~plane, (dy, dx)) <= COUNTERPART_MM
    # slices are thick: the counterpart may lie in the next one
    near = ndimage.binary_dilation(near, np.ones((3, 1, 1), bool))
    index = np.argwhere(wide)
    partner, seen = value_at(near, midline.mirrored(positions(index, geometry)), geometry)
    alone = np.zeros(csf.shape, bool)
    alone[tuple(index[seen & ~partner].T)] = True
    return drop_small(alone, MINIMUM_ML, geometry.voxel_ml)


def _opened(plane: BoolArray, radius_mm: float, spacing_mm: tuple[float, float]) -> BoolArray:
    inner = _distance(plane, spacing_mm) > radius_mm
    return plane & (_distance(~inner, spacing_mm) <= radius_mm)


def _distance(plane: BoolArray, spacing_mm: tuple[float, float]) -> Float64Array:
    """Distance of the true pixels to the nearest false one, mm; infinite where all are true."""
    if plane.all():
        return np.full(plane.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(plane, sampling=spacing_mm))
