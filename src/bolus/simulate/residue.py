"""Residue functions R(t): the fraction of a tracer that is still in the tissue after t.

Every one has R(0) = 1 and an integral of exactly its mean transit time (central volume theorem).
A published tissue phantom's R = 1 for t < MTT, then exp(-(t - MTT)), has an area of MTT + 1 s and
is not used for that reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import gammainc, gammaincc

from bolus.types import Float64Array

Function = Callable[[Float64Array, float], Float64Array]


def box(t_s: Float64Array, mtt_s: float) -> Float64Array:
    """All blood has the same transit time: R = 1 until MTT, 0 after."""
    return ((t_s >= 0) & (t_s < mtt_s)).astype(np.float64)


def box_area(t_s: Float64Array, mtt_s: float) -> Float64Array:
    """Integral of ``box`` from 0 to t, s."""
    return np.clip(t_s, 0, mtt_s)


def linear(t_s: Float64Array, mtt_s: float) -> Float64Array:
    """Transit times evenly distributed from 0 to 2 MTT."""
    return np.where(t_s >= 0, np.clip(1 - t_s / (2 * mtt_s), 0, None), 0.0)


def linear_area(t_s: Float64Array, mtt_s: float) -> Float64Array:
    """Integral of ``linear`` from 0 to t, s."""
    t = np.clip(t_s, 0, 2 * mtt_s)
    return np.asarray(t - t**2 / (4 * mtt_s))


def gamma(t_s: Float64Array, mtt_s: float, shape: float) -> Float64Array:
    """Gamma-distributed transit times; shape 1 is the exponential (one well-mixed pool)."""
    survival = gammaincc(shape, np.clip(t_s, 0, None) * shape / mtt_s)
    return np.where(t_s >= 0, survival, 0.0)


def gamma_area(t_s: Float64Array, mtt_s: float, shape: float) -> Float64Array:
    """Integral of ``gamma`` from 0 to t, s (by parts)."""
    t = np.clip(t_s, 0, None)
    x = t * shape / mtt_s
    return np.asarray(t * gammaincc(shape, x) + mtt_s * gammainc(shape + 1, x))


@dataclass(frozen=True)
class Residue:
    """One shape; functions take times (N,) in s and the mean transit time in s."""

    share: float
    """Mean share in the simulated tissue."""
    value: Function
    area: Function
    """Integral from 0 to t, s, in closed form."""


RESIDUES: dict[str, Residue] = {
    "box": Residue(0.15, box, box_area),
    "linear": Residue(0.15, linear, linear_area),
    "exponential": Residue(0.20, partial(gamma, shape=1.0), partial(gamma_area, shape=1.0)),
    "gamma-2.5": Residue(0.25, partial(gamma, shape=2.5), partial(gamma_area, shape=2.5)),
    "gamma-6": Residue(0.25, partial(gamma, shape=6.0), partial(gamma_area, shape=6.0)),
}
