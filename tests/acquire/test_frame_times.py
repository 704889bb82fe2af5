"""Clocks and frames: what is true of any scanner's times."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.acquire.dicom.elements import datetime_us, microseconds, text_or_double, time_of_day_us
from bolus.acquire.dicom.geometry import SAME_SLICE_MM
from bolus.acquire.dicom.timing import DAY_US, _start_of_day, frames
from bolus.errors import IncompleteExam


@pytest.mark.parametrize(
    ("written", "us"),
    [
        ("131335.750169", 47_615_750_169),
        ("131335.75", 47_615_750_000),
        ("131335", 47_615_000_000),
        ("1313", 47_580_000_000),
        ("13", 46_800_000_000),
        ("13:13:35", 47_615_000_000),
        ("131335.7501691", 47_615_750_169),
        (" 131335 \0", 47_615_000_000),
        ("", None),
        ("250000", None),
        ("13133", None),
        ("noon", None),
    ],
)
def test_time_of_day(written, us):
    assert time_of_day_us(written) == us


@pytest.mark.parametrize("zone", ["", "+0100", "-1130"])
def test_datetime_gives_its_time_of_day(zone):
    assert datetime_us("20210716131335.750169" + zone) == 47_615_750_169
    assert datetime_us("20210716" + zone) is None


@given(st.floats(0, 1e6))
def test_ge_time_is_the_same_number_as_text_or_as_double(seconds):
    seconds = round(seconds, 6)
    as_text = text_or_double(f"{seconds:.6f}".encode())
    as_double = text_or_double(struct.pack("<d", seconds))
    assert microseconds(as_text) == microseconds(as_double) == round(seconds * 1e6)


def test_eight_characters_of_text_are_no_double():
    assert text_or_double(b"470.1420") == 470.142
    assert text_or_double(b"470.142 ") == 470.142
    assert text_or_double(b"nonsense!") is None


@given(
    st.integers(0, DAY_US - 1),
    st.lists(st.integers(1, 10_000_000), min_size=1, max_size=30),
)
def test_a_clock_over_midnight_keeps_its_intervals(start, steps):
    true = start + np.cumsum([0, *steps])
    wrapped = true % DAY_US
    first = _start_of_day(wrapped.tolist())
    continued = np.where(wrapped < first, wrapped + DAY_US, wrapped)
    assert np.array_equal(continued - continued.min(), true - true.min())


@given(
    lag=st.integers(0, 2_000_000),
    lost=st.sets(st.tuples(st.integers(0, 29), st.integers(0, 2)), max_size=3),
    seed=st.integers(0, 99),
)
def test_lost_images_cost_their_frames_and_no_others(lag, lost, seed):
    # three slices, the third one lagging behind as on a moving table; 2.2 s between frames
    t, z = (part.ravel() for part in np.mgrid[:30, :3])
    us = 2_200_000 * t + np.where(z == 2, lag, 0)
    kept = np.array([(a, b) not in lost for a, b in zip(t, z, strict=True)])
    order = np.random.default_rng(seed).permutation(np.flatnonzero(kept))
    table, _ = frames(us[order], z[order], "exam")
    found_t, found_z = t[order][table], z[order][table]
    assert np.array_equal(found_z, np.broadcast_to([0, 1, 2], table.shape))
    assert np.all(np.diff(us[order][table], axis=0) > 0)
    counts = np.bincount(z[kept])
    if counts.min() < counts.max():
        # a slice that lags by more than half an interval may pair with the next frame, which costs
        # the exam's first or last frame besides those that lost an image
        assert len(found_t) >= 30 - len(lost) - 1
        assert np.ptp(us[order][table], axis=1).max() <= 2_200_000


def test_too_many_lost_images_are_an_incomplete_exam():
    t, z = (part.ravel() for part in np.mgrid[:30, :2])
    kept = ~((z == 1) & (t % 5 == 2))
    with pytest.raises(IncompleteExam, match="6 of 30"):
        frames(2_000_000 * t[kept], z[kept], "exam")


def test_slices_are_never_nearer_than_what_counts_as_one():
    assert SAME_SLICE_MM < 0.5
