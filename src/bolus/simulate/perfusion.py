"""Perfusion of every voxel: flow, transit, delay and the shape of its residue function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bolus.simulate.fields import normal_field, uniform_field
from bolus.simulate.lesion import CORE, OLIGAEMIA, PENUMBRA
from bolus.simulate.recipe import Recipe
from bolus.simulate.residue import RESIDUES
from bolus.simulate.slab import Slab
from bolus.types import BoolArray, Float32Array

# Healthy tissue: mean, SD and range of CBF (ml/100g/min) and MTT (s); usual CT perfusion values
# (GM 60/4.0, WM 25/4.8 in teaching notes; 53/3.7 and 25/4.6 in a published phantom)
GM_CBF = (53.0, 7.0, 30.0, 85.0)
WM_CBF = (25.0, 4.0, 14.0, 38.0)
GM_MTT = (4.0, 0.35, 3.0, 6.0)
WM_MTT = (4.8, 0.4, 4.0, 6.5)
GM_DELAY = (0.0, 1.5)
WM_DELAY = (0.5, 2.0)


@dataclass(frozen=True)
class Damage:
    """Ranges of a lesion's effects on tissue; values vary smoothly between the two ends."""

    gm_cbf: tuple[float, float]
    """Share of the healthy flow."""
    wm_cbf: tuple[float, float]
    """White matter tolerates lower absolute flow, so the same ischaemia spares more of it."""
    cbv: tuple[float, float]
    """Share of the healthy blood volume."""
    mtt_s: tuple[float, float]
    """Limits of the transit time, which follows from flow and volume."""
    delay_s: tuple[float, float]
    """Delay of the remaining flow, added to the healthy delay."""


DAMAGE = {
    OLIGAEMIA: Damage((0.55, 0.80), (0.62, 0.85), (0.95, 1.20), (4.5, 8.0), (1.0, 2.2)),
    PENUMBRA: Damage((0.28, 0.45), (0.52, 0.68), (0.90, 1.10), (7.5, 15.0), (3.0, 7.0)),
    CORE: Damage((0.05, 0.18), (0.08, 0.22), (0.15, 0.45), (7.0, 18.0), (5.0, 9.0)),
}
MAX_DISPERSION_S = 4.0
MIN_MTT_S, MAX_MTT_S = 2.0, 30.0
EDGE_MM = 2.0
"""Lesions have no hard borders: their effects are blurred with this SD."""


@dataclass(frozen=True)
class Perfusion:
    """Parameters of every voxel, (Z, Y, X) float32; 0 where there is no tissue."""

    cbf: Float32Array
    """ml/100g/min."""
    cbv: Float32Array
    """ml/100g; CBF x MTT / 60."""
    mtt: Float32Array
    """s."""
    delay: Float32Array
    """s after the internal carotid artery; includes the mean of the dispersion."""
    dispersion: Float32Array
    """Mean of the dispersion on the way to the voxel, s."""
    shares: Float32Array
    """(S, Z, Y, X) share of each residue shape, sums to 1."""


def _healthy(
    rng: np.random.Generator, slab: Slab, prior: tuple[float, float, float, float]
) -> Float32Array:
    """Smooth variation around a mean: half coarse (20 mm), half fine (7 mm)."""
    mean, sd, low, high = prior
    shape, spacing = slab.geometry.shape, slab.geometry.spacing_mm
    coarse = normal_field(rng, shape, spacing, 20.0)
    fine = normal_field(rng, shape, spacing, 7.0)
    field: Float32Array = np.clip(mean + sd * np.sqrt(0.5) * (coarse + fine), low, high)
    return field


def _blend(
    painted: NDArray[np.uint8], slab: Slab, healthy: float, values: dict[int, Float32Array]
) -> Float32Array:
    """Value of each voxel's label, with soft edges within the slice."""
    field = np.full(painted.shape, healthy, np.float32)
    for label, value in values.items():
        field = np.where(painted == label, value, field)
    _, row_mm, column_mm = slab.geometry.spacing_mm
    blurred: Float32Array = ndimage.gaussian_filter(
        field, (0, EDGE_MM / row_mm, EDGE_MM / column_mm)
    )
    return blurred


def make_perfusion(
    recipe: Recipe,
    slab: Slab,
    gm: Float32Array,
    wm: Float32Array,
    brain: BoolArray,
    painted: NDArray[np.uint8],
    rng: np.random.Generator,
) -> Perfusion:
    """Draw the parameters of every voxel from tissue fractions and the painted lesion."""
    shape, spacing = slab.geometry.shape, slab.geometry.spacing_mm

    def harm(part: str, healthy: float) -> Float32Array:
        values = {
            label: uniform_field(rng, shape, spacing, 15.0, *getattr(damage, part))
            for label, damage in DAMAGE.items()
        }
        return _blend(painted, slab, healthy, values)

    gm_cbf, wm_cbf = (recipe.flow * _healthy(rng, slab, prior) for prior in (GM_CBF, WM_CBF))
    gm_cbv = gm_cbf * recipe.transit * _healthy(rng, slab, GM_MTT) / 60
    wm_cbv = wm_cbf * recipe.transit * _healthy(rng, slab, WM_MTT) / 60
    cbf = gm * gm_cbf * harm("gm_cbf", 1.0) + wm * wm_cbf * harm("wm_cbf", 1.0)
    cbv = (gm * gm_cbv + wm * wm_cbv) * harm("cbv", 1.0)
    tissue = brain & (gm + wm > 0.02)
    mtt = np.divide(60 * cbv, cbf, out=np.zeros_like(cbv), where=tissue)
    low, high = np.full(shape, MIN_MTT_S), np.full(shape, MAX_MTT_S)
    for label, damage in DAMAGE.items():
        low[painted == label], high[painted == label] = damage.mtt_s
    mtt = np.where(tissue, np.clip(mtt, low, high), 0).astype(np.float32)
    cbf = np.where(tissue, cbf, 0).astype(np.float32)
    white = wm / np.maximum(gm + wm, 1e-3)
    added = harm("delay_s", 0.0)
    delay = (1 - white) * uniform_field(rng, shape, spacing, 15.0, *GM_DELAY)
    delay += white * uniform_field(rng, shape, spacing, 15.0, *WM_DELAY)
    delay = np.where(tissue, delay + added, 0).astype(np.float32)
    dispersion = np.minimum(0.2 * delay + recipe.collateral_dispersion * added, MAX_DISPERSION_S)
    return Perfusion(
        cbf=np.asarray(cbf, dtype=np.float32),
        cbv=np.asarray(cbf * mtt / 60, dtype=np.float32),
        mtt=mtt,
        delay=delay,
        dispersion=np.where(tissue, np.minimum(dispersion, delay), 0).astype(np.float32),
        shares=_shares(rng, slab, recipe.residue_shares),
    )


def _shares(rng: np.random.Generator, slab: Slab, means: tuple[float, ...] | None) -> Float32Array:
    """Smoothly varying mixture of residue shapes around the mean shares."""
    means = means or tuple(one.share for one in RESIDUES.values())
    shape, spacing = slab.geometry.shape, slab.geometry.spacing_mm
    stacked = np.stack(
        [mean * np.exp(0.8 * normal_field(rng, shape, spacing, 20.0)) for mean in means]
    )
    mixture: Float32Array = (stacked / stacked.sum(axis=0)).astype(np.float32)
    return mixture
