"""``summary.json``: every number of the report for programs; see ``docs/summary-schema.md``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np

from bolus.files.output_folder import SCHEMA
from bolus.plain_text import RESEARCH_USE
from bolus.publish.identity import is_deidentified
from bolus.publish.method_agreement import Agreement, agreements
from bolus.quality.verdict import verdict
from bolus.types import Check, Finding, Geometry, Lesion, MethodResult, Results, Vessel

DIGITS = 6
"""Significant digits of a number: more than any measurement here supports."""


def summary_json(results: Results, files: Sequence[str]) -> str:
    """``summary.json`` as text; the same results give the same text.

    Parameters
    ----------
    results : Results
    files : sequence of str
        Every file of the output folder, relative to it, with ``/``.
    """
    return json.dumps(summary(results, files), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def summary(results: Results, files: Sequence[str]) -> dict[str, Any]:
    """The content of ``summary.json``: only dict, list, str, int, float, bool and None."""
    judgement = verdict(results)
    content = {
        "schema": SCHEMA,
        "use": RESEARCH_USE,
        "verdict": {
            "grade": judgement.grade,
            "text": judgement.word,
            "reasons": [finding.message for finding in judgement.reasons],
        },
        "methods": {name: _method(method) for name, method in results.methods.items()},
        "agreement": [_agreement(one) for one in agreements(results)],
        "arteries": _arteries(results),
        "checks": [_check(check) for check in results.checks],
        "findings": [_finding(finding) for finding in results.all_findings],
        "motion": _motion(results),
        "exam": _exam(results),
        "scanner": vars(results.scanner),
        "geometry": _geometry(results.geometry),
        "dicom_identity": uids(results.dicom_identity),
        "deidentified": is_deidentified(results.dicom_identity),
        "parameters": results.parameters,
        "timings_s": {**results.timings_s, "total": sum(results.timings_s.values())},
        "versions": results.versions,
        "files": list(files),
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def uids(identity: Mapping[str, str]) -> dict[str, str]:
    """Only the UIDs of the exam's identifiers: nothing else may reach a file."""
    return {key: value for key, value in identity.items() if key.endswith("UID")}


def _method(method: MethodResult) -> dict[str, Any]:
    lesion = method.lesion
    return {"lesion": _lesion(lesion), "parameters": method.maps.parameters}


def _lesion(lesion: Lesion) -> dict[str, Any]:
    return {
        "preset": lesion.preset,
        "thresholds": {
            "core": lesion.core_rule,
            "hypoperfused": lesion.hypoperfused_rule,
            "source": lesion.rule_source,
        },
        "side": lesion.side,
        "core_ml": lesion.core_ml,
        "core_lower_bound": lesion.core_lower_bound,
        "penumbra_ml": lesion.penumbra_ml,
        "hypoperfused_ml": lesion.hypoperfused_ml,
        "hypoperfused_lower_bound": lesion.hypoperfused_lower_bound,
        "mismatch_ml": lesion.mismatch_ml,
        "mismatch_ratio": lesion.mismatch_ratio,
        "hir": lesion.hir,
        "tmax_above_ml": lesion.tmax_ml,
        "cbv_index": lesion.cbv_index,
        "reference": lesion.reference,
        "reference_cbf": lesion.reference_cbf,
        "findings": [_finding(finding) for finding in lesion.findings],
    }


def _agreement(one: Agreement) -> dict[str, Any]:
    maps = {
        key: {"mean_difference": m.mean, "limits_of_agreement": [m.low, m.high], "r": m.r}
        for key, m in one.maps.items()
    }
    return {
        "first": one.pair.first,
        "second": one.pair.second,
        "voxels": one.voxels,
        "maps": maps,
        "core_dice": one.core_dice,
        "hypoperfused_dice": one.hypoperfused_dice,
        "core_difference_ml": one.core_difference_ml,
        "hypoperfused_difference_ml": one.hypoperfused_difference_ml,
    }


def _arteries(results: Results) -> dict[str, Any]:
    found = results.arteries
    arteries, veins = (found.candidates, found.vein_candidates) if found else ((), ())
    return {
        "aif": _vessel(found.aif, results.geometry) if found else None,
        "vof": _vessel(found.vof, results.geometry) if found else None,
        "scale": found.scale if found else None,
        "arrival_s": results.arrival_s,
        "candidates": {
            "aif": [_candidate(v, results) for v in arteries],
            "vof": [_candidate(v, results) for v in veins],
        },
    }


def _vessel(vessel: Vessel, geometry: Geometry) -> dict[str, Any]:
    homogeneous = np.column_stack([vessel.voxels, np.ones(len(vessel.voxels))])
    positions = (homogeneous @ geometry.affine.T)[:, :3]
    return {
        "voxels_xyz": vessel.voxels[:, ::-1],
        "centre_lps_mm": positions.mean(axis=0),
        "peak_hu": vessel.curve_hu.max(),
        "confidence": vessel.confidence,
        "manual": vessel.manual,
    }


def _candidate(vessel: Vessel, results: Results) -> dict[str, Any]:
    return {
        **_vessel(vessel, results.geometry),
        "score": vessel.score,
        "parts": vessel.parts,
        "fraction": vessel.fraction,
        "delay_s": vessel.delay_s,
        "diameter_mm": vessel.diameter_mm,
        "curve_hu": vessel.curve_hu,
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "grade": check.grade,
        "value": check.value,
        "unit": check.unit,
        "message": check.message,
        "remedy": check.remedy,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "grade": finding.grade,
        "message": finding.message,
        "remedy": finding.remedy,
    }


def _motion(results: Results) -> dict[str, Any]:
    motion = results.motion
    kept = motion.kept
    return {
        "median_displacement_mm": np.median(motion.displacement_mm[kept]) if kept.any() else None,
        "max_displacement_mm": motion.largest_mm,
        "max_translation_mm": np.abs(motion.translation_mm[kept]).max(initial=0.0),
        "max_rotation_deg": np.abs(motion.rotation_deg[kept]).max(initial=0.0),
        "dropped_frames": np.flatnonzero(~kept),
        "frames": {
            "time_s": results.times_s.mean(axis=1),
            "displacement_mm": motion.displacement_mm,
            "rotation_deg": motion.rotation_deg,
            "translation_mm": motion.translation_mm,
            "kept": kept,
        },
    }


def _exam(results: Results) -> dict[str, Any]:
    times = results.times_s
    return {
        "frames": times.shape[0],
        "slices": times.shape[1],
        "duration_s": times.max() - times.min(),
        "frame_interval_s": np.median(np.diff(times, axis=0)) if len(times) > 1 else None,
        "grid_interval_s": results.grid_s[1] - results.grid_s[0],
    }


def _geometry(geometry: Geometry) -> dict[str, Any]:
    z_mm, y_mm, x_mm = geometry.spacing_mm
    return {
        "shape_xyz": geometry.shape[::-1],
        "spacing_xyz_mm": [x_mm, y_mm, z_mm],
        "coverage_mm": geometry.shape[0] * z_mm,
        "voxel_ml": geometry.voxel_ml,
        "affine_xyz_to_lps_mm": geometry.affine[:, [2, 1, 0, 3]],
    }


def _plain(value: Any) -> Any:
    """Numpy, enums, tuples and NaN as JSON values."""
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
