"""What motion leaves beside bone is no artery."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bolus.align.register import correct_motion
from bolus.anatomy.baseline import baseline_and_arrival
from bolus.anatomy.motion_residue import edge_hu
from bolus.anatomy.segment import segment
from bolus.arteries.find import find_arteries
from bolus.simulate.exam import simulate_exam
from bolus.timegrid import common_grid
from bolus.types import Geometry
from small_exam import SMALL

GEOMETRY = Geometry((3, 40, 40), np.diag([5.0, 1.0, 1.0, 1.0]))


def half_bone() -> np.ndarray:
    image = np.full(GEOMETRY.shape, 35, np.float32)
    image[:, :, 20:] = 1200
    return image


def test_a_head_at_rest_has_no_edges_to_fear() -> None:
    assert not edge_hu(half_bone(), GEOMETRY, 0.0).any()


def test_edges_matter_in_proportion_to_the_motion_and_only_where_they_are() -> None:
    little, much = (edge_hu(half_bone(), GEOMETRY, mm) for mm in (1.0, 4.0))
    np.testing.assert_allclose(much, 4 * little, rtol=1e-5)
    assert much[:, 20, 19].min() > 50
    assert much[:, :, :10].max() == 0


def test_harder_bone_is_no_sharper_edge() -> None:
    harder = np.where(half_bone() > 100, np.float32(2500), half_bone())
    np.testing.assert_array_equal(
        edge_hu(harder, GEOMETRY, 2.0), edge_hu(half_bone(), GEOMETRY, 2.0)
    )


@pytest.mark.parametrize("seed", [31, 34])
def test_the_artery_of_a_head_that_moved_5_mm_is_a_vessel(seed: int) -> None:
    exam, truth = simulate_exam(seed, replace(SMALL, motion_mm=5.0, mas=150.0))
    still, motion = correct_motion(exam)
    moved_mm = motion.largest_mm
    assert moved_mm > 3
    baseline = baseline_and_arrival(still, moved_mm)
    tissue, grid = segment(still, baseline), common_grid(still.times_s)
    arteries = find_arteries(still, baseline, tissue, grid, moved_mm=moved_mm)
    for vessel in (arteries.aif, arteries.vof):
        assert truth.vessel_fraction[tuple(vessel.voxels.T)].mean() > 0.25
