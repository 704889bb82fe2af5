"""From positions to one evenly spaced stack of slices.

Rows and columns stay as stored, in any direction: which side is left is always
in the affine (ImageOrientationPatient, ImagePositionPatient).  Slices ascend towards the head (the
positive direction of the patient axis nearest to the slices' normal), so that the result does not
depend on the order of the files or the direction of storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from bolus.acquire.dicom.headers import Slice
from bolus.acquire.geometry_limits import DISTANCE_LIMITS_MM, check_geometry
from bolus.errors import BadGeometry, IncompleteExam
from bolus.types import BoolArray, Finding, Float64Array, Geometry, Grade, IntArray

SAME_SLICE_MM = 0.1
"""Positions closer than this are one slice: tables return to within a few hundredths of a mm."""
THICK_MM, SAME_THICK_SLICE_MM = 3.0, 0.3
"""Slices of 3 mm and more are never nearer than 1 mm to each other."""
UNEVEN = 0.1
"""Tolerated deviation of a slice's distance from the mean, as a share of the distance."""
FEW = 0.8
"""A position with fewer images than this share of the others' has no full time course."""
MAX_DROPPED = 0.25
MAX_MATRIX = 4096
MIN_MATRIX = 16
TILT_NOTE_DEG = 0.5
SINGLE_SLICE_MM = 5.0
GAP_RATIO = 2.0
"""Slices further apart than this multiple of their thickness leave most of the brain unmeasured."""


def same_grid(slices: Sequence[Slice]) -> None:
    """Check that all images share one matrix, orientation and pixel size.

    Raises
    ------
    BadGeometry
        Naming the first image that differs from the first one, or lacks its place.
    """
    first = min(slices, key=lambda s: s.name)
    for image in slices:
        if not (image.position and image.orientation and image.spacing):
            raise BadGeometry(
                f"{image.name}: has no position, orientation or pixel spacing, so its place in the "
                "head is unknown; export the exam again with full headers."
            )
        same = (
            (image.rows, image.columns) == (first.rows, first.columns)
            and np.allclose(image.orientation, first.orientation, atol=1e-3)
            and np.allclose(image.spacing, first.spacing, rtol=1e-3)
        )
        if not same:
            raise BadGeometry(
                f"{image.name}: matrix, orientation or pixel size ({_grid(image)}) differ from "
                f"{first.name} ({_grid(first)}); put only one reconstruction into the folder."
            )
    if not (
        min(first.rows, first.columns) >= MIN_MATRIX
        and max(first.rows, first.columns) <= MAX_MATRIX
    ):
        raise BadGeometry(
            f"{first.name}: a matrix of {first.rows} x {first.columns} is impossible in CT; the "
            "header is damaged."
        )
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    if not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=1e-2):
        raise BadGeometry(
            f"{first.name}: its orientation {first.orientation} is invalid (rows and columns must "
            "be at right angles); the header is damaged."
        )


def _grid(image: Slice) -> str:
    orientation = "\\".join(f"{v:g}" for v in image.orientation)
    return f"{image.rows} x {image.columns}, {image.spacing[0]:g} mm, {orientation}"


def normal(image: Slice) -> Float64Array:
    """(3,) unit normal of the slices, along the positive direction of its main patient axis."""
    row, column = np.array(image.orientation[:3]), np.array(image.orientation[3:])
    across = np.cross(row, column)
    across /= np.linalg.norm(across)
    result: Float64Array = across * np.sign(across[np.argmax(np.abs(across))])
    return result


def same_slice_mm(slices: Sequence[Slice]) -> float:
    """Distance up to which positions are one slice: more for thick ones, as tables jump."""
    thick = median(s.protocol.thickness_mm or 0.0 for s in slices) >= THICK_MM
    return SAME_THICK_SLICE_MM if thick else SAME_SLICE_MM


def slice_numbers(slices: Sequence[Slice]) -> tuple[IntArray, Float64Array]:
    """Number the positions.

    Returns
    -------
    number : (n,) int
        Slice number of each image, ascending along the normal.
    depth_mm : (Z,) float64
        Position of each slice along the normal.
    """
    depth = np.array([s.position for s in slices], dtype=np.float64) @ normal(slices[0])
    order = np.argsort(depth, kind="stable")
    new = np.diff(depth[order], prepend=depth[order[0]]) > same_slice_mm(slices)
    number = np.empty(len(slices), dtype=np.int64)
    number[order] = np.cumsum(new)
    return number, np.array([np.median(depth[number == k]) for k in range(number.max() + 1)])


