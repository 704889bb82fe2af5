"""The common time grid, and curves moved onto it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.timegrid import common_grid, resample, resample_vessels
from drawn_head import blood


def frame_times(frames: int, dt_s: float, offsets_s: list[float]) -> np.ndarray:
    return np.arange(frames)[:, None] * dt_s + np.array(offsets_s)[None]


@pytest.mark.parametrize(("dt_s", "expected"), [(0.5, 0.5), (0.9, 0.5), (1.0, 1.0), (3.0, 1.0)])
def test_the_grid_is_fine_where_frames_are(dt_s: float, expected: float) -> None:
    grid = common_grid(frame_times(40, dt_s, [0.0, 0.1]))
    np.testing.assert_allclose(np.diff(grid), expected)


@given(st.floats(0.6, 3.5), st.lists(st.floats(0, 1.5), min_size=1, max_size=6))
def test_the_grid_never_leaves_what_all_slices_share(dt_s: float, offsets: list[float]) -> None:
    times = frame_times(30, dt_s, offsets)
    grid = common_grid(times)
    assert grid[0] >= times[0].max() - 1e-9
    assert grid[-1] <= times[-1].min() + 1e-5
    assert times[-1].min() - grid[-1] < grid[1] - grid[0]


def test_one_short_slice_does_not_shorten_the_exam() -> None:
    times = frame_times(30, 2.0, [0.0, 0.1, 0.2])
    times[:, 2] = np.linspace(0, 20, 30)
    assert common_grid(times)[-1] > 55


@given(st.floats(-3, 3), st.floats(0.0, 2.0))
def test_a_straight_line_keeps_its_course_whatever_the_slices_clock(
    slope: float, offset: float
) -> None:
    times = frame_times(20, 2.0, [0.0, offset])
    grid = common_grid(times)
    values = (slope * times.T).astype(np.float32)
    for curves in (
        resample(values, np.array([0, 1]), times, grid),
        resample_vessels(values, np.array([0, 1]), times, grid),
    ):
        np.testing.assert_allclose(curves, np.tile(slope * grid, (2, 1)), atol=1e-4)


def test_two_slices_with_offset_clocks_give_the_same_curve_of_one_bolus() -> None:
    times = frame_times(30, 2.0, [0.0, 1.0])
    grid = common_grid(times)
    bolus = 100 * np.exp(-0.5 * ((times - 25) / 5) ** 2).T.astype(np.float32)
    linear = resample(bolus, np.array([0, 1]), times, grid)
    cubic = resample_vessels(bolus, np.array([0, 1]), times, grid)
    assert np.abs(linear[0] - linear[1]).max() < 2.5
    assert np.abs(cubic[0] - cubic[1]).max() < 1.2


def test_outside_its_own_frames_a_slice_holds_its_edge_value() -> None:
    times = np.linspace(4, 10, 7)[:, None]
    values = np.arange(7, dtype=np.float32)[None]
    grid = np.arange(0.0, 15.0)
    for curves in (
        resample(values, np.array([0]), times, grid),
        resample_vessels(values, np.array([0]), times, grid),
    ):
        assert (curves[0, :5] == 0).all()
        assert (curves[0, 10:] == 6).all()


@pytest.mark.parametrize("offset_s", [0.0, 0.5, 1.0, 1.5])
def test_a_peak_between_two_frames_is_not_cut(offset_s: float) -> None:
    times = frame_times(30, 2.0, [offset_s])
    bolus = 300 * blood(times.T, 8.0).astype(np.float32)
    curve = resample_vessels(bolus, np.array([0]), times, np.arange(2, 50, 0.5))
    assert curve.max() == pytest.approx(300, rel=0.015)


@pytest.mark.parametrize("offset_s", [0.0, 0.5, 1.0, 1.5])
def test_vessel_curves_do_not_ring_before_the_upslope(offset_s: float) -> None:
    times = frame_times(30, 2.0, [offset_s])
    bolus = 300 * blood(times.T, 8.0).astype(np.float32)
    grid = np.arange(2, 50, 0.5)
    curve = resample_vessels(bolus, np.array([0]), times, grid)[0]
    assert curve.min() >= 0
    assert (np.diff(curve[: curve.argmax()]) >= -1e-9).all()
    exact = 300 * blood(grid, 8.0)
    linear = np.interp(grid, times[:, 0], bolus[0])
    assert np.abs(curve - exact).max() < 0.5 * np.abs(linear - exact).max()


@given(st.lists(st.floats(-50, 300), min_size=4, max_size=20).map(sorted))
def test_a_vessels_curve_rises_where_its_samples_do(samples: list[float]) -> None:
    times = frame_times(len(samples), 2.0, [0.0])
    grid = np.arange(0, times[-1, 0] + 0.1, 0.25)
    curve = resample_vessels(np.array([samples], np.float32), np.array([0]), times, grid)[0]
    before = np.minimum((grid / 2).astype(int), len(samples) - 2)
    own = np.array(samples, np.float32)
    assert (curve >= own[before] - 1e-4).all()
    assert (curve <= own[before + 1] + 1e-4).all()


def test_rows_come_back_float32_in_order_and_contiguous() -> None:
    times = frame_times(10, 1.0, [0.0, 0.0])
    values = np.arange(40, dtype=np.float32).reshape(4, 10)
    curves = resample(values, np.array([1, 0, 1, 0]), times, times[:, 0])
    assert curves.dtype == np.float32
    assert curves.flags.c_contiguous
    np.testing.assert_array_equal(curves, values)
