"""Regions of one vessel: their mean curves, timing and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bolus.arteries.clusters import MIN_CLUSTER, Candidates, connected, grown_cluster, within
from bolus.arteries.curve_features import Shape, gamma_misfit, shape
from bolus.types import BoolArray, Float64Array, Geometry, IntArray

# How many seeds are grown into regions for each kind of vessel.
MAX_SEEDS = 60
MAX_REGION = 20
REGION_RADIUS_MM = 6.0
# Besides its share of the mean curve a voxel of the same vessel has noise (measured before the
# bolus and after smoothing 1-2-1, which takes 0.61 of it), and an individual course of no more than
# this part.
OWN_COURSE = 0.3
NOISE_MARGIN = 1.3 / 0.61
# Voxels with less than this share of the fullest are rim: they add noise and other vessels' blood.
RIM_SHARE = 0.5
# Shifts that are tried to see how early a curve is, s: the slowest circulation included.
SHIFTS_S = np.round(np.arange(-15.0, 15.01, 0.05), 2)


@dataclass(frozen=True)
class Group:
    """Voxels taken together, with their curves."""

    voxels: IntArray
    """(n, 3) indices z, y, x."""
    curves: Float64Array
    """(n, N) HU."""


@dataclass(frozen=True)
class Region:
    """A few voxels of one vessel, the curve they share and its features."""

    voxels: IntArray
    """(n, 3) indices z, y, x."""
    curve: Float64Array
    """(N,) HU, mean weighted by each voxel's share of blood."""
    marks: Shape
    misfit: float
    """Distance to a gamma variate as a share of the peak."""
    snr: float
    """Peak over the SD of noise."""
    delay_s: float
    """How much later it is than the clearest region."""

    @property
    def placed(self) -> bool:
        """Whether there is a time at which it resembles a bolus."""
        return abs(self.delay_s) < float(SHIFTS_S[-1])


def grow_groups(candidates: Candidates, order: IntArray, geometry: Geometry) -> list[Group]:
    """Groups around the first seeds of ``order`` that no earlier group has taken."""
    used = np.zeros(order.size, bool)
    groups: list[Group] = []
    for seed in order:
        if len(groups) == MAX_SEEDS:
            break
        if used[seed]:
            continue
        rows = _grown(candidates, int(seed), geometry)
        used[rows] = True
        used[seed] = True
        best = np.argsort(-candidates.calibre_hu[rows], kind="stable")[:MAX_REGION]
        kept = np.sort(rows[best])
        groups.append(Group(candidates.voxels[kept], candidates.curves[kept]))
    return groups


def measure(groups: list[Group], grid: Float64Array, arrival_s: float) -> list[Region]:
    """Mean curves with their features; noise and delays are judged over all groups together."""
    means = [weighted_mean(group.curves) for group in groups]
    curves = np.array([curve for curve, _ in means])
    effective = np.array([n for _, n in means])
    marks = [shape(curve, grid) for curve in curves]
    noise = noise_of_one_voxel(curves, effective, grid, arrival_s) / np.sqrt(effective)
    peak = np.array([float(m.peak_hu) for m in marks])
    snr = peak / np.maximum(noise, 1e-9)
    strength = np.array([float(m.strength_hu) for m in marks])
    late = delays(curves, curves[int(np.argmax(strength * np.sqrt(effective)))], grid)
    return [
        Region(group.voxels, curve, m, gamma_misfit(curve, grid), float(s), float(d))
        for group, curve, m, s, d in zip(groups, curves, marks, snr, late, strict=True)
    ]


def weighted_mean(curves: Float64Array) -> tuple[Float64Array, float]:
    """Mean of curves (n, N) weighted by their shares of blood, and its effective number of voxels.

    Voxels of one vessel measure the same course times their share of blood, all with the same
    noise: the mean weighted by these shares has the least noise for its height (matched filter).
    A share is the voxel's regression on the mean; two rounds settle it.
    """
    mean = np.asarray(curves.mean(axis=0))
    share = np.ones(len(curves))
    for _ in range(2):
        regression = np.maximum(curves @ mean, 0)
        if not regression.any():
            break
        share = regression / regression.sum()
        mean = share @ curves
    return mean, float(share.sum() ** 2 / (share @ share))


