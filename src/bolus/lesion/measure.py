"""Perfusion maps to core and penumbra: thresholds, clusters, volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bolus.errors import UsageError
from bolus.lesion.findings import BOTH_SIDES_ML, lesion_findings, touches_edge
from bolus.lesion.map_limits import map_findings
from bolus.lesion.midline import find_midline, left_of
from bolus.lesion.morphology import drop_small, fill_holes, smooth_within
from bolus.lesion.old_infarct import old_infarct
from bolus.lesion.presets import Preset, preset_for
from bolus.types import BoolArray, Float32Array, Geometry, Lesion, Maps, Tissue

SMOOTHING_MM = 1.5
"""In-plane Gaussian before thresholding; 1-2 mm is usual."""
CORE_MINIMUM_ML = 1.0
HYPOPERFUSED_MINIMUM_ML = 3.0
"""Smaller clusters are dropped: Tmax artefacts have a median of 12 ml per exam in patches."""
HOLE_ML = 0.3
TMAX_LEVELS_S = (4, 6, 8, 10)
RATIO_MINIMUM_CORE_ML = 1.0
"""Below this core the mismatch ratio has no meaning."""
ONE_SIDED = 0.75
"""Share of the hypoperfused volume on one side from which the lesion is called one-sided."""

LATE_TMAX_S = 6.0
"""Tissue that serves no preset as normal when its own threshold is relative."""

CORE, PENUMBRA = 2, 1


@dataclass(frozen=True)
class Levels:
    """Maps smoothed for thresholding, (Z, Y, X) each, and where they are valid."""

    parenchyma: BoolArray
    cbf: Float32Array
    cbv: Float32Array
    mtt: Float32Array
    tmax: Float32Array
    delay: Float32Array | None
    """None where the method has none."""


@dataclass(frozen=True)
class Outline:
    """Core, hypoperfused tissue (with the core) and normal tissue, (Z, Y, X) masks."""

    core: BoolArray
    hypoperfused: BoolArray
    normal: BoolArray
    reference: str
    """How normal tissue was found."""
    side: str


def measure_lesion(maps: Maps, tissue: Tissue, geometry: Geometry, preset: str) -> Lesion:
    """Core and penumbra by a named preset, with their volumes and ratios.

    Parameters
    ----------
    maps : maps of one method.
    tissue : masks; lesions are counted in its parenchyma.
    geometry : grid; volumes come from its positions.
    preset : one of `PRESET_NAMES`.

    Raises
    ------
    UsageError
        If the preset's threshold is on the delay, and the method has no delay map.

    Notes
    -----
    Normal tissue, to which "relative" refers, is the parenchyma that is not hypoperfused, on the
    other side of the mid-sagittal plane where the lesion is one-sided (Campbell 2011); where the
    other side has 12 ml of hypoperfused tissue of its own, that of both sides.  With a
    relative-MTT preset the hypoperfused tissue itself needs a reference: Tmax <= 6 s is used.
    """
    rule = preset_for(preset, maps.method)
    ml = geometry.voxel_ml
    level = smooth_levels(maps, tissue, geometry)
    midline = find_midline(tissue.brain, geometry)
    left = left_of(midline, geometry)
    found = outline(level, left, rule, ml)
    core, hypoperfused = found.core, found.hypoperfused
    late = {s: _cleaned(level.tmax > s, level.parenchyma, ml) for s in TMAX_LEVELS_S[:2]}
    late |= {s: late[6] & (level.tmax > s) for s in TMAX_LEVELS_S[2:]}
    core_ml, total_ml = float(core.sum() * ml), float(hypoperfused.sum() * ml)
    labels = np.where(core, CORE, np.where(hypoperfused, PENUMBRA, 0)).astype(np.uint8)
    normal_cbv = _mean(level.cbv, found.normal)
    tmax_ml = {str(s): float(mask.sum() * ml) for s, mask in late.items()}
    mapped_ml = float(level.parenchyma.sum() * ml)
    return Lesion(
        labels=labels,
        preset=preset,
        core_rule=rule.core_text,
        hypoperfused_rule=rule.hypoperfused_text,
        rule_source=rule.source,
        side=found.side,
        reference_cbf=_mean(level.cbf, found.normal),
        reference=found.reference,
        core_ml=core_ml,
        hypoperfused_ml=total_ml,
        penumbra_ml=total_ml - core_ml,
        mismatch_ml=total_ml - core_ml,
        mismatch_ratio=total_ml / core_ml if core_ml >= RATIO_MINIMUM_CORE_ML else None,
        hir=tmax_ml["10"] / tmax_ml["6"] if tmax_ml["6"] > 0 else None,
        tmax_ml=tmax_ml,
        cbv_index=_mean(level.cbv, hypoperfused) / normal_cbv
        if total_ml > 0 and normal_cbv > 0
        else None,
        core_lower_bound=touches_edge(core),
        hypoperfused_lower_bound=touches_edge(hypoperfused),
        findings=(
            *map_findings(maps, tissue, share=total_ml / mapped_ml if mapped_ml else 0.0),
            *lesion_findings(
                maps.method,
                core,
                hypoperfused,
                left,
                _mean(level.tmax, found.normal),
                old_infarct(tissue.csf, midline, geometry),
                ml,
            ),
        ),
    )


def smooth_levels(maps: Maps, tissue: Tissue, geometry: Geometry) -> Levels:
    """Smooth the maps over the tissue in which lesions are counted."""
    parenchyma = tissue.parenchyma & (maps.mtt > 0)

    def smooth(values: Float32Array) -> Float32Array:
        return smooth_within(values, parenchyma, geometry, SMOOTHING_MM)

    return Levels(
        parenchyma=parenchyma,
        cbf=smooth(maps.cbf),
        cbv=smooth(maps.cbv),
        mtt=smooth(maps.mtt),
        tmax=smooth(maps.tmax),
        delay=None if maps.delay is None else smooth(maps.delay),
    )


def outline(level: Levels, left: BoolArray, rule: Preset, voxel_ml: float) -> Outline:
    """Apply the thresholds of ``rule``; ``left`` marks the patient's left half."""
    hypoperfused = _hypoperfused(rule, level, left, voxel_ml)
    normal, reference = _normal_tissue(hypoperfused, level.parenchyma, left, voxel_ml)
    core = hypoperfused & _core(rule, level, _mean(level.cbf, normal))
    core = drop_small(core, CORE_MINIMUM_ML, voxel_ml)
    core = fill_holes(core, hypoperfused, HOLE_ML, voxel_ml)
    return Outline(core, hypoperfused, normal, reference, _side(hypoperfused, left))


