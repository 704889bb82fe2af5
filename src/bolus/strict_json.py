"""JSON of which every number is one that a computation may use."""

from __future__ import annotations

import json
import math
from typing import Any

LARGEST_INTEGER = 2**53
"""Above it, programs that know JSON's numbers as floats would read another one."""


def strict_json(content: bytes) -> Any:
    """What JSON says; no NaN, no infinity, no endless integers.

    Raises
    ------
    ValueError
        It is no JSON in UTF-8, or holds such a number.
    RecursionError
        It is nested too deeply.
    """
    return json.loads(
        content.decode("utf-8"), parse_constant=_refused, parse_float=_float, parse_int=_integer
    )


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _integer(text: str) -> int:
    value = int(text)
    if abs(value) > LARGEST_INTEGER:
        raise ValueError("a number that is too large")
    return value
