"""Maps that no brain has are never read as if they were some patient's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_measure import ball, geometry, head, maps_with

from bolus.lesion.measure import measure_lesion
from bolus.types import Finding, Grade, Maps

GRID = geometry()
TISSUE = head(GRID)
USUAL = maps_with(GRID, ball(GRID, 30, 25), ball(GRID, 30, 12))


def found(maps: Maps) -> list[Finding]:
    lesion = measure_lesion(maps, TISSUE, GRID, "rapid")
    return [one for one in lesion.findings if one.code == "maps-impossible"]


def test_usual_maps_pass() -> None:
    assert found(USUAL) == []


@pytest.mark.parametrize("name", ["cbf", "cbv", "mtt", "tmax", "ttp"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_a_single_voxel_that_is_no_number_fails_the_maps(name: str, value: float) -> None:
    changed = getattr(USUAL, name).copy()
    changed[4, 50, 45] = value
    (finding,) = found(replace(USUAL, **{name: changed}))
    assert finding.grade == Grade.FAIL
    assert f"test: {name.upper()} has 1 voxels" in finding.message


@pytest.mark.parametrize(
    ("name", "factor"),
    [("cbf", 5.0), ("cbf", 0.01), ("cbv", 6.0), ("cbv", 0.01), ("mtt", 20.0), ("mtt", 0.05)],
)
def test_a_slab_whose_median_no_brain_has_fails(name: str, factor: float) -> None:
    (finding,) = found(replace(USUAL, **{name: getattr(USUAL, name) * np.float32(factor)}))
    assert finding.grade == Grade.FAIL
    assert name.upper() in finding.message


def test_a_slab_that_is_all_lesion_fails() -> None:
    late = maps_with(GRID, TISSUE.brain, np.zeros(GRID.shape, bool))
    assert any("all of the slab" in finding.message for finding in found(late))
