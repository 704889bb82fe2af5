"""The bolus is found, and everything before it is the baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bolus.anatomy.baseline import baseline_and_arrival
from bolus.errors import NoPerfusion
from bolus.types import Exam
from drawn_head import DT_S, ONSET_S, TISSUE, draw_head


@pytest.mark.parametrize("noise_hu", [0.5, 4.0, 10.0])
def test_arrival_is_found_within_a_frame(noise_hu: float) -> None:
    exam, _ = draw_head(noise_hu=noise_hu)
    assert baseline_and_arrival(exam).arrival_s == pytest.approx(ONSET_S, abs=DT_S)


@pytest.mark.parametrize("delay_s", [4.0, 10.0])
def test_a_bolus_that_is_later_arrives_as_much_later(delay_s: float) -> None:
    first = baseline_and_arrival(draw_head()[0]).arrival_s
    later = baseline_and_arrival(draw_head(onset_s=ONSET_S + delay_s)[0]).arrival_s
    assert later - first == pytest.approx(delay_s, abs=0.7)


def test_drift_of_the_tube_is_no_arrival() -> None:
    exam, _ = draw_head()
    drift = np.linspace(0, 3, len(exam.frames), dtype=np.float32)
    drifting = replace(exam, frames=exam.frames + drift[:, None, None, None])
    assert baseline_and_arrival(drifting).arrival_s == pytest.approx(ONSET_S, abs=DT_S)


def test_each_slice_counts_its_baseline_by_its_own_clock() -> None:
    baseline = baseline_and_arrival(draw_head(slices=4, slice_offset_s=1.0)[0])
    times = np.arange(26)[:, None] * DT_S + np.arange(4)[None] * 1.0
    np.testing.assert_array_equal(baseline.frames, (times < baseline.arrival_s).sum(axis=0))
    assert baseline.frames[0] > baseline.frames[3]


def test_the_baseline_is_the_mean_of_all_frames_before_the_bolus() -> None:
    exam, head = draw_head(noise_hu=5.0)
    baseline = baseline_and_arrival(exam)
    quiet = head.brain & ~head.csf & ~head.artery & ~head.late_artery & ~head.sinus
    assert baseline.image[quiet].mean() == pytest.approx(TISSUE, abs=0.2)
    expected = 5.0 / np.sqrt(baseline.frames[0])
    assert baseline.image[quiet].std() == pytest.approx(expected, rel=0.15)
    assert not baseline.findings


def test_a_bolus_at_the_start_is_found_and_reported() -> None:
    baseline = baseline_and_arrival(draw_head(onset_s=1.5)[0])
    assert (baseline.frames >= 1).all()
    assert [finding.code for finding in baseline.findings] == ["baseline-short"]


@pytest.mark.parametrize("noise_hu", [2.0, 6.0, 15.0])
def test_a_head_without_contrast_has_no_bolus(noise_hu: float) -> None:
    exam, _ = draw_head(iodine=False, noise_hu=noise_hu)
    with pytest.raises(NoPerfusion, match=r"no bolus found.*HU"):
        baseline_and_arrival(exam)


def test_a_head_that_only_moves_has_no_bolus() -> None:
    exam, _ = draw_head(iodine=False, noise_hu=3.0)
    frames = exam.frames.copy()
    frames[14:] = np.roll(frames[14:], 1, axis=3)
    with pytest.raises(NoPerfusion):
        baseline_and_arrival(replace(exam, frames=frames))


@pytest.mark.parametrize("hu", [-1000.0, 0.0, 40.0])
def test_air_water_and_a_soft_block_are_no_head(hu: float) -> None:
    exam, _ = draw_head(noise_hu=3.0)
    outside = exam.frames[:, :, :8, :8].repeat(14, axis=2).repeat(14, axis=3)
    frames = outside.copy()
    frames[:, :, 20:90, 20:90] += hu + 1000
    with pytest.raises(NoPerfusion, match="no brain found"):
        baseline_and_arrival(Exam(frames, exam.times_s, exam.geometry, exam.scanner))
