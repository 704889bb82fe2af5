"""The stroke: oligaemia, penumbra and core in the territory of an occluded artery."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from bolus.simulate.fields import normal_field
from bolus.simulate.recipe import Recipe, Side
from bolus.simulate.slab import Slab
from bolus.simulate.vessels import A2, A_FRONT, M2_FRONT, M2_LOWER, M2_TEMPORAL, M2_UPPER, P1, Path
from bolus.types import BoolArray, Float32Array, Float64Array

OLIGAEMIA, PENUMBRA, CORE = 1, 2, 3

# Places the arteries supply beyond their large branches (atlas mm, right side)
MCA_SEEDS: Path = [(24, 4, 4), (28, -8, 10), (30, 0, 22), (34, 10, 30), (34, -14, 36),
                   (36, -40, 30), (45, 35, 5), (52, -58, 10), (50, 5, -25)]  # fmt: skip
ACA_SEEDS: Path = [(10, 60, -5), (14, 55, 15), (12, 40, 40), (10, 15, 58), (10, -15, 65),
                   (9, -40, 60), (8, 30, -18)]  # fmt: skip
PCA_SEEDS: Path = [(12, -88, 0), (25, -82, -8), (30, -62, -12), (28, -38, -16), (10, -18, 6),
                   (10, -72, 20), (8, -30, -12)]  # fmt: skip
DEEP_MM = (33.0, -4.0, 8.0)
"""Insula and lentiform nucleus: the middle of most cores."""


def _distance(points: Float64Array, *paths: Path) -> Float64Array:
    """Distance of (n, 3) points to the nearest of the paths, mm."""
    dense = [
        np.array(path)[i] + (np.array(path)[i + 1] - np.array(path)[i]) * share
        for path in paths
        for i in range(len(path) - 1)
        for share in np.linspace(0, 1, 6)
    ]
    distance, _ = cKDTree(np.array(dense)).query(points)
    return np.asarray(distance)


def mca_depth(points: Float64Array) -> Float64Array:
    """How far (n, 3) points of the right hemisphere lie inside the MCA territory, mm.

    Negative outside.  Territories are the parts of the brain nearest to each artery's branches,
    as in a Voronoi diagram.
    """
    seeds = [[seed, seed] for seed in MCA_SEEDS]
    middle = _distance(points, M2_UPPER, M2_LOWER, M2_FRONT, M2_TEMPORAL, *seeds)
    others = _distance(points, A2, A_FRONT, P1, *([seed, seed] for seed in ACA_SEEDS + PCA_SEEDS))
    return others - middle


def paint_lesion(
    recipe: Recipe,
    slab: Slab,
    parenchyma: BoolArray,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Labels of the painted lesion: 0 none, 1 oligaemia, 2 penumbra, 3 core.

    Voxels of the territory are ranked by how badly they are supplied, and the worst of them fill
    the volumes of the recipe.

    Parameters
    ----------
    parenchyma : (Z, Y, X) voxels that count for the volumes
    """
    shape = slab.geometry.shape
    positions = slab.atlas_positions(slab.heights_mm())
    rough = normal_field(rng, shape, slab.geometry.spacing_mm, 22.0)
    labels = np.zeros(shape, np.uint8)
    sides = affected_sides(recipe.side)
    voxels = np.array([recipe.core_ml, recipe.penumbra_ml, recipe.oligaemia_ml])
    voxels /= slab.geometry.voxel_ml * max(len(sides), 1)
    for side in sides:
        hemisphere = positions[0] * side > 1.5
        points = positions[:, hemisphere].T.astype(np.float64) * [side, 1, 1]
        labels[hemisphere] = _paint(points, rough[hemisphere], parenchyma[hemisphere], voxels)
    return labels


def affected_sides(side: Side) -> tuple[int, ...]:
    """Signs of the atlas's x on the affected sides: -1 left, 1 right."""
    return {"left": (-1,), "right": (1,), "both": (-1, 1), "none": ()}[side]


def _paint(
    points: Float64Array, rough: Float32Array, parenchyma: BoolArray, voxels: Float64Array
) -> NDArray[np.uint8]:
    """Labels of (n, 3) points of the right hemisphere; ``voxels`` of core, penumbra, oligaemia."""
    depth = mca_depth(points)
    near = np.exp(-(((points - DEEP_MM) / 26.0) ** 2).sum(axis=1) / 2)
    severity = np.minimum(depth, 25.0) + 22.0 * near + 7.0 * rough
    severity[depth < -6] = -np.inf
    counted = np.where(parenchyma, severity, -np.inf)
    ranked = np.sort(counted[np.isfinite(counted)])[::-1]
    painted = np.zeros(severity.size, np.uint8)
    for label, total in zip((OLIGAEMIA, PENUMBRA, CORE), np.cumsum(voxels)[::-1], strict=True):
        count = min(round(float(total)), ranked.size)
        if count:
            painted[severity >= ranked[count - 1]] = label
    return painted
