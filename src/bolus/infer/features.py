"""The network's input: each slice's curves on a common grid, and the slab's blood.

The network is given no arterial input function but the curves of the whole slab's vessels,
from those that fill first to those that fill last, and infers itself what feeds the
tissue.  All of it is linear in the measured samples and divided by the blood's mean, so maps don't
change with the contrast agent's strength, and curves may have any number of samples at any times.
A brain that holds far less blood than usual is scaled to the usual, and its maps back.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bolus.types import BoolArray, Float32Array, Float64Array, IntArray

GRID_S: Float64Array = np.asarray(np.arange(36) * 1.5 - 4.5, np.float64)
"""(K,) s after the bolus arrives in the head."""
CORRELATION_S = 4.0
"""Correlation time of tissue curves (Matérn 5/2 kernel)."""
AMPLITUDE_HU = 8.0
"""Prior SD of tissue's enhancement around zero."""
BLOOD_ML = 0.3
"""The brightest voxels of this volume count as blood: mostly veins."""
BLOOD_AREA_SHARE = 0.3
"""Vessels with at least this share of the blood's area are sorted by their time."""
EARLY_SHARES = (0.0, 0.03, 0.10, 0.30, 0.60, 1.0)
"""Vessels are grouped by these quantiles, from the first to the last to fill."""
ARRIVED = 0.3
"""A vessel's time is when it has had this share of its contrast."""
VOLUMES_ML = (0.05, 0.1, 0.6, 1.2, 2.5, 5.0)
"""Brightness of the brightest vessels of these volumes: equal where whole voxels are blood, falling
where vessels fill their voxels only in part."""
TISSUE_PERCENTILES = (10, 25, 50, 75, 90, 95)
SAMPLE_STEP = 7
"""Subsampling step, in voxels."""
TISSUE_SCALE = 20.0
"""Tissue has 1/20 of the blood's enhancement."""
MEDIAN = TISSUE_PERCENTILES.index(50)
FALLING_POWERS = {0.1: -0.64, 1.2: -2.42, 5.0: 0.24}
"""ml: power of the brightness of vessels of this volume over the blood's."""
LOG_VOLUME = 0.34
"""The brain's blood volume over the usual one is its tissue's median enhancement, in units of 1 /
`TISSUE_SCALE` of the brightest blood's, times these powers and the exponential of this constant.
Fitted to true CBV, not derived (``benchmarks/blood_volume.py``)."""
LEAST_TISSUE, LEAST_FALLING = 0.03, 0.1
"""Lower limits for the logarithm."""
USUAL_LOG, LITTLE_LOG, LEAST_LOG = -0.2, -0.4, -1.5
"""Of the logarithm of the blood volume: down to the first, brains differ and the estimate errs so
much that the network does better; from the second on it is used, but never below the third."""
HIGHEST = 8.0
"""Vessels' curves are cut off here, in units of tissue's."""
LEVEL_HU = 8.0
MOMENT_S = 15.0

GROUPS = len(EARLY_SHARES)
"""Groups of vessels, the brightest included."""
PIXEL_CHANNELS = GRID_S.size + 5
CONTEXT = (GROUPS + 1) * GRID_S.size + GROUPS + len(VOLUMES_ML) + len(TISSUE_PERCENTILES) + 8


@dataclass(frozen=True)
class Sampled:
    """A slab's curves as computed by the pipeline; shapes as in `bolus.types`."""

    curves_hu: Float32Array
    """(V, T) denoised enhancement, HU."""
    area_hu: Float32Array
    """(V,) mean of the enhancement over all frames before denoising, HU."""
    moment_s: Float32Array
    """(V,) mean over all frames of enhancement x time after arrival before denoising, HU s."""
    level_hu: Float32Array
    """(V,) mean of all frames, HU: where grey and white matter differ most."""
    clear: BoolArray
    """(V,) whether residual motion can't explain the curve."""
    voxels: BoolArray
    """(Z, Y, X) with V true voxels."""
    vessel: BoolArray
    times_s: Float64Array
    """(T, Z)"""
    weight: Float64Array
    """(T,)"""
    noise_hu: float
    arrival_s: float
    spacing_mm: tuple[float, float, float]

    def rows(self, z: int) -> slice:
        """Rows of ``curves_hu`` that lie in slice ``z``."""
        before = int(self.voxels[:z].sum())
        return slice(before, before + int(self.voxels[z].sum()))


