"""A head before contrast: brain from the atlas; skull, scalp and head rest modelled here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bolus.simulate.atlas import ORIGIN_MM, load_atlas
from bolus.simulate.fields import normal_field
from bolus.simulate.history import SCAR_SHARE, History, make_history
from bolus.simulate.recipe import Recipe, generator
from bolus.simulate.slab import Slab
from bolus.types import Float32Array, Float64Array

# HU at 80 kVp, a little above the 120 kVp values of common tables (Manhart: GM 35, WM 29, CSF 12)
GM_HU = 38.0
WM_HU = 31.0
CSF_HU = 9.0
BLOOD_HU = 48.0
CLOT_HU = 68.0
AIR_HU = -1000.0
FAT_HU = -95.0
MUSCLE_HU = 58.0
SKIN_HU = 45.0
TABLE_HU = 1250.0
DIPLOE_HU = 680.0
CUPPING_HU = 3.0
"""Rise of the brain's HU towards the skull: residual beam hardening."""

CSF_WEIGHT = 2.0
SURFACE_STEP_MM = 2
SURFACE_PAD = 16


@dataclass(frozen=True)
class Surface:
    """Signed distance to the inner table of the skull, mm, negative inside, in atlas space."""

    distance: Float32Array
    """(z, y, x), step ``SURFACE_STEP_MM``."""
    origin_mm: tuple[float, float, float]
    """Atlas coordinates of voxel (0, 0, 0), order z, y, x."""

    def at(self, positions: Float32Array) -> Float32Array:
        """Distance at (3, ...) atlas positions (x, y, z)."""
        return sample(self.distance, positions, self.origin_mm, SURFACE_STEP_MM)


@dataclass(frozen=True)
class Head:
    """The attenuating head, on sub-slices (F, Y, X) with F = Z * sub."""

    baseline: Float32Array
    """HU before contrast, without vessels."""
    gm: Float32Array
    """Fraction of the voxel, 0..1; what is neither grey nor white matter is CSF."""
    wm: Float32Array
    inside_mm: Float32Array
    """Signed distance to the inner table, negative inside."""
    rest: Float32Array
    """(Y, X) head rest, HU; doesn't move with the head."""
    history: History


def sample(
    volume: NDArray[np.uint8] | Float32Array,
    positions: Float32Array,
    origin_mm: tuple[float, float, float],
    step_mm: float,
) -> Float32Array:
    """Trilinear values of a volume (z, y, x) at (3, ...) positions (x, y, z), clamped at edges."""
    index = [(positions[2 - i] - np.float32(origin_mm[i])) / np.float32(step_mm) for i in range(3)]
    values: Float32Array = ndimage.map_coordinates(
        volume, index, output=np.float32, order=1, mode="nearest"
    )
    return values


@cache
def skull_surface() -> Surface:
    """Inner table of the skull: the brain's hull, smoothed, a little outside the gyri."""
    step, pad = SURFACE_STEP_MM, SURFACE_PAD
    brain = np.pad(load_atlas().t1[::step, ::step, ::step] > 0, pad).astype(np.float32)
    hull = ndimage.gaussian_filter(brain, 2.5) > 0.36
    outside = ndimage.distance_transform_edt(~hull, step)
    inside = ndimage.distance_transform_edt(hull, step)
    # half a voxel less on either side, as distances run from voxel centre to voxel centre
    distance = np.where(hull, step / 2 - inside, outside - step / 2).astype(np.float32)
    z, y, x = (origin - pad * step for origin in ORIGIN_MM)
    return Surface(ndimage.gaussian_filter(distance, 1.0), (z, y, x))


