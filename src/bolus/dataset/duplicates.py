"""Exams that occur twice under different names: data leakage that no list of names reveals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from bolus.dataset.index import Case, Index

SHARED_SLICES = 0.5
"""Two exams with this share of equal slices (of the smaller exam) are copies; noise makes equal
slices of two true exams impossible."""
LARGEST_STUDY = 3
"""A StudyInstanceUID shared by more patients than this was set by an anonymiser and is
meaningless."""


def duplicates(cases: Iterable[Case]) -> list[tuple[Case, Case, str]]:
    """Pairs of cases of different patients that are the same exam, and why: "pixels" or "study"."""
    cases = list(cases)
    found: dict[tuple[int, int], str] = {}
    for pair in _sharing(cases, [{case.study} - {""} for case in cases], LARGEST_STUDY):
        found[pair] = "study"
    contents = [set(case.content) for case in cases]
    for i, j in _sharing(cases, contents, len(cases)):
        least = min(len(contents[i]), len(contents[j]))
        if len(contents[i] & contents[j]) >= SHARED_SLICES * least:
            found[i, j] = "pixels"
    return [(cases[i], cases[j], why) for (i, j), why in sorted(found.items())]


def _sharing(
    cases: list[Case], marks: list[set[str]], most_patients: int
) -> Iterable[tuple[int, int]]:
    """Pairs of cases of different patients that share a key."""
    owners: dict[str, list[int]] = defaultdict(list)
    for i, own in enumerate(marks):
        for mark in own:
            owners[mark].append(i)
    return {
        (i, j)
        for group in owners.values()
        if len({cases[i].patient for i in group}) <= most_patients
        for i, j in combinations(group, 2)
        if cases[i].patient != cases[j].patient
    }


def linked_patients(index: Index) -> list[tuple[str, ...]]:
    """Patients in groups that must stay together, sorted; most groups have one patient."""
    group = {patient: {patient} for patient in index.patients}
    for one, other, _ in duplicates(index.cases):
        if group[one.patient] is not group[other.patient]:
            group[one.patient] |= group[other.patient]
            for patient in group[other.patient]:
                group[patient] = group[one.patient]
    return sorted({tuple(sorted(members)) for members in group.values()})