@dataclass(frozen=True)
class Blood:
    """Summary of the slab's vessels."""

    mean_hu: float
    """Of the brightest voxels' curve over the grid."""
    shapes: Float64Array
    """(GROUPS, K) mean curve of each group over its own mean."""
    heights: Float64Array
    """(GROUPS,) mean of each group over that of the brightest."""
    falling: Float64Array
    """Mean of the brightest vessels of `VOLUMES_ML` over ``mean_hu``."""
    tissue: Float64Array
    """`TISSUE_PERCENTILES` of tissue's mean over ``usual_hu``."""
    share: float
    """Of the perfused voxels that are vessels."""
    volume: float
    """Blood in all of the brain's tissue over the usual, by which tissue is divided and CBF and CBV
    are multiplied; 1 where it is about usual or more, or can't be estimated."""

    @property
    def usual_hu(self) -> float:
        """Enhancement that counts as 1."""
        return self.mean_hu * self.volume / TISSUE_SCALE


def smoother(
    times_s: Float64Array, weight: Float64Array, noise_hu: float, arrival_s: float
) -> tuple[Float64Array, Float64Array]:
    """From a slice's samples to the grid: Gaussian-process regression (Rasmussen 2006, eq. 2.25).

    Parameters
    ----------
    times_s : (T,) s after the first frame
    weight : (T,) information of each frame
    noise_hu : SD of a sample of weight 1, HU
    arrival_s : the grid's zero, s after the first frame

    Returns
    -------
    matrix : (K, T) samples to expected values on the grid
    sd : (K,) what remains unknown, over ``AMPLITUDE_HU``: 0 known, 1 nothing known
    """
    at = np.asarray(times_s, np.float64) - arrival_s
    noise = (max(noise_hu, 0.05) / AMPLITUDE_HU) ** 2 / weight
    between = _kernel(GRID_S[:, None] - at)
    matrix = np.linalg.solve(_kernel(at[:, None] - at) + np.diag(noise), between.T).T
    known = np.einsum("kt,kt->k", matrix, between)
    return np.asarray(matrix, np.float64), np.sqrt(np.clip(1 - known, 0, 1))


def _kernel(distance_s: Float64Array) -> Float64Array:
    x = np.sqrt(5) * np.abs(distance_s) / CORRELATION_S
    return np.asarray((1 + x + x**2 / 3) * np.exp(-x))


def blood(sampled: Sampled) -> Blood:
    """The slab's vessels in groups, from the first to fill to the last, and the brightest."""
    curves = _on_grid(sampled, _blood_mask(sampled))
    measurable = len(curves) > 0
    if not measurable:
        # no large vessel in the slab: the brightest tissue is used instead
        curves = _on_grid(sampled, sampled.voxels)
    mean = curves.mean(axis=1)
    voxels_per_ml = 1000 / float(np.prod(sampled.spacing_mm))
    order = np.argsort(mean, kind="stable")[::-1]
    brightest = curves[order[: max(int(BLOOD_ML * voxels_per_ml), 3)]].mean(axis=0)
    height = max(float(brightest.mean()), 1e-3)
    blood_curves = curves[order[: max(int((mean > BLOOD_AREA_SHARE * height).sum()), 3)]]
    blood_curves = blood_curves[np.argsort(_time(blood_curves), kind="stable")]
    edges = np.ceil(np.array(EARLY_SHARES) * len(blood_curves)).astype(int)
    last = len(blood_curves) - 1
    groups = [blood_curves[min(a, last) : max(b, a + 1)].mean(axis=0) for a, b in pairwise(edges)]
    shapes = np.stack([*groups, brightest])
    heights = shapes.mean(axis=1)
    shapes = shapes / np.maximum(heights, 0.02 * height)[:, None]
    brightness = [mean[order[: max(int(ml * voxels_per_ml), 1)]].mean() for ml in VOLUMES_ML]
    falling = np.array(brightness) / height
    tissue = _tissue_percentiles(sampled) * (TISSUE_SCALE / height)
    measurable = measurable and tissue[MEDIAN] > 0
    volume = scale_if_low(log_volume(float(tissue[MEDIAN]), falling)) if measurable else 1.0
    return Blood(
        mean_hu=height,
        shapes=shapes,
        heights=heights / height,
        falling=falling,
        tissue=tissue / volume,
        share=len(curves) / max(len(sampled.curves_hu), 1),
        volume=volume,
    )


def log_volume(tissue: float, falling: Float64Array) -> float:
    """Logarithm of the blood in all of the brain's tissue over the usual, about.

    Parameters
    ----------
    tissue : median over the blood's mean, times `TISSUE_SCALE`.
    falling : as in `Blood`.
    """
    log = LOG_VOLUME + np.log(max(tissue, LEAST_TISSUE))
    for ml, power in FALLING_POWERS.items():
        log += power * np.log(max(float(falling[VOLUMES_ML.index(ml)]), LEAST_FALLING))
    return float(log)


def scale_if_low(log: float) -> float:
    """The volume where it is far below the usual, 1 where it isn't, smooth in between.

    More blood than usual may be more flow or a longer transit; the curves' shapes show which.
    """
    x = np.clip((log - USUAL_LOG) / (LITTLE_LOG - USUAL_LOG), 0, 1)
    return float(np.exp(max(log, LEAST_LOG) * x * x * (3 - 2 * x)))


