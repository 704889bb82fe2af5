"""A model's card: JSON in the metadata of its ONNX file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bolus.infer.out_of_distribution import GROUP_NAMES, Usual
from bolus.types import MAP_UNITS, Float64Array

KEY = "bolus"
"""The one property of the file's metadata."""
KEY_GAVA2021 = "bolus-gava2021"
"""That of a network of the recipe gava2021, which predicts one map; not for `bolus run`."""
FORMAT = 2
"""2: the time measured after the bolus is described separately."""
INPUTS = 1
"""Version of `bolus.infer.features`: raised when a network would misread what exams now give it.

That bone no longer counts as blood (`bolus.infer.gather`) leaves channels and units as they were.
"""
MAPS = tuple(MAP_UNITS)
DIGITS = 7
LONGEST = 2_000_000
"""Characters; the built-in network's card has 135,000, and only the training's facts vary."""
LEAST, MOST = 1e-6, 1e6
"""Allowed range of measures and factors; those of the built-in network lie between 0.001 and 3.
With larger ones standard errors would overflow."""

Fact = str | int | float


@dataclass(frozen=True)
class Card:
    """Everything that belongs to a network besides its weights."""

    name: str
    factors: dict[str, float]
    """Standard error over the network's spread, by map."""
    usual: tuple[Usual, ...]
    training: dict[str, Fact] = field(default_factory=dict)
    """Seed, epochs, exams, licence...: for people."""


class WrongVersionError(ValueError):
    """The card is from another version of bolus; the message says which."""


def write_card(card: Card) -> str:
    """The card as JSON; the same card gives the same text."""
    content = {
        "format": FORMAT,
        "inputs": INPUTS,
        "name": card.name,
        "maps": MAP_UNITS,
        "standard_errors": card.factors,
        "usual": [
            {
                "name": one.name,
                "centre": _rounded(one.centre),
                "scale": _rounded(one.scale),
                "whitening": [_rounded(row) for row in one.whitening],
                "limit": one.limit,
            }
            for one in card.usual
        ],
        "training": card.training,
    }
    return json.dumps(content, allow_nan=False)


def read_card(text: str) -> Card:
    """The inverse of `write_card`.

    Raises
    ------
    WrongVersionError
        Other inputs or maps than this version's.
    ValueError
        Anything else is invalid.
    """
    try:
        if len(text) > LONGEST:
            raise ValueError("too long")
        found: dict[str, Any] = json.loads(text, parse_constant=_no_number)
        version = (found["format"], found["inputs"])
        if version != (FORMAT, INPUTS) or found["maps"] != MAP_UNITS:
            raise WrongVersionError(
                f"format {version[0]!r:.9}, inputs {version[1]!r:.9}; this bolus has "
                f"format {FORMAT}, inputs {INPUTS}"
            )
        return Card(
            name=_word(found["name"]),
            factors={name: _positive(found["standard_errors"][name]) for name in MAPS},
            usual=tuple(_usual(one) for one in _in_order(found["usual"])),
            training={_word(k): _fact(v) for k, v in found["training"].items()},
        )
    except WrongVersionError:
        raise
    except (
        KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        raise ValueError(f"its description is damaged ({type(error).__name__})") from error


def _in_order(groups: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if tuple(one["name"] for one in groups) != GROUP_NAMES:
        raise ValueError("unknown groups")
    return groups


def _usual(found: Mapping[str, Any]) -> Usual:
    centre, scale = _array(found["centre"]), _array(found["scale"])
    whitening = _array(found["whitening"])
    if whitening.shape != (centre.size, scale.size) or centre.ndim != 1:
        raise ValueError("shapes don't fit")
    if not (scale >= LEAST).all():
        raise ValueError("out of range")
    return Usual(found["name"], centre, scale, whitening, _positive(found["limit"]))


def _array(values: Any) -> Float64Array:
    array = np.array(values, np.float64)
    if not (np.abs(array) <= MOST).all():
        raise ValueError("out of range")
    return array


def _positive(value: Any) -> float:
    number = float(value)
    if not LEAST <= number <= MOST:
        raise ValueError("out of range")
    return number


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 200:
        raise ValueError("no plain text")
    return value


def _fact(value: Any) -> Fact:
    if not isinstance(value, int | float):
        return _word(value)
    if not math.isfinite(value):
        raise ValueError("out of range")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _rounded(values: Float64Array) -> list[float]:
    return [float(f"{v:.{DIGITS}g}") for v in values]
