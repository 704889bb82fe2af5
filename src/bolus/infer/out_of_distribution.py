"""Whether an exam resembles the network's training exams.

An exam is described by a few hundred numbers in groups: how it was measured, how long after the
bolus, its vessels' curves, its tissue's curves, and how sure the network is.  The distance of each
group from its usual place is Mahalanobis's, with a covariance shrunk towards independence (Ledoit
and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4) since there are few exams for so many numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bolus.infer.features import (
    CONTEXT,
    GRID_S,
    GROUPS,
    PIXEL_CHANNELS,
    TISSUE_PERCENTILES,
    VOLUMES_ML,
)
from bolus.metrics import MAD_TO_SD
from bolus.types import MAP_UNITS, BoolArray, Finding, Float32Array, Float64Array, Grade

STEP = 3
"""Every third sample of a curve is enough."""
QUANTILES = (0.05, 0.5, 0.95)
VOXELS_PER_SLICE = 1000
"""Enough for quantiles over an exam."""
LARGEST = 10.0
"""Values are clipped at this many standard deviations."""
FAIL = 2.0
"""Score from which on results are not reliable; a warning begins at 1."""
LIMIT_QUANTILE = 0.99
"""Share of the exams that pass each group's limit."""
FOLDS = 5

SPREAD_NAME = "expected errors"
GROUP_NAMES = (
    "timing and noise",
    "last frames",
    "vessels' curves",
    "tissue's curves",
    SPREAD_NAME,
)

Description = dict[str, Float64Array]
"""(D,) numbers of each group."""


@dataclass(frozen=True)
class SliceSample:
    """Input and output of the network for one slice."""

    pixels: Float32Array
    """(PIXEL_CHANNELS, v) some of the perfused voxels."""
    context: Float32Array
    """(CONTEXT,)"""
    spread: Float32Array
    """(5, v)"""


@dataclass(frozen=True)
class Usual:
    """Distribution of the training exams in one group of numbers."""

    name: str
    centre: Float64Array
    """(D,) medians."""
    scale: Float64Array
    """(D,) robust standard deviations."""
    whitening: Float64Array
    """(D, D) to independent numbers of variance 1."""
    limit: float
    """Distance that few exams of the same kind exceed."""

    def distance(self, numbers: Float64Array) -> float:
        """Root mean square of the whitened numbers: about 1 for an exam like the others."""
        z = np.clip((numbers - self.centre) / self.scale, -LARGEST, LARGEST)
        return float(np.sqrt(np.mean((self.whitening @ z) ** 2)))