def _blood_mask(sampled: Sampled) -> BoolArray:
    """(Z, Y, X) vessels, without those that moving bone may have mimicked."""
    mask = sampled.vessel & sampled.voxels
    mask[sampled.voxels] &= sampled.clear
    return mask


def _tissue_percentiles(sampled: Sampled) -> Float64Array:
    """Of the mean over the grid of tissue's curves, HU."""
    found = []
    for z in range(len(sampled.voxels)):
        rows = np.flatnonzero(~sampled.vessel[z][sampled.voxels[z]])[::SAMPLE_STEP]
        matrix, _ = _smoother(sampled, z)
        curves = sampled.curves_hu[rows + sampled.rows(z).start].astype(np.float64)
        found.append(curves @ matrix.mean(axis=0))
    values = np.concatenate(found)
    return (
        np.percentile(values, TISSUE_PERCENTILES)
        if values.size
        else np.zeros(len(TISSUE_PERCENTILES))
    )


def _on_grid(sampled: Sampled, mask: BoolArray) -> Float64Array:
    """(n, K) curves of the mask's voxels."""
    found = []
    for z in range(len(mask)):
        rows = np.flatnonzero(mask[z][sampled.voxels[z]]) + sampled.rows(z).start
        matrix, _ = _smoother(sampled, z)
        found.append(sampled.curves_hu[rows].astype(np.float64) @ matrix.T)
    return np.concatenate(found)


def _smoother(sampled: Sampled, z: int) -> tuple[Float64Array, Float64Array]:
    return smoother(sampled.times_s[:, z], sampled.weight, sampled.noise_hu, sampled.arrival_s)


def _time(curves: Float64Array) -> IntArray:
    """(n,) first grid sample at which a curve has had ``ARRIVED`` of its contrast."""
    had = np.cumsum(np.maximum(curves, 0), axis=1)
    return np.asarray((had < ARRIVED * had[:, -1:]).sum(axis=1))


def level_reference(sampled: Sampled) -> float:
    """Median of all frames' mean in tissue, HU."""
    tissue = ~sampled.vessel[sampled.voxels]
    return float(np.median(sampled.level_hu[tissue])) if tissue.any() else 0.0


def slice_inputs(
    sampled: Sampled, z: int, slab: Blood, level_hu: float
) -> tuple[Float32Array, Float32Array]:
    """The network's input for slice ``z``.

    Returns
    -------
    pixels : (PIXEL_CHANNELS, Y, X) float32
        The curve on the grid, its area and first moment before denoising, the level in HU, and
        masks of perfused voxels and vessels.
    context : (CONTEXT,) float32
        The slab's vessels, how well each time is known, noise, voxel size, number of frames.
    """
    matrix, sd = _smoother(sampled, z)
    rows, mask = sampled.rows(z), sampled.voxels[z]
    scale = 1 / slab.usual_hu
    curves = sampled.curves_hu[rows].astype(np.float32) @ (matrix.T * scale).astype(np.float32)
    values = np.empty((PIXEL_CHANNELS, int(mask.sum())), np.float32)
    k = GRID_S.size
    values[:k] = curves.T
    values[k] = sampled.area_hu[rows] * np.float32(scale)
    values[k + 1] = sampled.moment_s[rows] * np.float32(scale / MOMENT_S)
    np.clip(values[: k + 2], -HIGHEST, HIGHEST, out=values[: k + 2])
    values[k + 2] = np.clip((sampled.level_hu[rows] - np.float32(level_hu)) / LEVEL_HU, -5, 5)
    values[k + 3] = 1
    values[k + 4] = sampled.vessel[z][mask]
    pixels = np.zeros((PIXEL_CHANNELS, *mask.shape), np.float32)
    pixels[:, mask] = values
    return pixels, _context(sampled, slab, sd)


def _context(sampled: Sampled, slab: Blood, sd: Float64Array) -> Float32Array:
    interval_s = float(np.median(np.diff(sampled.times_s, axis=0)))
    scalars = [
        np.log(max(slab.mean_hu, 1.0) / 100),
        np.log(max(sampled.noise_hu, 0.05)),
        np.log(max(sampled.noise_hu, 0.05) / slab.usual_hu),
        np.log(interval_s),
        np.log(sampled.spacing_mm[1]),
        np.log(sampled.spacing_mm[0] / 5),
        np.log(len(sampled.times_s) / 30),
        np.log(max(slab.share, 1e-4) / 0.05),
    ]
    parts = (slab.shapes.ravel(), sd, slab.heights, slab.falling, slab.tissue, scalars)
    context: Float32Array = np.clip(np.concatenate(parts), -8, 8).astype(np.float32)
    return context
