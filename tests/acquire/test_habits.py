"""Exams with the habits of public reports are read as the exam without them, or refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from dicom_habits import DICOM_HABITS, Habit
from dicomfactory import exam, save, times, truth
from file_habits import FILE_HABITS
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_habits import NIFTI_HABITS
from value_habits import OUTSIDE, VALUE_HABITS

from bolus.acquire.exam import read_exam
from bolus.errors import BolusError
from bolus.types import Exam, Grade

HABITS = (*DICOM_HABITS, *VALUE_HABITS, *FILE_HABITS)
"""Those that an exam in DICOM can have together."""
ORDER = (
    "enhanced",
    "values",
    "clock",
    "words",
    "spacing",
    "direction",
    "position",
    "name",
    "codec",
)
ORDER += ("series", "numbers", "twice")
"""Of habits of the scan itself: each is applied to what the ones before have made of the exam."""
ALONE = {"values": {"codec"}, "enhanced": {*ORDER} - {"enhanced"}}
ALONE |= {"thin": {"clock", "enhanced", "series"}}
"""Habits that can't be had together: the factory's encoders take its own pixels only, and its other
reconstruction has the usual clock."""
REMEDY = re.compile(
    r"--series|--interval|export|send|put|name|remove|choose|use |copy|give|correct|convert"
)


def possible(habits: list[Habit]) -> bool:
    """Whether an exam can have all of these habits."""
    parts = {habit.part for habit in habits}
    return not any(part in parts and others & parts for part, others in ALONE.items())


combinations = st.lists(
    st.sampled_from(HABITS), min_size=2, max_size=5, unique_by=lambda habit: habit.part
).filter(possible)


def with_habits(folder: Path, habits: list[Habit]) -> Path:
    """The factory's exam with several habits."""
    images = exam()
    ordered = sorted(habits, key=lambda h: ORDER.index(h.part) if h.part in ORDER else len(ORDER))
    for habit in ordered:
        images = habit.change(images)
    path = save(folder / "exam", images)
    for habit in ordered:
        path = habit.pack(path)
    return path


def outcome(folder: Path, habits: list[Habit]) -> str:
    """ "control", "refused" with the remedy of one of the habits, "refused otherwise", or what is
    wrong."""
    refusals = [habit.refused for habit in habits if habit.refused]
    try:
        found = read_exam(with_habits(folder, habits))
    except BolusError as error:
        if any(words in str(error) for words in refusals):
            return "refused"
        return "refused otherwise" if REMEDY.search(str(error)) else f"no remedy: {error}"
    if refusals:
        return "read, where it should be refused"
    return "control" if is_the_control(found, habits) else "other frames or times"


def is_the_control(found: Exam, habits: list[Habit]) -> bool:
    """Whether frames and times are those of the exam without the habits."""
    if found.frames.shape != truth().shape:
        return False
    tolerance = max(habit.moves_time for habit in habits) + 1e-9
    apart = np.abs((found.times_s - found.times_s[0]) - (times() - times()[0])).max()
    inside = ~OUTSIDE if any(habit.loses_rim for habit in habits) else np.ones_like(OUTSIDE)
    same = np.array_equal(found.frames[..., inside], truth()[..., inside])
    return same and bool(np.all(found.frames[..., ~inside] < -900)) and apart <= tolerance


@pytest.mark.parametrize(
    "habit", [*HABITS, *NIFTI_HABITS], ids=[habit.key for habit in (*HABITS, *NIFTI_HABITS)]
)
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


@settings(max_examples=30, deadline=None)
@given(habits=combinations)
def test_any_habits_together_give_the_control_or_a_refusal_with_its_remedy(
    habits: list[Habit], tmp_path_factory: pytest.TempPathFactory
) -> None:
    became = outcome(tmp_path_factory.mktemp("habits"), habits)
    assert became in ("control", "refused", "refused otherwise"), [habit.key for habit in habits]


def test_the_table_of_what_is_read_has_a_row_for_each_habit() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "what-is-read.md"
    keys = re.findall(r"^\| `([\w-]+)` \|", page.read_text("utf-8"), flags=re.MULTILINE)
    assert keys == [*dict.fromkeys(keys)]
    assert set(keys) == {habit.key for habit in (*HABITS, *NIFTI_HABITS)}
    assert len(keys) >= 80
