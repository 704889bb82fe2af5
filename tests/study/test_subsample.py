"""Thinner exams keep the frames they should, as they were and when they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.errors import UsageError
from bolus.simulate.truth import Truth
from bolus.study.dose.subsample import (
    PAPER_FRAMES,
    evenly_spaced,
    every_kth,
    selections,
    some_phases,
    start_s,
    subsampled,
    two_rate,
)
from bolus.types import Exam

PAPER_LAST = {89: 88, 44: 86, 27: 78, 18: 68, 10: 72, 7: 72, 5: 68}
"""Last frame of the published network's choices out of 89."""


@pytest.mark.parametrize("frames", PAPER_LAST)
def test_the_first_choice_is_the_published_one(frames: int) -> None:
    kept = evenly_spaced(89, frames)[0]
    assert len(kept) == frames
    assert (kept[0], kept[-1]) == (0, PAPER_LAST[frames])
    assert np.unique(np.diff(kept)).size == 1


@given(st.integers(2, 120), st.integers(2, 120))
def test_every_phase_has_as_many_frames_and_starts_elsewhere(total: int, frames: int) -> None:
    choices = evenly_spaced(total, frames)
    assert len(choices) == total // frames
    assert all(kept.size == frames and kept[-1] < total for kept in choices)
    assert [int(kept[0]) for kept in choices] == list(range(total // frames))


@given(st.integers(8, 120), st.integers(1, 4))
def test_the_phases_of_every_kth_frame_share_out_the_exam(total: int, k: int) -> None:
    choices = every_kth(total, k)
    assert sorted(np.concatenate(choices)) == list(range(total))
    assert all(np.all(np.diff(kept) == k) for kept in choices)


def test_a_phase_with_a_single_frame_is_no_exam() -> None:
    assert [kept.tolist() for kept in every_kth(5, 3)] == [[0, 3], [1, 4]]


def test_two_rates_halve_the_frames_after_the_bolus() -> None:
    times_s = np.arange(40) * 1.5
    first, _ = two_rate(times_s, 2)
    steps_s = np.diff(times_s[first])
    assert np.all(steps_s[times_s[first][1:] <= 30] == 3.0)
    assert np.all(steps_s[times_s[first][:-1] > 30] == 6.0)
    assert first.size == 11 + 4


@given(st.integers(1, 30), st.integers(1, 30))
def test_some_phases_are_spread_and_begin_with_the_first(total: int, phases: int) -> None:
    choices = every_kth(90, total)
    picked = some_phases(choices, phases)
    assert len(picked) == min(total, phases)
    starts = [int(kept[0]) for kept in picked]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert max(np.diff([*starts, total])) <= -(-total // len(starts))


def test_a_study_skips_counts_the_exam_does_not_have() -> None:
    times_s = np.arange(20.0)[:, None] * [1, 1]
    chosen = selections(times_s, frames=PAPER_FRAMES, every=(1, 2), phases=1)
    assert [(s.rule, s.value) for s in chosen] == [
        ("full", 1), ("frames", 18), ("frames", 10), ("frames", 7), ("frames", 5), ("frames", 3),
        ("frames", 2), ("every", 1), ("every", 2),
    ]  # fmt: skip
    assert chosen[0].kept == tuple(range(20))


def test_frames_stay_as_they_were_and_when_they_were(small: tuple[Exam, Truth]) -> None:
    exam, _ = small
    kept = (3, 7, 12, 31)
    thin = subsampled(exam, kept)
    assert thin.times_s.min() == 0
    shift = start_s(exam.times_s, kept)
    assert shift == exam.times_s[3].min() > 0
    for n, t in enumerate(kept):
        assert np.array_equal(thin.frames[n], exam.frames[t])
        np.testing.assert_allclose(thin.times_s[n] + shift, exam.times_s[t], atol=1e-12)


@pytest.mark.parametrize("kept", [(), (2, 1), (1, 1), (-1, 2), (0, 32)])
def test_impossible_choices_are_refused(kept: tuple[int, ...], small: tuple[Exam, Truth]) -> None:
    with pytest.raises(UsageError):
        subsampled(small[0], kept)
