"""Training, validation and test exams of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bolus.dataset.index import Case, Index
from bolus.dataset.split import Split
from bolus.errors import UsageError
from bolus.train.gava2021.data import frame_numbers


@dataclass(frozen=True)
class Sides:
    """The exams of a run."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]
    frames: int
    """Of each of them."""
    left_out: int
    """Exams of the split with another number of frames or without the map."""


def choose(index: Index, split: Split, name: str, count: int) -> Sides:
    """The exams of each side that have the map and the protocol of most training exams.

    Parameters
    ----------
    name : of the map.
    count : of input frames of the network.

    Raises
    ------
    UsageError
        A required part has none, or fewer frames than requested.
    """
    sides = [index.of(patients) for patients in (split.train, split.validation, split.test)]
    having = [[case for case in side if name in case.maps] for side in sides]
    for side, cases in zip(("train", "validation"), having, strict=False):
        if not cases:
            raise UsageError(f"no usable exam with a {name} map is in the part {side}")
    frames = usual_frames(having[0])
    frame_numbers(frames, count)
    kept = [tuple(case for case in side if case.frames == frames) for side in having]
    if not kept[1]:
        raise UsageError(f"no validation exam has {frames} frames, as most training exams do")
    left_out = sum(map(len, sides)) - sum(map(len, kept))
    return Sides(kept[0], kept[1], kept[2], frames, left_out)


def usual_frames(cases: Sequence[Case]) -> int:
    """The most common number of frames, 89 in UniToBrain; of equals the largest.

    Frames are channels, so one network sees exams of one protocol.
    """
    counts = [case.frames for case in cases]
    return max(counts, key=lambda count: (counts.count(count), count))
