"""The fast logarithm and exponential against those of the mathematics library."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.deconvolution.elementary import SMALLEST_LOG, exp32, log32


@given(st.floats(-60, 60))
def test_the_logarithm_is_right_to_float32(log_x: float) -> None:
    x = np.float32(math.exp(log_x))
    assert log32(x) == pytest.approx(math.log(x), rel=3e-7, abs=3e-7)


@given(st.floats(float(SMALLEST_LOG), 0))
def test_the_exponential_is_right_to_float32(x: float) -> None:
    assert exp32(np.float32(x)) == pytest.approx(math.exp(np.float32(x)), rel=5e-6)


def test_what_is_too_small_stays_a_small_positive_number() -> None:
    assert 0 < exp32(np.float32(-1e30)) < 1e-25
