"""Windows, frames and sizes: what the network sees of an exam."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.errors import UsageError
from bolus.train.gava2021.area import area_weights, resize
from bolus.train.gava2021.data import frame_numbers
from bolus.train.gava2021.windows import FALLBACK, INPUT, Window, most_common, share, to_bytes

CBV = FALLBACK["cbv"]

BY_HAND = {0.0: 0, 0.5: 42, 1.0: 85, 2.0: 170, 3.0: 255, 3.4: 33, 3.9: 75, 4.0: 84, 4.01: 254}
"""The public code's byte for a CBV: 85 times it, wrapped around at 256 up to 4, then 254."""


def test_the_wrap_bug_is_that_of_the_public_code() -> None:
    values = np.array(list(BY_HAND))
    assert to_bytes(values, CBV, wrap_bug=True).tolist() == list(BY_HAND.values())


def test_without_the_bug_a_map_is_clipped_at_its_window() -> None:
    values = np.array([-1.0, 0.0, 1.0, 2.0, 3.4, 4.0, 50.0])
    assert to_bytes(values, CBV).tolist() == [0, 0, 63, 127, 216, 255, 255]


def test_the_bug_is_next_to_nothing_in_hounsfield_units() -> None:
    hu = np.linspace(-300, 300, 6001)
    apart = to_bytes(hu, INPUT).astype(int) - to_bytes(hu, INPUT, wrap_bug=True)
    assert np.abs(apart).max() <= 1


@given(
    low=st.floats(-100, 100),
    width=st.floats(2, 1000),
    inside=st.lists(st.floats(0, 1), min_size=1),
)
def test_8_bits_give_back_a_value_to_one_step(
    low: float, width: float, inside: list[float]
) -> None:
    window = Window(low + width / 2, width)
    values = low + width * np.array(inside)
    again = share(to_bytes(values, window)) * window.span() + window.low
    assert np.abs(again - values).max() <= width / 255 * 1.001 + 1e-4


def test_with_the_bug_the_span_gives_back_what_did_not_wrap() -> None:
    values = np.linspace(0, 2.9, 50)
    again = share(to_bytes(values, CBV, wrap_bug=True)) * CBV.span(wrap_bug=True) + CBV.low
    assert np.abs(again - values).max() <= 3 / 255 * 1.001


def test_a_window_of_the_files_goes_before_ours() -> None:
    assert most_common([], "cbv").width == 4.0
    found = most_common([(1.0, 2.0), (3.0, 6.0), (3.0, 6.0)], "cbv")
    assert (found.centre, found.width) == (3.0, 6.0)
    assert "1 exams have another" in found.source


FRAMES = {
    2: [0, 44],
    3: [0, 29, 58],
    5: [0, 17, 34, 51, 68],
    7: [0, 12, 24, 36, 48, 60, 72],
    10: list(range(0, 73, 8)),
    18: list(range(0, 69, 4)),
    27: list(range(0, 79, 3)),
    44: list(range(0, 87, 2)),
    89: list(range(89)),
}


@pytest.mark.parametrize(("count", "numbers"), FRAMES.items())
def test_frames_are_those_of_the_public_code(count: int, numbers: list[int]) -> None:
    assert frame_numbers(89, count).tolist() == numbers


@pytest.mark.parametrize("count", [0, 90])
def test_more_frames_than_there_are_is_a_usage_error(count: int) -> None:
    with pytest.raises(UsageError, match="the exams have 89"):
        frame_numbers(89, count)


@given(old=st.integers(1, 40), new=st.integers(1, 40))
def test_resizing_by_area_keeps_the_mean(old: int, new: int) -> None:
    weights = area_weights(old, new)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=0), new / old, rtol=1e-4)


def test_a_quarter_of_the_size_is_the_mean_of_4_x_4() -> None:
    image = np.random.default_rng(0).normal(size=(2, 16, 16)).astype(np.float32)
    blocks = image.reshape(2, 4, 4, 4, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(resize(image, 4), blocks, atol=1e-6)
