"""A set of pairs of outlines: agreement of each region and of treatment eligibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bolus.study.agreement.bootstrap import Estimate, Resamples, finite, mean_of, resample
from bolus.study.agreement.concordance import (
    Limits,
    bland_altman,
    icc,
    icc_statistic,
    lin,
    lin_statistic,
    pearson,
    pearson_statistic,
)
from bolus.study.agreement.eligibility import TRIALS, Trial, kappa, kappa_statistic
from bolus.study.agreement.overlap import REGIONS, Overlap, overlap
from bolus.types import Geometry


@dataclass(frozen=True)
class OutlinePair:
    """Two outlines of one exam, scored."""

    exam: str
    regions: dict[str, Overlap]
    """By the names of `bolus.study.agreement.overlap.REGIONS`."""


@dataclass(frozen=True)
class RegionAgreement:
    """Agreement of the second outlines of a region with the first."""

    region: str
    pairs: int
    both_empty: int
    one_empty: int
    """Dice 0; no HD95."""
    dice: Estimate
    dice_sd: float | None
    hd95_mm: Estimate
    """Mean over the pairs that have one."""
    absolute_ml: Estimate
    relative_percent: Estimate
    """Mean of the signed relative differences."""
    r: Estimate
    ccc: Estimate
    icc: Estimate
    limits: Limits


@dataclass(frozen=True)
class TrialAgreement:
    """Decisions by one trial's imaging criterion."""

    trial: Trial
    pairs: int
    first_yes: int
    second_yes: int
    same: int
    kappa: Estimate


@dataclass(frozen=True)
class Agreement:
    """Everything about one set of pairs."""

    pairs: tuple[OutlinePair, ...]
    regions: tuple[RegionAgreement, ...]
    trials: tuple[TrialAgreement, ...]


def outline_pair(
    exam: str, first: NDArray[np.generic], second: NDArray[np.generic], geometry: Geometry
) -> OutlinePair:
    """Score two (Z, Y, X) label volumes (0 none, 1 penumbra, 2 core) on one grid."""
    return OutlinePair(
        exam,
        {name: overlap(of(first), of(second), geometry) for name, of in REGIONS.items()},
    )


def agreement(
    pairs: Sequence[OutlinePair], seed: int, regions: Sequence[str] = tuple(REGIONS)
) -> Agreement:
    """Agreement over all pairs, with intervals from resampled exams.

    Parameters
    ----------
    pairs : several may be of one exam.
    seed : of the bootstrap.
    regions : which ones; eligibility needs core and hypoperfused.
    """
    samples = resample([pair.exam for pair in pairs], seed)
    trials = TRIALS if {"core", "hypoperfused"} <= set(regions) else ()
    return Agreement(
        tuple(pairs),
        tuple(_region(name, [pair.regions[name] for pair in pairs], samples) for name in regions),
        tuple(_trial(trial, pairs, samples) for trial in trials),
    )


def _region(name: str, found: Sequence[Overlap], samples: Resamples) -> RegionAgreement:
    first, second = (
        np.array([getattr(one, key) for one in found], np.float64)
        for key in ("first_ml", "second_ml")
    )
    dices = np.array([one.dice for one in found])
    relative = np.array([one.relative_percent for one in found])
    far = np.array([np.nan if one.hd95_mm is None else one.hd95_mm for one in found])
    has = np.isfinite(far)

    def mean(values: np.ndarray) -> Estimate:
        value = float(values.mean()) if values.size else None
        return samples.interval(value, mean_of(values))

    far_mean = float(far[has].mean()) if has.any() else None
    far_samples = Resamples(samples.weights[:, has])
    empty = [(one.first_ml == 0) + (one.second_ml == 0) for one in found]
    return RegionAgreement(
        region=name,
        pairs=len(found),
        both_empty=empty.count(2),
        one_empty=empty.count(1),
        dice=mean(dices),
        dice_sd=finite(dices.std(ddof=1)) if dices.size > 1 else None,
        hd95_mm=far_samples.interval(far_mean, mean_of(far[has])),
        absolute_ml=mean(np.abs(second - first)),
        relative_percent=mean(relative),
        r=samples.interval(pearson(first, second), pearson_statistic(first, second)),
        ccc=samples.interval(lin(first, second), lin_statistic(first, second)),
        icc=samples.interval(icc(first, second), icc_statistic(first, second)),
        limits=bland_altman(first, second),
    )


def _trial(trial: Trial, pairs: Sequence[OutlinePair], samples: Resamples) -> TrialAgreement:
    first, second = (
        np.array([
            trial.meets(
                getattr(pair.regions["core"], key), getattr(pair.regions["hypoperfused"], key)
            )
            for pair in pairs
        ], bool)
        for key in ("first_ml", "second_ml")
    )  # fmt: skip
    return TrialAgreement(
        trial=trial,
        pairs=len(pairs),
        first_yes=int(first.sum()),
        second_yes=int(second.sum()),
        same=int((first == second).sum()),
        kappa=samples.interval(kappa(first, second), kappa_statistic(first, second)),
    )
