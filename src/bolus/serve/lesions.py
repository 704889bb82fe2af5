"""Lesions at adjustable thresholds: everything that does not depend on them is computed once.

`bolus.lesion` does the work, on the head's bounding box only, fast enough for a slider.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bolus.errors import DamagedFile, UsageError
from bolus.lesion.measure import (
    CORE,
    PENUMBRA,
    RATIO_MINIMUM_CORE_ML,
    Levels,
    outline,
    smooth_levels,
)
from bolus.lesion.midline import left_side
from bolus.lesion.presets import (
    DELAY_PRESETS,
    PRESET_NAMES,
    CoreMap,
    HypoperfusedMap,
    Preset,
    preset_for,
)
from bolus.metrics import dice
from bolus.serve.errors import Refused, missing
from bolus.serve.mask_codec import Labels, packed
from bolus.serve.open_results import Exam
from bolus.types import BoolArray, Maps, Tissue

MARGIN = 8
"""Pixels around the brain: its surroundings must stay one connected piece, not a hole."""
CORE_RANGES: dict[CoreMap, tuple[float, float]] = {
    "relative CBF": (0.0, 2.0),
    "CBV": (0.0, 20.0),
}
HYPOPERFUSED_RANGES: dict[HypoperfusedMap, tuple[float, float]] = {
    "Tmax": (0.0, 60.0),
    "delay": (0.0, 60.0),
    "relative MTT": (0.0, 10.0),
}
"""Thresholds that can be requested; units as in `bolus.lesion.presets.Preset`."""
LARGEST = 1e6
"""In any of the units of maps."""
Box = tuple[slice, slice, slice]
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True)
class Prepared:
    """One method's smoothed maps in the head's bounding box."""

    level: Levels
    left: BoolArray
    box: Box


@dataclass(frozen=True)
class FoundLesion:
    """A lesion at some thresholds."""

    labels: Labels
    """(Z, Y, X), whole."""
    side: str
    core_ml: float
    hypoperfused_ml: float


class Lesions:
    """Lesions of exams; caches the slow part for each exam and method."""

    def __init__(self) -> None:
        self._prepared: dict[tuple[str, str], Prepared] = {}
        self._left: dict[str, BoolArray] = {}
        self._lock = threading.Lock()

    def find(self, exam: Exam, method: str, rule: Preset) -> FoundLesion:
        """The lesion of one method by a rule, as `bolus run` would outline it."""
        ready = self.prepared(exam, method)
        voxel_ml = exam.voxels.geometry.voxel_ml
        found = outline(ready.level, ready.left, rule, voxel_ml)
        labels = np.zeros(exam.geometry.shape, np.uint8)
        part = np.where(found.core, CORE, np.where(found.hypoperfused, PENUMBRA, 0))
        labels[ready.box] = part
        return FoundLesion(
            labels=labels,
            side=found.side,
            core_ml=float(found.core.sum() * voxel_ml),
            hypoperfused_ml=float(found.hypoperfused.sum() * voxel_ml),
        )

    def prepared(self, exam: Exam, method: str) -> Prepared:
        """Smoothed maps, computed at the first call."""
        if method not in exam.methods:
            raise missing("method")
        place = (exam.id, method)
        with self._lock:
            if place not in self._prepared:
                self._prepared[place] = self._prepare(exam, method)
            return self._prepared[place]

    def forget(self, exam: str) -> None:
        """Drop the cached data of an exam."""
        with self._lock:
            self._left.pop(exam, None)
            for place in [place for place in self._prepared if place[0] == exam]:
                del self._prepared[place]

    def _prepare(self, exam: Exam, method: str) -> Prepared:
        voxels = exam.voxels
        tissue = Tissue(
            np.zeros((0, 0, 0), np.float32), voxels.brain, voxels.csf, voxels.vessel
        )  # no baseline: thresholds don't need it
        level = smooth_levels(_maps(exam, method), tissue, voxels.geometry)
        if exam.id not in self._left:
            self._left[exam.id] = left_side(voxels.brain, voxels.geometry)
        box = _box(voxels.brain)
        cut = Levels(
            parenchyma=level.parenchyma[box].copy(),
            cbf=level.cbf[box].copy(),
            cbv=level.cbv[box].copy(),
            mtt=level.mtt[box].copy(),
            tmax=level.tmax[box].copy(),
            delay=None if level.delay is None else level.delay[box].copy(),
        )
        return Prepared(cut, self._left[exam.id][box].copy(), box)


def rules(exam: Exam) -> dict[str, dict[str, Any]]:
    """For each method, every applicable preset: map, threshold, wording, source."""
    return {method: _rules_of(exam, method) for method in exam.methods}


def _rules_of(exam: Exam, method: str) -> dict[str, Any]:
    found = {}
    for name in PRESET_NAMES:
        if name in DELAY_PRESETS and f"{method}/delay" not in exam.files:
            continue
        try:
            rule = preset_for(name, method)
        except KeyError:  # a method that this version has no calibration for
            continue
        found[name] = {
            "core": {"map": rule.core_map, "below": rule.core_below, "text": rule.core_text},
            "hypoperfused": {
                "map": rule.hypoperfused_map,
                "above": rule.hypoperfused_above,
                "text": rule.hypoperfused_text,
            },
            "source": rule.source,
        }
    return found


def rule_of(exam: Exam, method: str, asked: Mapping[str, Any]) -> Preset:
    """The thresholds of a request.

    Raises
    ------
    Refused
        Unknown presets or maps, and numbers that are not finite or out of range.
    """
    if method not in exam.methods:
        raise missing("method")
    if asked.get("preset") is not None:
        name = asked["preset"]
        if name not in PRESET_NAMES:
            raise Refused(422, f"presets are {', '.join(PRESET_NAMES)}")
        try:
            return preset_for(name, method)
        except KeyError:
            raise Refused(422, f"{name} has no thresholds for this method") from None
    core_map = _one_of(asked.get("core_map"), "core_map", CORE_RANGES)
    hypoperfused_map = _one_of(
        asked.get("hypoperfused_map"), "hypoperfused_map", HYPOPERFUSED_RANGES
    )
    below = _number(asked.get("core_below"), "core_below", CORE_RANGES[core_map])
    above = _number(
        asked.get("hypoperfused_above"), "hypoperfused_above", HYPOPERFUSED_RANGES[hypoperfused_map]
    )
    return Preset(core_map, below, hypoperfused_map, above, "thresholds set by hand")


def lesion_answer(
    lesions: Lesions, exam: Exam, asked: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Volumes and mask of one method's lesion, and its overlap with those of others."""
    method = str(asked["method"])
    rule = rule_of(exam, method, asked)
    other_rules = {name: rule_of(exam, name, one) for name, one in others.items()}
    try:
        found = lesions.find(exam, method, rule)
        compared = {name: lesions.find(exam, name, other_rules[name]) for name in other_rules}
    except UsageError as error:
        raise Refused(422, str(error)) from error
    core, whole = found.core_ml, found.hypoperfused_ml
    return {
        "method": method,
        "core_ml": core,
        "penumbra_ml": whole - core,
        "hypoperfused_ml": whole,
        "mismatch_ml": whole - core,
        "mismatch_ratio": whole / core if core >= RATIO_MINIMUM_CORE_ML else None,
        "side": found.side,
        "core_rule": rule.core_text,
        "hypoperfused_rule": rule.hypoperfused_text,
        "dice": {
            region: {
                f"{name} vs {method}": dice(found.labels >= least, one.labels >= least)
                for name, one in compared.items()
            }
            for region, least in (("core", CORE), ("hypoperfused", PENUMBRA))
        },
        "mask": packed(found.labels),
    }


