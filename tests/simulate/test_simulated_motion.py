"""Moved heads end up where the truth says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bolus.simulate.motion import make_motion, moved_slices, pull
from bolus.simulate.recipe import Recipe, generator
from bolus.simulate.slab import CENTRE_MM, MIRROR, rotation
from bolus.types import Float32Array, Float64Array, Geometry, Motion

GEOMETRY = Geometry(
    (21, 64, 64),
    np.array([[0, 0, 3.0, -94.5], [0, 3.0, 0, -76.5], [4.0, 0, 0, -30.0], [0, 0, 0, 1.0]]),
)


def _ball(centre: Float64Array) -> Float32Array:
    index = np.indices(GEOMETRY.shape)
    squared = sum((index[i] - centre[i]) ** 2 * (4.0, 3.0, 3.0)[i] ** 2 for i in range(3))
    return np.exp(-np.asarray(squared) / (2 * 9.0**2)).astype(np.float32)


def _one_frame(degrees: list[float], millimetres: list[float]) -> Motion:
    return Motion(
        np.array([degrees]), np.array([millimetres]), np.zeros(1), np.zeros(1), np.ones(1, np.bool_)
    )


@pytest.mark.parametrize(
    ("degrees", "millimetres"),
    [
        ([0, 0, 0], [4, -3, 2]),
        ([6, 0, 0], [0, 0, 0]),
        ([0, 5, -7], [0, 0, 0]),
        ([3, -4, 5], [1, 2, 3]),
    ],
)
def test_a_ball_moves_as_the_motion_says(degrees: list[float], millimetres: list[float]) -> None:
    start = np.array([12.0, 24.0, 41.0])
    motion = _one_frame(degrees, millimetres)
    where = np.ones(GEOMETRY.shape[1:], np.bool_)
    moved = moved_slices(_ball(start), pull(motion, 0, GEOMETRY), 1, where, 0, GEOMETRY.shape[0])
    index = np.indices(moved.shape)
    seen = np.array([(axis * moved).sum() / moved.sum() for axis in index])
    centre = CENTRE_MM * MIRROR
    position = (GEOMETRY.affine @ [*start, 1])[:3]
    expected = rotation(np.array(degrees)) @ (position - centre) + centre + np.array(millimetres)
    assert (GEOMETRY.affine @ [*seen, 1])[:3] == pytest.approx(expected, abs=0.2)


def test_sub_slices_of_a_head_at_rest_average_to_the_slice() -> None:
    fine = np.random.default_rng(0).normal(size=(12, 8, 8)).astype(np.float32)
    still = np.eye(4)[:3]
    slices = moved_slices(fine, still, 4, np.ones((8, 8), np.bool_), 0, 3)
    assert slices == pytest.approx(fine.reshape(3, 4, 8, 8).mean(axis=1), abs=1e-6)


@pytest.mark.parametrize("millimetres", [0.0, 1.5, 6.0])
def test_motion_is_as_large_as_asked_for_and_starts_from_rest(millimetres: float) -> None:
    recipe = replace(Recipe(), motion_mm=millimetres)
    motion = make_motion(recipe, generator(4, "motion"))
    assert motion.displacement_mm[0] == 0.0
    assert motion.displacement_mm.max() == pytest.approx(millimetres, rel=0.03)


def test_nodding_dominates() -> None:
    turns = [
        np.abs(make_motion(Recipe(motion_mm=2.0), generator(s, "motion")).rotation_deg).max(axis=0)
        for s in range(30)
    ]
    about_x, about_y, about_z = np.mean(turns, axis=0)
    assert about_x > 1.5 * about_y
    assert about_x > 1.5 * about_z
