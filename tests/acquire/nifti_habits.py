"""Habits of NIfTI exams and their JSON files, each written into an empty folder."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from dicom_habits import Habit
from dicomfactory import FRAMES, STEP_S, tm, truth
from niftifactory import VOLUME_TIMING, save_nifti

XYZT = truth().transpose(3, 2, 1, 0)
VOLUME = XYZT[..., 0]
TIMES_S = VOLUME_TIMING["VolumeTiming"]
SLICES_LAG_S = 0.11
"""Slices of the DICOM exam are scanned in turn; NIfTI loses that."""


def written(**keywords: Any) -> Callable[[Path], Path]:
    """The exam as one file, by `save_nifti`."""

    def pack(folder: Path) -> Path:
        return save_nifti(folder, **keywords)

    return pack


def in_bytes(text: bytes) -> Callable[[Path], Path]:
    """The exam with these bytes as its JSON file."""

    def pack(folder: Path) -> Path:
        path = save_nifti(folder, sidecar=None)
        (folder / "head.json").write_bytes(text)
        return path

    return pack


def file_per_time_point(folder: Path) -> Path:
    """Twenty files with their times in JSON files, as dcm2niix writes them."""
    for t in range(FRAMES):
        when = tm(3600 + STEP_S * t)
        time = f"{when[:2]}:{when[2:4]}:{when[4:]}"
        save_nifti(
            folder, XYZT[..., t], sidecar={"AcquisitionTime": time}, name=f"vol{t:04d}.nii.gz"
        )
    return folder


def with_derived(folder: Path) -> Path:
    """Files that dcm2niix writes beside: equalised slices, tilt corrected, a region."""
    save_nifti(folder, name="head.nii.gz")
    for ending in ("_Eq", "_Tilt"):
        save_nifti(folder, name=f"head{ending}.nii.gz")
    save_nifti(folder, VOLUME, sidecar=None, name="head_ROI1.nii.gz")
    return folder


def isles_2018(folder: Path) -> Path:
    """A case of ISLES 2018: a folder for each file."""
    case = folder / "case_1"
    exam = "SMIR.Brain.XX.O.CT_4DPWI.345561"
    save_nifti(case / exam, name=f"{exam}.nii", sidecar=VOLUME_TIMING)
    for number, kind in enumerate(("CT", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "OT")):
        name = f"SMIR.Brain.XX.O.{kind}.34556{number + 2}"
        save_nifti(case / name, VOLUME, sidecar=None, name=f"{name}.nii")
    return folder


def isles_2024(folder: Path) -> Path:
    """A subject of ISLES 2024: exam, plain scan, angiogram, maps."""
    name = "sub-stroke0001_ses-01"
    raw = folder / "sub-stroke0001" / "ses-01"
    save_nifti(raw, name=f"{name}_ctp.nii.gz", sidecar=None)
    for kind in ("ncct", "cta"):
        save_nifti(raw, VOLUME, sidecar=None, name=f"{name}_{kind}.nii.gz")
    for kind in ("cbf", "mtt", "tmax"):
        save_nifti(raw / "perfusion-maps", VOLUME, sidecar=None, name=f"{name}_{kind}.nii.gz")
    return folder / "sub-stroke0001"


def bids(folder: Path) -> Path:
    """A BIDS tree with one subject."""
    save_nifti(folder / "sub-07" / "ct", name="sub-07_ctp.nii.gz")
    save_nifti(folder / "sub-07" / "ct", VOLUME, sidecar=None, name="sub-07_ct.nii.gz")
    (folder / "dataset_description.json").write_text("{}")
    return folder


def misnamed(folder: Path) -> Path:
    """A gzipped file without .gz in its name."""
    path = save_nifti(folder)
    target = path.with_suffix("")
    path.rename(target)
    return target


def without_unit(folder: Path) -> Path:
    """A header without unit, with a step of 1, as programs write it that know none."""
    path = save_nifti(folder, sidecar=None)
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[123] = 2
    data[92:96] = np.float32(1).tobytes()
    path.write_bytes(gzip.compress(bytes(data)))
    return path


def in_milliseconds(folder: Path) -> Path:
    """A header in ms."""
    path = save_nifti(folder, sidecar=None)
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[123] = 2 | 16
    data[92:96] = np.float32(1000 * STEP_S).tobytes()
    path.write_bytes(gzip.compress(bytes(data)))
    return path


def _habit(key: str, pack: Callable[[Path], Path], finding: str = "", refused: str = "") -> Habit:
    return Habit(
        key, lambda _: [], finding, refused, moves_time=SLICES_LAG_S, part="nifti", pack=pack
    )


def padded_json(encoding: str) -> bytes:
    """The times and a hospital's name in some encoding."""
    return json.dumps(
        {**VOLUME_TIMING, "InstitutionName": "Universitätsklinik"}, ensure_ascii=False
    ).encode(encoding)


IN_MS = {"VolumeTiming": [round(1000 * time) for time in TIMES_S]}

NIFTI_HABITS: tuple[Habit, ...] = (
    _habit("nifti", written()),
    _habit("nifti-plain", written(name="head.nii")),
    _habit("nifti-misnamed", misnamed),
    _habit("nifti-xyz1t", written(data=XYZT[:, :, :, None])),
    _habit("nifti-xyzt1", written(data=XYZT[..., None])),
    _habit("nifti-time-first", written(data=np.moveaxis(XYZT, -1, 0)), "time-axis-moved"),
    _habit("nifti-file-per-time-point", file_per_time_point),
    _habit("nifti-derived-beside", with_derived),
    _habit("nifti-header-seconds", written(sidecar=None)),
    _habit("nifti-header-milliseconds", in_milliseconds),
    _habit("nifti-header-without-unit", without_unit, refused="--interval"),
    _habit("nifti-json-milliseconds", written(sidecar=IN_MS), "timing-unit"),
    _habit("nifti-json-bom", in_bytes(padded_json("utf-8-sig"))),
    _habit("nifti-json-latin-1", in_bytes(padded_json("latin-1"))),
    _habit("nifti-json-utf-16", in_bytes(padded_json("utf-16"))),
    _habit("nifti-frame-duration", written(sidecar={"FrameDuration": STEP_S})),
    _habit(
        "nifti-frame-times-start",
        written(sidecar={"FrameTimesStart": TIMES_S, "FrameDuration": 1.0}),
    ),
    _habit("nifti-no-orientation", written(codes=(0, 0)), "orientation-unknown"),
    _habit("isles-2018", isles_2018),
    _habit("isles-2024", isles_2024),
    _habit("bids", bids),
)
