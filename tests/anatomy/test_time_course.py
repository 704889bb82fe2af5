"""Contrast is distinguished from the effects of motion on a voxel."""

from __future__ import annotations

import numpy as np
import pytest

from bolus.anatomy.time_course import change_over_time, lagged_correlation
from drawn_head import DT_S, FRAMES, blood, draw_head

TIMES = np.arange(FRAMES) * DT_S
COURSE = blood(TIMES, 11.0, 9.0)


@pytest.mark.parametrize("onset_s", [7.0, 11.0, 16.0])
@pytest.mark.parametrize("height", [0.5, 200.0])
def test_a_bolus_earlier_or_later_weak_or_strong_is_like_the_brains(
    onset_s: float, height: float
) -> None:
    curve = 40 + height * blood(TIMES, onset_s, 7.0)
    assert lagged_correlation(curve[None].astype(np.float32), COURSE, TIMES)[0] > 0.9


@pytest.mark.parametrize("step_s", [5.0, 13.0, 25.0, 40.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_steps_and_drifts_are_not(step_s: float, sign: float) -> None:
    step = sign * (step_s < TIMES)
    drift = sign * TIMES / 50
    both = lagged_correlation(np.stack([step, drift]).astype(np.float32), COURSE, TIMES)
    assert both.max() < 0.8


def test_bone_that_moves_into_a_voxel_disturbs_it_and_a_vessel_does_not() -> None:
    exam, head = draw_head(slices=2)
    frames = exam.frames
    moved = np.zeros(head.brain.shape, bool)
    moved[:, 60:70, 60:70] = True
    moved &= head.brain & ~head.csf & ~head.artery & ~head.sinus & ~head.late_artery
    frames[15:, moved] += 80
    change = change_over_time(exam, head.brain)
    assert change.disturbed[moved[head.brain]].all()
    vessels = (head.artery | head.sinus) & head.brain
    assert change.like_bolus[vessels[head.brain]].all()
    others = head.brain & ~moved
    assert change.disturbed[others[head.brain]].mean() < 0.001
