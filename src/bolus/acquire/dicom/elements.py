"""Values of DICOM elements from their raw bytes.

Not through pydicom's conversion: a damaged date, an 8-byte binary number in a text field or an
unknown character set must not cost the exam.
"""

from __future__ import annotations

import re
import struct

from pydicom.dataset import Dataset

from bolus.plain_text import printable, short

Vector = tuple[float, ...]
LARGEST = 1e9
"""Damaged text reads as 1e300 too, which overflows in the first product."""
LONGEST_NUMBER = 64
"""A decimal string has 16 characters; 65,500 of them take minutes to read."""
LONGEST_CODE = 16
"""Characters of a code string (CS)."""
MOST_VALUES = 16
"""Characters of a text element with any number of values."""


def is_little_endian(dataset: Dataset) -> bool:
    """Byte order of the data set as read (little endian unless it says otherwise)."""
    return dataset.original_encoding[1] is not False


def raw(dataset: Dataset, tag: int) -> bytes:
    """The undecoded value of an element, b"" without one."""
    try:
        element = dataset.get_item(tag)
    except Exception:  # a deferred or damaged element counts as absent
        return b""
    value = getattr(element, "value", None)
    if isinstance(value, bytes):
        return value
    return b"" if value is None or value == "" else str(value).encode("latin-1", "replace")


def text(dataset: Dataset, tag: int) -> str:
    """The value as text without padding; any byte is accepted, and undecodable ones become "?".

    Text longer than DICOM's short types allow is truncated, and what follows a NUL is left out:
    where a damaged length swallowed other elements, a patient's name may be among them.
    """
    return short(_decoded(dataset, tag).partition("\0")[0])


def code(dataset: Dataset, tag: int) -> str:
    """The value of a code string in capitals, likewise."""
    return text(dataset, tag)[:LONGEST_CODE].upper()


def codes(dataset: Dataset, tag: int) -> tuple[str, ...]:
    """The values of a code string that has several, likewise."""
    values = _parts(dataset, tag)[:MOST_VALUES]
    return tuple(printable(part.partition("\0")[0][:LONGEST_CODE]).upper() for part in values)


def whole_text(dataset: Dataset, tag: int) -> str:
    """All of the value, to be compared and never shown."""
    return _decoded(dataset, tag)


def _parts(dataset: Dataset, tag: int) -> list[str]:
    value = _decoded(dataset, tag)
    return [part.strip(" \0") for part in value.split("\\")] if value else []


def _decoded(dataset: Dataset, tag: int) -> str:
    return raw(dataset, tag).decode("latin-1").strip(" \0")


def integer(dataset: Dataset, tag: int) -> int | None:
    """An unsigned 16-bit binary element."""
    value = raw(dataset, tag)
    order = "little" if is_little_endian(dataset) else "big"
    return int.from_bytes(value[:2], order) if len(value) >= 2 else None  # type: ignore[arg-type]


def numbers(dataset: Dataset, tag: int) -> Vector:
    """Decimal strings as numbers; empty if any of them is not a number."""
    values = tuple(_number(part) for part in _parts(dataset, tag))
    return () if any(v is None for v in values) else tuple(v for v in values if v is not None)


def number(dataset: Dataset, tag: int) -> float | None:
    """The first decimal string as a number."""
    values = numbers(dataset, tag)
    return values[0] if values else None


def _number(value: str) -> float | None:
    if len(value) > LONGEST_NUMBER:
        return None
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", value):
        return None
    return plausible(float(value))


def plausible(value: float) -> float | None:
    """The number itself, None if it is not a number or larger than any meaningful header value."""
    return value if abs(value) < LARGEST else None


def text_or_double(value: bytes) -> float | None:
    """A number written as text, or as an 8-byte little-endian double in a text field."""
    as_text = _number(value.decode("latin-1").strip(" \0"))
    if as_text is not None or len(value) != 8:
        return as_text
    (as_double,) = struct.unpack("<d", value)
    return plausible(as_double)


def microseconds(seconds: float | None) -> int | None:
    """Seconds as whole microseconds: sums and differences of these are exact."""
    return None if seconds is None else round(seconds * 1e6)


def milliseconds(value: float | None) -> int | None:
    """Milliseconds as whole microseconds."""
    return None if value is None else microseconds(value / 1000)


def milliseconds_us(value: str) -> int | None:
    """Milliseconds written as a decimal string, as whole microseconds."""
    return milliseconds(_number(value))


def time_of_day_us(value: str) -> int | None:
    """TM (HHMMSS.ffffff, fraction, seconds and minutes optional; or HH:MM:SS) as microseconds."""
    match = re.fullmatch(r"(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d{1,9}))?", value.strip(" \0"))
    if not match:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    fraction = int((match[4] or "0").ljust(6, "0")[:6])
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction


def datetime_us(value: str) -> int | None:
    """The time of day of a DT (YYYYMMDDHHMMSS.ffffff+ZZZZ)."""
    match = re.fullmatch(r"\d{8}(\d{2,6}(?:\.\d{1,9})?)(?:[+-]\d{4})?", value.strip(" \0"))
    return time_of_day_us(match[1]) if match else None


def whole(value: float | None) -> int | None:
    """A number as an integer, None if it is not integral."""
    return int(value) if value is not None and value == int(value) else None
