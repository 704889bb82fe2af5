"""Images and exams as NIfTI: the same bytes each time."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bolus.axes import to_nifti
from bolus.types import Exam, Float64Array, Geometry

EXAM_COMPRESSION = 1
"""Noise doesn't compress: higher levels take several times as long for a few percent."""


def write_image(
    values: NDArray[np.generic], geometry: Geometry, path: Path, *, step_s: float = 0.0,
    compression: int = 9,
) -> None:  # fmt: skip
    """Write an image (Z, Y, X) or a time course (T, Z, Y, X) as ``.nii.gz``.

    Parameters
    ----------
    step_s : interval between frames for the header, s.
    compression : of gzip, 1 to 9.
    """
    # + 0.0: no negative zeros
    image = nib.Nifti1Image(values.T, to_nifti(geometry.affine) + 0.0)
    image.header.set_xyzt_units("mm", "sec")
    if values.ndim == 4:
        image.header["pixdim"][4] = step_s
    path.write_bytes(gzip.compress(image.to_bytes(), compression, mtime=0))


def write_exam(exam: Exam, path: Path) -> None:
    """Write an exam in whole HU as 4D NIfTI, with its times in a JSON file next to it (BIDS).

    Reading it back gives the same frames and times if the exam is in whole units.

    Parameters
    ----------
    exam : its slices are measured in the same order in each frame.
    path : of the ``.nii.gz``.
    """
    start_s, offset_s = _start_and_offset(exam.times_s)
    step_s = float(np.median(np.diff(start_s)))
    frames = np.rint(exam.frames).astype(np.int16)
    write_image(frames, exam.geometry, path, step_s=step_s, compression=EXAM_COMPRESSION)
    scanner = exam.scanner
    fields = {
        "Modality": "CT",
        "Manufacturer": scanner.manufacturer,
        "ManufacturersModelName": scanner.model,
        "ConvolutionKernel": scanner.kernel,
        "KVP": scanner.kvp,
        "SliceThickness": scanner.slice_thickness_mm,
        "StudyDescription": "Simulated exam, not for clinical use",
        "VolumeTiming": start_s.tolist(),
        "SliceTiming": offset_s.tolist(),
    }
    text = json.dumps(fields, indent=1, sort_keys=True)
    path.with_name(path.name.removesuffix(".nii.gz") + ".json").write_text(text + "\n")


def whole_microseconds(times_s: Float64Array) -> Float64Array:
    """(T, Z) times as a file can hold them: a start of each frame and an offset of each slice."""
    start_s, offset_s = _start_and_offset(times_s)
    return np.asarray(np.round(start_s[:, None] + offset_s, 6))


def _start_and_offset(times_s: Float64Array) -> tuple[Float64Array, Float64Array]:
    """(T,) start of each frame and (Z,) delay of each slice, s, in whole microseconds."""
    start_s = np.round(times_s.min(axis=1), 6)
    return start_s, np.round(times_s[0] - times_s[0].min(), 6)
