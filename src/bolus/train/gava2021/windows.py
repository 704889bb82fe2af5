"""From Hounsfield units and maps to the 8-bit images the network sees, and back.

The public code windows both with WindowCenter (WC) and WindowWidth (WW) of their DICOM files and
keeps 8 bits.  Its formula is DICOM's own, with the width less one, but multiplied by 255 without a
limit at the top: for the narrow windows of maps the last part of the window does not fit into 8
bits and wraps around to dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bolus.types import Float32Array

Bytes = NDArray[np.uint8]

MEAN, SD = 0.2375, 0.3159
"""Of the windowed input over the authors' training set; constants of the public code."""
ABOVE = 254
"""What the public code writes above the window."""


@dataclass(frozen=True)
class Window:
    """A display window in the unit of its image."""

    centre: float
    width: float
    source: str = ""
    """Where its numbers come from."""

    @property
    def low(self) -> float:
        """Lower end."""
        return self.centre - self.width / 2

    def span(self, wrap_bug: bool = False) -> float:
        """What an image from 0 to 1 spans from the lower end on; with the bug, before it wraps."""
        return self.width - 1 if wrap_bug else self.width


INPUT = Window(40.0, 400.0, "of registered UniToBrain exams: -160 to 240 HU")
KNOWN = "of a UniToBrain map"
OURS = "our choice, as the public code's is unknown: "
FALLBACK: dict[str, Window] = {
    "cbv": Window(2.0, 4.0, KNOWN),
    "cbf": Window(30.0, 60.0, OURS + "that of our report"),
    "mtt": Window(7.5, 15.0, OURS + "that of our report"),
    "tmax": Window(6.0, 12.0, OURS + "that of our report"),
    "ttp": Window(22.5, 45.0, OURS + "89 frames of 0.5 s"),
    "delay": Window(4.0, 12.0, OURS + "-2 to 10 s, as delays before the artery occur"),
}
"""Windows of maps whose files have none."""


def to_bytes(values: NDArray[np.floating], window: Window, wrap_bug: bool = False) -> Bytes:
    """Window an image to 8 bits.

    Parameters
    ----------
    values : any shape, in the window's unit
    window
    wrap_bug : do exactly as the public code, overflow included; else the window is linear and
        clipped.  Fractions are cut in both.
    """
    wide = values.astype(np.float64)
    if not wrap_bug:
        return (np.clip((wide - window.low) / window.width, 0.0, 1.0) * 255).astype(np.uint8)
    level = ((wide - (window.centre - 0.5)) / (window.width - 1) + 0.5) * 255
    # a C cast of values too large for 8 bits keeps the lowest 8
    level = np.trunc(np.where(wide <= window.low, 0.0, level)) % 256
    return np.where(wide > window.low + window.width, ABOVE, level).astype(np.uint8)


def share(levels: Bytes) -> Float32Array:
    """8-bit levels as an image from 0 to 1."""
    return np.divide(levels, 255, dtype=np.float32)


def most_common(windows: Sequence[tuple[float, float]], name: str) -> Window:
    """The window of a run: of most of its map files, else our choice for that map."""
    if not windows:
        return FALLBACK[name]
    centre, width = max(sorted(set(windows)), key=windows.count)
    others = len(windows) - windows.count((centre, width))
    exception = f"; {others} exams have another" if others else ""
    return Window(centre, width, "of the map files" + exception)
