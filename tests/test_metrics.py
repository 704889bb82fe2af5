"""The measures that everything else is judged by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bolus.metrics import MAD_TO_SD, dice, mean_absolute_error, pearson, robust_sd

NOWHERE = np.zeros((2, 3, 4), bool)


def test_two_empty_masks_agree_and_an_empty_one_with_no_other() -> None:
    assert dice(NOWHERE, NOWHERE) == 1
    assert dice(NOWHERE, ~NOWHERE) == 0


def test_what_does_not_vary_has_no_correlation() -> None:
    assert math.isnan(pearson(np.ones(5), np.arange(5.0)))
    assert math.isnan(pearson(np.arange(1.0), np.arange(1.0)))
    assert pearson(np.arange(5.0), -np.arange(5.0)) == pytest.approx(-1)


def test_errors_of_either_sign_add_up() -> None:
    assert mean_absolute_error(np.array([1.0, 2.0]), np.array([2.0, 1.0])) == 1


def test_outliers_do_not_move_the_robust_sd() -> None:
    noise = np.random.default_rng(0).normal(0, 3.0, 20_000)
    assert robust_sd(noise) == pytest.approx(3.0, rel=0.02)
    noise[::10] = 1e6
    assert robust_sd(noise) == pytest.approx(3.0, rel=0.15)
    assert pytest.approx(1 / stats.norm.ppf(0.75), abs=5e-5) == MAD_TO_SD
