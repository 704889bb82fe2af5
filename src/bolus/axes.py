"""The way between NIfTI's axes, RAS mm and ``(x, y, z)``, and ours, LPS mm and ``(z, y, x)``.

Needs nothing but numpy, so that `bolus view` can look at headers before its first answer.
"""

from __future__ import annotations

import numpy as np

from bolus.types import Float64Array

MIRROR = np.array([-1.0, -1.0, 1.0])
"""LPS positions (..., 3) to RAS and back."""
_RAS_TO_LPS = np.diag([*MIRROR, 1.0])
_TURNED = [2, 1, 0, 3]


def to_lps(ras: Float64Array) -> Float64Array:
    """(4, 4) affine to RAS mm as one to LPS mm; the order of the voxel axes stays the file's."""
    return np.asarray(_RAS_TO_LPS @ ras)


def from_nifti(affine: Float64Array) -> Float64Array:
    """(4, 4) from index ``(x, y, z, 1)`` to RAS mm, as from ``(z, y, x, 1)`` to LPS mm."""
    return to_lps(affine)[:, _TURNED]


def to_nifti(affine: Float64Array) -> Float64Array:
    """The inverse of `from_nifti`; zeros that change their sign become negative ones."""
    turned = affine[:, _TURNED].astype(np.float64)
    turned[:2] *= -1.0
    return turned
