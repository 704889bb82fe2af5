"""Loading a folder of results into memory.

Maps, masks and labels are as the run had them, to the bit.  Numbers of ``summary.json`` have six
digits, curves of the arterial input four decimals, curves of voxels half precision; of each frame's
motion the residual is not kept.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bolus.errors import DamagedFile, NoReadableFiles
from bolus.files.output_folder import MAX_SUMMARY_BYTES, check_schema
from bolus.files.regular_file import read_regular
from bolus.files.strict_json import strict_json
from bolus.files.voxel_grid import checked_grid, same_grid
from bolus.publish.identity import REMOVED
from bolus.publish.voxels import MASKS_ALONE, VOXELS, Masks, Voxels, read_masks, read_voxels
from bolus.types import (
    MAP_UNITS,
    Arteries,
    Check,
    Curves,
    Finding,
    Float32Array,
    Float64Array,
    Geometry,
    Grade,
    Lesion,
    Maps,
    MethodResult,
    Motion,
    Results,
    Scanner,
    Tissue,
    Vessel,
)
from bolus.volumes import read_labels, read_volume

SUMMARY = "summary.json"
CURVES = "curves.csv"
LARGEST_CURVES = 2**22
"""Bytes; a line of an exam of ten minutes has some 50."""
Part = TypeVar("Part", Check, Finding, Scanner)
GRADES = {grade.name.lower(): grade for grade in Grade}


def load_results(folder: Path) -> Results:
    """Read what ``bolus run`` wrote.

    Raises
    ------
    NoReadableFiles
        The folder holds no results, or a map is missing.
    DamagedFile, BadGeometry
        A file is damaged, or was changed.
    """
    summary = _summary(folder)
    try:
        return _results(folder, summary)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DamagedFile(f"{folder / SUMMARY} is damaged; run the exam again") from error


def _summary(folder: Path) -> Any:
    path = folder / SUMMARY
    if not path.is_file():
        raise NoReadableFiles(f"{folder} holds no results of bolus; give the folder of a run")
    try:
        found = strict_json(read_regular(path, MAX_SUMMARY_BYTES))
        check_schema(found, path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedFile(f"{path} is damaged; run the exam again") from error
    return found


def _results(folder: Path, summary: Any) -> Results:
    stored = _stored(folder)
    geometry = stored.geometry
    if not same_grid(_geometry(summary["geometry"]), geometry):
        raise DamagedFile(f"{folder} holds files of different exams; run the exam again")
    curves = _curves(stored.curves) if isinstance(stored, Voxels) else None
    baseline = _volume(folder, "baseline", geometry)
    maximum = _volume(folder, "maximum", geometry)
    findings = tuple(_finding(one) for one in summary["findings"])
    return Results(
        geometry=geometry,
        scanner=_known(Scanner, summary["scanner"]),
        dicom_identity=_identity(summary),
        times_s=_times(stored, summary["motion"]["frames"]),
        grid_s=stored.grid_s,
        arrival_s=curves.arrival_s if curves else float(summary["arteries"]["arrival_s"]),
        motion=_motion(summary["motion"]["frames"]),
        tissue=Tissue(baseline, stored.brain, stored.csf, stored.vessel),
        peak_hu=maximum - baseline,
        arteries=_arteries(folder, summary["arteries"], findings),
        methods={
            name: _method(folder, name, about, geometry)
            for name, about in summary["methods"].items()
        },
        checks=tuple(_check(one) for one in summary["checks"]),
        findings=findings,
        parameters=dict(summary["parameters"]),
        timings_s={k: v for k, v in summary["timings_s"].items() if k != "total"},
        versions=dict(summary["versions"]),
        curves=curves,
        near_vessels=stored.near_vessels,
    )


def _stored(folder: Path) -> Masks:
    """Masks, and curves if the results were saved with them."""
    if (folder / MASKS_ALONE).is_file() and not (folder / VOXELS).is_file():
        return read_masks(folder / MASKS_ALONE)
    return read_voxels(folder / VOXELS)


def _identity(summary: Any) -> dict[str, str]:
    identity = dict(summary["dicom_identity"])
    return identity | REMOVED if summary.get("deidentified") else identity


def _geometry(found: Any) -> Geometry:
    x, y, z = found["shape_xyz"]
    affine = np.array(found["affine_xyz_to_lps_mm"], np.float64)[:, [2, 1, 0, 3]]
    return checked_grid((z, y, x), affine)


def _curves(stored: Curves) -> Curves:
    return Curves(**{**vars(stored), "tissue_hu": stored.tissue_hu.astype(np.float32)})


def _volume(folder: Path, name: str, geometry: Geometry) -> Float32Array:
    path = folder / f"{name}.nii.gz"
    found = read_volume(path)
    if not same_grid(found.geometry, geometry):
        raise DamagedFile(f"{path} lies on another grid than the results; run the exam again")
    return np.asarray(found.values, np.float32)


def _times(stored: Masks, frames: Any) -> Float64Array:
    """(T, Z) of all frames; those that were dropped at their mean time."""
    kept = np.array(frames["kept"], bool)
    times = np.repeat(np.array(frames["time_s"], np.float64)[:, None], len(stored.brain), axis=1)
    times[kept] = stored.times_s
    return times


def _motion(frames: Any) -> Motion:
    count = len(frames["kept"])
    return Motion(
        rotation_deg=np.array(frames["rotation_deg"], np.float64).reshape(count, 3),
        translation_mm=np.array(frames["translation_mm"], np.float64).reshape(count, 3),
        displacement_mm=np.array(frames["displacement_mm"], np.float64).reshape(count),
        residual_hu=np.full(count, np.nan),
        kept=np.array(frames["kept"], bool),
    )


def _method(folder: Path, name: str, about: Any, geometry: Geometry) -> MethodResult:
    maps = {key: _volume(folder, f"{name}/{key}", geometry) for key in MAP_UNITS}
    se = {
        key: _volume(folder, f"{name}/{key}_se", geometry)
        for key in MAP_UNITS
        if (folder / name / f"{key}_se.nii.gz").exists()
    }
    has_delay = (folder / name / "delay.nii.gz").exists()
    delay = _volume(folder, f"{name}/delay", geometry) if has_delay else None
    parameters = dict(about["parameters"])
    found = Maps(name, **maps, delay=delay, parameters=parameters, se=se)
    path = folder / name / "lesion.nii.gz"
    labels = read_labels(path)
    if not same_grid(labels.geometry, geometry):
        raise DamagedFile(f"{path} lies on another grid than the results; run the exam again")
    return MethodResult(found, _lesion(np.asarray(labels.values, np.uint8), about["lesion"]))


def _lesion(labels: NDArray[np.uint8], found: Any) -> Lesion:
    thresholds = found["thresholds"]
    return Lesion(
        labels=labels,
        preset=found["preset"],
        core_rule=thresholds["core"],
        hypoperfused_rule=thresholds["hypoperfused"],
        rule_source=thresholds["source"],
        side=found["side"],
        reference_cbf=_or_nan(found["reference_cbf"]),
        reference=found["reference"],
        core_ml=float(found["core_ml"]),
        hypoperfused_ml=float(found["hypoperfused_ml"]),
        penumbra_ml=float(found["penumbra_ml"]),
        mismatch_ml=float(found["mismatch_ml"]),
        mismatch_ratio=found["mismatch_ratio"],
        hir=found["hir"],
        tmax_ml=dict(found["tmax_above_ml"]),
        cbv_index=found["cbv_index"],
        core_lower_bound=found["core_lower_bound"],
        hypoperfused_lower_bound=found["hypoperfused_lower_bound"],
        findings=tuple(map(_finding, found.get("findings", ()))),  # older files have none
    )


def _arteries(folder: Path, found: Any, findings: tuple[Finding, ...]) -> Arteries | None:
    if found["aif"] is None:
        return None
    columns = _columns(folder / CURVES)
    return Arteries(
        aif=_vessel(found["aif"], columns["aif_hu"]),
        vof=_vessel(found["vof"], columns["vof_hu"]),
        scale=float(found["scale"]),
        findings=tuple(one for one in findings if one.code.startswith(("aif", "vof"))),
        candidates=tuple(_candidate(one) for one in found["candidates"]["aif"]),
        vein_candidates=tuple(_candidate(one) for one in found["candidates"]["vof"]),
    )


def _columns(path: Path) -> dict[str, Float64Array]:
    try:
        lines = list(csv.reader(io.StringIO(read_regular(path, LARGEST_CURVES).decode("ascii"))))
        table = np.array(lines[1:], np.float64).T
    except (OSError, ValueError, csv.Error) as error:
        raise DamagedFile(f"{path} is damaged or missing; run the exam again") from error
    return dict(zip(lines[0], table, strict=True))


def _candidate(found: Mapping[str, Any]) -> Vessel:
    return _vessel(
        found,
        np.array(found["curve_hu"], np.float64),
        score=found["score"],
        parts=dict(found["parts"]),
        fraction=found["fraction"],
        delay_s=found["delay_s"],
        diameter_mm=found["diameter_mm"],
    )


def _vessel(found: Mapping[str, Any], curve_hu: Float64Array, **others: Any) -> Vessel:
    voxels = np.array(found["voxels_xyz"], np.int64).reshape(-1, 3)[:, ::-1]
    return Vessel(curve_hu, voxels, _or_nan(found["confidence"]), found["manual"], **others)


def _check(found: Mapping[str, Any]) -> Check:
    return _known(Check, {**found, "grade": GRADES[found["grade"]]})


def _finding(found: Mapping[str, Any]) -> Finding:
    return _known(Finding, {**found, "grade": GRADES[found["grade"]]})


def _known(kind: type[Part], found: Mapping[str, Any]) -> Part:
    """Of what a newer version wrote, what this one knows."""
    return kind(**{one.name: found[one.name] for one in fields(kind) if one.name in found})


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
