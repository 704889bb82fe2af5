"""The report's table of what lay in the exam's folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bolus.series import Series

FEW = 6
"""Numbers shown of series that were taken for the same; of more, the first and the last."""


@dataclass(frozen=True)
class SeriesRow:
    """Series that were taken for the same, for the same reason."""

    numbers: str
    images: str
    """Positions x frames where all of them have the same, and the total."""
    taken_for: str
    verdict: str


def series_rows(series: Sequence[Series]) -> list[SeriesRow]:
    """One row for each kind of series, in the order of their numbers, what was used first."""
    kinds: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in series:
        kinds[one.taken_for, one.verdict].append(one)
    rows = [
        SeriesRow(_numbers(alike), _images(alike), taken_for, verdict)
        for (taken_for, verdict), alike in kinds.items()
    ]
    return sorted(rows, key=lambda row: row.verdict != "used")


def _numbers(alike: Sequence[Series]) -> str:
    numbers = [one.number or "?" for one in alike]
    if len(numbers) <= FEW:
        return ", ".join(numbers)
    return f"{numbers[0]} to {numbers[-1]} ({len(numbers)} series)"


def _images(alike: Sequence[Series]) -> str:
    total = sum(one.images for one in alike)
    first = alike[0]
    if len(alike) == 1 and first.slices * first.frames == total:
        return f"{total} ({first.slices} × {first.frames})"
    return str(total)
