"""Acquisition times of the frames of a 4D NIfTI, from its BIDS-style JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bolus.acquire.dicom.elements import LARGEST
from bolus.errors import DamagedFile, MissingTiming
from bolus.files.regular_file import read_regular
from bolus.plain_text import short
from bolus.types import Finding, Float64Array, Grade, Scanner

MAX_SIDECAR_BYTES = 16 * 2**20
HOW_TO_GIVE_TIMES = (
    'give the start of each frame in s as "VolumeTiming": [0, 1.5, ...] in a JSON file of the same '
    "name next to it"
)


def sidecar_path(nifti: Path) -> Path:
    """``head.json`` for ``head.nii.gz``."""
    name = nifti.name
    for suffix in (".gz", ".nii"):
        name = name.removesuffix(suffix)
    return nifti.with_name(name + ".json")


def read_sidecar(nifti: Path) -> dict[str, Any]:
    """The fields of the JSON file, empty without one.

    Raises
    ------
    DamagedFile
        If there is one, but it is not a JSON object.
    """
    path = sidecar_path(nifti)
    try:
        fields = json.loads(read_regular(path, MAX_SIDECAR_BYTES).decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFile(
            f"{path.name}: is not valid JSON ({error}); correct it or write it again."
        ) from error
    if not isinstance(fields, dict):
        raise DamagedFile(f"{path.name}: must hold a JSON object with fields such as VolumeTiming.")
    return fields


def slice_axis(fields: Mapping[str, Any]) -> int | None:
    """Voxel axis of SliceTiming (BIDS: k unless SliceEncodingDirection says otherwise)."""
    if "SliceTiming" not in fields:
        return None
    return {"i": 0, "j": 1, "k": 2}.get(str(fields.get("SliceEncodingDirection", "k"))[:1], 2)


def frame_times(
    fields: Mapping[str, Any], frames: int, slices: int, header_step_s: float, name: str
) -> tuple[Float64Array, list[Finding]]:
    """Time of each frame and slice, in the file's slice order.

    The first of these that is present: VolumeTiming; FrameTimesStart (middle of the frame where
    FrameDuration is given); RepetitionTime; FrameDuration; the header's pixdim[4].  SliceTiming is
    added to it.

    Returns
    -------
    (T, Z) float64, s

    Raises
    ------
    MissingTiming
        If nothing gives the times, or a list has the wrong length.
    """
    duration = _numbers(fields, "FrameDuration", frames, name)
    findings: list[Finding] = []
    index = np.arange(frames, dtype=np.float64)
    if "VolumeTiming" in fields:
        start = _numbers(fields, "VolumeTiming", frames, name, scalar=False)
    elif "FrameTimesStart" in fields:
        start = _numbers(fields, "FrameTimesStart", frames, name, scalar=False) + duration / 2
    elif "RepetitionTime" in fields:
        start = index * _numbers(fields, "RepetitionTime", frames, name)
    elif "FrameDuration" in fields:
        start = np.cumsum(duration) - duration / 2
    elif 0 < header_step_s < LARGEST:
        start = index * header_step_s
        findings.append(
            Finding(
                "timing-assumed",
                Grade.WARNING,
                f"No JSON file gives the frame times; they were assumed to be "
                f"{header_step_s:.3g} s apart, as the NIfTI header says.",
                HOW_TO_GIVE_TIMES[0].upper() + HOW_TO_GIVE_TIMES[1:] + ".",
            )
        )
    else:
        raise MissingTiming(
            f"{name}: the acquisition times of its frames are unknown; {HOW_TO_GIVE_TIMES}."
        )
    offset = _numbers(fields, "SliceTiming", slices, name)
    if str(fields.get("SliceEncodingDirection", "")).endswith("-"):
        offset = offset[::-1]
    return start[:, None] + offset[None, :], findings


def _numbers(
    fields: Mapping[str, Any], key: str, count: int, name: str, *, scalar: bool = True
) -> Float64Array:
    """A field as ``count`` finite numbers; zeros where it is missing."""
    value = fields.get(key, 0.0)
    values = value if isinstance(value, list) else [value]
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not plain or not all(abs(v) < LARGEST for v in values):
        raise MissingTiming(f"{name}: {key} in its JSON file must be numbers, in s.")
    if isinstance(value, list) or not scalar:
        if len(values) != count:
            raise MissingTiming(
                f"{name}: {key} in its JSON file has {len(values)} values, the image has {count}; "
                "correct the JSON file."
            )
        return np.array(values, dtype=np.float64)
    return np.full(count, float(value))


def scanner(fields: Mapping[str, Any]) -> Scanner:
    """Scanner parameters in the JSON file."""
    return Scanner(
        source="nifti",
        manufacturer=_text(fields.get("Manufacturer")),
        model=_text(fields.get("ManufacturersModelName")),
        kernel=_text(fields.get("ConvolutionKernel")),
        kvp=_number(fields.get("KVP")),
        slice_thickness_mm=_number(fields.get("SliceThickness")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < LARGEST else None


def _text(value: object) -> str:
    return short(value) if isinstance(value, str) else ""
