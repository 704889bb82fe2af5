"""What the page needs to know about an exam before it draws anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bolus.plain_text import RESEARCH_USE
from bolus.serve.open_results import IMAGES, Exam
from bolus.types import CNN, MAP_UNITS, Geometry

UNKNOWN_METHOD = "?"
DELAY_HIGH_S = 10.0
LESION_HIGH = 2


def manifest(exam: Exam) -> dict[str, Any]:
    """The manifest of an exam in a session that shows everything."""
    summary = exam.summary
    return {
        **described(exam.id, exam.name, exam.geometry),
        "verdict": summary["verdict"],
        "content": exam.content,
        "methods": list(exam.methods),
        "volumes": _volumes(exam),
        "thresholds": {name: _thresholds(exam, name) for name in exam.methods},
        "curves": _curves(exam),
        "motion": (summary["motion"] or {}).get("frames"),
        "checks": summary["checks"],
        "findings": summary["findings"],
        "can_recompute": can_recompute(exam),
        "has_curves": exam.has_curves,
    }


def described(name_in_url: str, name: str, geometry: Geometry) -> dict[str, Any]:
    """Name and grid."""
    z_mm, y_mm, x_mm = geometry.spacing_mm
    affine = geometry.affine[:, [2, 1, 0, 3]].copy()
    affine[:2] *= -1.0
    return {
        "id": name_in_url,
        "name": name,
        "use": RESEARCH_USE,
        "shape_xyz": list(geometry.shape[::-1]),
        "spacing_xyz_mm": [x_mm, y_mm, z_mm],
        "voxel_ml": geometry.voxel_ml,
        "affine_xyz_to_ras": affine.tolist(),
    }


def can_recompute(exam: Exam) -> bool:
    """Whether maps can be recomputed with another artery."""
    curves = exam.has_curves and has_arteries(exam)
    return curves and exam.folder is not None and any(name != CNN for name in exam.methods)


def has_arteries(exam: Exam) -> bool:
    """False where only the network ran and none were found."""
    arteries = exam.summary["arteries"] or {}
    return all(arteries.get(kind) is not None for kind in ("aif", "vof"))


def volume_entry(
    key: str, method: str | None, name: str, url: str, ttp: tuple[float, float]
) -> dict[str, Any]:
    """How one volume is shown."""
    kind, label, unit, low, high, colours = _look(name, method, ttp)
    return {
        "key": key,
        "method": method,
        "map": name,
        "kind": kind,
        "label": label,
        "unit": unit,
        "low": low,
        "high": high,
        "colours": colours,
        "url": url,
    }


def _look(
    name: str, method: str | None, ttp: tuple[float, float]
) -> tuple[str, str, str, float, float, str]:
    """Kind, label, unit, window and colours."""
    from bolus.publish.reference_images import BASELINE, MAXIMUM
    from bolus.publish.windows import WINDOWS, difference_window, se_window

    for image in (BASELINE, MAXIMUM):
        if name == image.key:
            return "image", image.label, image.unit, image.low, image.high, "grey"
    if name == "brain":
        return "image", "Brain", "", 0.0, 1.0, "grey"
    if name == "lesion":
        return "lesion", "Lesion", "", 0.0, LESION_HIGH, "lesion"
    if name == "delay":
        return "map", "Delay", "s", 0.0, DELAY_HIGH_S, "perfusion"
    base = name.removesuffix("_se")
    unit = MAP_UNITS[base]
    if method is not None and "-minus-" in method:
        window = WINDOWS.get(base)
        reach = difference_window(window).high if window else (ttp[1] - ttp[0]) / 2
        return "difference", f"Δ {_label(base)}", unit, -reach, reach, "difference"
    if name != base:
        high = se_window(WINDOWS[base]).high if base in WINDOWS else (ttp[1] - ttp[0]) / 2
        return "se", f"SE {_label(base)}", unit, 0.0, high, "uniform"
    low, high = (WINDOWS[base].low, WINDOWS[base].high) if base in WINDOWS else ttp
    return "map", _label(base), unit, low, high, "perfusion"


def _label(name: str) -> str:
    from bolus.publish.windows import WINDOWS

    return WINDOWS[name].label if name in WINDOWS else name.upper()


def _volumes(exam: Exam) -> list[dict[str, Any]]:
    ttp = ttp_ends(exam)
    entries = []
    for key in exam.files:
        method, _, name = key.rpartition("/")
        url = f"/api/exams/{exam.id}/volumes/{key}.nii.gz"
        entries.append(volume_entry(key, method or None, name, url, ttp))
    # CT images come first: the maps are overlaid on them
    return sorted(entries, key=lambda entry: entry["key"] not in IMAGES)


def ttp_ends(exam: Exam) -> tuple[float, float]:
    """Window of TTP, s: from the arrival of contrast to the end of the curves."""
    arteries = exam.summary["arteries"] or {}
    start = float(arteries.get("arrival_s") or 0.0)
    end = float(exam.summary["exam"]["duration_s"] or 60.0)
    low = 5.0 * np.floor(start / 5.0)
    return float(low), float(max(min(low + 25.0, end), low + 5.0))


def _thresholds(exam: Exam, method: str) -> dict[str, Any]:
    """The run's own preset and volumes."""
    lesion: Mapping[str, Any] = exam.summary["methods"][method]["lesion"]
    return {key: lesion[key] for key in ("preset", "core_ml", "hypoperfused_ml")}


def _curves(exam: Exam) -> dict[str, Any] | None:
    arteries = exam.summary["arteries"]
    if not has_arteries(exam) or exam.columns is None:
        return None
    return {
        **exam.columns,
        "aif_voxels_xyz": arteries["aif"]["voxels_xyz"],
        "vof_voxels_xyz": arteries["vof"]["voxels_xyz"],
        "scale": arteries["scale"],
        "arrival_s": arteries["arrival_s"],
    }
