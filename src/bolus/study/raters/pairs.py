"""Finished readings of a study, unblinded, and the pairs of them that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bolus.errors import DamagedFile
from bolus.study.agreement.outlines import Agreement, agreement, outline_pair
from bolus.study.raters.readings import State, is_as_finished, read_outline, reading_state
from bolus.study.raters.store import DONE, Study, read_json
from bolus.types import Geometry


@dataclass(frozen=True)
class Finished:
    """A finished reading and what it was of."""

    rater: str
    reading: str
    exam: int
    method: str
    repeat: bool
    labels: NDArray[np.uint8]
    geometry: Geometry
    state: State

    @property
    def core_ml(self) -> float:
        return float((self.labels == 2).sum()) * self.geometry.voxel_ml

    @property
    def hypoperfused_ml(self) -> float:
        return float((self.labels > 0).sum()) * self.geometry.voxel_ml


@dataclass(frozen=True)
class Unfinished:
    """A reading that is left out."""

    rater: str
    reading: str
    state: str
    """"new" or "open"."""


@dataclass(frozen=True)
class Gathered:
    """All readings of a study, by rater in the order of the exams."""

    study: Study
    finished: tuple[Finished, ...]
    unfinished: tuple[Unfinished, ...]

    @property
    def simulated(self) -> tuple[str, ...]:
        """Raters of whom a program drew outlines."""
        drawn = {one.rater for one in self.finished if one.state.simulated}
        return tuple(rater for rater in self.study.raters if rater in drawn)


@dataclass(frozen=True)
class Comparison:
    """One set of pairs: what is compared with what, and how far they agree."""

    kind: str
    """A key of `KINDS`."""
    where: str
    """What both sides share: the rater, or the method."""
    first: str
    second: str
    agreement: Agreement
    simulated: bool
    """Whether a program drew any of the outlines."""

    @property
    def name(self) -> str:
        """For tables: "anna: cnn against nlr"."""
        return f"{self.place}: {self.second} against {self.first}"

    @property
    def place(self) -> str:
        """What both sides share, and whether raters are simulated."""
        return f"{self.where}, simulated" if self.simulated else self.where


KINDS = {
    "maps": "Maps against maps, per rater",
    "raters": "Rater against rater, per method",
    "repeat": "The same rater twice, on the same maps",
}


def gather(study: Study) -> Gathered:
    """Read the key and every outline that is done.

    Raises
    ------
    DamagedFile
        A file of the study is missing, cut off or doesn't fit the others.
    """
    key = _key(study)
    finished, unfinished = [], []
    for rater in study.raters:
        for one in study.worklist(rater):
            state = reading_state(study, rater, one.reading)
            if state.state != DONE:
                unfinished.append(Unfinished(rater, one.reading, state.state))
                continue
            labels = read_outline(study, rater, one.reading)
            if labels is None:
                raise DamagedFile(
                    f"{study.folder_of(rater, one.reading)} is marked as done but holds no "
                    "outline.nii.gz; reopen this reading and draw it again"
                )
            if not is_as_finished(study, rater, one.reading, state):
                raise DamagedFile(
                    f"outline.nii.gz in {study.folder_of(rater, one.reading)} was changed after "
                    "the reading was finished; reopen this reading, look at it and finish it again"
                )
            exam, method, repeat = key[rater, one.reading]
            geometry = study.geometry_of(rater, one.reading)
            finished.append(
                Finished(rater, one.reading, exam, method, repeat, labels, geometry, state)
            )
    order = {name: n for n, name in enumerate((*study.raters, *study.methods))}
    finished.sort(key=lambda f: (order[f.rater], f.exam, order[f.method], f.repeat))
    return Gathered(study, tuple(finished), tuple(unfinished))


def comparisons(gathered: Gathered) -> tuple[Comparison, ...]:
    """Every other method against the first, per rater; rater pairs, per method; repeats."""
    study = gathered.study
    firsts = [one for one in gathered.finished if not one.repeat]
    found = []
    for rater in study.raters:
        mine = [one for one in firsts if one.rater == rater]
        for method in study.methods[1:]:
            found.append(
                _compared(study, "maps", rater, study.methods[0], method, mine, lambda f: f.method)
            )
    for method in study.methods:
        read = [one for one in firsts if one.method == method]
        for one, two in combinations(study.raters, 2):
            found.append(_compared(study, "raters", method, one, two, read, lambda f: f.rater))
    if study.repeats:
        for rater in study.raters:
            mine = [one for one in gathered.finished if one.rater == rater]
            found.append(_compared(
                study, "repeat", rater, "first reading", "second reading", mine,
                lambda f: "second reading" if f.repeat else "first reading",
            ))  # fmt: skip
    return tuple(found)


def _compared(
    study: Study,
    kind: str,
    where: str,
    first: str,
    second: str,
    readings: Sequence[Finished],
    side: Callable[[Finished], str],
) -> Comparison:
    matched = list(_matched(readings, first, second, side))
    pairs = [
        outline_pair(exam_name(one.exam), one.labels, two.labels, one.geometry)
        for one, two in matched
    ]
    simulated = any(one.state.simulated or two.state.simulated for one, two in matched)
    return Comparison(kind, where, first, second, agreement(pairs, study.seed), simulated)


def _matched(
    readings: Sequence[Finished], first: str, second: str, side: Callable[[Finished], str]
) -> Iterable[tuple[Finished, Finished]]:
    """Readings of the same exam that differ in what is compared, and in nothing else."""

    def shared(one: Finished) -> tuple[Any, ...]:
        parts = {"rater": one.rater, "method": one.method}
        return (one.exam, *(v for v in parts.values() if v not in (first, second)))

    others = {shared(one): one for one in readings if side(one) == second}
    for one in readings:
        if side(one) == first and shared(one) in others:
            yield one, others[shared(one)]


def exam_name(number: int) -> str:
    """An exam's name in tables: folders' names may tell who it is."""
    return f"exam {number + 1:02d}"


def _key(study: Study) -> dict[tuple[str, str], tuple[int, str, bool]]:
    path = study.folder / "key.json"
    found = read_json(study.folder, path).get("readings")
    key = {}
    try:
        for rater in study.raters:
            for one in study.worklist(rater):
                line = found[rater][one.reading]  # type: ignore[index]
                exam, method, repeat = int(line["exam"]), line["method"], line["repeat"]
                if method not in study.methods or not 0 <= exam < study.exams:
                    raise ValueError("of another study")
                key[rater, one.reading] = exam, str(method), bool(repeat)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(
            f"{path} doesn't tell what every reading is of; it is damaged or of another study"
        ) from error
    return key
