"""Exams that users build from arrays, held to what exams from files are held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bolus.acquire.checks import check_times
from bolus.acquire.geometry_limits import check_geometry
from bolus.data import numbers
from bolus.errors import ImplausibleValues, UsageError
from bolus.types import Exam, Finding, Float32Array, Float64Array, Geometry, Scanner

WHERE = "the exam in memory"


def checked_exam(exam: object) -> Exam:
    """The exam as all steps take it: float32 frames, times from the earliest sample on.

    An exam that was read stays what it is.

    Raises
    ------
    UsageError
        It is no exam, or its arrays don't fit together.
    TooFewFrames, MissingTiming, AmbiguousExam
        Its times are not those of a perfusion scan; see `bolus.acquire.checks.check_times`.
    BadGeometry
        The geometry can't be that of a head.
    ImplausibleValues
        A value is NaN or infinite.
    """
    if not isinstance(exam, Exam):
        raise UsageError(
            f"give an Exam, from bolus.read_exam or built of arrays, not {type(exam).__name__}"
        )
    frames = _frames(numbers("frames", exam.frames))
    geometry = _geometry(exam.geometry, frames)
    times_s = _times(numbers("times_s", exam.times_s), frames)
    if not isinstance(exam.scanner, Scanner) or not isinstance(exam.dicom_identity, Mapping):
        raise UsageError("scanner is a bolus.Scanner and dicom_identity a dict")
    findings = _findings(exam.findings)
    return replace(exam, frames=frames, times_s=times_s, geometry=geometry, findings=findings)


def _frames(frames: NDArray[Any]) -> Float32Array:
    if frames.ndim != 4 or not frames.size:
        raise UsageError(f"frames have shape {frames.shape}; give (T, Z, Y, X)")
    found = np.asarray(frames, np.float32)
    bad = [number for number, frame in enumerate(found) if not np.isfinite(frame).all()]
    if bad:
        raise ImplausibleValues(
            f"{WHERE}: {len(bad)} of its frames hold NaN or infinity, the first is frame "
            f"{bad[0] + 1}; put the HU of air (-1000) where there is no value"
        )
    return found


def _geometry(geometry: object, frames: Float32Array) -> Geometry:
    if not isinstance(geometry, Geometry):
        raise UsageError(f"geometry is a bolus.Geometry, not {type(geometry).__name__}")
    affine = np.asarray(numbers("values of the affine", geometry.affine), np.float64)
    if affine.shape != (4, 4):
        raise UsageError(f"the affine has shape {affine.shape}; give 4 x 4: (z, y, x, 1) to LPS mm")
    shape = numbers("lengths of the geometry's shape", geometry.shape)
    if not np.array_equal(shape, frames.shape[1:]):
        raise UsageError(
            f"geometry has the shape {geometry.shape}, but frames of shape {frames.shape} hold "
            f"volumes of {frames.shape[1:]} (Z, Y, X)"
        )
    z, y, x = frames.shape[1:]
    found = Geometry((z, y, x), affine)
    check_geometry(found, WHERE)
    return found


def _times(times_s: NDArray[Any], frames: Float32Array) -> Float64Array:
    if times_s.shape != frames.shape[:2]:
        repeat = "; repeat the time of each frame for all slices: numpy.repeat(t[:, None], Z, 1)"
        raise UsageError(
            f"times_s have shape {times_s.shape}, but frames {frames.shape} need (T, Z) = "
            f"{frames.shape[:2]}{repeat if times_s.shape == frames.shape[:1] else ''}"
        )
    times = np.asarray(times_s, np.float64)
    check_times(times, WHERE)
    first = times.min()
    return times if first == 0 else times - first


def _findings(findings: Any) -> tuple[Finding, ...]:
    if not isinstance(findings, tuple | list) or not all(isinstance(f, Finding) for f in findings):
        raise UsageError("findings are a tuple of bolus.Finding; without any, leave them out")
    return tuple(findings)
