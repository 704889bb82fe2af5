"""From an exam to the curves that every method starts from: align, segment, subtract, denoise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bolus.acquire.in_memory import checked_exam
from bolus.align.register import correct_motion
from bolus.anatomy.baseline import Baseline, baseline_and_arrival
from bolus.anatomy.segment import segment
from bolus.curves.denoise import denoise
from bolus.curves.enhancement import tissue_curves
from bolus.data import WithArrays
from bolus.timegrid import common_grid
from bolus.types import Curves, Exam, Float64Array, Motion, Tissue
from bolus.workers import check_threads

Progress = Callable[[str, float | None], None]
"""Called with a stage's name and None when it starts, and with its seconds when it ends."""


class Stages:
    """Wall time of each stage, s; tells ``progress`` as stages begin and end."""

    def __init__(self, progress: Progress = lambda *_: None) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time the block as stage ``name``."""
        self.progress(name, None)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        self.progress(name, self.seconds[name])


@dataclass(frozen=True, eq=False, repr=False)
class Preprocessed(WithArrays):
    """A preprocessed exam, as shared by all methods."""

    exam: Exam
    """Free of motion, without the frames that could not be aligned."""
    motion: Motion
    """Of all frames, dropped ones included."""
    baseline: Baseline
    tissue: Tissue
    grid_s: Float64Array
    """(N,) common time grid of arterial curves, s after the first frame."""
    measured: Curves
    """As measured."""
    curves: Curves
    """The same curves after the filter."""


def preprocess(exam: Exam) -> Preprocessed:
    """Align, segment, subtract the baseline and denoise, as `bolus run` does.

    Parameters
    ----------
    exam : as it is read, or built from arrays.

    Raises
    ------
    UsageError, TooFewFrames, MissingTiming, AmbiguousExam, BadGeometry
        The arrays of an exam in memory don't fit together, or are not those of a perfusion scan;
        or the process was forked from one that has computed.
    NoPerfusion
        There is no brain or no bolus in it.
    ImplausibleValues
        The size of the head is impossible, or a value is not finite.
    """
    check_threads()
    still, motion = correct_motion(checked_exam(exam))
    return preprocess_still(still, motion, Stages())


def preprocess_still(exam: Exam, motion: Motion, stages: Stages) -> Preprocessed:
    """As `preprocess`, for an exam that is free of motion.

    Parameters
    ----------
    exam : after `bolus.align.register.correct_motion`.
    motion : the motion that was corrected.
    """
    with stages("segment"):
        baseline = baseline_and_arrival(exam, motion.largest_mm)
        tissue = segment(exam, baseline)
    with stages("curves"):
        grid = common_grid(exam.times_s)
        measured = tissue_curves(exam, baseline, tissue, grid)
    with stages("denoise"):
        curves = denoise(measured, tissue, exam.geometry)
    return Preprocessed(exam, motion, baseline, tissue, grid, measured, curves)
