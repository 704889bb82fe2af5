"""The numbers of the report as text, with their units and their limits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bolus.publish.method_agreement import Agreement, MapAgreement
from bolus.publish.windows import WINDOWS
from bolus.types import MAP_UNITS, Check, Lesion, Results, Vessel

NONE = "–"
MINUS = "−"
UNDEFINED_RATIO = "undefined: core < 1 ml"

TERMS = {
    **{
        word.lower(): word for word in ("AIF", "VOF", "CBF", "CBV", "MTT", "TTP", "HU", "HIR", "SD")
    },
    **{word.lower(): word for word in ("DICOM", "NIfTI", "UniToBrain", "Tmax", "rCBF", "CSF")},
}
"""Words that are not written in small letters."""

UNITS = ("hu", "s", "mm", "ml", "g/ml", "ml/100g", "deg", "kvp", "mas")
"""Last words of parameter names that are units."""

GOOD_MARK = 0.9
"""Candidate features with at least this score are not listed."""

MOST_MARKS = 3

UNITLESS = ("", "ratio", "0-1")
"""Units of checks that are not shown."""


@dataclass(frozen=True)
class Row:
    """A row of the volume table: one quantity, one cell per method."""

    label: str
    unit: str
    cells: tuple[str, ...]
    strong: bool = False


def number(value: float | int | str | bool | None) -> str:
    """A number in its shortest form without loss of meaning."""
    if value is None:
        return NONE
    if isinstance(value, float):
        return f"{value:.4g}" if np.isfinite(value) else NONE
    return str(value)


def check_value(check: Check) -> str:
    """The value of a check with its unit, without insignificant digits."""
    if check.value is None or not np.isfinite(check.value):
        return NONE
    digits = 0 if abs(check.value) >= 100 else 1 if abs(check.value) >= 10 else 2
    unit = "" if check.unit in UNITLESS else check.unit
    return f"{check.value:.{digits}f} {unit}".strip()


def title(name: str) -> str:
    """A stage's, check's or parameter's name as it is written: ``grid_s`` is "Grid, s"."""
    name = name.replace("-", "_").replace("_g_ml", "_g/ml").replace("_ml_100g", "_ml/100g")
    words = [TERMS.get(word, word) for word in name.split("_")]
    if len(words) > 1 and words[-1].lower() in UNITS:
        words[-2:] = [f"{words[-2]}, {words[-1]}"]
    text = " ".join(words)
    return text if text.startswith(tuple(TERMS.values())) else text[:1].upper() + text[1:]


def exam_facts(results: Results) -> list[tuple[str, str]]:
    """Facts about the exam in the page header: (name, value)."""
    scanner, geometry, times = results.scanner, results.geometry, results.times_s
    z_mm, y_mm, x_mm = geometry.spacing_mm
    slices, rows, columns = geometry.shape
    interval = float(np.median(np.diff(times, axis=0))) if len(times) > 1 else float("nan")
    made_by = f"{scanner.manufacturer} {scanner.model}".strip() or "unknown scanner"
    facts = [
        ("Scanner", made_by),
        ("Tube voltage", f"{scanner.kvp:.0f} kVp" if scanner.kvp else NONE),
        ("Exposure", f"{scanner.exposure_mas:.0f} mAs" if scanner.exposure_mas else NONE),
        ("Kernel", scanner.kernel or NONE),
        ("Frames", f"{len(times)} in {times.max() - times.min():.1f} s"),
        ("Frame interval", f"{interval:.2f} s (median)"),
        ("Slices", f"{slices}, {slices * z_mm:.0f} mm coverage"),
        ("Matrix", f"{columns} × {rows}"),
        ("Voxel", f"{x_mm:.2f} × {y_mm:.2f} × {z_mm:.2f} mm"),
        ("Source", title(scanner.source)),
    ]
    return [(name, value) for name, value in facts if value != NONE]


