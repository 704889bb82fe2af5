"""Logarithm and exponential of float32 that compilers can vectorise.

Those of the mathematics library are called number by number, which would dominate the time of
a Bayesian fit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LN_2 = np.float32(0.6931471805599453)
LOG2_E = np.float32(1.4426950408889634)
SMALLEST_LOG = np.float32(-60.0)
"""Products of still smaller numbers would be denormal, which processors take 100 times as long
for."""
SQRT_HALF_BITS = np.int32(0x3F3504F3)
"""The float32 next to sqrt(1/2), as an integer."""
MANTISSA = np.int32(0x007FFFFF)
MANTISSA_BITS = np.int32(23)
BIAS = np.int32(127)


@njit(cache=True, fastmath=True, inline="always")
def log32(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a normal positive float32, relative error 2e-7.

    x = m 2^e with m within sqrt(1/2)..sqrt(2), and log m = 2 artanh((m - 1)/(m + 1)) by its series.
    """
    # integers are cast after each step: they would become as wide as the processor's
    shifted = np.int32(np.float32(x).view(np.int32) - SQRT_HALF_BITS)
    exponent = np.int32(shifted >> MANTISSA_BITS)
    m = np.int32(np.int32(shifted & MANTISSA) + SQRT_HALF_BITS).view(np.float32)
    s = (m - np.float32(1)) / (m + np.float32(1))
    q = s * s
    series = q * np.float32(1 / 9) + np.float32(1 / 7)
    series = series * q + np.float32(1 / 5)
    series = series * q + np.float32(1 / 3)
    series = series * q + np.float32(1)
    return np.float32(2) * s * series + np.float32(exponent) * LN_2


@njit(cache=True, fastmath=True, inline="always")
def exp32(x):  # type: ignore[no-untyped-def]
    """Exponential of a float32 that is at most 0, relative error 3e-6; 9e-27 below -60.

    x = n log 2 + r with |r| <= log(2)/2, and exp r by its series.
    """
    x = x if x > SMALLEST_LOG else SMALLEST_LOG
    n = np.int32(x * LOG2_E - np.float32(0.5))
    r = x - np.float32(n) * LN_2
    series = r * np.float32(1 / 720) + np.float32(1 / 120)
    series = series * r + np.float32(1 / 24)
    series = series * r + np.float32(1 / 6)
    series = series * r + np.float32(1 / 2)
    series = series * r + np.float32(1)
    series = series * r + np.float32(1)
    return series * np.int32(np.int32(n + BIAS) << MANTISSA_BITS).view(np.float32)