def sharpen(gm: Float32Array, wm: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Turn an average brain's soft tissue probabilities into the crisper fractions of one brain.

    CSF counts ``CSF_WEIGHT`` times: the atlas is young, patients with stroke are not.
    """
    csf = np.clip(1 - gm - wm, 0, 1)
    total = gm**2 + wm**2 + np.float32(CSF_WEIGHT) * csf**2
    return gm**2 / total, wm**2 / total


def _step(distance_mm: Float32Array, at_mm: Float32Array | float) -> Float32Array:
    """Soft step from 0 to 1, one pixel wide."""
    step: Float32Array = np.clip((distance_mm - at_mm) / np.float32(0.9) + np.float32(0.5), 0, 1)
    return step


def _shell(distance: Float32Array, skull: Float32Array, scalp: Float32Array) -> Float32Array:
    """HU outside the brain: inner table, diploe, outer table, fat, skin, air."""
    hu = np.full_like(distance, TABLE_HU)
    for at, value in (
        (0.30 * skull, DIPLOE_HU),
        (0.68 * skull, TABLE_HU),
        (skull, MUSCLE_HU),
        (skull + 1.0, FAT_HU),
        (skull + scalp - 2.0, SKIN_HU),
        (skull + scalp, AIR_HU),
    ):
        hu += _step(distance, at) * (np.float32(value) - hu)
    return hu


def head_rest(recipe: Recipe, slab: Slab) -> Float32Array:
    """(Y, X) HU of a carbon shell with foam behind the head."""
    affine = slab.geometry.affine
    x = affine[0, 3] + np.arange(recipe.matrix) * recipe.pixel_mm
    y = affine[1, 3] + np.arange(recipe.matrix) * recipe.pixel_mm - 18.0
    radius = np.hypot(x / 1.08, y[:, None]).astype(np.float32)
    shell = np.where((np.abs(radius - 112) < 1.5) & (y[:, None] > 25), 150.0, AIR_HU)
    return np.asarray(ndimage.gaussian_filter(shell, 0.6), dtype=np.float32)


def _flap(distance: Float32Array, scalp: Float32Array) -> Float32Array:
    """HU outside the brain where the skull is missing: dura and muscle, fat, skin, air."""
    hu = np.full_like(distance, MUSCLE_HU)
    for at, value in ((2.5, FAT_HU), (scalp - 1.0, SKIN_HU), (scalp + 1.0, AIR_HU)):
        hu += _step(distance, at) * (np.float32(value) - hu)
    return hu


def make_head(recipe: Recipe, slab: Slab, seed: int) -> Head:
    """Sample the atlas over the slab's sub-slices and put bone, scalp and texture around it."""
    rng = generator(seed, "head")
    atlas, surface = load_atlas(), skull_surface()
    positions = slab.atlas_positions(slab.sub_heights_mm())
    gm, wm = sharpen(
        sample(atlas.gm, positions, ORIGIN_MM, 1) / np.float32(255),
        sample(atlas.wm, positions, ORIGIN_MM, 1) / np.float32(255),
    )
    distance = surface.at(positions)
    brain = 1 - _step(distance, 0.0)
    gm, wm = gm * brain, wm * brain
    history = make_history(recipe, slab, positions, gm + wm, generator(seed, "history"))
    left = (1 - (1 - np.float32(SCAR_SHARE)) * history.cavity) * (1 - history.calcified)
    gm, wm = gm * left, wm * left
    texture = (sample(atlas.t1, positions, ORIGIN_MM, 1) - np.float32(190)) / np.float32(25)
    soft = CSF_HU + gm * (GM_HU - CSF_HU) + wm * (WM_HU - CSF_HU)
    soft += np.clip(texture, -2, 2) * (gm + wm) * np.float32(-0.8)
    soft += CUPPING_HU * np.exp(np.minimum(distance, 0) / np.float32(12.0))
    step = slab.geometry.spacing_mm
    shape, spacing = distance.shape, (step[0] / slab.sub, step[1], step[2])
    skull = 7.0 + 1.2 * normal_field(rng, shape, spacing, 30.0)
    scalp = 6.0 + 0.8 * normal_field(rng, shape, spacing, 30.0)
    skull, scalp = np.clip(skull, 4, 11), np.clip(scalp, 4, 9)
    hu = _shell(distance, skull, scalp)
    if recipe.craniectomy != "none":
        hu += history.open_skull * (_flap(distance, scalp) - hu)
    baseline = (soft * brain + hu * (1 - brain)).astype(np.float32)
    baseline += history.calcified * (history.calcified_hu - baseline)
    return Head(baseline, gm, wm, distance, head_rest(recipe, slab), history)


def distance_ray(surface: Surface, start: Float64Array, direction: Float64Array) -> float:
    """Length of the ray from ``start`` (atlas mm) to the inner table, mm."""
    length = np.arange(0.0, 140.0, 0.5)
    points = (start[:, None] + direction[:, None] * length).astype(np.float32)
    crossed = np.flatnonzero(surface.at(points) > 0)
    return float(length[crossed[0]]) if crossed.size else float(length[-1])
