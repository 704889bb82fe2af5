"""Poses and matrices say the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bolus.align.rigid import STILL, displacement_mm, matrix_of, pose_of

small = st.floats(-20, 20)
triple = st.tuples(small, small, small)


@given(triple, triple, triple)
def test_a_pose_survives_the_way_through_its_matrix(turn, shift, centre):
    pose = np.array([*turn, *shift])
    matrix = matrix_of(pose, np.array(centre))
    np.testing.assert_allclose(pose_of(matrix, np.array(centre)), pose, atol=1e-9)


def test_a_turn_about_z_takes_the_patients_left_to_the_back():
    matrix = matrix_of(np.array([0, 0, 90.0, 0, 0, 0]), np.zeros(3))
    np.testing.assert_allclose(matrix @ [1, 0, 0, 1], [0, 1, 0, 1], atol=1e-12)


def test_a_turn_leaves_its_centre_where_it_is():
    centre = np.array([3.0, -40.0, 70.0])
    matrix = matrix_of(np.array([5.0, -3.0, 8.0, 0, 0, 0]), centre)
    np.testing.assert_allclose(matrix[:3, :3] @ centre + matrix[:3, 3], centre, atol=1e-12)


def test_displacement_is_that_of_the_points():
    points = np.array([[0.0, 10.0, 0.0], [0.0, 30.0, 0.0]])
    assert displacement_mm(STILL, np.zeros(3), points) == 0
    assert np.isclose(displacement_mm(np.array([0, 0, 0, 3.0, 0, 4.0]), points[0], points), 5.0)
    # a chord of 1 degree at 10 and at 30 mm
    turned = displacement_mm(np.array([1.0, 0, 0, 0, 0, 0]), np.zeros(3), points)
    assert np.isclose(turned, 2 * np.sin(np.deg2rad(0.5)) * 20)
