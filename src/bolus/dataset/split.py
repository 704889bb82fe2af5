"""Split of patients into training, validation and test sets.

Patients are the unit, never exams or slices: two exams of one head are more similar than two heads.
Patients whose exams are copies of each other stay together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bolus import __version__
from bolus.dataset.duplicates import linked_patients
from bolus.dataset.index import Index, read_json, write_text
from bolus.errors import DamagedFile, UsageError

SCHEMA = "bolus-split/1"
SIDES = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Patients of the three sets, each sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    seed: int = 0
    index: str = ""
    """`Index.digest` of the data set that was split."""

    def side(self, patient: str) -> str | None:
        """The set that a patient belongs to."""
        return next((side for side in SIDES if patient in getattr(self, side)), None)


@dataclass(frozen=True)
class Choice:
    """Which patients of a data set are split."""

    frames: int | None = None
    """Only patients with an exam of this many frames (one protocol)."""
    leave_out: tuple[str, ...] = ()
    """Not these patients."""

    def of(self, index: Index) -> frozenset[str]:
        """Patients with a usable exam that are chosen.

        Raises
        ------
        UsageError
            If a patient to be left out isn't there.
        """
        unknown = sorted(set(self.leave_out) - set(index.patients))
        if unknown:
            raise UsageError(f"the data set has no patient {', '.join(unknown)} to leave out")
        fits = {
            case.patient for case in index.cases
            if case.usable and self.frames in (None, case.frames)
        }  # fmt: skip
        return frozenset(fits.difference(self.leave_out))


def hold_out(
    index: Index,
    test: int,
    validation: int = 0,
    seed: int = 0,
    *,
    train: int | None = None,
    choice: Choice | None = None,
) -> tuple[Split]:
    """Hold out ``test`` patients for testing and ``validation`` for validation during training.

    Parameters
    ----------
    train
        Train on this many of the others; None for all.
    choice
        Which patients are split; None for all.

    Raises
    ------
    UsageError
        If that can't be done with these patients.
    """
    groups = _shuffled(index, seed, choice)
    tested, rest = _draw(groups, test, "test")
    steering, rest = _draw(rest, validation, "validation")
    if train is not None:
        rest, _ = _draw(rest, train, "train")
    if not rest:
        raise UsageError(
            f"of {sum(map(len, groups))} usable patients none is left to train on; use fewer "
            "for test and validation"
        )
    return (_split(rest, steering, tested, seed, index),)


def cross_validation(
    index: Index,
    folds: int,
    validation: int = 0,
    seed: int = 0,
    *,
    choice: Choice | None = None,
) -> tuple[Split, ...]:
    """``folds`` splits; each patient of the ``choice`` is tested in exactly one of them.

    Raises
    ------
    UsageError
        If that can't be done with these patients.
    """
    groups = _shuffled(index, seed, choice)
    if not 2 <= folds <= len(groups):
        raise UsageError(f"{len(groups)} patients can be split into 2 to {len(groups)} folds only")
    dealt: list[list[tuple[str, ...]]] = [[] for _ in range(folds)]
    for group in sorted(groups, key=len, reverse=True):  # stable: still shuffled among equals
        min(dealt, key=lambda fold: sum(map(len, fold))).append(group)
    splits = []
    for k in range(folds):
        others = [group for i, fold in enumerate(dealt) if i != k for group in fold]
        others.sort(key=lambda group: groups.index(group))
        steering, rest = _draw(others, validation, "validation")
        if not rest:
            raise UsageError("no patient is left to train on; use fewer for validation")
        splits.append(_split(rest, steering, dealt[k], seed, index))
    return tuple(splits)


def _shuffled(index: Index, seed: int, choice: Choice | None) -> list[tuple[str, ...]]:
    """Groups of patients that belong together, in an order drawn by the seed.

    The order comes from hashes, so it depends on no library's generator, and adding or removing
    a patient doesn't change the order of the others.
    """
    usable = (choice or Choice()).of(index)
    groups = [tuple(p for p in group if p in usable) for group in linked_patients(index)]
    return sorted((g for g in groups if g), key=lambda group: _draw_key(group, seed))


def _draw_key(group: tuple[str, ...], seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{group[0]}".encode()).digest()


def _draw(
    groups: Sequence[tuple[str, ...]], count: int, side: str
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The first groups that have exactly ``count`` patients together, and the others."""
    if count < 0:
        raise UsageError(f"--{side} takes a number of patients, not {count}")
    drawn, rest = [], []
    for group in groups:
        if len(group) <= count:
            drawn.append(group)
            count -= len(group)
        else:
            rest.append(group)
    if count:
        raise UsageError(
            f"there are not enough usable patients for --{side} (copies stay together); "
            f"{count} are missing"
        )
    return drawn, rest


