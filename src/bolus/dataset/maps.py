"""Maps and truth on the slices of their exam.  Nothing is ever resampled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bolus.acquire.describe import describe
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.pixels import Comparison, check_encoding, read_frames
from bolus.acquire.dicom.scan import read_slices
from bolus.acquire.memory import MAX_FRAMES_BYTES
from bolus.acquire.nifti_exam import is_nifti
from bolus.acquire.sources import open_files
from bolus.axes import to_lps
from bolus.dataset.index import MAP_NAMES, Case, Index
from bolus.errors import BadGeometry, BolusError, DamagedFile, NoReadableFiles
from bolus.files.nifti_file import nifti_image, whole_values
from bolus.types import BoolArray, Float32Array, Geometry

TOLERANCE_VOXELS = 0.1
"""Grids are equal if no voxel is displaced by more than this; headers round to about 1e-4."""
TRUTH_MASKS = ("valid", "hypo", "core", "brain")


@dataclass(frozen=True)
class Placed:
    """Where the images of a DICOM map belong in the exam."""

    images: dict[int, Slice]
    """By slice of the exam."""
    ambiguous: tuple[int, ...] = ()
    """Slices for which there are several images with different pixels; none of them is used."""
    elsewhere: int = 0
    """Images at positions that the exam doesn't have."""
    files: tuple[Slice, ...] = field(default=())


def read_maps(
    case: Case, index: Index, *, geometry: Geometry | None = None
) -> dict[str, Float32Array]:
    """The maps of a case on the slices of its exam.

    Parameters
    ----------
    geometry
        That of the exam, if available (``read_exam(case.exam).geometry``); avoids reading the
        exam's headers again.

    Returns
    -------
    dict of (Z, Y, X) float32
        By name: cbf in ml/100g/min, cbv in ml/100g; mtt, ttp, tmax and delay in s.  As stored: the
        rescale slope and intercept of DICOM are applied, units are not converted.  NaN in slices
        for which there is no map.

    Raises
    ------
    BadGeometry
        If a map lies on another grid than the exam.
    DamagedFile, NoReadableFiles
        If a map can't be read.
    BrokenExam, NotAnExam
        If the exam can't be read and ``geometry`` isn't given.
    """
    place = geometry if geometry is not None else exam_geometry(case)
    return {name: read_map(case.maps[name], place) for name in MAP_NAMES if name in case.maps}


def read_truth(
    case: Case, *, geometry: Geometry | None = None
) -> dict[str, Float32Array | BoolArray]:
    """The truth of a simulated case on the slices of its exam.

    Returns
    -------
    dict
        (Z, Y, X) float32 maps cbf, cbv, mtt, ttp, tmax and delay, units as for `read_maps`; bool
        masks valid (compare here only), hypo, core and brain; see `bolus.simulate.truth.Truth`.

    Raises
    ------
    NoReadableFiles
        If the case has no truth, or a file of it is missing.
    BadGeometry, DamagedFile
        As for `read_maps`.
    """
    if case.truth is None:
        raise NoReadableFiles(f"{case.name}: has no truth; only simulated cases have one.")
    place = geometry if geometry is not None else exam_geometry(case)
    found: dict[str, Float32Array | BoolArray] = {
        name: read_map(case.truth / f"{name}.nii.gz", place) for name in MAP_NAMES
    }
    for name in TRUTH_MASKS:
        found[name] = read_map(case.truth / f"{name}.nii.gz", place) > 0.5
    return found


def exam_geometry(case: Case) -> Geometry:
    """The grid of a case's exam, from headers."""
    found = describe(case.exam)
    if found.error is not None:
        raise found.error
    if found.geometry is None:
        raise BadGeometry(f"{case.exam.name}: has no grid.")
    return found.geometry


def read_map(path: Path, geometry: Geometry) -> Float32Array:
    """One map, NIfTI file or folder of DICOM files, as (Z, Y, X) float32 on the exam's grid."""
    if is_nifti(path):
        return _read_nifti(path, geometry)
    placed = place_images(path, geometry)
    values = np.full(geometry.shape, np.nan, dtype=np.float32)
    numbers = sorted(placed.images)
    if not numbers:
        raise BadGeometry(f"{path.name}: no image of this map lies on a slice of its exam.")
    images = [placed.images[k] for k in numbers]
    for image in images:
        check_encoding(image)
        if not np.isfinite([image.encoding.slope, image.encoding.intercept]).all():
            raise DamagedFile(f"{image.name}: its rescale slope or intercept is not a number.")
    stack, damaged = read_frames(images, np.arange(len(images), dtype=np.int64)[None])
    for error in damaged.values():
        raise error
    for k, image, plane in zip(numbers, images, stack[0], strict=True):
        values[k] = _without_padding(plane, image)
    return values


def _without_padding(plane: Float32Array, image: Slice) -> Float32Array:
    """Padding lies outside the head, where maps are 0."""
    pixels = image.encoding
    if pixels.padding is None:
        return plane
    padding = np.float32(pixels.padding * pixels.slope + pixels.intercept)
    return np.where(plane == padding, np.float32(0), plane)


