"""From finished analyses to the rows of dose.csv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bolus.options import Choices
from bolus.study.dose.exam import ExamFacts, Refusal, Subject, expected_noise_hu
from bolus.study.dose.log import Done, Line, log_name, versions
from bolus.study.dose.plan import DosePlan
from bolus.study.dose.subsample import Rule, Selection

SCHEMA = "bolus-dose/1"
RULES: tuple[Rule, ...] = ("full", "frames", "every", "two-rate")

FactsByExam = Mapping[str, ExamFacts | Refusal]


@dataclass(frozen=True)
class Study:
    """All results, ready for tables and figure."""

    plan: DosePlan
    rows: tuple[Line, ...]
    """One for each exam, condition, phase and method, as in dose.csv."""
    settings: dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """A rule for frames with its number, and a share of the dose per frame."""

    rule: Rule
    value: int
    dose: float

    def __str__(self) -> str:
        frames = {
            "full": "all frames",
            "frames": f"{self.value} frames",
            "every": "every frame" if self.value == 1 else f"every {_ordinal(self.value)} frame",
            "two-rate": f"two rates, {self.value} and {2 * self.value}",
        }[self.rule]
        return frames if self.dose == 1 else f"{frames}, {100 * self.dose:g} % dose"


def study_of(subjects: Sequence[Subject], abouts: FactsByExam, plan: DosePlan, done: Done) -> Study:
    """The rows of all exams in order, and their settings."""
    rows = [row for s in subjects for row in _rows(s.name, abouts[s.name], plan, done)]
    settings = {
        "schema": SCHEMA,
        # its hash is below
        "plan": {k: v for k, v in asdict(plan).items() if k != "model"},
        "log": log_name(plan),
        "versions": versions(),
        "model": _model(plan),
        "exams": {s.name: _described(abouts[s.name]) for s in subjects},
    }
    return Study(plan, tuple(rows), settings)


def by_condition(study: Study) -> dict[Condition, list[Line]]:
    """Rows of the exams that could be read, in the plan's order: full dose first, most frames
    first."""
    groups: dict[Condition, list[Line]] = {}
    for row in study.rows:
        if "rule" in row:
            key = Condition(row["rule"], row["value"], row["dose"])
            groups.setdefault(key, []).append(row)
    return dict(sorted(groups.items(), key=lambda item: _order(item[0])))


def of_method(rows: Iterable[Line], method: str) -> list[Line]:
    """Rows of one method."""
    return [row for row in rows if row["method"] == method]


def _order(condition: Condition) -> tuple[float, int, int]:
    fewer = -condition.value if condition.rule == "frames" else condition.value
    return -condition.dose, RULES.index(condition.rule), fewer


def _ordinal(k: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(k, f"{k}th")


def _rows(name: str, about: ExamFacts | Refusal, plan: DosePlan, done: Done) -> Iterator[Line]:
    if isinstance(about, Refusal):
        for method in plan.methods:
            yield {"case": name, "method": method, **asdict(about), "grade": ""}
        return
    for dose in plan.all_doses:
        for selection in plan.selections(about.times_s):
            found = done[name, about.digest, dose, selection.kept]
            condition = _condition(about, selection, dose, plan)
            for method in plan.methods:
                yield {"case": name, "method": method, **condition, **found[method]}


def _condition(about: ExamFacts, selection: Selection, dose: float, plan: DosePlan) -> Line:
    frames, total = len(selection.kept), len(about.times_s)
    steps_s = np.diff(about.times_s[list(selection.kept)], axis=0)
    mas = about.exposure_mas
    return {
        "rule": selection.rule,
        "value": selection.value,
        "phase": selection.phase,
        "dose": dose,
        "frames": frames,
        "frames_of": total,
        "interval_s": round(float(np.median(steps_s)), 3),
        "relative_dose": round(frames / total * dose, 6),
        "total_mas": None if mas is None else round(mas * frames * dose, 3),
        "reference": "truth" if about.is_truth else f"{plan.reference}, whole exam",
    }


def _model(plan: DosePlan) -> dict[str, str] | None:
    network = Choices(methods=plan.methods, model=plan.model).network()
    return None if network is None else {"name": network.card.name, "sha256": network.sha256}


def _described(about: ExamFacts | Refusal) -> Line:
    if isinstance(about, Refusal):
        return asdict(about)
    expected = expected_noise_hu(about)
    return {
        "digest": about.digest,
        "reference": "truth" if about.is_truth else "whole exam",
        "frames": len(about.times_s),
        "shape": list(about.shape),
        "duration_s": round(float(np.ptp(about.times_s)), 3),
        "exposure_mas": about.exposure_mas,
        "noise_hu": None if about.noise_hu is None else round(about.noise_hu, 3),
        "noise_expected_hu": None if expected is None else round(expected, 3),
    }