def key_figures(results: Results) -> list[tuple[str, str, str]]:
    """The first method's result at a glance: (name, value, unit)."""
    name, method = next(iter(results.methods.items()))
    lesion = method.lesion
    ratio, ratio_note = _ratio_parts(lesion, 1)
    return [
        ("Core", _core_ml(lesion), "ml"),
        ("Hypoperfused", _hypoperfused_ml(lesion), "ml"),
        ("Penumbra = mismatch", _penumbra_ml(lesion), "ml"),
        ("Mismatch ratio", ratio, ratio_note),
        ("Side", lesion.side, ""),
        ("Method", name, ""),
    ]


def volume_rows(results: Results) -> list[Row]:
    """The volume table: one column per method."""
    lesions = [method.lesion for method in results.methods.values()]

    def row(label: str, unit: str, cell: Callable[[Lesion], str], strong: bool = False) -> Row:
        return Row(label, unit, tuple(cell(lesion) for lesion in lesions), strong)

    keys = dict.fromkeys(key for lesion in lesions for key in lesion.tmax_ml)
    return [
        row("Core", "ml", _core_ml, True),
        row("Penumbra = mismatch volume", "ml", _penumbra_ml, True),
        row("Hypoperfused (core + penumbra)", "ml", _hypoperfused_ml, True),
        row("Mismatch ratio", "", _ratio, True),
        row("Side", "", lambda v: v.side),
        *(row(f"Tmax > {key} s", "ml", _tmax_cell(key)) for key in keys),
        row("HIR, V(Tmax > 10 s) / V(Tmax > 6 s)", "", lambda v: _two(v.hir)),
        row("CBV index", "", lambda v: _two(v.cbv_index)),
        row("Reference CBF", "ml/100g/min", lambda v: f"{v.reference_cbf:.1f}"),
        row("Threshold preset", "", lambda v: v.preset),
        row("Core where", "", lambda v: v.core_rule),
        row("Hypoperfused where", "", lambda v: v.hypoperfused_rule),
    ]


def exam_key(results: Results) -> str:
    """Eight characters that link a page to its exam but identify nobody; "" without a UID."""
    uid = results.dicom_identity.get("StudyInstanceUID", "")
    return hashlib.sha256(uid.encode()).hexdigest()[-8:] if uid else ""


def page_title(results: Results) -> str:
    """Facts that distinguish two open pages; neither a date nor a person."""
    slices, frames = results.geometry.shape[0], len(results.times_s)
    scanner = f"{results.scanner.manufacturer} {results.scanner.model}".strip()
    parts = (scanner, f"{slices} slices", f"{frames} frames", exam_key(results))
    return "CT perfusion: " + ", ".join(part for part in parts if part)


def agreement_rows(found: Sequence[Agreement]) -> list[Row]:
    """The table of agreement: one column for every method but the first."""
    rows = []
    for key, unit in MAP_UNITS.items():
        label = WINDOWS[key].label if key in WINDOWS else key.upper()
        pairs = [one.maps.get(key) for one in found]
        rows += [
            Row(f"{label}, mean difference", unit, tuple(_mean(p) for p in pairs)),
            Row(f"{label}, limits of agreement", unit, tuple(_limits(p) for p in pairs)),
            Row(f"{label}, correlation r", "", tuple(_two(p.r if p else None) for p in pairs)),
        ]
    return [
        *rows,
        Row("Core, difference", "ml", tuple(_signed(one.core_difference_ml) for one in found)),
        Row(
            "Hypoperfused, difference",
            "ml",
            tuple(_signed(one.hypoperfused_difference_ml) for one in found),
        ),
        Row("Core, overlap", "Dice", tuple(_two(one.core_dice) for one in found)),
        Row("Hypoperfused, overlap", "Dice", tuple(_two(one.hypoperfused_dice) for one in found)),
    ]


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", MINUS)


def _mean(pair: MapAgreement | None) -> str:
    return NONE if pair is None else _signed(pair.mean)


def _limits(pair: MapAgreement | None) -> str:
    return NONE if pair is None else f"{_signed(pair.low)} to {_signed(pair.high)}"


def _core_ml(lesion: Lesion) -> str:
    return _bounded(lesion.core_ml, lesion.core_lower_bound)


def _hypoperfused_ml(lesion: Lesion) -> str:
    return _bounded(lesion.hypoperfused_ml, lesion.hypoperfused_lower_bound)


