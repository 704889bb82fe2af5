"""Whatever the storage order, the patient's right is on the left of the image."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bolus.publish.orientation import MOST_SLICES, view_of
from bolus.types import Geometry

SHAPE = (4, 7, 9)
"""Slices, rows, columns of the head; stored in any order below."""


def stored(order: tuple[int, ...], flips: tuple[bool, ...]) -> tuple[Geometry, np.ndarray]:
    """A volume whose values name their (S, P, L) index, in a storage order of one's choice."""
    spacing = np.array([5.0, 2.0, 1.0])
    codes = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    volume = np.flip(codes.transpose(order), np.flatnonzero(flips))
    affine = np.eye(4)
    for axis, direction in enumerate(order):
        column = np.zeros(3)
        column[2 - direction] = spacing[direction] * (-1 if flips[axis] else 1)
        affine[:3, axis] = column
        if flips[axis]:
            affine[:3, 3] -= column * (SHAPE[direction] - 1)
    affine[:3, 3] += [-4.0, -7.0, 30.0]
    return Geometry(volume.shape, affine), volume


@settings(max_examples=48, deadline=None)
@given(order=st.sampled_from(list(permutations(range(3)))), flips=st.tuples(*[st.booleans()] * 3))
def test_every_storage_order_shows_the_same_image(
    order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    geometry, volume = stored(order, flips)
    view = view_of(geometry, np.ones(geometry.shape, bool))
    np.testing.assert_array_equal(view.take(volume), np.arange(np.prod(SHAPE)).reshape(SHAPE))
    assert np.all(np.diff(view.z_mm) > 0)
    assert view.spacing_mm == (2.0, 1.0)


@settings(max_examples=48, deadline=None)
@given(order=st.sampled_from(list(permutations(range(3)))), flips=st.tuples(*[st.booleans()] * 3))
def test_located_voxels_keep_their_place(order: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    geometry, volume = stored(order, flips)
    view = view_of(geometry, np.ones(geometry.shape, bool))
    voxels = np.argwhere(volume % 17 == 0)
    shown = view.locate(voxels)
    one = np.ones((len(voxels), 1))
    before = np.hstack([voxels, one]) @ geometry.affine.T
    after = np.hstack([shown, one]) @ view.affine.T
    np.testing.assert_allclose(before, after, atol=1e-9)
    np.testing.assert_array_equal(view.arrange(volume)[tuple(shown.T)] % 17, 0)


def test_the_crop_keeps_the_brain_and_a_margin() -> None:
    affine = np.array([[0, 0, 1.0, 0], [0, 2.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]])
    geometry = Geometry((6, 80, 90), affine)
    brain = np.zeros(geometry.shape, bool)
    brain[1:4, 30:50, 20:60] = True
    view = view_of(geometry, brain)
    np.testing.assert_array_equal(view.slices, [1, 2, 3])
    assert (view.rows, view.columns) == (slice(26, 54), slice(12, 68))  # 8 mm


def test_thin_stacks_are_shown_in_even_steps() -> None:
    affine = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 1]])
    geometry = Geometry((320, 8, 8), affine)
    view = view_of(geometry, np.ones(geometry.shape, bool))
    assert MOST_SLICES // 2 < len(view.slices) <= MOST_SLICES
    assert len(set(np.diff(view.slices))) == 1


def test_a_head_without_brain_can_still_be_looked_at() -> None:
    geometry = Geometry(SHAPE, np.diag([1.0, 1, 1, 1])[[2, 1, 0, 3]])
    view = view_of(geometry, np.zeros(SHAPE, bool))
    assert view.take(np.zeros(SHAPE)).shape == SHAPE
