"""Perfusion maps of the brain, from any CT scanner, in seconds.

``bolus.run(exam, methods)`` is the whole job; ``read_exam``, ``preprocess``, ``find_arteries``,
``deconvolve``, ``predict`` and ``measure_lesion`` are its steps.  What isn't in ``__all__`` is
private and may change.  Research use, not for diagnosis.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from bolus.kernel_cache import ensure_kernel_cache
from bolus.telemetry import forbid_telemetry

if TYPE_CHECKING:
    from bolus.acquire.describe import Description, Series, SliceTimes
    from bolus.anatomy.baseline import Baseline
    from bolus.api import (
        compare,
        deconvolve,
        describe,
        find_arteries,
        load_results,
        measure_lesion,
        predict,
        read_exam,
        run,
    )
    from bolus.errors import (
        AmbiguousExam,
        BadGeometry,
        BolusError,
        BrokenExam,
        DamagedFile,
        ImplausibleValues,
        IncompleteExam,
        MissingTiming,
        NoPerfusion,
        NoReadableFiles,
        NotAnExam,
        NotCT,
        OutputError,
        TooFewFrames,
        TooLarge,
        UsageError,
    )
    from bolus.lesion.presets import PRESET_NAMES as PRESETS
    from bolus.options import METHOD_NAMES as METHODS
    from bolus.preprocessing import Preprocessed, preprocess
    from bolus.results import Maps, MethodResult, Prediction, Results
    from bolus.simulate.exam import simulate_exam
    from bolus.simulate.recipe import Recipe
    from bolus.simulate.truth import Truth
    from bolus.study.agreement.compare import Comparison
    from bolus.types import (
        Arteries,
        Check,
        Curves,
        Exam,
        Finding,
        Geometry,
        Grade,
        Lesion,
        Motion,
        NearVessels,
        Scanner,
        Tissue,
        Vessel,
    )

__version__ = "0.1.0"

__all__ = [
    "METHODS",
    "PRESETS",
    "AmbiguousExam",
    "Arteries",
    "BadGeometry",
    "Baseline",
    "BolusError",
    "BrokenExam",
    "Check",
    "Comparison",
    "Curves",
    "DamagedFile",
    "Description",
    "Exam",
    "Finding",
    "Geometry",
    "Grade",
    "ImplausibleValues",
    "IncompleteExam",
    "Lesion",
    "Maps",
    "MethodResult",
    "MissingTiming",
    "Motion",
    "NearVessels",
    "NoPerfusion",
    "NoReadableFiles",
    "NotAnExam",
    "NotCT",
    "OutputError",
    "Prediction",
    "Preprocessed",
    "Recipe",
    "Results",
    "Scanner",
    "Series",
    "SliceTimes",
    "Tissue",
    "TooFewFrames",
    "TooLarge",
    "Truth",
    "UsageError",
    "Vessel",
    "__version__",
    "compare",
    "deconvolve",
    "describe",
    "find_arteries",
    "load_results",
    "measure_lesion",
    "predict",
    "preprocess",
    "read_exam",
    "run",
    "simulate_exam",
]

_HOMES = {
    "METHODS": ("options", "METHOD_NAMES"),
    "PRESETS": ("lesion.presets", "PRESET_NAMES"),
    "simulate_exam": ("simulate.exam", "simulate_exam"),
    "Recipe": ("simulate.recipe", "Recipe"),
    "Truth": ("simulate.truth", "Truth"),
    "Comparison": ("study.agreement.compare", "Comparison"),
    "Baseline": ("anatomy.baseline", "Baseline"),
    **{name: ("acquire.describe", name) for name in ("Description", "Series", "SliceTimes")},
    **{name: ("preprocessing", name) for name in ("Preprocessed", "preprocess")},
    **{name: ("results", name) for name in ("Maps", "MethodResult", "Prediction", "Results")},
    **{
        name: ("types", name)
        for name in (
            "Arteries", "Check", "Curves", "Exam", "Finding", "Geometry", "Grade", "Lesion",
            "Motion", "NearVessels", "Scanner", "Tissue", "Vessel",
        )
    },
    **{
        name: ("api", name)
        for name in (
            "compare", "deconvolve", "describe", "find_arteries", "load_results", "measure_lesion",
            "predict", "read_exam", "run",
        )
    },
}  # fmt: skip
"""Module and name of what is offered; everything else is an error of `bolus.errors`."""


def __getattr__(name: str) -> object:
    # importing bolus loads nothing that computes, so that it takes no time
    if name.startswith("__") or name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, inside = _HOMES.get(name, ("errors", name))
    return getattr(import_module(f"bolus.{module}"), inside)


def __dir__() -> list[str]:
    return __all__


forbid_telemetry()
ensure_kernel_cache()
