"""Times of the frames that the user gives, for exams whose files have none or wrong ones."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bolus.errors import UsageError
from bolus.files.regular_file import read_regular
from bolus.plain_text import short
from bolus.types import Finding, Float64Array, Grade

INTERVAL_LIMITS_S = (0.3, 6.0)
"""Cine scans acquire a frame every 0.5 s; a bolus lasts 10 s, which 6 s barely resolve."""
MAX_FILE_BYTES = 2**20
NAMES = re.compile(r"(?!nan|inf)[a-z_][a-z_ ,;\t()\[\]]*", re.IGNORECASE)
"""Of columns, in a first line without numbers."""
FEWEST_ROWS = 3
"""Of a table; in fewer anything counts."""
DECIMAL_COMMA = re.compile(r"\d+(,\d+)?")


@dataclass(frozen=True, eq=False)
class GivenTimes:
    """The interval between frames, or the time of each; one of the two."""

    interval_s: float | None = None
    """s."""
    times_s: Float64Array | None = None
    """(T,) s after any start, increasing."""

    def of(self, frames: int, name: str) -> Float64Array:
        """Time of each of so many frames, (T,) s.

        Raises
        ------
        UsageError
            Times for another number of frames were given.
        """
        if self.times_s is None:
            return np.arange(frames, dtype=np.float64) * (self.interval_s or 0.0)
        if len(self.times_s) != frames:
            raise UsageError(
                f"{name}: {len(self.times_s)} times were given, the exam has {frames} frames; give "
                "one time for each frame, or the interval."
            )
        return self.times_s

    @property
    def finding(self) -> Finding:
        """That the times are the user's."""
        how = "one by one" if self.interval_s is None else f"as {self.interval_s:g} s apart"
        message = f"The times of the frames were given by the user, {how}, not read."
        return Finding("times-given", Grade.NOTE, message)


def given_times(
    interval_s: float | None = None,
    times: str | os.PathLike[str] | Iterable[float] | None = None,
) -> GivenTimes | None:
    """What the user said about the times; None if nothing.

    Parameters
    ----------
    interval_s : between frames, s.
    times : (T,) numbers, s; or a text file of them, separated by lines, commas or spaces; or
        with the frames' numbers in a column before; or as a list in JSON.

    Raises
    ------
    UsageError
        Both are given, or one is no time; of a file with the line.
    """
    if interval_s is not None and times is not None:
        raise UsageError("give the interval between frames or their times, not both")
    if interval_s is not None:
        low, high = INTERVAL_LIMITS_S
        if not _is_number(interval_s) or not low <= interval_s <= high:
            raise UsageError(
                f"the interval between frames is a number of seconds from {low:g} to {high:g}, not "
                f"{short(str(interval_s))}"
            )
        return GivenTimes(interval_s=float(interval_s))
    if times is None:
        return None
    if isinstance(times, str | os.PathLike):
        return GivenTimes(times_s=_of_file(Path(times)))
    try:
        values = list(times)
    except TypeError as error:
        raise UsageError("times are a file or numbers, in seconds") from error
    for number, value in enumerate(values, 1):
        if not _is_number(value):
            raise UsageError(f"times: number {number} is no number, but {short(str(value))}")
    return GivenTimes(times_s=_increasing([float(v) for v in values], "times", "number", None))


def _is_number(value: object) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    return isinstance(value, int | float | np.integer | np.floating) and math.isfinite(value)


def _of_file(path: Path) -> Float64Array:
    try:
        content = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: the times can't be read ({error.strerror})") from error
    text = _text(content).strip().removeprefix("[").removesuffix("]")
    rows = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(rows) > 1 and NAMES.fullmatch(rows[0][1].strip()):
        rows = rows[1:]
    other = [times for times in (_second_column(rows), _with_decimal_commas(rows)) if times]
    if len(other) > 1:
        raise UsageError(
            f"{path}: its commas may stand before decimals or between columns; give one time in a "
            "line, with a point for decimals"
        )
    if other:
        return np.array(other[0])
    values: list[float] = []
    lines: list[int] = []
    for number, line in rows:
        for word in _words(line):
            value = _as_number(word)
            if value is None:
                raise UsageError(
                    f"{path}: line {number} holds '{short(word)}', which is no number; give the "
                    "time of each frame in seconds, with a point for decimals"
                )
            values.append(value)
            lines.append(number)
    return _increasing(values, str(path), "line", lines)


def _words(line: str) -> list[str]:
    return re.sub(r"[,;\t]", " ", line).split()


def _as_number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _second_column(rows: list[tuple[int, str]]) -> list[float]:
    """Times beside the numbers of their frames, which count; empty if these are none."""
    cells = [[_as_number(word) for word in _words(line)] for _, line in rows]
    if len(cells) < FEWEST_ROWS or any(len(row) != 2 or None in row for row in cells):
        return []
    counted, times = zip(*cells, strict=True)
    # the times themselves in both columns would be no count
    return list(times) if np.all(np.diff(counted) == 1) and _rise(times) else []


def _with_decimal_commas(rows: list[tuple[int, str]]) -> list[float]:
    """Times with commas for decimals, which commas between whole numbers can't be: these fall."""
    words = [word for _, line in rows for word in line.replace(";", " ").split()]
    if not all(DECIMAL_COMMA.fullmatch(word) for word in words):
        return []
    between = [float(part) for word in words for part in word.split(",")]
    decimals = [float(word.replace(",", ".")) for word in words]
    return decimals if not _rise(between) and _rise(decimals) else []


def _rise(times: Sequence[float]) -> bool:
    return bool(np.all(np.diff(times) > 0))


def _text(content: bytes) -> str:
    """Editors of Windows write UTF-16, or UTF-8 with a mark before it; numbers are ASCII."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8-sig", "replace")


def _increasing(
    values: list[float], where: str, what: str, lines: list[int] | None
) -> Float64Array:
    if not values:
        raise UsageError(f"{where}: holds no times; give one for each frame, in seconds")
    times_s = np.array(values, dtype=np.float64)
    back = np.flatnonzero(np.diff(times_s) <= 0)
    if len(back):
        at = int(back[0]) + 1
        place = at + 1 if lines is None else lines[at]
        raise UsageError(
            f"{where}: {what} {place} has the time {values[at]:g} s after {values[at - 1]:g} s; "
            "times must increase"
        )
    return times_s
