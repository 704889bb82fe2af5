"""The JSON file next to a NIfTI, as BIDS defines it and dcm2niix writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from bolus.acquire.dicom.elements import LARGEST, datetime_us, time_of_day_us
from bolus.acquire.read_errors import READ_ERRORS
from bolus.errors import DamagedFile, MissingTiming, NotCT
from bolus.plain_text import short
from bolus.types import Float64Array, Scanner

OTHER_MODALITIES = frozenset({"MR", "MRI", "NM", "PET", "PT", "US", "XA"})
MAX_SIDECAR_BYTES = 16 * 2**20
OF_FRAMES = ("VolumeTiming", "FrameTimesStart", "FrameDuration")
"""Fields that may list a number for each frame."""
DCM2NIIX = "dcm2niix"
DAY_S = 86_400.0
LARGEST_EPOCH_S = 1e10
"""Seconds since 1970 are 1.8e9; their differences are small."""
NUMBER = re.compile(r"[+-]?(\d{1,20}\.?\d{0,20}|\.\d{1,20})([eE][+-]?\d{1,2})?")
"""As text, in which some programs write it."""


def read_sidecar(open_json: Callable[[], BinaryIO], name: str) -> dict[str, Any]:
    """The fields of a JSON file, empty where it is gone.

    Parameters
    ----------
    name
        Of the JSON file, for messages.

    Raises
    ------
    DamagedFile
        If there is one, but it is not a JSON object.
    """
    try:
        with open_json() as stream:
            content = stream.read(MAX_SIDECAR_BYTES + 1)
        if len(content) > MAX_SIDECAR_BYTES:
            raise ValueError(f"it has more than {MAX_SIDECAR_BYTES} bytes")
        fields = json.loads(_text(content))
    except FileNotFoundError:
        return {}
    except (*READ_ERRORS, RecursionError) as error:
        raise DamagedFile(
            f"{name}: is not valid JSON ({error}); correct it or write it again."
        ) from error
    if not isinstance(fields, dict):
        raise DamagedFile(f"{name}: must hold a JSON object with fields such as VolumeTiming.")
    # null says as much as a field that is missing
    return {key: value for key, value in fields.items() if value is not None}


def _text(content: bytes) -> str:
    """JSON is UTF-8; Windows' editors mark it, or write UTF-16; dcm2niix copies Latin-1 from
    DICOM.  Times and names of fields are ASCII in all of them."""
    try:
        return content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        return content.decode("latin-1")


def slice_axis(fields: Mapping[str, Any]) -> int | None:
    """Voxel axis of SliceTiming (BIDS: k unless SliceEncodingDirection says otherwise)."""
    if "SliceTiming" not in fields:
        return None
    return {"i": 0, "j": 1, "k": 2}.get(str(fields.get("SliceEncodingDirection", "k"))[:1], 2)


def listed_frames(fields: Mapping[str, Any]) -> int | None:
    """For how many frames the file lists times; None if it lists none."""
    for key in OF_FRAMES:
        value = fields.get(key)
        if isinstance(value, list) and len(value) > 1:
            return len(value)
    return None


def listed_times(
    fields: Mapping[str, Any], frames: int, name: str
) -> Iterator[tuple[str, Float64Array]]:
    """The fields that give the times of the frames, and these, (T,) in the file's unit.

    In this order: VolumeTiming; FrameTimesStart (middle of the frame where FrameDuration is given);
    RepetitionTime; FrameDuration.

    Raises
    ------
    MissingTiming
        If it is no numbers, or a list of the wrong length.
    """
    index = np.arange(frames, dtype=np.float64)
    if "VolumeTiming" in fields:
        yield "VolumeTiming", _starts(numbers(fields, "VolumeTiming", frames, name, one=False))
    duration = numbers(fields, "FrameDuration", frames, name)
    if "FrameTimesStart" in fields and not _of_one(fields["FrameTimesStart"]):
        start = numbers(fields, "FrameTimesStart", frames, name, one=False)
        yield "FrameTimesStart", _starts(start) + duration / 2
    if "RepetitionTime" in fields:
        yield "RepetitionTime", index * numbers(fields, "RepetitionTime", frames, name)
    if "FrameDuration" in fields:
        yield "FrameDuration", np.cumsum(duration) - duration / 2


def _starts(times: Float64Array) -> Float64Array:
    """Times of a list, continuous where they are those of a day that ends within the scan."""
    over = np.flatnonzero(np.diff(times) < -DAY_S / 2)
    return without_midnight(times) if len(over) == 1 and times.max() <= DAY_S else times


def _of_one(value: object) -> bool:
    """The start of the first frame alone, which converters of PET write for a time course."""
    return isinstance(value, list) and len(value) == 1


def slice_offsets(fields: Mapping[str, Any], slices: int, name: str) -> Float64Array:
    """When each slice of a frame was measured, (Z,) in the file's unit and order; else zeros.

    Raises
    ------
    MissingTiming
        If they are no numbers, or not one for each slice.
    """
    offset = numbers(fields, "SliceTiming", slices, name)
    return offset[::-1] if str(fields.get("SliceEncodingDirection", "")).endswith("-") else offset


def numbers(
    fields: Mapping[str, Any], key: str, count: int, name: str, *, one: bool = True
) -> Float64Array:
    """A field as ``count`` finite numbers; zeros where it is missing.

    Parameters
    ----------
    one
        Whether a single number stands for all.

    Raises
    ------
    MissingTiming
        If it is none.
    """
    if key not in fields:
        return np.zeros(count)
    plain = _plain(fields[key])
    values = np.array([v for v in plain if v is not None])
    if not one and len(values) and values.max() >= LARGEST:
        values = values - values[0]
    if len(values) < len(plain) or not np.all(np.abs(values) < LARGEST):
        raise MissingTiming(
            f"{name}: {key} in its JSON file must be numbers, in s; correct it, or give the times "
            "as --times."
        )
    if one and len(values) == 1:
        return np.full(count, float(values[0]))
    if len(values) != count:
        raise MissingTiming(
            f"{name}: {key} in its JSON file has {len(values)} values, the image has {count}; "
            "correct the JSON file, or give the times as --times."
        )
    return values


def clock_s(fields: Mapping[str, Any], key: str) -> float | None:
    """When a single volume was measured by a field of its JSON file, s after any start."""
    value = fields.get(key)
    if key == "AcquisitionDateTime" and isinstance(value, int | float) and abs(value) < 1e14:
        value = f"{value:.3f}"  # 20000101120000.5
    if key == "AcquisitionDateTime" and isinstance(value, str):
        # 2000-01-01T12:00:0.000000, as dcm2niix writes it
        us = datetime_us(_padded(value))
        return None if us is None else us / 1e6
    if key == "AcquisitionTime" and isinstance(value, str):
        us = time_of_day_us(_padded(value))
        return None if us is None else us / 1e6
    plain = _plain(value)
    return plain[0] if len(plain) == 1 else None


def _plain(value: object) -> list[float | None]:
    """A field's numbers; also those written as text, or as lists in a list; None for others."""
    if isinstance(value, list):
        return [number for one in value for number in _plain(one)]
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [None]
    return [float(value) if abs(value) < LARGEST_EPOCH_S else None]