def _cleaned(mask: BoolArray, parenchyma: BoolArray, voxel_ml: float) -> BoolArray:
    kept = drop_small(mask & parenchyma, HYPOPERFUSED_MINIMUM_ML, voxel_ml)
    return fill_holes(kept, parenchyma, HOLE_ML, voxel_ml)


def _hypoperfused(rule: Preset, level: Levels, left: BoolArray, voxel_ml: float) -> BoolArray:
    if rule.hypoperfused_map == "relative MTT":
        late = _cleaned(level.tmax > LATE_TMAX_S, level.parenchyma, voxel_ml)
        normal, _ = _normal_tissue(late, level.parenchyma, left, voxel_ml)
        above = level.mtt > rule.hypoperfused_above * _mean(level.mtt, normal)
    elif rule.hypoperfused_map == "delay":
        if level.delay is None:
            raise UsageError(
                f"this method has no delay map, which the threshold of {rule.source} needs"
            )
        above = level.delay > rule.hypoperfused_above
    else:
        above = level.tmax > rule.hypoperfused_above
    return _cleaned(above, level.parenchyma, voxel_ml)


def _core(rule: Preset, level: Levels, reference_cbf: float) -> BoolArray:
    if rule.core_map == "CBV":
        return np.asarray(level.cbv < rule.core_below)
    return np.asarray(level.cbf < rule.core_below * reference_cbf)


def _normal_tissue(
    hypoperfused: BoolArray, parenchyma: BoolArray, left: BoolArray, voxel_ml: float
) -> tuple[BoolArray, str]:
    normal = parenchyma & ~hypoperfused
    side = _side(hypoperfused, left)
    lesser_ml = min(int((hypoperfused & half).sum()) for half in (left, ~left)) * voxel_ml
    if side in ("left", "right") and lesser_ml < BOTH_SIDES_ML:
        normal = normal & (~left if side == "left" else left)
        return normal, "parenchyma of the other hemisphere, not hypoperfused"
    return normal, "parenchyma of both hemispheres, not hypoperfused"


def _side(hypoperfused: BoolArray, left: BoolArray) -> str:
    total = int(hypoperfused.sum())
    if total == 0:
        return "none"
    share = float((hypoperfused & left).sum()) / total
    if share >= ONE_SIDED:
        return "left"
    return "right" if share <= 1 - ONE_SIDED else "both"


def _mean(values: Float32Array, mask: BoolArray) -> float:
    return float(values[mask].mean(dtype=np.float64)) if mask.any() else 0.0
