"""Volumes on their grids: read from NIfTI that others wrote, written, and moved to another grid."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from bolus.axes import from_nifti, to_nifti
from bolus.errors import BadGeometry, DamagedFile, NoReadableFiles
from bolus.files.nifti_file import nifti_image, whole_values
from bolus.files.regular_file import open_regular
from bolus.files.voxel_grid import MOST_VOXELS
from bolus.types import Float64Array, Geometry

LABELS = 3
"""0 none, 1 penumbra, 2 core."""
SHEAR_TOLERANCE = 1e-4
"""Cosine between two axes from which on a grid counts as sheared (0.006 degrees)."""
UNKNOWN_SPACE, SCANNER_SPACE = 0, 1
"""NIFTI_XFORM_UNKNOWN and NIFTI_XFORM_SCANNER_ANAT of nifti1.h."""
COMPRESSION = 1
"""Perfusion maps hardly shrink at higher levels, which take several times as long."""


@dataclass(frozen=True)
class Volume:
    """Values on their grid."""

    values: NDArray[np.generic]
    """(Z, Y, X)."""
    geometry: Geometry


def read_volume(path: Path) -> Volume:
    """A 3D NIfTI file as it is stored, in the order and the axes of bolus.

    Returns
    -------
    Volume
        Values with the file's scale applied; its affine is index (z, y, x, 1) to LPS mm.

    Raises
    ------
    NoReadableFiles
        There is no such file.
    DamagedFile
        It is no NIfTI, is cut off, or isn't one volume of numbers.
    BadGeometry
        Its affine places voxels on one another.
    """
    if not path.is_file():
        raise NoReadableFiles(f"{path} is missing; give a NIfTI file")
    try:
        with open_regular(path) as stream:
            return _volume(stream, str(path))
    except OSError as error:
        raise _unreadable(str(path)) from error


def volume_from(content: bytes, name: str) -> Volume:
    """As `read_volume`, from the bytes of a file; ``name`` is for the message."""
    return _volume(BytesIO(content), name)


def _volume(stream: BinaryIO, name: str) -> Volume:
    try:
        with nifti_image(stream, 8 * MOST_VOXELS) as image:
            stored = whole_values(image)
            affine = np.asarray(image.affine, np.float64)
    except (
        ImageFileError, HeaderDataError, OSError, EOFError, ValueError, TypeError, OverflowError,
        zlib.error, MemoryError,
    ) as error:  # fmt: skip
        raise _unreadable(name) from error
    while stored.ndim > 3 and stored.shape[-1] == 1:
        stored = stored[..., 0]
    if stored.ndim != 3 or stored.dtype.kind not in "biuf":
        raise DamagedFile(
            f"{name} holds an array {stored.shape} of {stored.dtype}, not one volume of numbers; "
            "give a file with three axes"
        )
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise BadGeometry(f"{name} has an affine that is not a grid; correct its header")
    values = np.ascontiguousarray(stored.transpose(2, 1, 0))
    return Volume(values, Geometry(values.shape, from_nifti(affine)))


def _unreadable(name: str) -> DamagedFile:
    return DamagedFile(f"{name} can't be read as NIfTI; it is damaged or cut off")


def read_labels(path: Path) -> Volume:
    """A mask of labels 0, 1 (penumbra) and 2 (core) as uint8.

    Raises
    ------
    DamagedFile
        It holds other numbers, or `read_volume` refuses it.
    """
    return _labels(read_volume(path), str(path))


def labels_from(content: bytes, name: str) -> Volume:
    """As `read_labels`, from the bytes of a file; ``name`` is for the message."""
    return _labels(volume_from(content, name), name)


def _labels(found: Volume, name: str) -> Volume:
    if not is_labels(found.values):
        raise DamagedFile(
            f"{name} holds other numbers than the labels 0, 1 (penumbra) and 2 (core)"
        )
    return Volume(found.values.astype(np.uint8), found.geometry)


def is_labels(values: NDArray[np.generic]) -> bool:
    """Whether these are the labels of a lesion: nothing but 0, 1 and 2."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return False
    return bool(np.isin(values, range(LABELS)).all())


def on_grid(moved: Volume, target: Geometry, name: str) -> Volume:
    """``moved`` on another grid: each voxel takes the value of the nearest one, 0 outside.

    Parameters
    ----------
    name : what is moved, for the message.

    Raises
    ------
    BadGeometry
        If the two grids don't overlap.
    """
    back = np.linalg.inv(moved.geometry.affine) @ target.affine
    z, y, x = np.indices(target.shape, np.float64, sparse=True)
    index = [
        np.rint(back[i, 0] * z + back[i, 1] * y + back[i, 2] * x + back[i, 3]).astype(np.int64)
        for i in range(3)
    ]
    inside = np.ones(target.shape, bool)
    for axis, size in zip(index, moved.geometry.shape, strict=True):
        inside &= (axis >= 0) & (axis < size)
    if not inside.any():
        raise BadGeometry(
            f"{name} does not overlap the volume it is compared with; "
            "give volumes of the same head in the same space"
        )
    values = np.zeros(target.shape, moved.values.dtype)
    values[inside] = moved.values[tuple(axis[inside] for axis in index)]
    return Volume(values, target)


def nifti_bytes(
    volume: NDArray[np.float32] | NDArray[np.uint8],
    geometry: Geometry,
    description: str,
    shown: tuple[float, float] | None = None,
) -> bytes:
    """A volume as the content of a ``.nii.gz`` file in scanner space; same volume, same bytes.

    The sform holds the affine.  The qform can't hold a shear (tilted gantry), so a sheared grid
    has none; a reader that looks only at the qform would otherwise shift its slices.

    Parameters
    ----------
    volume : (Z, Y, X) float32 or uint8
    geometry : Geometry
    description : str
        Goes to ``descrip``; at most 79 characters.
    shown : (float, float), optional
        Lowest and highest value that a viewer shows at first (``cal_min``, ``cal_max``).
    """
    affine = to_nifti(geometry.affine)
    image = nib.Nifti1Image(np.ascontiguousarray(volume.transpose(2, 1, 0)), affine)
    image.set_sform(affine, code=SCANNER_SPACE)
    if _is_sheared(affine):
        image.set_qform(None, code=UNKNOWN_SPACE)
    else:
        image.set_qform(affine, code=SCANNER_SPACE)
    header = image.header
    header.set_xyzt_units("mm")
    header["descrip"] = description.encode("ascii", "replace")[:79]
    if shown is not None:
        header["cal_min"], header["cal_max"] = shown
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
