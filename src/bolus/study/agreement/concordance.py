"""Two measurements of the same volumes: correlation, concordance, limits of agreement.

Pearson comes from SciPy and ICC from pingouin; no library has Lin's coefficient.  The weighted
forms serve the bootstrap; with equal weights they are the same numbers.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bolus.errors import UsageError
from bolus.metrics import LIMITS_SD
from bolus.study.agreement.bootstrap import Estimate, Statistic, finite
from bolus.types import Float64Array

FEWEST = 3
"""Pairs below which no coefficient is given."""
NEEDED = "this needs pingouin and scikit-learn: pip install 'bolus[study]'"


@dataclass(frozen=True)
class Limits:
    """Bland-Altman: differences are second minus first."""

    bias: Estimate
    low: Estimate
    high: Estimate
    """Limits of agreement, bias -/+ 1.96 SD."""
    repeatability: float | None
    """Coefficient of repeatability: 1.96 times the square root of the mean squared difference."""


def pearson(first: Float64Array, second: Float64Array) -> float | None:
    """Pearson's correlation; None with fewer than 3 pairs or where one side doesn't vary."""
    if not _varies(first) or not _varies(second):
        return None
    return finite(stats.pearsonr(first, second).statistic)


def lin(first: Float64Array, second: Float64Array) -> float | None:
    """Lin's concordance correlation coefficient, with variances over n (Biometrics 1989;45:255).

    None with fewer than 3 pairs or where neither side varies.
    """
    if first.size < FEWEST or not (_varies(first) or _varies(second)):
        return None
    return finite(lin_statistic(first, second)(np.ones((1, first.size)))[0])


def icc(first: Float64Array, second: Float64Array) -> float | None:
    """ICC(2,1): two-way random effects, absolute agreement, single rater (Shrout & Fleiss 1979).

    None with fewer than 3 pairs or where neither side varies.

    Raises
    ------
    UsageError
        If pingouin isn't installed.
    """
    if first.size < FEWEST or not (_varies(first) or _varies(second)):
        return None
    try:
        import pandas as pd
        import pingouin
    except ImportError as error:
        raise UsageError(NEEDED) from error
    n = first.size
    long = pd.DataFrame({
        "exam": np.tile(np.arange(n), 2), "rater": np.repeat([0, 1], n),
        "volume": np.concatenate([first, second]),
    })  # fmt: skip
    # equal measurements leave no error to divide the F test by; what pingouin calls in pandas is
    # on its way out there
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        table = pingouin.intraclass_corr(long, "exam", "rater", "volume").set_index("Type")
    name = "ICC2" if "ICC2" in table.index else "ICC(A,1)"
    return finite(table.loc[name, "ICC"])


def bland_altman(first: Float64Array, second: Float64Array) -> Limits:
    """Bias and limits of agreement with 95 % confidence intervals (Bland & Altman 1986, 1999).

    Fewer than 3 pairs give a bias only.  The limits' standard error is that of 1999, section 2:
    SD sqrt(1/n + 1.96^2 / (2 (n - 1))).
    The coefficient of repeatability is also from there, 1.96 sqrt(2) times the within-subject SD.
    """
    apart = second - first
    n = apart.size
    bias = float(apart.mean()) if n else None
    if bias is None or n < FEWEST:
        return Limits(Estimate(bias), Estimate(None), Estimate(None), None)
    sd = float(apart.std(ddof=1))
    t = float(stats.t.ppf(0.975, n - 1))
    around = t * sd / math.sqrt(n)
    beyond = t * sd * math.sqrt(1 / n + LIMITS_SD**2 / (2 * (n - 1)))

    def estimate(value: float, reach: float) -> Estimate:
        return Estimate(value, value - reach, value + reach)

    return Limits(
        bias=estimate(bias, around),
        low=estimate(bias - LIMITS_SD * sd, beyond),
        high=estimate(bias + LIMITS_SD * sd, beyond),
        repeatability=LIMITS_SD * math.sqrt(float((apart**2).mean())),
    )


def pearson_statistic(first: Float64Array, second: Float64Array) -> Statistic:
    """Pearson's correlation of weighted pairs."""

    def weighted(weights: Float64Array) -> Float64Array:
        _, _, v1, v2, c = _moments(first, second, weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            r = c / np.sqrt(v1 * v2)
        return np.asarray(
            np.clip(np.where(_nothing(v1, first) | _nothing(v2, second), np.nan, r), -1, 1)
        )

    return weighted


def lin_statistic(first: Float64Array, second: Float64Array) -> Statistic:
    """Lin's coefficient of weighted pairs: 2 cov / (var + var + squared difference of means)."""

    def weighted(weights: Float64Array) -> Float64Array:
        m1, m2, v1, v2, c = _moments(first, second, weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = 2 * c / (v1 + v2 + (m1 - m2) ** 2)
        return np.asarray(np.where(_nothing(v1, first) & _nothing(v2, second), np.nan, found))

    return weighted


def icc_statistic(first: Float64Array, second: Float64Array) -> Statistic:
    """ICC(2,1) of weighted pairs from the mean squares of the two-way table."""

    def weighted(weights: Float64Array) -> Float64Array:
        n = weights.sum(axis=1)
        m1, m2, v1, v2, c = _moments(first, second, weights)
        between = n * (v1 + v2 + 2 * c) / 2 / (n - 1)  # mean square of exams
        raters = n * (m1 - m2) ** 2 / 2  # of raters, one degree of freedom
        error = n * (v1 + v2 - 2 * c) / 2 / (n - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (between - error) / (between + error + 2 * (raters - error) / n)
        return np.asarray(np.where(_nothing(v1, first) & _nothing(v2, second), np.nan, found))

    return weighted


def _moments(
    first: Float64Array, second: Float64Array, weights: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array, Float64Array]:
    """Means, variances over n and covariance, (B,) each."""
    total = weights.sum(axis=1)
    # centred first: squares of large values would lose digits
    a, b = first - first.mean(), second - second.mean()
    m1, m2 = weights @ a / total, weights @ b / total
    v1 = np.maximum(weights @ a**2 / total - m1**2, 0)
    v2 = np.maximum(weights @ b**2 / total - m2**2, 0)
    c = weights @ (a * b) / total - m1 * m2
    return m1 + first.mean(), m2 + second.mean(), v1, v2, c


def _nothing(variance: Float64Array, values: Float64Array) -> np.ndarray:
    """Where a variance is mere rounding error."""
    return np.asarray(variance <= 1e-12 * max(float(np.square(values).max(initial=0)), 1e-300))


def _varies(values: Float64Array) -> bool:
    if values.size < FEWEST:
        return False
    return not bool(_nothing(np.array([values.var()]), values)[0])
