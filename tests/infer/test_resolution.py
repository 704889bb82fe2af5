"""Averaging fine pixels and bringing maps back changes no level and moves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_slab import a_slab

from bolus.infer.resolution import coarsened, coarsened_truth, factor_for, refined


@given(pixel_mm=st.floats(0.15, 3.0))
def test_pixels_end_up_between_three_quarters_and_one_and_a_half_mm(pixel_mm: float) -> None:
    factor = factor_for(pixel_mm)
    assert factor * pixel_mm >= 0.749
    assert factor == 1 or factor * pixel_mm < 1.5


def test_usual_pixels_stay_as_they_are() -> None:
    assert [factor_for(mm) for mm in (0.25, 0.375, 0.43, 0.49, 0.75, 0.98, 1.9, 2.5)] == [
        3, 2, 2, 2, 1, 1, 1, 1,
    ]  # fmt: skip


@pytest.mark.parametrize("factor", [2, 3])
def test_a_block_is_the_mean_of_its_perfused_voxels(factor: int) -> None:
    fine = a_slab(rows=31, columns=26, pixel_mm=0.4)
    coarse = coarsened(fine, factor)
    volume = np.full(fine.voxels.shape, np.nan)
    volume[fine.voxels] = fine.area_hu
    expected = [
        np.nanmean(block)
        for z in range(len(volume))
        for block in blocks(volume[z], factor)
        if np.isfinite(block).any()
    ]
    np.testing.assert_allclose(coarse.area_hu, expected, rtol=1e-5)
    assert coarse.spacing_mm == (5.0, 0.4 * factor, 0.4 * factor)
    assert coarse.curves_hu.shape == (coarse.voxels.sum(), len(fine.times_s))


def test_the_truth_of_a_block_is_that_of_its_valid_voxels() -> None:
    voxels = np.ones((1, 4, 4), bool)
    voxels[0, 2:, 2:] = False
    valid = voxels.copy()
    valid[0, 0, 0] = valid[0, 2:, 0] = valid[0, 2, 1] = False
    targets = np.arange(16.0, dtype=np.float32).reshape(1, 1, 4, 4)
    coarse, holds = coarsened_truth(targets, valid, voxels, 2)
    np.testing.assert_array_equal(holds[0], [[True, True], [False, False]])
    # three of four voxels; four; one of four, so all of them; none perfused
    np.testing.assert_allclose(coarse[0, 0], [[(1 + 4 + 5) / 3, 4.5], [10.5, 0]], rtol=1e-6)


def blocks(plane: np.ndarray, factor: int) -> list[np.ndarray]:
    rows, columns = plane.shape
    return [
        plane[y : y + factor, x : x + factor]
        for y in range(0, rows, factor)
        for x in range(0, columns, factor)
    ]


def test_voxels_repeated_and_averaged_are_the_voxels_again() -> None:
    coarse = a_slab(pixel_mm=1.0)
    again = coarsened(repeated(coarse, 2), 2)
    np.testing.assert_array_equal(again.voxels, coarse.voxels)
    np.testing.assert_array_equal(again.vessel, coarse.vessel)
    np.testing.assert_allclose(again.curves_hu, coarse.curves_hu, rtol=1e-5, atol=1e-5)
    assert again.spacing_mm == coarse.spacing_mm


PER_VOXEL = ("curves_hu", "area_hu", "moment_s", "level_hu", "clear")


def repeated(coarse, factor):  # type: ignore[no-untyped-def]
    """Every voxel as a block of equal ones."""
    place = np.zeros(coarse.voxels.shape, int)
    place[coarse.voxels] = np.arange(coarse.voxels.sum())
    voxels, vessel, place = (
        v.repeat(factor, axis=1).repeat(factor, axis=2)
        for v in (coarse.voxels, coarse.vessel, place)
    )
    rows = place[voxels]
    depth, y, x = coarse.spacing_mm
    return replace(
        coarse,
        **{name: getattr(coarse, name)[rows] for name in PER_VOXEL},
        voxels=voxels,
        vessel=vessel,
        spacing_mm=(depth, y / factor, x / factor),
    )


@pytest.mark.parametrize(("factor", "shape"), [(2, (30, 26)), (3, (31, 25))])
def test_levels_and_slopes_come_back_where_they_were(factor: int, shape: tuple[int, int]) -> None:
    rows, columns = (-(-n // factor) for n in shape)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    voxels = np.ones((1, rows, columns), bool)
    voxels[0, :, -2:] = False
    maps = np.where(voxels, np.stack([np.full_like(y, 7), 3 * y + x])[:, None], 99)
    fine = refined(maps.astype(np.float32), voxels, factor, shape)
    inside = np.s_[factor:-factor, factor : (columns - 3) * factor]
    np.testing.assert_allclose(fine[0, 0][inside], 7, rtol=1e-6)
    fy, fx = (np.mgrid[: shape[0], : shape[1]] - (factor - 1) / 2) / factor
    np.testing.assert_allclose(fine[1, 0][inside], (3 * fy + fx)[inside], rtol=1e-4, atol=1e-4)
