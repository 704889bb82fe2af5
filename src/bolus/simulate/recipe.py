"""What an exam is made from: the few numbers that someone would ask about."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bolus.errors import UsageError

Side = Literal["left", "right", "none"]
Timing = Literal["volume", "cine", "shuttle"]


@dataclass(frozen=True)
class Recipe:
    """A scan protocol, a bolus and a lesion.

    The defaults are a usual stroke protocol: 80 kVp, 200 mAs, a 6 cm slab, one frame per 1.5 s for
    a minute, and an occlusion of the middle cerebral artery.
    """

    matrix: int = 256
    """Rows and columns."""
    pixel_mm: float = 0.9
    slices: int = 12
    slice_mm: float = 5.0
    """Thickness and distance of the slices, mm."""
    bottom_mm: float = -19.0
    """Height of the lowest slice's centre over the anterior commissure in the atlas, mm."""
    frames: int = 40
    dt_s: float = 1.5
    timing: Timing = "cine"
    """``volume``: all slices at once; ``cine``: slices within 0.3 s; ``shuttle``: the table moves
    between the lower and the upper half, half a frame interval apart."""
    mas: float = 200.0
    """Tube load, mAs; ``inf`` gives an exam without noise."""
    arrival_s: float = 7.0
    """Contrast reaches the internal carotid artery, s after the first frame."""
    peak_hu: float = 300.0
    """Peak enhancement of the internal carotid artery, HU."""
    side: Side = "left"
    """The patient's side of the occluded middle cerebral artery; ``none`` for a healthy brain."""
    core_ml: float = 18.0
    """Painted volumes; those that follow from the definitions are in the truth."""
    penumbra_ml: float = 62.0
    oligaemia_ml: float = 30.0
    motion_mm: float = 0.0
    """Largest displacement of the head in any frame (mean over the head), mm; 0 for none."""

    def __post_init__(self) -> None:
        positive = ("matrix", "pixel_mm", "slices", "slice_mm", "dt_s", "mas", "peak_hu")
        for name in positive:
            if not getattr(self, name) > 0:
                raise UsageError(
                    f"Recipe: {name} is {getattr(self, name)}, give a number above zero."
                )
        if self.frames < 2:
            raise UsageError(f"Recipe: frames is {self.frames}, an exam has at least 2.")


DEMO = Recipe(motion_mm=1.5)
"""The built-in exam, with seed 1."""
DEMO_SEED = 1


def generator(seed: int, stage: str) -> np.random.Generator:
    """Random numbers of one stage; a change in one stage leaves all others as they were."""
    return np.random.default_rng([seed, zlib.crc32(stage.encode())])
