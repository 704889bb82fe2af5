"""Tissue curves: baseline gone, slices on one clock, noise known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_head import DT_S, Head, blood, draw_head

from bolus.curves import Baseline, baseline_and_arrival, common_grid, segment, tissue_curves
from bolus.types import Curves, Exam, Tissue


def prepared(exam: Exam) -> tuple[Baseline, Tissue, Curves]:
    baseline = baseline_and_arrival(exam)
    tissue = segment(exam, baseline)
    return baseline, tissue, tissue_curves(exam, baseline, tissue, common_grid(exam.times_s))


def quiet_mean(curves: Curves, head: Head) -> np.ndarray:
    """Mean curve of plain tissue."""
    quiet = head.brain & ~head.csf & ~head.artery & ~head.late_artery & ~head.sinus
    rows = quiet[curves.voxels]
    return curves.tissue_hu[rows].mean(axis=0, dtype=np.float64)


def test_rows_are_the_perfused_voxels_in_order() -> None:
    _, tissue, curves = prepared(draw_head()[0])
    assert curves.tissue_hu.shape == (tissue.perfused.sum(), curves.time_s.size)
    assert curves.tissue_hu.dtype == np.float32
    assert curves.tissue_hu.flags.c_contiguous
    assert curves.measured == 26
    np.testing.assert_array_equal(curves.voxels, tissue.perfused)


def test_plain_tissue_enhances_as_drawn() -> None:
    exam, head = draw_head(noise_hu=3.0)
    _, _, curves = prepared(exam)
    expected = 0.03 * 250 * blood(curves.time_s, 11.0, 9.0)
    assert np.abs(quiet_mean(curves, head) - expected).max() < 0.25


def test_a_constant_added_to_every_frame_is_gone() -> None:
    exam, _ = draw_head(slices=2)
    baseline, tissue, curves = prepared(exam)
    brighter = replace(exam, frames=exam.frames + np.float32(40))
    again = tissue_curves(brighter, baseline, tissue, curves.time_s)
    np.testing.assert_allclose(again.tissue_hu, curves.tissue_hu, atol=1e-3)


@pytest.mark.parametrize("offset_s", [0.0, 0.5, 1.0])
def test_slices_measured_at_other_times_have_the_same_curve(offset_s: float) -> None:
    exam, head = draw_head(slices=2, noise_hu=1.0, slice_offset_s=offset_s)
    _, tissue, curves = prepared(exam)
    quiet = head.brain & ~head.csf & ~head.artery & ~head.late_artery & ~head.sinus
    z = np.nonzero(tissue.perfused)[0]
    first, second = (
        curves.tissue_hu[quiet[tissue.perfused] & (z == k)].mean(axis=0) for k in (0, 1)
    )
    # linear interpolation cuts up to 4 % of this peak of 7.5 HU
    assert np.abs(first - second).max() < 0.35


@pytest.mark.parametrize("noise_hu", [1.5, 4.0, 8.0])
def test_the_noise_is_measured(noise_hu: float) -> None:
    exam, _ = draw_head(noise_hu=noise_hu, slice_offset_s=0.0)
    _, _, curves = prepared(exam)
    # grid points fall on frames and midway between them in turn: variance 1 and 1/2
    assert curves.dt_s == DT_S / 2
    assert curves.noise_hu == pytest.approx(noise_hu * np.sqrt(0.75), rel=0.05)


def test_the_noise_is_measured_even_without_a_baseline() -> None:
    exam, _ = draw_head(noise_hu=4.0, slice_offset_s=0.0)
    baseline, tissue, curves = prepared(exam)
    short = replace(baseline, frames=np.ones_like(baseline.frames))
    again = tissue_curves(exam, short, tissue, curves.time_s)
    assert again.noise_hu == pytest.approx(curves.noise_hu, rel=0.1)


def test_curves_are_the_same_to_the_bit() -> None:
    exam, _ = draw_head(slices=2)
    assert prepared(exam)[2].tissue_hu.tobytes() == prepared(exam)[2].tissue_hu.tobytes()
