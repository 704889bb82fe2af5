"""Small exams, made once per worker."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe
from bolus.simulate.truth import Truth
from bolus.types import Exam

SMALL = Recipe(
    matrix=96, pixel_mm=2.4, slices=5, slice_mm=10.0, bottom_mm=-14.0, frames=25, dt_s=2.0
)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return SMALL


@pytest.fixture(scope="session")
def noisy() -> tuple[Exam, Truth]:
    return simulate_exam(3, SMALL)


@pytest.fixture(scope="session")
def quiet() -> tuple[Exam, Truth]:
    """The same exam as ``noisy``, without noise."""
    return simulate_exam(3, replace(SMALL, mas=math.inf))


@pytest.fixture(scope="session")
def right_sided() -> tuple[Exam, Truth]:
    return simulate_exam(3, replace(SMALL, mas=math.inf, side="right"))