def without_midnight(times: Float64Array) -> Float64Array:
    """Times of a day, s, that go on where the day ends."""
    return np.where(times < times.max() - DAY_S / 2, times + DAY_S, times)


def _padded(text: str) -> str:
    """``20000101120000.5`` of ``2000-01-01T12:00:0.5``."""
    date, _, time = text.rpartition("T")
    parts = time.split(":")
    if len(parts) == 3:
        whole, dot, fraction = parts[2].partition(".")
        time = f"{parts[0]:0>2}{parts[1]:0>2}{whole:0>2}{dot}{fraction}"
    return date.replace("-", "") + time


def by_dcm2niix(fields: Mapping[str, Any]) -> bool:
    """Whether dcm2niix wrote the file."""
    return str(fields.get("ConversionSoftware", "")).lower().startswith(DCM2NIIX)


def scanner(fields: Mapping[str, Any], name: str) -> Scanner:
    """Scanner parameters in the JSON file.

    Raises
    ------
    NotCT
        If it says that the images are not CT.
    """
    modality = _text_of(fields.get("Modality")).upper()
    if modality in OTHER_MODALITIES:
        raise NotCT(f"{name}: is not CT; its JSON file gives the Modality {modality}.")
    return Scanner(
        source="nifti",
        manufacturer=_text_of(fields.get("Manufacturer")),
        model=_text_of(fields.get("ManufacturersModelName")),
        kernel=_text_of(fields.get("ConvolutionKernel")),
        kvp=_number(fields.get("KVP")),
        slice_thickness_mm=_number(fields.get("SliceThickness")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < LARGEST else None


def _text_of(value: object) -> str:
    return short(value) if isinstance(value, str) else ""
