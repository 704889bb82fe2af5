"""Findings on a lesion's volumes."""

from __future__ import annotations

import numpy as np

from bolus.types import BoolArray, Finding, Grade

BOTH_SIDES_ML = 12.0
"""Hypoperfused tissue on the other side from which both sides count as affected: the median of Tmax
artefacts in one exam (PMC6731139)."""
REFERENCE_TMAX_S = 4.5
"""Mean Tmax above which the reference tissue is itself delayed: 3.0 to 3.7 s in healthy brains."""


def lesion_findings(
    method: str,
    core: BoolArray,
    hypoperfused: BoolArray,
    left: BoolArray,
    reference_tmax_s: float,
    old_infarct: BoolArray,
    voxel_ml: float,
) -> tuple[Finding, ...]:
    """Findings on a lesion, of all kinds.

    Parameters
    ----------
    method : name of the maps' method.
    core, hypoperfused, left, old_infarct : (Z, Y, X) bool
        ``left`` marks the patient's left half of the head.
    reference_tmax_s : mean of the reference tissue, s.
    voxel_ml : volume of a voxel.
    """
    found = [
        _at_edge(method, core, hypoperfused),
        _both_sides(method, hypoperfused, left, voxel_ml),
        _late_reference(method, reference_tmax_s),
        _old(old_infarct, left, voxel_ml),
    ]
    return tuple(finding for finding in found if finding is not None)


def touches_edge(mask: BoolArray) -> bool:
    """Whether the mask reaches the first or last slice."""
    return bool(mask[0].any() or mask[-1].any())


def _at_edge(method: str, core: BoolArray, hypoperfused: BoolArray) -> Finding | None:
    if not touches_edge(hypoperfused):
        return None
    both = "core and hypoperfused tissue reach"
    what = both if touches_edge(core) else "hypoperfused tissue reaches"
    return Finding(
        "lesion-at-slab-edge",
        Grade.NOTE,  # most slabs truncate most lesions; the volumes themselves are marked
        f"{method}: {what} the first or last slice; the true volume may be larger.",
        "Read these volumes as lower bounds.",
    )


def _both_sides(
    method: str, hypoperfused: BoolArray, left: BoolArray, voxel_ml: float
) -> Finding | None:
    sides_ml = [float(np.sum(hypoperfused & side)) * voxel_ml for side in (left, ~left)]
    if min(sides_ml) < BOTH_SIDES_ML:
        return None
    return Finding(
        "lesion-both-sides",
        Grade.WARNING,
        f"{method}: both sides are hypoperfused (left {sides_ml[0]:.0f} ml, right "
        f"{sides_ml[1]:.0f} ml; limit {BOTH_SIDES_ML:.0f} ml on the lesser side), so neither is a "
        "healthy reference; normal tissue is what is not hypoperfused, of both sides.",
        "Consider bilateral carotid disease, low cardiac output and artefacts; if the whole brain "
        "is affected, the core is underestimated.",
    )


def _late_reference(method: str, tmax_s: float) -> Finding | None:
    if tmax_s <= REFERENCE_TMAX_S:
        return None
    return Finding(
        "reference-late",
        Grade.WARNING,
        f"{method}: the tissue taken as normal has a mean Tmax of {tmax_s:.1f} s (limit "
        f"{REFERENCE_TMAX_S:.1f} s): either both sides are affected, or the arterial input is "
        "taken too far upstream.",
        "Check the location of the arterial input; the core, relative to this tissue, may be "
        "underestimated.",
    )


def _old(cavity: BoolArray, left: BoolArray, voxel_ml: float) -> Finding | None:
    if not cavity.any():
        return None
    parts = [
        f"{float(np.sum(cavity & side)) * voxel_ml:.0f} ml on the {name}"
        for name, side in (("left", left), ("right", ~left))
        if (cavity & side).any()
    ]
    return Finding(
        "old-infarct",
        Grade.NOTE,
        f"A cavity as dark as CSF without a counterpart on the other side ({', '.join(parts)}), "
        "consistent with an old infarct or a cyst; it counts neither as core nor as hypoperfused.",
    )
