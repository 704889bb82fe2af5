"""Resampling moves images without changing them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.align.resample import cubic_weights, resample


def shifted(z: float, y: float, x: float):
    matrix = np.eye(4)
    matrix[:3, 3] = [z, y, x]
    return matrix


@given(st.floats(0, 1))
def test_weights_keep_constants_and_slopes(f):
    weights = np.array(cubic_weights(f))
    assert np.isclose(weights.sum(), 1)
    assert np.isclose(weights @ [-1, 0, 1, 2], f, atol=1e-12)


def test_whole_steps_copy_voxels_exactly():
    frame = np.random.default_rng(0).normal(40, 10, (4, 12, 14)).astype(np.float32)
    np.testing.assert_array_equal(resample(frame, np.eye(4)), frame)
    moved = resample(frame, shifted(1, -2, 3))
    np.testing.assert_array_equal(moved[:-1, 2:, :-3], frame[1:, :-2, 3:])


def test_beyond_the_frame_its_edge_counts():
    frame = np.arange(2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8)
    np.testing.assert_array_equal(resample(frame, shifted(5, 0, 0))[0], frame[1])
    np.testing.assert_array_equal(resample(frame, shifted(0, 0, -20))[:, :, 0], frame[:, :, 0])


def test_a_smooth_image_is_right_between_its_voxels():
    z, y, x = np.mgrid[:3, :40, :40].astype(float)

    def image(z, y, x):
        return 10 * z + 50 * np.sin(y / 4) * np.cos(x / 5)

    found = resample(image(z, y, x).astype(np.float32), shifted(0.25, 0.5, -0.3))
    inside = (slice(0, 2), slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(found[inside], image(z + 0.25, y + 0.5, x - 0.3)[inside], atol=0.15)


def test_noise_survives_better_than_in_linear_interpolation():
    frame = np.random.default_rng(1).normal(0, 10, (1, 200, 200)).astype(np.float32)
    # half a pixel both ways: linear interpolation would leave 0.5
    assert resample(frame, shifted(0, 0.5, 0.5)).std() / 10 == pytest.approx(0.64, abs=0.02)
