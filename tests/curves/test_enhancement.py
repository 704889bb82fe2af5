"""Tissue curves: baseline gone, slices on one clock, noise known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bolus.anatomy.baseline import Baseline, baseline_and_arrival
from bolus.anatomy.segment import segment
from bolus.curves.enhancement import tissue_curves
from bolus.timegrid import common_grid, resample
from bolus.types import Curves, Exam, Tissue
from drawn_head import Head, blood, draw_head


def prepared(exam: Exam) -> tuple[Baseline, Tissue, Curves]:
    baseline = baseline_and_arrival(exam)
    tissue = segment(exam, baseline)
    return baseline, tissue, tissue_curves(exam, baseline, tissue, common_grid(exam.times_s))


def plain(head: Head) -> np.ndarray:
    """Where there is nothing but tissue."""
    return head.brain & ~head.csf & ~head.artery & ~head.late_artery & ~head.sinus


def test_rows_are_the_perfused_voxels_in_order() -> None:
    _, tissue, curves = prepared(draw_head()[0])
    assert curves.tissue_hu.shape == (tissue.perfused.sum(), 26)
    assert curves.tissue_hu.dtype == np.float32
    assert curves.tissue_hu.flags.c_contiguous
    assert curves.times_s.shape == (26, len(tissue.perfused))
    np.testing.assert_array_equal(curves.voxels, tissue.perfused)


def test_plain_tissue_enhances_as_drawn() -> None:
    exam, head = draw_head(noise_hu=3.0)
    _, tissue, curves = prepared(exam)
    z = np.nonzero(tissue.perfused)[0]
    for k in range(2):
        rows = (plain(head)[tissue.perfused]) & (z == k)
        found = curves.tissue_hu[rows].mean(axis=0, dtype=np.float64)
        expected = 0.03 * 250 * blood(curves.times_s[:, k], 11.0, 9.0)
        assert np.abs(found - expected).max() < 0.3


def test_a_constant_added_to_every_frame_is_gone() -> None:
    exam, _ = draw_head(slices=2)
    baseline, tissue, curves = prepared(exam)
    brighter = replace(exam, frames=exam.frames + np.float32(40))
    again = tissue_curves(brighter, baseline, tissue, curves.grid_s)
    np.testing.assert_allclose(again.tissue_hu, curves.tissue_hu, atol=1e-3)


@pytest.mark.parametrize("offset_s", [0.0, 0.5, 1.0])
def test_slices_measured_at_other_times_have_the_same_curve(offset_s: float) -> None:
    exam, head = draw_head(slices=2, noise_hu=1.0, slice_offset_s=offset_s)
    _, tissue, curves = prepared(exam)
    z = np.nonzero(tissue.perfused)[0]
    gridded = resample(curves.tissue_hu, curves.slices, curves.times_s, curves.grid_s)
    first, second = (gridded[plain(head)[tissue.perfused] & (z == k)].mean(axis=0) for k in (0, 1))
    # linear interpolation cuts up to 4 % of this peak of 7.5 HU
    assert np.abs(first - second).max() < 0.35


@pytest.mark.parametrize("noise_hu", [1.5, 4.0, 8.0])
def test_the_noise_is_measured(noise_hu: float) -> None:
    exam, _ = draw_head(noise_hu=noise_hu, slice_offset_s=0.0)
    _, _, curves = prepared(exam)
    assert curves.noise_hu == pytest.approx(noise_hu, rel=0.05)
    np.testing.assert_array_equal(curves.weight, 1.0)


def test_a_frame_of_a_quarter_of_the_dose_counts_a_quarter() -> None:
    clean = draw_head(noise_hu=0.0, slice_offset_s=0.0)[0].frames
    exam, _ = draw_head(noise_hu=4.0, slice_offset_s=0.0)
    frames = exam.frames.copy()
    frames[15] += frames[15] - clean[15]
    weight = prepared(replace(exam, frames=frames))[2].weight
    assert weight[15] == pytest.approx(0.25, rel=0.3)
    np.testing.assert_array_equal(np.delete(weight, 15), 1.0)


def test_the_noise_is_measured_even_without_a_baseline() -> None:
    exam, _ = draw_head(noise_hu=4.0, slice_offset_s=0.0)
    baseline, tissue, curves = prepared(exam)
    short = replace(baseline, frames=np.ones_like(baseline.frames))
    again = tissue_curves(exam, short, tissue, curves.grid_s)
    assert again.noise_hu == pytest.approx(curves.noise_hu, rel=0.1)


def test_curves_are_the_same_to_the_bit() -> None:
    exam, _ = draw_head(slices=2)
    assert prepared(exam)[2].tissue_hu.tobytes() == prepared(exam)[2].tissue_hu.tobytes()
