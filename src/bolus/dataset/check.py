"""Checks that cases match their index and are usable for training, and that no test exam leaks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bolus.acquire.exam import read_exam
from bolus.dataset.case import FoundCase, inspect_case, unreadable, within
from bolus.dataset.duplicates import duplicates
from bolus.dataset.index import Case, Index
from bolus.dataset.inspect_all import Progress
from bolus.dataset.inspect_exam import HASH_BYTES, warnings_of
from bolus.dataset.maps import exam_geometry, read_map, read_truth
from bolus.dataset.split import Split
from bolus.dataset.unitobrain import PROTOCOLS
from bolus.errors import BolusError
from bolus.types import MAP_UNITS, Exam, Finding, Float32Array, Geometry, Grade
from bolus.workers import spread

PLAUSIBLE: dict[str, tuple[float, float, str]] = {
    "cbf": (3.0, 150.0, MAP_UNITS["cbf"]),
    "cbv": (0.3, 20.0, MAP_UNITS["cbv"]),
    "mtt": (1.0, 40.0, MAP_UNITS["mtt"]),
    "ttp": (2.0, 120.0, MAP_UNITS["ttp"]),
    "tmax": (0.2, 60.0, MAP_UNITS["tmax"]),
    "delay": (-20.0, 40.0, "s"),
}
"""Limits of a map's median where it is not 0: wide enough for whole brains with hardly any
flow and for NLR's medians in UniToBrain (CBF 6 to 18, CBV 1 to 1.6, MTT 4 to 11), narrow enough to
distinguish ms from s, ml/ml from ml/100 g and ml/g/s from ml/100 g/min."""


@dataclass(frozen=True)
class Checked:
    """Result of a check; ``cases`` have all their findings, including those of the index."""

    cases: tuple[Case, ...]
    findings: tuple[Finding, ...] = ()
    """Findings on the data set or its split as a whole."""

    @property
    def passed(self) -> bool:
        """Whether every case is usable and nothing leaks."""
        whole = all(finding.grade < Grade.FAIL for finding in self.findings)
        return whole and all(case.usable for case in self.cases)


def check_index(
    index: Index,
    *,
    deep: bool = False,
    progress: Progress | None = None,
    processes: int | None = 1,
) -> Checked:
    """Check every case of a data set.

    Parameters
    ----------
    deep
        Also decode every exam, and find duplicates by decoded pixels, in any encoding.
    progress
        Called with the number of cases done and of all.
    processes
        Number of processes, None for a sensible number; a deep check uses one, which
        needs the memory of a whole exam.
    """
    cases = []
    work = partial(_check, root=index.root, layout=index.layout, deep=deep)
    for case in spread(work, index.cases, 1 if deep else processes):
        cases.append(case)
        if progress:
            progress(len(cases), len(index.cases))
    return Checked(tuple(_with_copies(cases)), index.findings)


def check_split(splits: Sequence[Split], index: Index) -> list[Finding]:
    """Whether a split keeps each patient and all duplicates of an exam on one side.

    Each fold is checked; patients that the data set doesn't have and, in a cross-validation,
    patients that are tested twice are findings as well.
    """
    findings = []
    tested: list[str] = []
    for split in splits:
        tested += split.test
        strangers = {*split.train, *split.validation, *split.test} - set(index.patients)
        if strangers:
            message = f"{len(strangers)} patients of the split are not in the data set."
            findings.append(Finding("split-strangers", Grade.FAIL, message, _AGAIN))
        for one, other, why in duplicates(index.cases):
            sides = (split.side(one.patient), split.side(other.patient))
            if None not in sides and sides[0] != sides[1]:
                message = (
                    f"{one.name} ({sides[0]}) and {other.name} ({sides[1]}) are the same exam "
                    f"(by {why})."
                )
                findings.append(Finding("leak", Grade.FAIL, message, _AGAIN))
    if len(tested) != len(set(tested)):
        message = f"{len(tested) - len(set(tested))} patients are tested in more than one fold."
        findings.append(Finding("tested-twice", Grade.FAIL, message, _AGAIN))
    return findings


def _check(case: Case, root: Path, layout: str, deep: bool) -> Case:
    found = FoundCase(
        name=case.name,
        patient=case.patient,
        exam=case.exam,
        maps=case.maps,
        truth=case.truth,
        raw=case.raw,
        needs_maps=False,  # the index has said so already
        protocols=PROTOCOLS if layout == "unitobrain" else {},
    )
    now = inspect_case(found, root)
    findings = [*case.findings, *now.findings]
    if now.frames:
        place = exam_geometry(case)
        findings += _changes(case, now)
        findings += [f for name in case.maps for f in _value_findings(case, name, place, root)]
        findings += _truth_findings(case, place, root) if case.truth else []
        if deep:
            content, more = _decoded(case)
            findings += more
            now = replace(now, content=content)
    return replace(now, findings=tuple(dict.fromkeys(findings)))


def _changes(case: Case, now: Case) -> list[Finding]:
    def facts(one: Case) -> tuple[object, ...]:
        return one.frames, one.slices, one.content, one.study

    if not case.frames or facts(case) == facts(now):
        return []
    message = "The exam has changed since it was indexed."
    return [Finding("exam-changed", Grade.FAIL, message, "Make the index again.")]


def _value_findings(case: Case, name: str, place: Geometry, root: Path) -> list[Finding]:
    try:
        values = read_map(case.maps[name], place)
    except BolusError as error:
        return [Finding("map-unusable", Grade.FAIL, within(root, str(error)))]
    return plausibility(name, values)


def plausibility(name: str, values: Float32Array) -> list[Finding]:
    """Whether a map's values are plausible in its unit; slices without a map are NaN."""
    low, high, unit = PLAUSIBLE[name]
    inside = values[np.isfinite(values) & (values != 0)]
    if not inside.size:
        return [Finding("map-empty", Grade.FAIL, f"The map of {name.upper()} is empty.")]
    median = float(np.median(inside))
    if low <= median <= high:
        return []
    message = (
        f"The median of {name.upper()} is {median:.4g}; {low:g} to {high:g} {unit} are plausible."
    )
    return [Finding("map-implausible", Grade.FAIL, message, "Check the unit of the map.")]


