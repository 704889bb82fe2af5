"""Habits of exams, drawn together by the thousands: what becomes of the exam.

The habits and the allowed outcomes are in ``tests/acquire``.  Each draw has two to five habits that
an exam can have together; draws are numbered, so that an interrupted run goes on and one is
repeated by its number: ``--again 138``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tables import markdown, write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "acquire"))

from dicom_habits import Habit
from test_habits import HABITS, outcome, possible

KEPT = Path(__file__).parent / ".cache" / "habits.jsonl"
ALLOWED = {
    "control": "the frames and times of the exam without the habits",
    "refused": "the refusal of one of the habits, with its remedy",
    "refused otherwise": "another refusal that names a remedy",
}


def drawn(number: int) -> list[Habit]:
    """The habits of a draw."""
    chance = random.Random(number)
    parts: dict[str, list[Habit]] = defaultdict(list)
    for habit in HABITS:
        parts[habit.part].append(habit)
    while True:
        chosen = chance.sample(sorted(parts), chance.randint(2, 5))
        habits = [chance.choice(parts[part]) for part in chosen]
        if possible(habits):
            return habits


def attempt(number: int) -> dict[str, object]:
    """The outcome of a draw."""
    warnings.simplefilter("ignore")  # of pydicom, about values that are odd on purpose
    habits = drawn(number)
    with tempfile.TemporaryDirectory() as folder:
        try:
            became = outcome(Path(folder), habits)
        except Exception as error:
            became = f"crash: {type(error).__name__}"
    return {"number": number, "habits": [habit.key for habit in habits], "outcome": became}


def attempts(count: int) -> Iterator[dict[str, object]]:
    """All draws; those of a former run are kept."""
    KEPT.parent.mkdir(exist_ok=True)
    known = {}
    if KEPT.exists():
        known = {row["number"]: row for row in map(json.loads, KEPT.read_text().splitlines())}
    yield from (known[number] for number in range(count) if number in known)
    missing = [number for number in range(count) if number not in known]
    with KEPT.open("a") as kept, ProcessPoolExecutor(2) as pool:
        for row in pool.map(attempt, missing, chunksize=8):
            kept.write(json.dumps(row) + "\n")
            kept.flush()
            yield row


def main() -> None:
    """Draw, and write ``results/habits.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--again", type=int, help="repeat one draw")
    options = parser.parse_args()
    if options.again is not None:
        print(attempt(options.again))
        return
    rows = list(attempts(options.count))
    count = Counter(str(row["outcome"]) for row in rows)
    table = [[count_of, str(count.pop(name, 0))] for name, count_of in ALLOWED.items()]
    failures = [
        [str(row["number"]), ", ".join(map(str, row["habits"])), str(row["outcome"])]  # type: ignore[call-overload]
        for row in rows
        if row["outcome"] not in ALLOWED
    ]
    table.append(["failures", str(len(failures))])
    others = Counter(
        key
        for row in rows
        if row["outcome"] == "refused otherwise"
        for key in row["habits"]  # type: ignore[attr-defined]
    )
    parts = [
        f"{len(rows)} exams with two to five of the {len(HABITS)} habits of "
        "[What is read](../../docs/reference/what-is-read.md) that an exam in DICOM can have "
        "together.",
        markdown(["what became of the exam", "draws"], table),
        markdown(["draw", "habits", "failure"], failures) if failures else "",
        "Habits most often among the other refusals: "
        + ", ".join(f"{key} ({n})" for key, n in others.most_common(6)) + "."
        if others else "",
    ]  # fmt: skip
    write("habits", "Habits of exams, drawn together", [part for part in parts if part])


if __name__ == "__main__":
    main()
