"""The validated part of ``summary.json`` that the page needs: results may come from anyone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bolus.errors import DamagedFile
from bolus.files.output_folder import check_schema
from bolus.files.strict_json import strict_json
from bolus.files.voxel_grid import checked_grid
from bolus.study.raters.store import read_file
from bolus.types import Geometry

LARGEST = 2**24
"""Bytes; a run of all methods with 100 frames has a hundredth."""
METHOD = re.compile(r"[a-z0-9-]{1,32}")
MOST_METHODS = 16
MOST_FRAMES = 10_000
MOST_SENTENCES = 1000
LONGEST_SENTENCE = 10_000

Sentence = Annotated[str, Field(max_length=LONGEST_SENTENCE)]
Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Index = Annotated[int, Field(ge=0, lt=2**31)]
Xyz = Annotated[list[Index], Field(min_length=3, max_length=3)]
Triple = Annotated[list[Number], Field(min_length=3, max_length=3)]
Row = Annotated[list[Number], Field(min_length=4, max_length=4)]
Numbers = Annotated[list[Number], Field(max_length=MOST_FRAMES)]
Triples = Annotated[list[Triple], Field(max_length=MOST_FRAMES)]
GradeName = Literal["note", "warning", "fail"]
UID = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]


class _Part(BaseModel):
    """Strict types; fields unknown to this version are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Verdict(_Part):
    grade: GradeName
    text: Sentence = ""
    reasons: Annotated[list[Sentence], Field(max_length=MOST_SENTENCES)] = []


class _Lesion(_Part):
    preset: Annotated[str, Field(max_length=64)]
    core_ml: Number
    hypoperfused_ml: Number


class _Method(_Part):
    lesion: _Lesion


class _Check(_Part):
    name: Annotated[str, Field(max_length=64)]
    grade: GradeName
    value: Number | None = None
    unit: Annotated[str, Field(max_length=64)] = ""
    message: Sentence = ""
    remedy: Sentence = ""


class _Finding(_Part):
    code: Annotated[str, Field(max_length=128)]
    grade: GradeName
    message: Sentence = ""
    remedy: Sentence = ""


class _Vessel(_Part):
    voxels_xyz: Annotated[list[Xyz], Field(min_length=1, max_length=100_000)]
    confidence: Number | None = None
    manual: bool = False


class _Arteries(_Part):
    aif: _Vessel | None = None
    vof: _Vessel | None = None
    scale: Number | None = None
    arrival_s: Number | None = None


class _Frames(_Part):
    time_s: Numbers
    displacement_mm: Numbers
    rotation_deg: Triples = []
    translation_mm: Triples = []
    kept: Annotated[list[bool], Field(max_length=MOST_FRAMES)]


class _Motion(_Part):
    frames: _Frames | None = None


class _Exam(_Part):
    duration_s: Annotated[float, Field(ge=0, le=1e6)]


class _Geometry(_Part):
    shape_xyz: Xyz
    affine_xyz_to_lps_mm: Annotated[list[Row], Field(min_length=4, max_length=4)]


class _Summary(_Part):
    verdict: _Verdict
    methods: Annotated[dict[str, _Method], Field(min_length=1, max_length=MOST_METHODS)]
    arteries: _Arteries | None
    checks: Annotated[list[_Check], Field(max_length=MOST_SENTENCES)]
    findings: Annotated[list[_Finding], Field(max_length=MOST_SENTENCES)]
    motion: _Motion | None = None
    exam: _Exam
    geometry: _Geometry
    dicom_identity: Annotated[dict[str, UID], Field(max_length=16)] = {}


def read_summary(folder: Path) -> dict[str, Any]:
    """What the page needs of a folder's ``summary.json``.

    Raises
    ------
    DamagedFile
        It can't be read, has another schema, or holds what no run writes.
    """
    path = folder / "summary.json"
    try:
        found = strict_json(read_file(folder, path, LARGEST))
        check_schema(found, path)
        named = {name: one for name, one in found["methods"].items() if METHOD.fullmatch(name)}
        checked = _Summary.model_validate({**found, "methods": named}).model_dump()
        _check_vessels(checked, geometry_of(checked))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])[:100]
        raise DamagedFile(
            f"{path} is damaged: {where} is not what a run writes; run the exam again"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFile(f"{path} is damaged; run the exam again") from error
    return checked


def _check_vessels(summary: Any, geometry: Geometry) -> None:
    for kind in ("aif", "vof"):
        vessel = (summary["arteries"] or {}).get(kind)
        if vessel and (np.array(vessel["voxels_xyz"])[:, ::-1] >= geometry.shape).any():
            raise ValueError("a vessel outside of the volume")


def geometry_of(summary: Any) -> Geometry:
    """The grid that a summary names.

    Raises
    ------
    ValueError
        It is invalid, or larger or finer than any real one.
    """
    found = summary["geometry"]
    x, y, z = found["shape_xyz"]
    affine = np.array(found["affine_xyz_to_lps_mm"], np.float64)[:, [2, 1, 0, 3]]
    return checked_grid((z, y, x), affine)
