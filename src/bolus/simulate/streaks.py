"""Streaks between the petrous bones: beam hardening and scatter at the skull base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bolus.simulate.recipe import Recipe
from bolus.simulate.slab import Slab, without_margin
from bolus.types import Float32Array, Float64Array

PETROUS_MM = np.array([[0.0, -26.0, -34.0]])
"""Middle between the petrous bones, atlas mm."""
FALL_MM = 8.0
"""Height over which the streaks lose 63 % of their strength."""
BAND_MM = 7.0
"""SD of the dark band that joins the petrous bones; its bright flanks lie 12 mm away."""
REACH_MM = 45.0
FINE_MM = 13.0
"""Period of the finer streaks next to the band."""
UNSTEADY = 0.12
"""Part that changes from frame to frame, as the tube starts at another angle each time."""


@dataclass(frozen=True)
class Streaks:
    """HU that the bones at the skull base add to each frame."""

    steady: Float32Array
    """(Z, Y, X) HU, the same in all frames."""
    unsteady: Float32Array
    """(Z, Y, X) HU, SD over the frames."""
    course: Float64Array
    """(T,) how much of ``unsteady`` each frame has."""

    def of_frame(self, frame: int) -> Float32Array:
        """(Z, Y, X) HU."""
        return self.steady + np.float32(self.course[frame]) * self.unsteady


def make_streaks(recipe: Recipe, slab: Slab, rng: np.random.Generator) -> Streaks:
    """A dark band between the petrous bones with bright flanks, and finer bands around it.

    They are fixed to the scanner and don't move with the head.
    """
    geometry = without_margin(slab)
    depth, rows, columns = geometry.shape
    middle = slab.patient_positions(PETROUS_MM)[0]
    z = np.arange(depth)[:, None, None] * geometry.spacing_mm[0]
    y = (geometry.affine[1, 3] + np.arange(rows) * geometry.spacing_mm[1] - middle[1])[:, None]
    x = geometry.affine[0, 3] + np.arange(columns) * geometry.spacing_mm[2] - middle[0]
    u = (y / BAND_MM) ** 2
    band = -(1 - u) * np.exp(-u / 2)
    slope, phase = rng.uniform(-0.3, 0.3, 2), rng.uniform(0, 2 * np.pi, 2)
    envelope = np.exp(-u / 18) * np.exp(-z / FALL_MM) * np.exp(-((x / REACH_MM) ** 4))
    fine = [
        np.cos(2 * np.pi * (y + s * x) / FINE_MM + p) for s, p in zip(slope, phase, strict=True)
    ]
    steady = recipe.streaks_hu * envelope * (band + 0.4 * fine[0])
    unsteady = recipe.streaks_hu * UNSTEADY * envelope * fine[1]
    return Streaks(
        steady.astype(np.float32),
        unsteady.astype(np.float32),
        rng.standard_normal(recipe.frames),
    )
