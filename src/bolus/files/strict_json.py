"""JSON whose numbers are all usable in computations."""

from __future__ import annotations

import json
import math
import re
from typing import Any

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a character, which no answer could be written with."""
LARGEST_INTEGER = 2**53
"""Above it, programs that know JSON's numbers as floats would read another one."""


def strict_json(content: bytes) -> Any:
    """What JSON says; no NaN, no infinity, no endless integers, no halves of characters.

    Raises
    ------
    ValueError
        It is not JSON in UTF-8, or holds such a number.
    RecursionError
        It is nested too deeply.
    """
    text = content.decode("utf-8")
    found = json.loads(text, parse_constant=_refused, parse_float=_float, parse_int=_integer)
    if SURROGATE.search(text):
        json.dumps(found, ensure_ascii=False).encode()  # raises where a half has no other
    return found


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
