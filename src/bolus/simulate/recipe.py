"""Parameters of a simulated exam."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bolus.errors import UsageError
from bolus.types import Float64Array

Side = Literal["left", "right", "both", "none"]
Timing = Literal["volume", "cine", "shuttle", "two-rate"]

FAST_S = 30.0
"""Frames of a two-rate exam come at ``dt_s`` for so long, then half as often."""


@dataclass(frozen=True)
class Recipe:
    """A scan protocol, a bolus and a lesion.

    The defaults are a typical stroke protocol: 80 kVp, 200 mAs, a 6 cm slab, one frame per 1.5 s
    for a minute, and an occlusion of the middle cerebral artery.
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
    between the lower and the upper half, half a frame interval apart; ``two-rate``: all slices at
    once, every ``dt_s`` for 30 s and every 2 ``dt_s`` from then on."""
    mas: float = 200.0
    """Tube load, mAs; ``inf`` gives an exam without noise."""
    first_mas: float | None = None
    """Tube load of the first frame where it differs, mAs."""
    arrival_s: float = 7.0
    """Contrast reaches the internal carotid artery, s after the first frame."""
    peak_hu: float = 300.0
    """Peak enhancement of the internal carotid artery, HU."""
    rise_s: float = 8.2
    """From arrival to the peak of the first pass in the internal carotid artery, mean, s."""
    bolus_shape: float = 3.5
    """Shape (alpha) of the first pass, mean: the lower, the longer its tail."""
    recirculation: float = 0.62
    """Share of the blood's contrast that comes back after one passage of the body."""
    flow: float = 1.0
    """The patient's CBF over the usual CBF; CBV scales with it."""
    transit: float = 1.0
    """The patient's MTT over the usual MTT; CBV scales with it."""
    residue_shares: tuple[float, ...] | None = None
    """Mean share of each residue function, in the order of `bolus.simulate.residue.RESIDUES`;
    None for its own shares."""
    collateral_dispersion: float = 0.3
    """Part of a lesion's delay that is dispersion on the way through collaterals."""
    noise_frequency_per_mm: float = 0.2
    """Fall of the noise power with frequency: the higher, the sharper the kernel."""
    side: Side = "left"
    """The patient's side of the occluded middle cerebral artery; ``none`` for a healthy brain.
    With ``both`` each side has half of the volumes."""
    core_ml: float = 18.0
    """Painted volumes; those resulting from the definitions are in the truth."""
    penumbra_ml: float = 62.0
    oligaemia_ml: float = 30.0
    motion_mm: float = 0.0
    """Largest displacement of the head in any frame (mean over the head), mm; 0 for none."""
    tilt_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Pose of the head in the scanner: nodding (about x), tilt (y) and rotation (z)."""
    offset_mm: tuple[float, float] = (0.0, 0.0)
    """Offset of the head to the patient's left and back from its usual position, mm."""
    craniectomy: Literal["left", "right", "none"] = "none"
    """The patient's side on which a bone flap of the vault, 9 cm wide, is missing."""
    calcified: bool = False
    """Calcified pineal gland, choroid plexus, falx and pallidum."""
    old_infarct_ml: float = 0.0
    """Volume of an old infarct: a cavity of CSF and a little scar tissue, ml."""
    old_infarct_side: Literal["left", "right"] = "right"
    streaks_hu: float = 0.0
    """Strength of the petrous bones' streaks in the lowest slice, HU."""

    def __post_init__(self) -> None:
        positive = ("matrix", "pixel_mm", "slices", "slice_mm", "dt_s", "mas", "peak_hu", "rise_s",
                    "bolus_shape", "flow", "transit", "noise_frequency_per_mm")  # fmt: skip
        for name in positive:
            if not getattr(self, name) > 0:
                raise UsageError(
                    f"Recipe: {name} is {getattr(self, name)}, give a number above zero."
                )
        for name in ("motion_mm", "old_infarct_ml", "streaks_hu"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"Recipe: {name} is {getattr(self, name)}, it can't be below 0.")
        for name in ("recirculation", "collateral_dispersion"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"Recipe: {name} is {getattr(self, name)}, give a share below 1.")
        if self.first_mas is not None and not self.first_mas > 0:
            raise UsageError(f"Recipe: first_mas is {self.first_mas}, give a number above zero.")
        if self.frames < 2:
            raise UsageError(f"Recipe: frames is {self.frames}, an exam has at least 2.")

    @property
    def frame_starts_s(self) -> Float64Array:
        """(T,) when each frame begins, s; 0 for the first."""
        return np.asarray((np.arange(self.frames) + self._late_frames()) * self.dt_s)

    @property
    def duration_s(self) -> float:
        """Time for which curves are needed: a little longer than the exam, s."""
        return float((self.frames + 2 + self._late_frames()[-1]) * self.dt_s)

    def _late_frames(self) -> NDArray[np.int64]:
        """(T,) intervals that each frame comes later than at an even rate."""
        frame = np.arange(self.frames)
        if self.timing != "two-rate":
            return np.zeros_like(frame)
        return np.maximum(frame - round(FAST_S / self.dt_s), 0)


DEMO = Recipe(motion_mm=1.5)
"""The built-in exam, with seed 1."""
DEMO_SEED = 1


def generator(seed: int, stage: str) -> np.random.Generator:
    """Random numbers of one stage; a change in one stage leaves all others unchanged."""
    return np.random.default_rng([seed, zlib.crc32(stage.encode())])
