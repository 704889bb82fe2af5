"""The affine of a NIfTI file: which of its axes are ours, and what is doubtful about its sides."""

from __future__ import annotations

from typing import Any

import numpy as np

from bolus.acquire.dicom.elements import LARGEST
from bolus.axes import to_lps
from bolus.errors import BadGeometry
from bolus.types import Finding, Float64Array, Geometry, Grade

SMALLEST_MM3 = 1e-6
AFFINE_TOLERANCE_MM = 0.5


def affine_lps(image: Any, name: str) -> Float64Array:
    """(4, 4) from the file's voxels to LPS mm."""
    ras = np.asarray(image.affine, dtype=np.float64)
    if not np.abs(ras).max() < LARGEST:  # NaN is not smaller either
        raise BadGeometry(
            f"{name}: its affine holds invalid numbers (NaN, infinite or larger than "
            f"{LARGEST:g}), so positions in the head are unknown; convert the exam again."
        )
    lps = to_lps(ras)
    if abs(np.linalg.det(lps[:3, :3])) < SMALLEST_MM3:
        raise BadGeometry(f"{name}: its affine is singular, so positions in the head are unknown.")
    return lps


def voxel_axes(lps: Float64Array, of_timing: int | None) -> tuple[int, int, int]:
    """Voxel axes for z, y and x: slices along the body, columns from side to side."""
    direction = np.abs(lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0))
    z = int(np.argmax(direction[2])) if of_timing is None else of_timing
    rest = [axis for axis in range(3) if axis != z]
    x = max(rest, key=lambda axis: (direction[0, axis], -axis))
    y = next(axis for axis in rest if axis != x)
    return z, y, x


def is_flipped(lps: Float64Array, axes: tuple[int, int, int]) -> bool:
    """Whether slices descend in the file."""
    return bool(lps[np.argmax(np.abs(lps[:3, axes[0]])), axes[0]] < 0)


def geometry(
    lps: Float64Array, axes: tuple[int, int, int], flipped: bool, shape: tuple[int, ...]
) -> Geometry:
    """The grid by its columns that are our z, y and x; ``shape`` is the file's."""
    affine = np.eye(4)
    affine[:, :3] = lps[:, axes]
    affine[:, 3] = lps[:, 3]
    if flipped:
        affine[:, 3] += affine[:, 0] * (shape[axes[0]] - 1)
        affine[:, 0] *= -1
    return Geometry((shape[axes[0]], shape[axes[1]], shape[axes[2]]), affine + 0.0)


def affine_findings(image: Any) -> list[Finding]:
    """Findings that concern which side is left."""
    sform, qform = int(image.header["sform_code"]), int(image.header["qform_code"])
    findings = []
    if sform == 0 and qform == 0:
        findings.append(
            Finding(
                "orientation-unknown",
                Grade.WARNING,
                "The NIfTI header gives no orientation (sform and qform codes are 0): left and "
                "right may be swapped.",
                "Convert the exam from DICOM again, keeping its orientation.",
            )
        )
    elif sform and qform:
        try:
            apart = float(np.abs(image.affine - image.get_qform()).max())
        except Exception:  # a damaged quaternion; the sform is used
            apart = np.inf
        if apart > AFFINE_TOLERANCE_MM:
            message = (
                f"The NIfTI header's two orientations differ by {apart:.1f} mm; sform was used."
            )
            findings.append(Finding("orientations-differ", Grade.WARNING, message))
    if np.array_equal(image.affine, np.eye(4)):
        message = "The NIfTI affine is the identity: size and sides of the head are not known."
        findings.append(Finding("affine-identity", Grade.WARNING, message))
    return findings
