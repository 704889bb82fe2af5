"""Habits of the values in CT images: padding, wrapping, intercepts, units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from dicom_habits import Change, Habit, Images, each, then, values
from dicomfactory import SIZE, store
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

Y, X = np.mgrid[:SIZE, :SIZE] - 15.5
OUTSIDE = np.hypot(Y, X) > 16.5
"""The corners, outside of the circle that is reconstructed."""
Stored = NDArray[np.int32]


def hu_of(one: FileDataset) -> Stored:
    """The HU that an image of the factory holds."""
    return np.frombuffer(one.PixelData, "<u2").reshape(SIZE, SIZE).astype(np.int32) - 1024


def stored(
    make: Callable[[Stored], Stored], *, bits: int, signed: bool, intercept: int | None
) -> Change:
    """Other pixels made of the HU, and the header that describes them."""

    def set_one(one: FileDataset) -> None:
        pixels = make(hu_of(one))
        one.BitsStored, one.HighBit, one.PixelRepresentation = bits, bits - 1, int(signed)
        if intercept is None:
            del one.RescaleIntercept
        else:
            one.RescaleIntercept = intercept
        store(one, pixels)

    return each(set_one)


def padded(value: int, offset: int = 1024) -> Callable[[Stored], Stored]:
    """HU stored with an offset, and padding outside of the circle."""
    return lambda hu: np.where(OUTSIDE, value, hu + offset)


def slopes(images: Images) -> Images:
    """Slope and intercept of each file its own."""
    for number, one in enumerate(images):
        hu = hu_of(one)
        one.RescaleSlope = (0.5, 1)[number % 2]
        one.BitsStored, one.HighBit = 16, 15
        store(one, (hu + 1024) * (2, 1)[number % 2])
    return images


def overlay(one: FileDataset) -> None:
    """An overlay plane of old scanners in the highest bit."""
    pixels = np.frombuffer(one.PixelData, "<u2").reshape(SIZE, SIZE).copy()
    pixels[5, 5:9] |= 0x8000
    store(one, pixels)


def _value_habit(key: str, change: Change, finding: str = "", *, loses_rim: bool = False) -> Habit:
    return Habit(key, change, finding, part="values", loses_rim=loses_rim)


VALUE_HABITS: tuple[Habit, ...] = (
    _value_habit(
        "padding-63536",
        stored(padded(63536), bits=16, signed=False, intercept=-1024),
        "padding-undeclared",
        loses_rim=True,
    ),
    _value_habit(
        "padding-4095",
        stored(padded(4095), bits=12, signed=False, intercept=-1024),
        "padding-undeclared",
        loses_rim=True,
    ),
    _value_habit(
        "padding-minus-2000",
        stored(padded(-2000), bits=16, signed=True, intercept=-1024),
        loses_rim=True,
    ),
    _value_habit(
        "padding-minus-3024",
        stored(padded(-3024, 0), bits=16, signed=True, intercept=0),
        loses_rim=True,
    ),
    _value_habit(
        "padding-declared",
        then(
            stored(padded(-2000), bits=16, signed=True, intercept=-1024),
            each(lambda one: one.add_new(0x00280120, "SS", -2000)),
        ),
        loses_rim=True,
    ),
    _value_habit(
        "rim-minus-1024", stored(padded(0), bits=12, signed=False, intercept=-1024), loses_rim=True
    ),
    _value_habit(
        "wrapped-12-bits",
        stored(lambda hu: hu % 4096, bits=12, signed=False, intercept=0),
        "values-wrapped",
    ),
    _value_habit(
        "signed-declared-unsigned",
        stored(lambda hu: hu % 65536, bits=16, signed=False, intercept=0),
        "values-wrapped",
    ),
    _value_habit(
        "intercept-missing",
        stored(lambda hu: hu + 1024, bits=12, signed=False, intercept=None),
        "intercept-missing",
    ),
    _value_habit(
        "intercept-zero",
        stored(lambda hu: hu + 1024, bits=12, signed=False, intercept=0),
        "intercept-missing",
    ),
    _value_habit("rescale-type-missing", values(RescaleType=None)),
    _value_habit("rescale-type-us", values(RescaleType="US")),
    _value_habit("rescale-type-odd", values(RescaleType="MGML"), "rescale-type-unusual"),
    _value_habit("slopes-per-file", slopes),
    _value_habit("overlay-in-pixels", each(overlay)),
    _value_habit("lossy", values(LossyImageCompression="01"), "lossy-compression"),
)