def _penumbra_ml(lesion: Lesion) -> str:
    # tissue outside the scan can only add to what is counted inside
    return _bounded(lesion.mismatch_ml, lesion.hypoperfused_lower_bound)


def _bounded(volume_ml: float, lower_bound: bool) -> str:
    return f"≥ {volume_ml:.1f}" if lower_bound else f"{volume_ml:.1f}"


def _ratio(lesion: Lesion) -> str:
    if lesion.mismatch_ratio is None:
        return UNDEFINED_RATIO
    value, note = _ratio_parts(lesion, 2)
    return f"{value}, {note}" if note else value


def _ratio_parts(lesion: Lesion, digits: int) -> tuple[str, str]:
    """The ratio, marked as uncertain where tissue outside the scan may raise or lower it."""
    if lesion.mismatch_ratio is None:
        return NONE, "core < 1 ml"
    value = f"{lesion.mismatch_ratio:.{digits}f}"
    bounded = lesion.core_lower_bound or lesion.hypoperfused_lower_bound
    return (f"≈ {value}", "uncertain") if bounded else (value, "")


def _tmax_cell(key: str) -> Callable[[Lesion], str]:
    def cell(lesion: Lesion) -> str:
        if key not in lesion.tmax_ml:
            return NONE
        return _bounded(lesion.tmax_ml[key], lesion.hypoperfused_lower_bound)

    return cell


def _two(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def vessel_rows(results: Results) -> list[tuple[str, Vessel, float, str]]:
    """(name, vessel, peak in HU, position) of AIF and VOF; empty where there are none."""
    if results.arteries is None:
        return []
    named = (("AIF", results.arteries.aif), ("VOF", results.arteries.vof))
    return [(name, v, float(v.curve_hu.max()), _place(v, results)) for name, v in named]


def candidate_rows(results: Results) -> list[tuple[str, Vessel, str, str]]:
    """(name, vessel, its weakest features, position) of the candidates for AIF and VOF."""
    arteries = results.arteries
    if arteries is None:
        return []
    kinds = (("A", arteries.candidates), ("V", arteries.vein_candidates))
    return [
        (f"{letter}{i}", vessel, weakest_marks(vessel), _place(vessel, results))
        for letter, vessels in kinds
        for i, vessel in enumerate(vessels, start=1)
    ]


def weakest_marks(vessel: Vessel) -> str:
    """The lowest-scoring features of a candidate, as "tail 0.52"; a dash where all are good."""
    weak = sorted((value, name) for name, value in vessel.parts.items() if value < GOOD_MARK)
    return ", ".join(f"{name} {value:.2f}" for value, name in weak[:MOST_MARKS]) or NONE


def _place(vessel: Vessel, results: Results) -> str:
    centre = results.geometry.affine @ np.append(vessel.voxels.mean(axis=0), 1.0)
    x, y, z = centre[:3]
    side = "L" if x > 0 else "R"
    depth = "P" if y > 0 else "A"
    return f"{side} {abs(x):.0f}, {depth} {abs(y):.0f}, z {z:.0f} mm"


def parameters(results: Results) -> list[tuple[str, dict[str, float | int | str | None]]]:
    """(stage, its numbers); a method's own numbers too, if no stage has them already."""
    stages = [(title(stage), dict(values)) for stage, values in results.parameters.items()]
    listed = [values for _, values in stages]
    for name, method in results.methods.items():
        if dict(method.maps.parameters) not in listed:
            stages.append((f"Method {name}", dict(method.maps.parameters)))
    return [(stage, values) for stage, values in stages if values]


def versions(results: Results) -> list[tuple[str, str]]:
    """(program, version), Python capitalised; packages keep their names."""
    names = {"python": "Python"}
    return [(names.get(name, name), version) for name, version in results.versions.items()]


def timings(results: Results) -> list[tuple[str, float]]:
    """(stage, s), with the total at the end."""
    stages = [(title(stage), seconds) for stage, seconds in results.timings_s.items()]
    return [*stages, ("Total", sum(results.timings_s.values()))]
