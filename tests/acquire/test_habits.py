"""Exams with the habits of public reports are read as the exam without them, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_habits import DICOM_HABITS, Habit
from dicomfactory import exam, save, times, truth
from file_habits import FILE_HABITS
from value_habits import OUTSIDE, VALUE_HABITS

from bolus.acquire.exam import read_exam
from bolus.errors import BolusError
from bolus.types import Exam, Grade

HABITS = (*DICOM_HABITS, *VALUE_HABITS, *FILE_HABITS)


def is_the_control(found: Exam, habits: list[Habit]) -> bool:
    """Whether frames and times are those of the exam without the habits."""
    if found.frames.shape != truth().shape:
        return False
    tolerance = max(habit.moves_time for habit in habits) + 1e-9
    apart = np.abs((found.times_s - found.times_s[0]) - (times() - times()[0])).max()
    inside = ~OUTSIDE if any(habit.loses_rim for habit in habits) else np.ones_like(OUTSIDE)
    same = np.array_equal(found.frames[..., inside], truth()[..., inside])
    return same and bool(np.all(found.frames[..., ~inside] < -900)) and apart <= tolerance


@pytest.mark.parametrize("habit", HABITS, ids=[habit.key for habit in HABITS])
def test_an_exam_with_a_habit_is_the_exam_without_it(habit: Habit, tmp_path: Path) -> None:
    path = habit.pack(save(tmp_path / "exam", habit.change(exam())))
    if habit.refused:
        with pytest.raises(BolusError, match=habit.refused):
            read_exam(path)
        return
    found = read_exam(path)
    assert is_the_control(found, [habit])
    expected = set(habit.finding.split())
    assert expected <= {f.code for f in found.findings}
    assert {f.code for f in found.findings if f.grade > Grade.NOTE} <= expected
