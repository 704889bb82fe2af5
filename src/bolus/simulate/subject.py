"""A subject: head, vessels, lesion and perfusion, before anything is scanned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bolus.simulate.head import BLOOD_HU, CLOT_HU, make_head
from bolus.simulate.lesion import affected_sides, paint_lesion
from bolus.simulate.perfusion import Perfusion, make_perfusion
from bolus.simulate.recipe import Recipe, generator
from bolus.simulate.slab import Slab, make_slab, mean_over_sub_slices
from bolus.simulate.vessels import Vessels, make_vessels
from bolus.types import BoolArray, Float32Array

CSF_LIMIT = 0.3
"""Voxels with more CSF than this don't count as parenchyma."""


@dataclass(frozen=True)
class Subject:
    """On the slab's slices (Z, Y, X) with margin, or on sub-slices (F, Y, X) where it says so."""

    slab: Slab
    fine_baseline: Float32Array
    """(F, Y, X) HU before contrast, vessels included."""
    rest: Float32Array
    """(Y, X) head rest, HU."""
    gm: Float32Array
    """Fraction of the voxel."""
    wm: Float32Array
    brain: BoolArray
    """Everything inside the skull."""
    cavity: Float32Array
    """Share of the voxel in an old infarct."""
    calcified: Float32Array
    """Share of the voxel."""
    vessels: Vessels
    painted: NDArray[np.uint8]
    """0 none, 1 oligaemia, 2 penumbra, 3 core."""
    perfusion: Perfusion

    @property
    def parenchyma(self) -> BoolArray:
        """Brain with little CSF, no old infarct and no calcification; vessels not excluded."""
        return self.brain & (self.gm + self.wm > 1 - CSF_LIMIT)

    @property
    def blood(self) -> Float32Array:
        """Share of the voxel taken by large vessels, an occluding clot included."""
        return self.vessels.artery + self.vessels.vein + self.vessels.clot


def make_subject(seed: int, recipe: Recipe) -> Subject:
    """Draw a subject.

    Raises
    ------
    UsageError
        The brain atlas isn't installed.
    """
    slab = make_slab(recipe, generator(seed, "slab"))
    head = make_head(recipe, slab, seed)
    vessels = make_vessels(slab, affected_sides(recipe.side), generator(seed, "vessels"))
    gm, wm, inside = (mean_over_sub_slices(v, slab.sub) for v in (head.gm, head.wm, head.inside_mm))
    brain = inside < 0
    painted = paint_lesion(
        recipe, slab, brain & (gm + wm > 1 - CSF_LIMIT), generator(seed, "lesion")
    )
    baseline = head.baseline + vessels.fine_blood * (np.float32(BLOOD_HU) - head.baseline)
    baseline += vessels.fine_clot * np.float32(CLOT_HU - BLOOD_HU)
    return Subject(
        slab=slab,
        fine_baseline=baseline,
        rest=head.rest,
        gm=gm,
        wm=wm,
        brain=brain,
        cavity=mean_over_sub_slices(head.history.cavity, slab.sub),
        calcified=mean_over_sub_slices(head.history.calcified, slab.sub),
        vessels=vessels,
        painted=painted,
        perfusion=make_perfusion(
            recipe, slab, gm, wm, brain, painted, generator(seed, "perfusion")
        ),
    )