def with_time_course(slices: Sequence[Slice]) -> tuple[list[Slice], list[Finding]]:
    """Leave out positions that have far fewer images than the others.

    Raises
    ------
    IncompleteExam
        If that would discard more than a quarter of the slices.
    """
    number, depth = slice_numbers(slices)
    counts = np.bincount(number)
    typical = int(np.sort(np.repeat(counts, counts))[len(slices) // 2])
    poor = counts < FEW * typical
    if not poor.any():
        return list(slices), []
    partial = poor & (counts > 1)
    if partial.sum() > MAX_DROPPED * (~poor | partial).sum():
        low, high = counts[partial].min(), counts[partial].max()
        raise IncompleteExam(
            f"{_where(slices)}: {int(partial.sum())} slices have only {low} to {high} "
            f"images where others have {typical}; send the exam again."
        )
    kept = [s for s, k in zip(slices, number, strict=True) if not poor[k]]
    positions = ", ".join(f"{d:.1f}" for d in depth[poor][:4])
    return kept, [
        Finding(
            "slices-dropped",
            Grade.WARNING,
            f"{int(poor.sum())} positions (at {positions} mm) have fewer than {FEW:.0%} of the "
            f"{typical} images that others have, and were left out.",
            "Check that the export is complete.",
        )
    ]


def geometry(slices: Sequence[Slice], number: IntArray) -> tuple[Geometry, list[Finding]]:
    """The affine of the stack.

    Raises
    ------
    IncompleteExam
        If slices are missing inside the stack.
    BadGeometry
        If slices are unevenly spaced, or the field of view moves between frames.
    """
    first = slices[0]
    positions = np.array([s.position for s in slices], dtype=np.float64)
    count = int(number.max()) + 1
    centres = np.array([np.median(positions[number == k], axis=0) for k in range(count)])
    across, findings = _step(centres, slices)
    expected = centres[0] + number[:, None] * across
    shift = positions - expected
    along = np.abs(shift @ normal(first))
    inside = np.linalg.norm(shift - np.outer(shift @ normal(first), normal(first)), axis=1)
    worst = int(np.argmax(inside))
    if inside[worst] > 0.5 * min(first.spacing) or along.max() > 2 * UNEVEN * np.linalg.norm(
        across
    ):
        raise BadGeometry(
            f"{slices[worst].name}: lies {max(inside[worst], along.max()):.2f} mm away from its "
            "place in the stack; the field of view must be the same in all images."
        )
    affine = np.eye(4)
    affine[:3, 0] = across
    affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing[0]
    affine[:3, 2] = np.array(first.orientation[:3]) * first.spacing[1]
    affine[:3, 3] = centres[0]
    # -0.0 and 0.0 must not make two equal exams differ in their bytes
    stack = Geometry((count, first.rows, first.columns), affine + 0.0)
    check_geometry(stack, _where(slices))
    return stack, [*findings, *_tilt(across, first), *_thickness(across, slices)]


def _step(centres: Float64Array, slices: Sequence[Slice]) -> tuple[Float64Array, list[Finding]]:
    """(3,) vector from one slice to the next."""
    across = normal(slices[0])
    if len(centres) == 1:
        step_mm = slices[0].protocol.thickness_mm or SINGLE_SLICE_MM  # checked with the geometry
        return across * step_mm, [
            Finding(
                "single-slice",
                Grade.WARNING,
                "The exam has a single slice: volumes have little meaning.",
            )
        ]
    gaps = np.diff(centres @ across)
    # the lower median: of two gaps the longer one is the outlier
    typical = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    wrong: BoolArray = np.abs(gaps - typical) > UNEVEN * typical
    if np.any(wrong):
        k = int(np.argmax(wrong))
        place = f"between {centres[k] @ across:.1f} and {centres[k + 1] @ across:.1f} mm"
        multiple = gaps[wrong] / typical
        if np.all(np.abs(multiple - np.round(multiple)) < UNEVEN) and np.all(multiple > 1.5):
            raise IncompleteExam(
                f"{_where(slices)}: slices are missing {place} (spacing is {typical:.2f} mm); send "
                "the exam again."
            )
        raise BadGeometry(
            f"{_where(slices)}: slices are unevenly spaced ({gaps[k]:.2f} mm {place}, "
            f"{typical:.2f} mm elsewhere); put only one reconstruction into the folder."
        )
    step: Float64Array = (centres[-1] - centres[0]) / (len(centres) - 1)
    return step, []


def _thickness(across: Float64Array, slices: Sequence[Slice]) -> list[Finding]:
    """Slices far thinner than their distance, and slices thicker than possible."""
    thickness = median(s.protocol.thickness_mm or 0.0 for s in slices)
    distance = float(np.linalg.norm(across))
    if abs(thickness) > DISTANCE_LIMITS_MM[1]:
        return [
            Finding(
                "thickness-impossible",
                Grade.FAIL,
                f"SliceThickness is {thickness:g} mm, which is impossible in CT (at most "
                f"{DISTANCE_LIMITS_MM[1]:g} mm): the header is damaged.",
                "Export the exam again.",
            )
        ]
    if thickness <= 0 or distance <= GAP_RATIO * thickness:
        return []
    return [
        Finding(
            "slices-apart",
            Grade.WARNING,
            f"Slices of {thickness:g} mm are {distance:.4g} mm apart; volumes include the "
            "unmeasured tissue between them.",
            "Check SliceThickness and the positions of the slices.",
        )
    ]


def _tilt(across: Float64Array, image: Slice) -> list[Finding]:
    findings = []
    unit = across / np.linalg.norm(across)
    tilt_deg = float(np.degrees(np.arccos(min(1.0, float(unit @ normal(image))))))
    if tilt_deg > TILT_NOTE_DEG:
        message = (
            f"The gantry was tilted by {tilt_deg:.1f} degrees; the stack is sheared accordingly."
        )
        findings.append(Finding("gantry-tilt", Grade.NOTE, message))
    if abs(normal(image)[2]) < np.cos(np.radians(45)):
        message = "The slices are not axial (over 45 degrees from the patient's long axis)."
        findings.append(Finding("not-axial", Grade.WARNING, message))
    return findings


def _where(slices: Sequence[Slice]) -> str:
    return min(s.name for s in slices)