def subsample(voxels: int) -> slice:
    """Evenly spread ones of a slice's perfused voxels."""
    return slice(None, None, max(voxels // VOXELS_PER_SLICE, 1))


def describe(slices: Sequence[SliceSample]) -> Description:
    """The numbers of an exam, by group.

    Parameters
    ----------
    slices : those with perfused voxels.
    """
    k = GRID_S.size
    context = np.mean([one.context for one in slices], axis=0, dtype=np.float64)
    sizes = [GROUPS * k, k, GROUPS, len(VOLUMES_ML), len(TISSUE_PERCENTILES)]
    shapes, sd, heights, falling, levels, scan = np.split(context, np.cumsum(sizes))
    groups = shapes.reshape(GROUPS, k)[:, ::STEP].ravel()
    channels = [*range(0, k, STEP), k, k + 1, k + 2]
    # large vessels are described by their own curves
    tissue = [one.pixels[-1] == 0 for one in slices]
    values = [_quantiles(slices, tissue, "pixels", i) for i in channels]
    spreads = [_quantiles(slices, tissue, "spread", i) for i in range(len(slices[0].spread))]
    return {
        GROUP_NAMES[0]: np.concatenate([scan, sd[::STEP]]),
        GROUP_NAMES[1]: lasting_uncertainty(sd)[::STEP],
        GROUP_NAMES[2]: np.concatenate([heights, falling, groups]),
        GROUP_NAMES[3]: np.concatenate([levels, *values]),
        GROUP_NAMES[4]: np.log(np.concatenate(spreads)),
    }


def group_sizes() -> dict[str, int]:
    """How many numbers each group has."""
    blank = SliceSample(
        np.zeros((PIXEL_CHANNELS, 1), np.float32),
        np.zeros(CONTEXT, np.float32),
        np.ones((len(MAP_UNITS), 1), np.float32),
    )
    return {name: len(numbers) for name, numbers in describe([blank]).items()}


def lasting_uncertainty(sd: Float64Array) -> Float64Array:
    """(K,) what is unknown of each moment and of all later ones, from (K,) of each moment.

    Frames that are missing in between leave it as it is; an exam that ends early doesn't.
    """
    return np.minimum.accumulate(sd[::-1])[::-1]


def _quantiles(
    slices: Sequence[SliceSample], tissue: Sequence[BoolArray], of: str, i: int
) -> Float64Array:
    values = np.concatenate(
        [getattr(one, of)[i][where] for one, where in zip(slices, tissue, strict=True)]
    )
    if not values.size:
        return np.ones(len(QUANTILES))
    return np.quantile(values.astype(np.float64), QUANTILES)


def fit(training: Sequence[Description], validation: Sequence[Description]) -> tuple[Usual, ...]:
    """The usual values, from the training exams, and the limits.

    A limit is the distance that one exam in a hundred exceeds, of the validation exams and of the
    training exams in turn, each fifth of them seen from the others: there are many more of those.
    """
    found = []
    for name in GROUP_NAMES:
        learnt, checked = (np.stack([one[name] for one in kind]) for kind in (training, validation))
        usual = _usual(name, learnt)
        distances = [usual.distance(numbers) for numbers in checked]
        for k in range(min(FOLDS, len(learnt)) if len(learnt) > 1 else 0):
            out = np.arange(len(learnt)) % FOLDS == k
            others = _usual(name, learnt[~out])
            distances += [others.distance(numbers) for numbers in learnt[out]]
        # about 1 is usual, whatever a few exams say
        limit = max(float(np.quantile(distances, LIMIT_QUANTILE)), 1.0)
        found.append(replace(usual, limit=limit))
    return tuple(found)


def _usual(name: str, numbers: Float64Array) -> Usual:
    """From (exams, D) numbers, without a limit yet."""
    centre = np.median(numbers, axis=0)
    spread = MAD_TO_SD * np.median(np.abs(numbers - centre), axis=0)
    # some numbers are the same for most exams
    scale = np.maximum(spread, np.maximum(0.5 * numbers.std(axis=0), 1e-3))
    z = np.clip((numbers - centre) / scale, -LARGEST, LARGEST)
    return Usual(name, centre, scale, _whitening(z), 1.0)


def _whitening(z: Float64Array) -> Float64Array:
    """Inverse square root of the shrunk covariance of (exams, D) numbers."""
    count, size = z.shape
    covariance = z.T @ z / count
    mean = float(np.trace(covariance)) / size
    target = mean * np.eye(size)
    apart = float(((covariance - target) ** 2).sum())
    error = float((((z**2).T @ (z**2)) / count - covariance**2).sum()) / count
    share = min(error / apart, 1.0) if apart > 0 else 1.0
    values, vectors = np.linalg.eigh(share * target + (1 - share) * covariance)
    return np.asarray((vectors / np.sqrt(np.maximum(values, 1e-9))) @ vectors.T)


def scores(usual: Sequence[Usual], description: Mapping[str, Float64Array]) -> dict[str, float]:
    """Each group's distance over its limit."""
    return {one.name: one.distance(description[one.name]) / one.limit for one in usual}


def distance_finding(scored: Mapping[str, float]) -> Finding | None:
    """A warning where a group lies beyond its limit, a failure where it is far beyond."""
    name, worst = max(scored.items(), key=lambda item: item[1])
    if worst <= 1:
        return None
    far = worst > FAIL
    return Finding(
        "unlike-training",
        Grade.FAIL if far else Grade.WARNING,
        f"cnn: this exam is {'far ' if far else ''}unlike those that the network was trained on: "
        f"{name} deviate from the usual by {worst:.1f} times the limit.",
        "Do not rely on the network's maps here; compare with the method bma."
        if far
        else "Compare with the method bma; the network's standard errors are widened as much.",
    )
