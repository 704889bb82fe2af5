"""Which trial's imaging criteria an outlined lesion meets, and whether two outlines agree on it.

Imaging only: age, NIHSS, time and vessel matter too, and a program must not decide.  DAWN selected
by core and clinical severity in three strata; its core limits are evaluated separately.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bolus.errors import UsageError
from bolus.study.agreement.bootstrap import Statistic, finite
from bolus.study.agreement.concordance import FEWEST, NEEDED
from bolus.types import BoolArray, Float64Array

DEFUSE3_CORE_BELOW_ML = 70.0
DEFUSE3_RATIO_AT_LEAST = 1.8
DEFUSE3_MISMATCH_AT_LEAST_ML = 15.0
"""Albers et al., N Engl J Med 2018;378:708 (CBF < 30 %, Tmax > 6 s)."""
EXTEND_CORE_BELOW_ML = 70.0
EXTEND_RATIO_ABOVE = 1.2
EXTEND_MISMATCH_ABOVE_ML = 10.0
"""Ma et al., N Engl J Med 2019;380:1795."""
DAWN_CORE_BELOW_ML = (21.0, 31.0, 51.0)
"""Nogueira et al., N Engl J Med 2018;378:11: age >= 80 and NIHSS >= 10; age < 80 and NIHSS >= 10;
age < 80 and NIHSS >= 20."""


def defuse3(core_ml: float, hypoperfused_ml: float) -> bool:
    """Core < 70 ml, mismatch >= 15 ml, ratio >= 1.8; without core the ratio has no limit."""
    return (
        core_ml < DEFUSE3_CORE_BELOW_ML
        and hypoperfused_ml - core_ml >= DEFUSE3_MISMATCH_AT_LEAST_ML
        and hypoperfused_ml >= DEFUSE3_RATIO_AT_LEAST * core_ml
    )


def extend(core_ml: float, hypoperfused_ml: float) -> bool:
    """Core < 70 ml, mismatch > 10 ml, ratio > 1.2."""
    return (
        core_ml < EXTEND_CORE_BELOW_ML
        and hypoperfused_ml - core_ml > EXTEND_MISMATCH_ABOVE_ML
        and hypoperfused_ml > EXTEND_RATIO_ABOVE * core_ml
    )


def dawn(limit_ml: float) -> Callable[[float, float], bool]:
    """Core below one of DAWN's limits."""
    return lambda core_ml, hypoperfused_ml: core_ml < limit_ml


@dataclass(frozen=True)
class Trial:
    """A trial's imaging criterion."""

    name: str
    criterion: str
    meets: Callable[[float, float], bool]
    """From core and hypoperfused volume, ml."""
    source: str


TRIALS = (
    Trial("DEFUSE 3", "core < 70 ml, mismatch ≥ 15 ml, ratio ≥ 1.8", defuse3,
          "Albers, N Engl J Med 2018;378:708"),
    Trial("EXTEND", "core < 70 ml, mismatch > 10 ml, ratio > 1.2", extend,
          "Ma, N Engl J Med 2019;380:1795"),
    *(Trial(f"DAWN {limit:g} ml", f"core < {limit:g} ml", dawn(limit),
            "Nogueira, N Engl J Med 2018;378:11") for limit in DAWN_CORE_BELOW_ML),
)  # fmt: skip


def kappa(first: BoolArray, second: BoolArray) -> float | None:
    """Cohen's kappa of two yes-or-no decisions; None where all decisions are the same.

    Also None with fewer than 3 pairs.

    Raises
    ------
    UsageError
        If scikit-learn isn't installed.
    """
    both = np.concatenate([first, second])
    if first.size < FEWEST or both.all() or not both.any():
        return None
    try:
        from sklearn.metrics import cohen_kappa_score
    except ImportError as error:
        raise UsageError(NEEDED) from error
    return finite(cohen_kappa_score(first, second))


def kappa_statistic(first: BoolArray, second: BoolArray) -> Statistic:
    """Cohen's kappa of weighted pairs of decisions."""

    def weighted(weights: Float64Array) -> Float64Array:
        total = weights.sum(axis=1)
        one, two = weights @ first / total, weights @ second / total
        same = weights @ (first == second) / total
        chance = one * two + (1 - one) * (1 - two)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(chance < 1, (same - chance) / (1 - chance), np.nan))

    return weighted
