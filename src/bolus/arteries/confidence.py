"""Confidence in an arterial input, and findings on its location and scale."""

from __future__ import annotations

import numpy as np

from bolus.arteries.scoring import LENIENT_TAIL, total
from bolus.types import Finding, Geometry, Grade, Tissue, Vessel

# The circle of Willis lies 15-20 mm below the level at which the brain is widest, so a slab whose
# brain only gets smaller upwards begins above it.  Areas of slices are accurate to half a percent.
SAME_AREA = 0.005
# Branches above the circle of Willis lag behind the internal carotid artery by this much (three
# quarters of the simulated exams of seeds 7500-7563 whose slab begins there).
BRANCH_LAG_S = (0.2, 0.6)
ABOVE_CIRCLE = 0.8
# The 5th percentile of area ratios of 93 clinical pairs is 0.11: a scale of 9.
EXTREME_SCALE = 9.0


def aif_confidence(artery: dict[str, float], vein: float, *, above_circle: bool) -> float:
    """0..1: a good artery, a vein to scale it with, and a slab that holds large arteries.

    ``artery`` are the parts of the artery's score, ``vein`` the VOF's confidence.  Without a vein
    with venous timing, the "artery" is most likely a vein itself.
    """
    return total(artery) * vein * (ABOVE_CIRCLE if above_circle else 1.0)


def vof_confidence(vein: dict[str, float]) -> float:
    """0..1 from the parts of its score; an exam that ends early may still scale well."""
    return total({**vein, "tail": max(vein["tail"], LENIENT_TAIL)})


def above_circle(tissue: Tissue, geometry: Geometry) -> bool:
    """Whether the slab begins above the brain's widest level, and so above all large arteries."""
    area = tissue.brain.sum(axis=(1, 2)).astype(np.float64)
    if geometry.affine[2, 0] < 0:  # stored from the top
        area = area[::-1]
    if area.size < 2 or not area[0]:
        return False
    widest = area[0] >= (1 - SAME_AREA) * area.max()
    return bool(widest and area[1] < (1 - SAME_AREA) * area[0])


def place_findings(aif: Vessel, scale: float, *, above: bool) -> list[Finding]:
    """Findings on the location and the scale of an AIF."""
    findings = []
    if above and not aif.manual:
        low, high = BRANCH_LAG_S
        findings.append(
            Finding(
                "aif-distal",
                Grade.WARNING,
                "The slab begins above the circle of Willis and holds no large artery: the "
                f"arterial input comes from a branch, about {low} to {high} s after the internal "
                "carotid artery. Tmax is underestimated by this, and hypoperfused volumes are "
                "slightly too small.",
                "Include the circle of Willis in the scan.",
            )
        )
    if scale >= EXTREME_SCALE:
        findings.append(
            Finding(
                "aif-scale",
                Grade.WARNING,
                f"The arterial input is multiplied by {scale:.1f} (limit {EXTREME_SCALE:.0f}) to "
                "match the area of the venous output: its voxels hold little blood, so absolute "
                "CBF and CBV are uncertain.",
                "Choose a larger artery with aif=(x, y, z) (--aif x,y,z on the command line).",
            )
        )
    return findings
