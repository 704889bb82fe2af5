"""Base of all data classes with arrays: comparison and a short repr; arrays that users give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bolus.errors import UsageError

LONGEST = 60
"""Characters of a value that are printed."""


class WithArrays:
    """Base of frozen dataclasses (with ``eq=False, repr=False``) whose fields may be arrays.

    Two are equal if all their fields are: arrays in shape, type and every value, NaN where NaN is.
    """

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Whether all fields are the same."""
        if not isinstance(other, WithArrays):
            return NotImplemented
        if not (isinstance(other, type(self)) or isinstance(self, type(other))):
            return NotImplemented
        names, others = ([f.name for f in fields(one)] for one in (self, other))  # type: ignore[arg-type]
        return names == others and all(
            same(getattr(self, name), getattr(other, name)) for name in names
        )

    def __repr__(self) -> str:
        """The class and its fields, arrays by type and shape."""
        parts = (f"{f.name}={brief(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(parts)})"


def same(one: Any, other: Any) -> bool:
    """Whether two values of fields are equal, whatever they hold."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
            return False
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and one != one:
        return other != other
    return bool(one == other)


def brief(value: Any) -> str:
    """A value in a few words: arrays by type and shape."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"
    if isinstance(value, tuple) and len(value) > 0 and isinstance(value[0], WithArrays):
        return f"<{len(value)} of {type(value[0]).__name__}>"
    text = repr(value)
    return text if isinstance(value, WithArrays) or len(text) <= LONGEST else f"{text[:LONGEST]}..."


def numbers(what: str, given: ArrayLike) -> NDArray[Any]:
    """An array of numbers that a user calls ``what``.

    Raises
    ------
    UsageError
        It is partly masked, ragged, or holds something else than real numbers.
    """
    if np.ma.isMaskedArray(given) and np.ma.getmaskarray(given).any():
        raise UsageError(
            f"{what} are partly masked; fill in these values, or leave curves out with mask="
        )
    try:
        values = np.asarray(given)
    except ValueError as error:
        raise UsageError(f"{what} are not one array: {error}") from error
    if values.dtype.kind not in "iuf":
        raise UsageError(f"{what} are of type {values.dtype}; give numbers")
    return values
