"""Exams with fewer frames: which frames are kept, and the subsampled exam at its true times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bolus.errors import UsageError
from bolus.types import Exam, Float64Array, IntArray

PAPER_FRAMES = (89, 44, 27, 18, 10, 7, 5, 3, 2)
"""The published network's frame counts (Gava et al., public code: 89 to 5) and two fewer."""
FAST_S = 30.0
"""Two-rate protocols measure twice as often for about this long, while the bolus passes."""

Rule = Literal["full", "frames", "every", "two-rate"]


@dataclass(frozen=True)
class Selection:
    """Frames that are kept of an exam, by a rule with its number, from one of its phases."""

    rule: Rule
    value: int
    """Number of frames for ``frames``, the k of every k-th for the others; 1 for ``full``."""
    phase: int
    """The first frame that is kept."""
    kept: tuple[int, ...]
    """Indices of frames, ascending."""


def subsampled(exam: Exam, kept: Sequence[int]) -> Exam:
    """The exam as if only some of its frames had been measured, at the times they were measured.

    Parameters
    ----------
    exam : with T frames.
    kept : indices of frames, ascending.

    Returns
    -------
    Exam
        Its clock starts with the earliest sample that is left, see `start_s`.

    Raises
    ------
    UsageError
        If nothing is kept, or indices don't ascend or don't exist.
    """
    index = np.asarray(kept, np.int64)
    ascending = index.size and np.all(np.diff(index) > 0)
    if not ascending or index[0] < 0 or index[-1] >= len(exam.frames):
        raise UsageError("frames to keep must be numbers of frames of the exam, ascending")
    times_s = exam.times_s[index] - start_s(exam.times_s, kept)
    return replace(exam, frames=exam.frames[index], times_s=times_s)


def start_s(times_s: Float64Array, kept: Sequence[int]) -> float:
    """Zero of the subsampled exam's clock on that of the complete exam with (T, Z) times, s."""
    return float(times_s[list(kept)].min())


def evenly_spaced(total: int, frames: int) -> list[IntArray]:
    """The paper's choice of ``frames`` out of ``total`` frames, from each possible first frame.

    The spacing is total // frames, and the frames beyond the last one are not used; the
    public code (Gava et al. 2021) has only the first of these choices.

    Returns
    -------
    list of (frames,) int64
        One for each phase; empty where ``total`` is below ``frames``.
    """
    spacing = total // frames
    return [np.arange(phase, total, spacing)[:frames] for phase in range(spacing)]


def every_kth(total: int, k: int) -> list[IntArray]:
    """Every k-th frame, from each of the k first frames; at least 2 frames each."""
    phases = [np.arange(phase, total, k) for phase in range(k)]
    return [kept for kept in phases if kept.size > 1]


def two_rate(frame_times_s: Float64Array, k: int) -> list[IntArray]:
    """Every k-th frame for 30 s, then every 2k-th, as two-rate protocols do, from each phase.

    Parameters
    ----------
    frame_times_s : (T,) float64, s
        Mean time of each frame; the 30 s begin with the first one that is kept.
    """
    choices = []
    for kept in every_kth(frame_times_s.size, k):
        late = frame_times_s[kept] - frame_times_s[kept[0]] > FAST_S
        step = np.cumsum(late)
        choices.append(kept[~late | (step % 2 == 0)])
    return choices


def some_phases(choices: list[IntArray], phases: int | None) -> list[IntArray]:
    """At most ``phases`` of the choices, spread evenly and the first among them; None for all."""
    if phases is None or phases >= len(choices):
        return choices
    picked = np.linspace(0, len(choices), phases, endpoint=False).astype(int)
    return [choices[i] for i in picked]


def selections(
    times_s: Float64Array,
    frames: Iterable[int] = (),
    every: Iterable[int] = (),
    two_rates: Iterable[int] = (),
    phases: int | None = None,
) -> list[Selection]:
    """All selections of a study for an exam with (T, Z) times; the whole exam comes first.

    Counts above T give none.
    """
    total = len(times_s)
    chosen = [Selection("full", 1, 0, tuple(range(total)))]
    rules: list[tuple[Rule, int, list[IntArray]]] = [
        *(("frames", n, evenly_spaced(total, n)) for n in frames),
        *(("every", k, every_kth(total, k)) for k in every),
        *(("two-rate", k, two_rate(times_s.mean(axis=1), k)) for k in two_rates),
    ]
    for rule, value, choices in rules:
        for kept in some_phases(choices, phases):
            chosen.append(Selection(rule, value, int(kept[0]), tuple(map(int, kept))))
    return chosen
