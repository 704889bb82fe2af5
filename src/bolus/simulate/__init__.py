"""Exams with known truth: heads, boluses, lesions, noise, motion and scanners.

Nothing that estimates may import from here; the truth must stay independent of the estimators.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bolus.simulate.cohort import simulate_cohort
    from bolus.simulate.demo import write_demo
    from bolus.simulate.dicom import write_dicom
    from bolus.simulate.exam import simulate_exam
    from bolus.simulate.recipe import DEMO, DEMO_SEED, Recipe
    from bolus.simulate.truth import Truth, write_truth

__all__ = [
    "DEMO",
    "DEMO_SEED",
    "Recipe",
    "Truth",
    "simulate_cohort",
    "simulate_exam",
    "write_demo",
    "write_dicom",
    "write_truth",
]

_HOME = {
    "DEMO": "recipe",
    "DEMO_SEED": "recipe",
    "Recipe": "recipe",
    "Truth": "truth",
    "simulate_cohort": "cohort",
    "simulate_exam": "exam",
    "write_demo": "demo",
    "write_dicom": "dicom",
    "write_truth": "truth",
}


def __getattr__(name: str) -> object:
    # numba, nibabel and pydicom are only loaded when something is simulated
    if name in _HOME:
        return getattr(import_module(f"bolus.simulate.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
