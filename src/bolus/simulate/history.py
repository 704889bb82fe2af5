"""Traces of earlier disease and age: an old infarct, calcifications, a missing bone flap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bolus.simulate.fields import normal_field
from bolus.simulate.recipe import Recipe
from bolus.simulate.slab import CENTRE_MM, Slab
from bolus.types import Float32Array

OLD_INFARCT_MM = (42.0, -46.0, 18.0)
"""Middle of the old infarct (atlas mm, right side): the MCA's posterior branches."""
ROUGH_MM = 6.0
"""SD of its outline."""
SCAR_SHARE = 0.06
"""Tissue left in the cavity; with its share of normal flow the cavity has some 2 ml/100g/min."""
EDGE_MM = 1.0

CALCIFIED = (
    ((0.0, -31.0, -1.0), 3.0, 190.0),  # pineal gland
    ((23.0, -41.0, 6.0), 3.5, 200.0),  # choroid plexus, glomus
    ((-23.0, -41.0, 6.0), 3.5, 200.0),
    ((18.0, -4.0, -1.0), 4.0, 85.0),  # pallidum
    ((-18.0, -4.0, -1.0), 4.0, 85.0),
    ((0.0, 42.0, 32.0), 2.5, 180.0),  # falx, in two plates
    ((0.0, 36.0, 36.0), 2.5, 180.0),
)
"""Place (atlas mm), radius (mm) and HU: the usual calcifications of age, 80 to 200 HU."""

PLATE_DIRECTION = np.array([0.90, 0.10, 0.42])
"""Towards the middle of the missing bone flap on the right, seen from the head's centre."""
PLATE_DEG = 36.0
"""Half the angle the bone flap covers: 9 cm across."""
PLATE_EDGE_DEG = 1.5


@dataclass(frozen=True)
class History:
    """Shares of each voxel on sub-slices, (F, Y, X), 0..1."""

    cavity: Float32Array
    """Old infarct."""
    calcified: Float32Array
    calcified_hu: Float32Array
    """HU of the calcification, where there is one."""
    open_skull: Float32Array
    """1 where the bone is missing."""


def make_history(
    recipe: Recipe,
    slab: Slab,
    positions: Float32Array,
    tissue: Float32Array,
    rng: np.random.Generator,
) -> History:
    """Draw the recipe's old infarct, calcifications and craniectomy.

    Parameters
    ----------
    positions : (3, F, Y, X) float32, atlas mm
    tissue : (F, Y, X) float32
        Share of grey and white matter.
    """
    nothing = np.zeros_like(tissue)
    cavity = _cavity(recipe, slab, positions, tissue, rng) if recipe.old_infarct_ml else nothing
    calcified, hu = _calcified(positions, rng) if recipe.calcified else (nothing, nothing)
    open_skull = nothing
    if recipe.craniectomy != "none":
        open_skull = _window(positions, -1 if recipe.craniectomy == "left" else 1)
    return History(cavity, calcified, hu, open_skull)


def _cavity(
    recipe: Recipe,
    slab: Slab,
    positions: Float32Array,
    tissue: Float32Array,
    rng: np.random.Generator,
) -> Float32Array:
    """The brain tissue nearest to the infarct's middle, up to its volume, with a rough outline."""
    side = -1 if recipe.old_infarct_side == "left" else 1
    step, row_mm, column_mm = slab.geometry.spacing_mm
    spacing = (step / slab.sub, row_mm, column_mm)
    middle = np.array(OLD_INFARCT_MM, np.float32) * [side, 1, 1]
    away = np.sqrt(sum((p - m) ** 2 for p, m in zip(positions, middle, strict=True)))
    away = away + np.float32(ROUGH_MM) * normal_field(rng, tissue.shape, spacing, 15.0)
    brain = tissue > 0.5
    # the cavity stays on its own side of the falx
    ranked = np.sort(away[brain & (positions[0] * side > 3)])
    count = min(round(recipe.old_infarct_ml / float(np.prod(spacing)) * 1000), ranked.size)
    if not count:
        return np.zeros_like(tissue)
    inside = (away <= ranked[count - 1]) & (positions[0] * side > 3)
    soft: Float32Array = ndimage.gaussian_filter(
        inside.astype(np.float32), (0, EDGE_MM / row_mm, EDGE_MM / column_mm)
    )
    return soft


def _calcified(
    positions: Float32Array, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    """Share and HU of the calcifications; place and size differ between heads."""
    share, hu = np.zeros_like(positions[0]), np.zeros_like(positions[0])
    for place, radius_mm, value in CALCIFIED:
        middle = np.array(place) + rng.normal(0, 1.0, 3)
        radius = radius_mm * rng.uniform(0.8, 1.2)
        away = np.sqrt(
            sum((p - np.float32(m)) ** 2 for p, m in zip(positions, middle, strict=True))
        )
        part = np.clip(np.float32(radius) - away + np.float32(0.5), 0, 1)
        hu = np.where(part > share, np.float32(value), hu)
        share = np.maximum(share, part)
    return share, hu


def _window(positions: Float32Array, side: int) -> Float32Array:
    """1 in the directions in which the bone flap is missing, seen from the head's centre."""
    towards = PLATE_DIRECTION / np.linalg.norm(PLATE_DIRECTION) * [side, 1, 1]
    local = [p - np.float32(c) for p, c in zip(positions, CENTRE_MM, strict=True)]
    length = np.sqrt(sum(p**2 for p in local))
    cosine = sum(p * np.float32(t) for p, t in zip(local, towards, strict=True)) / length
    angle = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    window: Float32Array = np.clip((PLATE_DEG - angle) / PLATE_EDGE_DEG + 0.5, 0, 1).astype(
        np.float32
    )
    return window
