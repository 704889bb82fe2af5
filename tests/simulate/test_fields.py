"""Random fields: unit variance everywhere, smooth, and of the same size in mm on every grid."""

from __future__ import annotations

import numpy as np
import pytest

from bolus.simulate.fields import normal_field, uniform_field

SPACING = (5.0, 2.0, 2.0)


def test_every_voxel_has_mean_0_and_variance_1_over_seeds() -> None:
    fields = np.stack(
        [normal_field(np.random.default_rng(s), (3, 12, 12), SPACING, 9.0) for s in range(800)]
    )
    assert np.abs(fields.mean(axis=0)).max() < 0.2
    assert np.abs(fields.std(axis=0) - 1).max() < 0.15


def test_neighbours_are_alike_and_distant_voxels_are_not() -> None:
    fields = np.stack(
        [
            normal_field(np.random.default_rng(s), (1, 1, 40), SPACING, 10.0)[0, 0]
            for s in range(500)
        ]
    )
    correlation = np.corrcoef(fields.T)
    assert correlation[10, 11] > 0.9
    assert abs(correlation[10, 35]) < 0.2


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.5), (-3.0, 4.0)])
def test_uniform_field_fills_its_range_evenly(low: float, high: float) -> None:
    field = uniform_field(np.random.default_rng(1), (10, 120, 120), SPACING, 5.0, low, high)
    assert low <= field.min() < field.max() <= high
    quarters = np.quantile(field, [0.25, 0.5, 0.75])
    assert quarters == pytest.approx(low + (high - low) * np.array([0.25, 0.5, 0.75]), rel=0.15)
