"""Exams with the habits of public reports are read as the exam without them, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_habits import DICOM_HABITS, Habit
from dicomfactory import exam, save, times, truth

from bolus.acquire.exam import read_exam
from bolus.errors import BolusError
from bolus.types import Grade


def check(path: Path, habits: list[Habit]) -> None:
    """Same frames and times as the control with the findings expected, or the refusal."""
    refusals = [habit.refused for habit in habits if habit.refused]
    if refusals:
        with pytest.raises(BolusError) as caught:
            read_exam(path)
        assert any(words in str(caught.value) for words in refusals), caught.value
        return
    found = read_exam(path)
    assert np.array_equal(found.frames, truth())
    tolerance = max(habit.moves_time for habit in habits) + 1e-9
    assert np.abs((found.times_s - found.times_s[0]) - (times() - times()[0])).max() <= tolerance
    expected = {code for habit in habits for code in habit.finding.split()}
    weighty = {f.code for f in found.findings if f.grade > Grade.NOTE}
    assert expected <= {f.code for f in found.findings}
    assert weighty <= expected


@pytest.mark.parametrize("habit", DICOM_HABITS, ids=[habit.key for habit in DICOM_HABITS])
def test_an_exam_with_a_habit_is_the_exam_without_it(habit: Habit, tmp_path: Path) -> None:
    check(save(tmp_path, habit.change(exam())), [habit])
