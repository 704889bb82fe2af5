"""Whether a stack of slices has the size of a head in a CT scanner.

A damaged or wrong header can give a lesion any volume, since volumes are counted in the voxels that
it describes.  Limits are wide enough for every scanner and head; beyond them an exam is refused.
"""

from __future__ import annotations

import numpy as np

from bolus.errors import BadGeometry
from bolus.types import Float64Array, Geometry

PIXEL_LIMITS_MM = (0.05, 10.0)
"""CT pixels measure 0.2 to 1.2 mm; maps are sometimes on coarser grids."""
DISTANCE_LIMITS_MM = (0.1, 20.0)
"""CT perfusion slices are 0.5 to 12 mm thick; 20 mm leaves room for gaps between them."""
FIELD_LIMITS_MM = (80.0, 1000.0)
"""Heads are 140 to 170 mm wide and 180 to 220 mm long (ANSUR II, Gordon 2014); the bore of a CT
scanner is at most 900 mm wide."""
EXTENT_LIMIT_MM = 400.0
"""From chin to vertex heads measure 250 mm at most (ANSUR II); tables shuttle over 220 mm."""
PLACE_LIMIT_MM = 10_000.0
"""Positions are counted from the scanner's or the table's origin, some metres away at most."""
SHEAR_LIMIT_DEG = 45.0
"""Gantries tilt by up to 30 degrees."""
SQUARE = 1e-2
"""Cosine of the angle between rows and columns that is still a right angle."""


def check_geometry(geometry: Geometry, where: str) -> None:
    """Refuse a stack that can't be a head in a CT scanner.

    Parameters
    ----------
    where
        The file or folder, for messages.

    Raises
    ------
    BadGeometry
        Non-finite numbers, or pixels, slices, fields of view or positions beyond the limits.
    """
    if not np.isfinite(geometry.affine).all():
        raise BadGeometry(
            f"{where}: its affine holds non-finite numbers (NaN or infinite), so positions in the "
            "head are unknown; convert or export the exam again."
        )
    steps = geometry.affine[:3, :3]
    distance, *pixel = np.linalg.norm(steps, axis=0).tolist()
    slices, rows, columns = geometry.shape
    field = (rows * pixel[0], columns * pixel[1])
    place = float(np.abs(geometry.affine[:3, 3]).max())
    for what, values, (low, high) in (
        ("the pixel size", pixel, PIXEL_LIMITS_MM),
        ("the distance of its slices", [distance], DISTANCE_LIMITS_MM),
        ("the field of view", field, FIELD_LIMITS_MM),
        (f"the height of its {slices} slices", [slices * distance], (0.0, EXTENT_LIMIT_MM)),
        ("the distance from the scanner's origin", [place], (0.0, PLACE_LIMIT_MM)),
    ):
        wrong = [value for value in values if not low <= value <= high]
        if wrong:
            raise BadGeometry(
                f"{where}: {what} is {wrong[0]:.4g} mm, which is impossible in a head CT ({low:g} "
                f"to {high:g} mm); correct the header's spacing or positions, or export the exam "
                "again."
            )
    _check_angles(steps / np.linalg.norm(steps, axis=0), where)


def _check_angles(axes: Float64Array, where: str) -> None:
    across, down, right = axes.T
    normal = np.cross(right, down)
    if abs(float(down @ right)) > SQUARE:
        raise BadGeometry(
            f"{where}: its rows and columns are not at right angles, so positions in the head are "
            "unknown; convert or export the exam again."
        )
    if abs(float(across @ normal)) < np.cos(np.radians(SHEAR_LIMIT_DEG)):
        raise BadGeometry(
            f"{where}: its slices are sheared by more than {SHEAR_LIMIT_DEG:g} degrees, more than "
            "any gantry tilts; correct the affine or export the exam again."
        )