def _truth_findings(case: Case, place: Geometry, root: Path) -> list[Finding]:
    try:
        truth = read_truth(case, geometry=place)
    except BolusError as error:
        return [Finding("truth-unusable", Grade.FAIL, within(root, str(error)))]
    valid, hypo, core = truth["valid"] > 0, truth["hypo"] > 0, truth["core"] > 0
    if not valid.any() or (hypo & ~valid).any() or (core & ~hypo).any():
        message = "The masks of the truth contradict each other (core in hypo in valid)."
        return [Finding("truth-unusable", Grade.FAIL, message)]
    return []


def _decoded(case: Case) -> tuple[tuple[str, ...], list[Finding]]:
    try:
        exam = read_exam(case.exam)
    except BolusError as error:
        return (), [unreadable(error)]
    return _decoded_hashes(exam), list(warnings_of(exam.findings))


def _decoded_hashes(exam: Exam) -> tuple[str, ...]:
    """One hash for each slice of the first frame, in whole HU."""
    first = np.rint(exam.frames[0]).astype("<i4")
    return tuple(
        hashlib.blake2b(plane.tobytes(), digest_size=HASH_BYTES).hexdigest()
        for plane in first
        if plane.min() != plane.max()
    )


def _with_copies(cases: Sequence[Case]) -> list[Case]:
    """Name the duplicates of a case; a split keeps them on one side, so they are only a warning."""
    copies: dict[str, list[Finding]] = {case.name: [] for case in cases}
    for one, other, why in duplicates(cases):
        for case, copy in ((one, other), (other, one)):
            message = f"The same exam also occurs as {copy.name} (by {why}), under another patient."
            remedy = "Remove one of the two; `bolus dataset split` keeps them on one side."
            copies[case.name].append(Finding("duplicate", Grade.WARNING, message, remedy))
    return [replace(case, findings=(*case.findings, *copies[case.name])) for case in cases]


def to_dict(checked: Checked) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        "schema": "bolus-dataset-check/1",
        "passed": checked.passed,
        "usable": sum(case.usable for case in checked.cases),
        "cases": [
            {
                "name": case.name,
                "patient": case.patient,
                "verdict": verdict(case),
                "frames": case.frames,
                "slices": case.slices,
                "maps": sorted(case.maps),
                "findings": _plain(case.findings),
            }
            for case in checked.cases
        ],
        "findings": _plain(checked.findings),
    }


def _plain(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [{**vars(finding), "grade": finding.grade.name.lower()} for finding in findings]


def verdict(case: Case) -> str:
    """One word for a case: "good", "doubtful" or "unusable"."""
    worst = max((finding.grade for finding in case.findings), default=Grade.NOTE)
    return ("good", "doubtful", "unusable")[worst]


_AGAIN = "Make the split again with `bolus dataset split`."
