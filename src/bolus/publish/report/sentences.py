"""Sentences of the report: what the reader must know besides the numbers and images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bolus.publish.orientation import View
from bolus.publish.windows import Window
from bolus.types import CNN, Results

EDGE_FINDING = "lesion-at-slab-edge"

ABSOLUTE = ("bma", CNN)
"""Methods whose flow is absolute, with standard errors: the average over residue functions, and the
network, which was trained on all of them."""

FLOW_LIMIT = (
    "Absolute {label} is uncertain: where the true residue function is not box-shaped and the "
    "bolus is wide, this method gives about half the true CBF and about twice the true MTT. "
    "Relative values are affected less."
)
"""For deconvolution with a fixed residue function or with a regularised inverse."""

TMAX_BY_MODEL = "Delay + MTT / 2: the centre of the residue function."

TMAX_BY_IMPULSE = "The time at which the impulse response is highest."


def volume_notes(results: Results) -> list[str]:
    """Long texts of the volume table, each given once with the methods it applies to."""
    texts: dict[str, list[str]] = {}
    for name, method in results.methods.items():
        lesion = method.lesion
        for what, text in (
            ("Reference tissue", lesion.reference),
            ("Source of thresholds", lesion.rule_source),
        ):
            texts.setdefault(f"{what}: {text}", []).append(name)
    every = len(results.methods)
    return sorted(
        text if len(names) == every else f"{text} ({', '.join(names)})"
        for text, names in texts.items()
    )


def edge_notes(results: Results) -> list[str]:
    """Notes on lesions that reach the scan's first or last slice, by method."""
    findings = [f for method in results.methods.values() for f in method.lesion.findings]
    return [f"{f.message} {f.remedy}".strip() for f in findings if f.code == EDGE_FINDING]


def map_note(method: str, window: Window) -> str:
    """Notes on a map for its reader; empty for a map without specific limits."""
    if window.key in ("cbf", "mtt"):
        if method in ABSOLUTE:
            what = "flow" if window.key == "cbf" else "times"
            return f"Absolute {what} with standard errors in {window.key}_se.nii.gz."
        return FLOW_LIMIT.format(label=window.label)
    if window.key == "tmax":
        return TMAX_BY_MODEL if method in ("nlr", *ABSOLUTE) else TMAX_BY_IMPULSE
    return ""


def comparison_notes(methods: Iterable[str], window: Window) -> list[str]:
    """`map_note` of every method, each text once with the methods it applies to."""
    texts: dict[str, list[str]] = {}
    for name in methods:
        texts.setdefault(map_note(name, window), []).append(name)
    return [f"{', '.join(names)}: {text}" for text, names in texts.items() if text]


def slices_note(view: View) -> str:
    """Which slices the images show."""
    shown, total = len(view.slices), view.shape[0]
    if shown == total:
        return f"All {total} slices are shown, from inferior to superior."
    return f"{shown} of {total} slices are shown, from inferior to superior; volumes use all."


def motion_note(results: Results) -> str:
    """The motion in one sentence."""
    motion = results.motion
    dropped = np.flatnonzero(~motion.kept)
    largest = motion.largest_mm
    sentence = f"Largest mean displacement of a frame that was kept: {largest:.1f} mm. "
    if not len(dropped):
        return sentence + "No frame was dropped."
    numbers = ", ".join(str(i + 1) for i in dropped)
    return sentence + f"Dropped: {len(dropped)} of {len(motion.kept)} frames (number {numbers})."