def _split(
    train: Sequence[tuple[str, ...]],
    validation: Sequence[tuple[str, ...]],
    test: Sequence[tuple[str, ...]],
    seed: int,
    index: Index,
) -> Split:
    sides = [
        tuple(sorted(p for group in side for p in group)) for side in (train, validation, test)
    ]
    return Split(sides[0], sides[1], sides[2], seed, index.digest)


def write_split(splits: Sequence[Split], index: Index, path: Path) -> None:
    """Write one split, or all folds, into a file.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    used = {p for split in splits for side in SIDES for p in getattr(split, side)}
    plain = {
        "schema": SCHEMA,
        "bolus": __version__,
        "index": index.digest,
        "seed": splits[0].seed,
        "folds": [{side: list(getattr(split, side)) for side in SIDES} for split in splits],
        "left_out": sorted(set(index.patients) - used),
    }
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=True) + "\n")


def read_split(path: Path, *, fold: int | None = None, index: Index | None = None) -> Split:
    """Read a split.

    Parameters
    ----------
    fold
        Which fold, from 0, of a cross-validation.
    index
        The data set it is to be used with; a split of another one is refused.

    Raises
    ------
    NoReadableFiles, DamagedFile
        If there is no such file, or it is not a split, or a patient is in two sets.
    UsageError
        If it was made for another data set, or it has several folds and none was chosen.
    """
    splits = read_splits(path, index=index)
    if fold is None and len(splits) > 1:
        raise UsageError(f"{path}: has {len(splits)} folds; choose one from 0 to {len(splits) - 1}")
    if fold is not None and not 0 <= fold < len(splits):
        raise UsageError(f"{path}: has no fold {fold}; the last one is {len(splits) - 1}")
    return splits[fold or 0]


def read_splits(path: Path, *, index: Index | None = None) -> tuple[Split, ...]:
    """All folds of a file; one if it is not a cross-validation.  Raises as `read_split`."""
    fields = read_json(path, SCHEMA, "split", "bolus dataset split")
    try:
        seed, digest = fields["seed"], fields["index"]
        splits = tuple(_read_fold(fold, int(seed), str(digest)) for fold in fields["folds"])
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(
            f"{path}: is not a complete split ({error}); make it again with `bolus dataset split`."
        ) from error
    if not splits:
        raise DamagedFile(f"{path}: is empty; make it again with `bolus dataset split`.")
    if index is not None and index.digest != digest:
        raise UsageError(
            f"{path}: was made for another data set, or this one has changed since; make it again "
            "with `bolus dataset split`"
        )
    return splits


def _read_fold(fields: Mapping[str, Any], seed: int, digest: str) -> Split:
    sides = []
    for side in SIDES:
        patients = fields[side]
        if not isinstance(patients, list) or not all(isinstance(p, str) for p in patients):
            raise TypeError(f"{side} should be a list of patients")
        sides.append(tuple(patients))
    everybody = [p for side in sides for p in side]
    twice = len(everybody) - len(set(everybody))
    if twice:
        raise ValueError(f"{twice} patients occur twice")
    return Split(sides[0], sides[1], sides[2], seed, digest)
