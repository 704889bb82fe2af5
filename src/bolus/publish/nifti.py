"""Volumes as NIfTI files in scanner space: from LPS and ``(z, y, x)`` to RAS and ``(x, y, z)``."""

from __future__ import annotations

import gzip
from io import BytesIO

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bolus.publish.windows import Window
from bolus.types import Float64Array, Geometry

SHEAR_TOLERANCE = 1e-4
"""Cosine between two axes above which a grid counts as sheared (0.006 degrees)."""

UNKNOWN_SPACE, SCANNER_SPACE = 0, 1
"""NIFTI_XFORM_UNKNOWN and NIFTI_XFORM_SCANNER_ANAT of nifti1.h."""

COMPRESSION = 1
"""Perfusion maps hardly shrink at higher levels, which take several times as long."""


def ras_affine(geometry: Geometry) -> Float64Array:
    """Affine from NIfTI's index ``(x, y, z, 1)`` to RAS mm.

    Returns
    -------
    (4, 4) float64
    """
    affine = geometry.affine[:, [2, 1, 0, 3]].astype(np.float64)
    affine[:2] *= -1.0
    return affine


def nifti_bytes(
    volume: NDArray[np.float32] | NDArray[np.uint8],
    geometry: Geometry,
    description: str,
    window: Window | None = None,
) -> bytes:
    """A volume as the content of a ``.nii.gz`` file; same volume, same bytes.

    The sform holds the affine.  The qform can't hold a shear (tilted gantry), so a sheared grid
    has none; a reader that looks only at the qform would otherwise shift its slices.

    Parameters
    ----------
    volume : (Z, Y, X) float32 or uint8
    geometry : Geometry
    description : str
        Goes to ``descrip``; at most 79 characters.
    window : Window, optional
        What a viewer shows at first (``cal_min``, ``cal_max``).
    """
    affine = ras_affine(geometry)
    image = nib.Nifti1Image(np.ascontiguousarray(volume.transpose(2, 1, 0)), affine)
    image.set_sform(affine, code=SCANNER_SPACE)
    if _is_sheared(affine):
        image.set_qform(None, code=UNKNOWN_SPACE)
    else:
        image.set_qform(affine, code=SCANNER_SPACE)
    header = image.header
    header.set_xyzt_units("mm")
    header["descrip"] = description.encode("ascii", "replace")[:79]
    if window is not None:
        header["cal_min"], header["cal_max"] = window.low, window.high
    return _gzip(image.to_bytes())


def _is_sheared(affine: Float64Array) -> bool:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = axes.T @ axes - np.eye(3)
    return bool(np.abs(cosines).max() > SHEAR_TOLERANCE)


def _gzip(content: bytes) -> bytes:
    """Compress without time and file name in the header, which would differ between runs."""
    buffer = BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=COMPRESSION, fileobj=buffer, mtime=0) as stream:
        stream.write(content)
    return buffer.getvalue()
