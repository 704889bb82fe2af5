"""What several folders of tests share: the example exam and a small simulated one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bolus.simulate import Recipe, simulate_exam
from bolus.simulate.truth import Truth
from bolus.types import Exam

SHARED_EXAMS = Path(__file__).parents[2] / "shared" / "exams"

SMALL = Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
"""A whole head at a quarter of the pixels."""


@pytest.fixture(scope="session")
def small() -> tuple[Exam, Truth]:
    """A small simulated stroke exam and its truth."""
    return simulate_exam(11, SMALL)


@pytest.fixture(scope="session")
def hybrid_zip() -> Path:
    """The hybrid example exam; skips where the shared folder is absent."""
    path = SHARED_EXAMS / "hybrid-mca.zip"
    if not path.exists():
        pytest.skip("the shared example exam is not here")
    return path