def noise_of_one_voxel(
    curves: Float64Array, effective: Float64Array, grid: Float64Array, arrival_s: float
) -> float:
    """SD of noise in a voxel's curve as groups see it, HU: with n voxels it falls as 1/sqrt(n).

    From the mean curves (n, N) before contrast arrives, so that neighbours' correlated noise
    counts; from second differences, which are near zero for a bolus, where no frames precede it.
    """
    before = grid < arrival_s
    if before.sum() > 2:
        spread = np.sqrt(np.mean(curves[:, before] ** 2, axis=1))
    else:
        spread = np.diff(curves, 2, axis=1).std(axis=1) / np.sqrt(6)
    return float(np.median(spread * np.sqrt(effective)))


def delays(curves: Float64Array, template: Float64Array, grid: Float64Array) -> Float64Array:
    """(n,) s by which each curve (n, N) is later than the template (N,): the shift that fits best.

    Any height and any level of the baseline fit as well.
    """
    shifted = np.array([np.interp(grid - s, grid, template) for s in SHIFTS_S])
    shifted -= shifted.mean(axis=1, keepdims=True)
    norm = np.sqrt((shifted**2).sum(axis=1, keepdims=True))
    centred = curves - curves.mean(axis=1, keepdims=True)
    correlation = centred @ (shifted / np.maximum(norm, 1e-9)).T
    return np.asarray(SHIFTS_S[correlation.argmax(axis=1)])


def diameter_mm(
    candidates: Candidates, one: Region, blood_share: float, geometry: Geometry
) -> float:
    """Diameter of a straight vessel that would hold the blood around the region, mm.

    ``blood_share`` is the blood fraction that the region's curve represents.
    """
    middle = np.round(one.voxels.mean(axis=0)).astype(np.int64)
    near = np.flatnonzero(within(candidates.voxels, middle, REGION_RADIUS_MM, geometry))
    if not near.size:
        return 0.0
    alike = near[_alike(candidates, near, one.curve, 0.0)]
    norm = float(one.curve @ one.curve)
    share = blood_share * (candidates.curves[alike] @ one.curve) / norm
    volume_mm3 = float(np.clip(share, 0, 1).sum()) * geometry.voxel_ml * 1000
    slices = np.unique(candidates.voxels[alike, 0]).size
    length = max(2 * REGION_RADIUS_MM, slices * geometry.spacing_mm[0])
    return float(np.sqrt(4 * volume_mm3 / (np.pi * length)))


def _grown(candidates: Candidates, seed: int, geometry: Geometry) -> IntArray:
    """Rows of the seed's vessel; a second round compares with the mean instead of one voxel."""
    rows = grown_cluster(candidates, seed, geometry)
    if rows.size < MIN_CLUSTER // 2:
        return rows
    mean, _ = weighted_mean(candidates.curves[rows])
    point = candidates.voxels[seed]
    near = np.flatnonzero(within(candidates.voxels, point, REGION_RADIUS_MM, geometry))
    alike = near[_alike(candidates, near, mean, RIM_SHARE)]
    # a seed on the rim leads to the vessel, but may not belong to it
    fullest = int(rows[np.argmax(candidates.marks.strength_hu[rows])])
    return connected(candidates.voxels, alike, fullest) if fullest in alike else rows


def _alike(candidates: Candidates, rows: IntArray, mean: Float64Array, least: float) -> BoolArray:
    """(n,) voxels whose curve is a share of ``mean``, of at least ``least`` of the fullest's."""
    curves = candidates.curves[rows]
    share = curves @ mean / float(mean @ mean)
    rest = np.sqrt(((curves - share[:, None] * mean) ** 2).mean(axis=1))
    course = OWN_COURSE * np.abs(share) * float(np.sqrt(np.mean(mean**2)))
    noise = NOISE_MARGIN * candidates.noise_hu
    return np.asarray((rest**2 <= noise**2 + course**2) & (share > least * share.max()))
