"""Frames beyond correction, and findings on motion for the reader."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bolus.metrics import robust_sd
from bolus.types import BoolArray, Finding, Float64Array, Grade, IntArray

MAX_DISPLACEMENT_MM = 10.0
MAX_ROTATION_DEG = 10.0
"""Beyond these a frame was moving while it was measured, and correction is unproven (extreme
motion of stroke patients: 2-10 mm, 2-10 deg; Moghari, Eur J Radiol 2021;144:109979)."""
MIN_OVERLAP = 0.75
"""Share of the head that a frame must have measured; a slab of 8 slices may lose two."""
FULL_OVERLAP = 0.95
CORRELATION_MADS = 5.0
CORRELATION_DROP = 0.02
"""A frame is an outlier where its correlation is lower by 5 MAD, and by at least this."""
MAX_DROPPED = 0.2
"""Largest share of frames that may be dropped."""
MAX_GAP_S = 4.0
"""One or two frames missing (6 s at most) cost 3 % of accuracy (Oei 2011); more is questionable."""
LARGE_MM = 5.0
"""Motion up to here is corrected without concern."""
REPORT_FROM_MM = 1.0
MIN_Z_INFORMATION = 0.01
"""Below, skull edges are so steep that shifts across the slices can't be determined."""


@dataclass(frozen=True)
class Measured:
    """Results of alignment per frame (T,); of the worst group where slices form several."""

    displacement_mm: Float64Array
    across_mm: Float64Array
    """Mean displacement across the slices."""
    rotation_deg: Float64Array
    overlap: Float64Array
    """Share of the head inside the measured slab."""
    correlation: Float64Array


def beyond_correction(seen: Measured) -> BoolArray:
    """Frames (T,) bool that can't be aligned: too far, too little head in the slab, or outliers."""
    middle = np.median(seen.correlation)
    spread = robust_sd(seen.correlation - middle)
    unlike = seen.correlation < middle - max(CORRELATION_MADS * spread, CORRELATION_DROP)
    return np.asarray(
        unlike
        | (seen.displacement_mm > MAX_DISPLACEMENT_MM)
        | (seen.rotation_deg > MAX_ROTATION_DEG)
        | (seen.overlap < MIN_OVERLAP)
    )


def findings_of(
    seen: Measured,
    bad: BoolArray,
    kept: BoolArray,
    times_s: Float64Array,
    slice_mm: float,
    z_information: float,
) -> tuple[Finding, ...]:
    """Findings on motion, in the order of their weight.

    Parameters
    ----------
    seen : Measured
    bad, kept : (T,) bool
        Frames beyond correction, and frames that remain in the exam.
    times_s : (T,) float64, s
        Mean time of each frame.
    slice_mm : float
        Distance of the slices.
    z_information : float
        See `gaussnewton.Reference`.
    """
    found = [
        _dropped(bad, kept, times_s),
        _gap(kept, times_s),
        _moved(seen, kept),
        _edges(seen, kept),
        _across(seen, kept, slice_mm, z_information),
    ]
    return tuple(f for f in found if f is not None)


def _dropped(bad: BoolArray, kept: BoolArray, times_s: Float64Array) -> Finding | None:
    if not bad.any():
        return None
    names = _names(np.flatnonzero(bad), times_s)
    if kept.all():
        return Finding(
            "motion-uncorrectable",
            Grade.FAIL,
            f"{bad.sum()} of {len(bad)} frames can't be aligned, more than the "
            f"{MAX_DROPPED:.0%} that may be dropped: {names}. They were kept as they are.",
            "Don't rely on these maps; shorten the exam to the frames before the motion, or repeat "
            "it.",
        )
    return Finding(
        "motion-dropped",
        Grade.WARNING,
        f"{bad.sum()} of {len(bad)} frames can't be aligned and were dropped: {names}.",
        "Inspect the motion plot; curves are interpolated in time across dropped frames.",
    )


def _names(frames: IntArray, times_s: Float64Array, most: int = 12) -> str:
    names = [f"{i + 1} ({times_s[i]:.1f} s)" for i in frames[:most]]
    rest = len(frames) - most
    return ", ".join(names) + (f" and {rest} more" if rest > 0 else "")


def _gap(kept: BoolArray, times_s: Float64Array) -> Finding | None:
    """Longest gap caused by dropped frames."""
    left = np.flatnonzero(kept)
    holes = np.diff(left) > 1
    gap_s = float(np.diff(times_s[left])[holes].max(initial=0.0))
    if gap_s <= MAX_GAP_S:
        return None
    return Finding(
        "motion-gap",
        Grade.WARNING,
        f"Dropped frames leave {gap_s:.1f} s without measurement (limit {MAX_GAP_S:.0f} s).",
        "If the gap lies in the bolus, don't rely on delays and flow.",
    )


def _moved(seen: Measured, kept: BoolArray) -> Finding | None:
    largest = float(seen.displacement_mm[kept].max())
    if largest < REPORT_FROM_MM:
        return None
    large = largest > LARGE_MM
    return Finding(
        "motion-corrected",
        Grade.WARNING if large else Grade.NOTE,
        f"The head moved by up to {largest:.1f} mm and "
        f"{float(seen.rotation_deg[kept].max()):.1f} degrees; frames were moved back"
        + (f" (reliable up to {LARGE_MM:.0f} mm)." if large else "."),
        "Compare the maps' edges with the baseline image." if large else "",
    )


def _edges(seen: Measured, kept: BoolArray) -> Finding | None:
    short = kept & (seen.overlap < FULL_OVERLAP)
    if not short.any():
        return None
    lost = 1 - float(seen.overlap[short].min())
    return Finding(
        "motion-edge-slices",
        Grade.WARNING,
        f"In {short.sum()} of {len(kept)} frames up to {lost:.0%} of the head left the slab; there "
        "the nearest measured slice was used.",
        "Don't trust the outermost slices.",
    )


def _across(
    seen: Measured, kept: BoolArray, slice_mm: float, z_information: float
) -> Finding | None:
    if z_information < MIN_Z_INFORMATION:
        return Finding(
            "motion-through-plane",
            Grade.WARNING,
            "The slab shows too little of the skull's slope to determine motion across the slices; "
            "only motion within them was corrected.",
            "Check that the slices show the same anatomy over time.",
        )
    across = float(seen.across_mm[kept].max())
    if across <= slice_mm / 2:
        return None
    return Finding(
        "motion-through-plane",
        Grade.WARNING,
        f"The head moved by up to {across:.1f} mm across the slices, which lie {slice_mm:.1f} mm "
        "apart; interpolation between slices can restore this only in part.",
        "Read small lesions with care.",
    )