def _one_of(value: Any, name: str, names: Mapping[Name, Any]) -> Name:
    for one in names:
        if one == value:
            return one
    raise Refused(422, f"{name} is one of {', '.join(names)}")


def _number(value: Any, name: str, ends: tuple[float, float]) -> float:
    low, high = ends
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused(422, f"{name} is a number from {low:g} to {high:g}")
    return float(value)


def _maps(exam: Exam, method: str) -> Maps:
    def one(name: str) -> Any:
        values = exam.volume(f"{method}/{name}")
        if not (np.abs(values) <= LARGEST).all():  # nor is NaN
            raise DamagedFile(f"{method}/{name}.nii.gz holds impossible values; run the exam again")
        # maps from outside may be of integer type, which overflows in sums
        return np.asarray(values, np.float32)

    delay = one("delay") if f"{method}/delay" in exam.files else None
    return Maps(method, one("cbf"), one("cbv"), one("mtt"), one("tmax"), one("ttp"), delay)


def _box(brain: BoolArray) -> Box:
    """All slices, and the rows and columns of the brain with a margin."""
    if not brain.any():
        return slice(None), slice(None), slice(None)
    ends = []
    for axes in ((0, 2), (0, 1)):
        there = np.flatnonzero(brain.any(axis=axes))
        ends.append(slice(max(int(there[0]) - MARGIN, 0), int(there[-1]) + 1 + MARGIN))
    return slice(None), ends[0], ends[1]
