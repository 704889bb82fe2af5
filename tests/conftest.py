"""What several folders of tests share: the example exam and a small simulated one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from bolus.simulate.exam import simulate_exam
from bolus.simulate.truth import Truth
from bolus.types import Exam
from small_exam import SMALL

# the same examples in every run; `pytest --hypothesis-profile explore` looks for new ones
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=500, deadline=None)
settings.load_profile("same")

SHARED_EXAMS = Path(__file__).parents[2] / "shared" / "exams"


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


@pytest.fixture(scope="session")
def shared_exams() -> Path:
    """The folder of shared exams; skips where it is absent."""
    if not SHARED_EXAMS.exists():
        pytest.skip("the shared exams are not here")
    return SHARED_EXAMS
