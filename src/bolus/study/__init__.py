"""Studies: what fewer frames and a lower dose cost, what raters see, how far two results agree.

Like all that estimates, nothing in here may import the simulator.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bolus.study.agreement import score
    from bolus.study.dose import run_dose_study
    from bolus.study.dose_plan import DosePlan
    from bolus.study.noise import with_noise
    from bolus.study.thin import thinned

__all__ = ["DosePlan", "run_dose_study", "score", "thinned", "with_noise"]

_HOME = {
    "DosePlan": "dose_plan",
    "run_dose_study": "dose",
    "score": "agreement",
    "thinned": "thin",
    "with_noise": "noise",
}


def __getattr__(name: str) -> object:
    # the pipeline is only loaded when a study runs
    if name in _HOME:
        return getattr(import_module(f"bolus.study.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
