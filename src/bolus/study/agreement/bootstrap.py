"""Bootstrap confidence intervals over exams."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from bolus.types import Float64Array

RESAMPLES = 2000
COVERED = 95.0
FEWEST = 2
"""Smallest number of exams that is resampled."""

Statistic = Callable[[Float64Array], Float64Array]
"""From weights (B, n) of n pairs to B values."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % confidence interval; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Resamples:
    """Multiplicity of each pair in B samples of exams drawn with replacement."""

    weights: Float64Array
    """(B, n); B is 0 with fewer than `FEWEST` exams."""

    def interval(self, value: float | None, statistic: Statistic) -> Estimate:
        """The percentile interval of a statistic.

        Samples in which it is undefined (e.g. all volumes equal) are left out.
        """
        if value is None or not np.isfinite(value) or len(self.weights) == 0:
            return Estimate(finite(value))
        found = statistic(self.weights)
        found = found[np.isfinite(found)]
        if found.size == 0:
            return Estimate(float(value))
        tail = (100 - COVERED) / 2
        low, high = np.percentile(found, [tail, 100 - tail])
        return Estimate(float(value), float(low), float(high))


def resample(exams: Sequence[Hashable], seed: int, resamples: int = RESAMPLES) -> Resamples:
    """Draw exams with replacement; an exam brings all its pairs.

    Parameters
    ----------
    exams : of each of n pairs; pairs of one exam are not independent.
    seed : of the samples.
    """
    _, member = np.unique([str(exam) for exam in exams], return_inverse=True)
    count = int(member.max()) + 1 if len(exams) else 0
    if count < FEWEST:
        return Resamples(np.zeros((0, len(exams))))
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return Resamples(drawn[:, member].astype(np.float64))


def mean_of(values: Float64Array) -> Statistic:
    """The mean as a statistic; undefined in a sample with none of the values."""

    def weighted(weights: Float64Array) -> Float64Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(weights @ values / weights.sum(axis=1))

    return weighted


def finite(value: float | None) -> float | None:
    """None for NaN and infinity, which JSON and tables can't represent."""
    return float(value) if value is not None and np.isfinite(value) else None