def place_images(folder: Path, geometry: Geometry) -> Placed:
    """Match the images of a DICOM map to the slices of the exam by position.

    Raises
    ------
    BadGeometry
        If matrix, pixel size, orientation or place within the slice differ from the exam's.
    NoReadableFiles, DamagedFile
        If there are no images, or none is readable.
    """
    with open_files(folder) as files:
        images, _ = read_slices(files, folder)
    by_slice: dict[int, list[Slice]] = {}
    elsewhere = 0
    for image in sorted(images, key=lambda one: one.name):
        number = _slice_of(image, geometry, folder)
        if number is None:
            elsewhere += 1
        else:
            by_slice.setdefault(number, []).append(image)
    alike = {k: group for k, group in by_slice.items() if _same_pixels(group)}
    return Placed(
        images={k: group[0] for k, group in alike.items()},
        ambiguous=tuple(sorted(set(by_slice) - set(alike))),
        elsewhere=elsewhere,
        files=tuple(images),
    )


def _slice_of(image: Slice, geometry: Geometry, folder: Path) -> int | None:
    """Number of the exam's slice in which an image lies; None between and beyond them."""
    if not (image.position and image.orientation and image.spacing):
        raise BadGeometry(f"{folder.name}: an image of this map has no position.")
    axes = np.column_stack(
        [
            np.array(image.orientation[3:]) * image.spacing[0],
            np.array(image.orientation[:3]) * image.spacing[1],
        ]
    )
    shape = (image.rows, image.columns)
    apart = (axes - geometry.affine[:3, 1:3]) * np.array(geometry.shape[1:])
    limit_mm = TOLERANCE_VOXELS * min(geometry.spacing_mm[1:])
    z, y, x = (np.linalg.inv(geometry.affine) @ np.array([*image.position, 1.0]))[:3]
    if (
        shape != geometry.shape[1:]
        or np.linalg.norm(apart, axis=0).max() > limit_mm
        or max(abs(y), abs(x)) > TOLERANCE_VOXELS
    ):
        raise BadGeometry(
            f"{folder.name}: this map has {shape[0]} x {shape[1]} pixels of "
            f"{image.spacing[0]:g} mm, the exam {geometry.shape[1]} x {geometry.shape[2]} of "
            f"{geometry.spacing_mm[1]:g} mm, or they lie elsewhere; maps are never resampled."
        )
    number = round(float(z))
    if abs(z - number) > TOLERANCE_VOXELS or not 0 <= number < geometry.shape[0]:
        return None
    return number


def _same_pixels(group: list[Slice]) -> bool:
    with Comparison() as comparison:
        return all(comparison.same(group[0], other) for other in group[1:])


def _read_nifti(path: Path, geometry: Geometry) -> Float32Array:
    with open_map(path) as image:
        order = axes_onto(image, geometry, path.name)
        data = whole_values(image, np.float32)
    data = data.reshape(data.shape[:3]).transpose([axis for axis, _ in order])
    turned = data[tuple(slice(None, None, -1 if back else None) for _, back in order)]
    return turned.astype(np.float32, order="C")


@contextmanager
def open_map(path: Path) -> Iterator[Any]:
    """A NIfTI map as a nibabel image, readable inside the context.

    Raises
    ------
    NoReadableFiles
        If there is no such file.
    DamagedFile
        If it is not a 3D NIfTI, or its values can't be read.
    """
    if not path.is_file():
        raise NoReadableFiles(f"{path.name}: this map is missing.")
    try:
        with nifti_image(path, MAX_FRAMES_BYTES) as image:
            shape = tuple(image.shape)
            if len(shape) < 3 or any(n != 1 for n in shape[3:]):
                raise DamagedFile(
                    f"{path.name}: has the shape {shape}; a map has three dimensions."
                )
            yield image
    except BolusError:
        raise
    except Exception as error:  # nibabel, gzip and zlib raise a dozen types on damaged bytes
        raise DamagedFile(
            f"{path.name}: not a readable NIfTI ({error or type(error).__name__}); copy it again."
        ) from error


def axes_onto(image: Any, geometry: Geometry, name: str) -> list[tuple[int, bool]]:
    """For z, y and x of the exam: the axis of the file and whether it runs backwards.

    Raises
    ------
    BadGeometry
        If the two grids differ by more than the order of axes.
    """
    shape = np.array(image.shape[:3])
    lps = to_lps(np.asarray(image.affine, dtype=np.float64))
    try:
        onto = np.linalg.solve(lps, geometry.affine)
    except np.linalg.LinAlgError:
        onto = np.full((4, 4), np.nan)
    if not np.isfinite(onto).all():
        raise BadGeometry(f"{name}: has no usable affine, so its position is unknown.")
    turn = np.rint(onto[:3, :3])
    is_permutation = np.array_equal(np.abs(turn) @ np.abs(turn).T, np.eye(3))
    back = turn.sum(axis=0) < 0
    order = np.abs(turn).argmax(axis=0)
    start = turn @ np.where(back, np.array(geometry.shape) - 1, 0)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(geometry.shape) - 1)
    apart = (onto[:3, :3] - turn) @ corners.T + (onto[:3, 3] - np.abs(start))[:, None]
    same = is_permutation and tuple(shape[order]) == geometry.shape
    if not same or np.abs(apart).max() > TOLERANCE_VOXELS:
        raise BadGeometry(
            f"{name}: lies on another grid ({' x '.join(map(str, shape))} voxels) than its exam "
            f"({' x '.join(map(str, geometry.shape[::-1]))}); maps are never resampled."
        )
    return [(int(axis), bool(b)) for axis, b in zip(order, back, strict=True)]
