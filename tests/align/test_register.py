"""Exams of a moving head come back still; exams of a still head come back as they were."""

from dataclasses import replace
from functools import cache

import numba
import numpy as np
import pytest
from moving_head import exam_of, first_pass, image, noise, pose_error_mm, slab
from scipy.ndimage import binary_erosion

from bolus.align.gaussnewton import make_reference
from bolus.align.register import correct_motion, slice_groups
from bolus.types import Grade

GEOMETRY = slab((10, 112, 112), (5.0, 2.0, 2.0))
STILL = np.zeros(6)
NODS = [STILL, STILL, [1.5, 0, 0, 0, 0.5, 0], [0, 0, 2, 2, 0, 0], [-1, 0.5, 1, -1, 1, 1]]


@cache
def _clean(pose: tuple[float, ...], t_s: float):
    return image(GEOMETRY, np.array(pose), first_pass(t_s), sub_slices=3)


def exam_with(poses, interval_s=2.0, sd_hu=7.0, seed=0):
    rng = np.random.default_rng(seed)
    frames = [
        _clean(tuple(np.asarray(pose, float)), i * interval_s) for i, pose in enumerate(poses)
    ]
    frames = [f + noise(f.shape, sd_hu, rng) for f in frames]
    return exam_of(np.stack(frames), GEOMETRY, interval_s)


def codes(exam):
    return {f.code: f for f in exam.findings}


def test_a_head_at_rest_comes_back_bit_for_bit():
    exam = exam_with([STILL] * 8)
    corrected, motion = correct_motion(exam)
    assert corrected.frames.tobytes() == exam.frames.tobytes()
    assert motion.kept.all()
    assert motion.displacement_mm.max() < 0.05
    assert corrected.findings == ()


def test_motion_is_measured_and_taken_back():
    exam = exam_with(NODS)
    before = exam.frames.copy()
    corrected, motion = correct_motion(exam)
    np.testing.assert_array_equal(exam.frames, before)  # the input is left alone
    assert motion.kept.all()
    centre = make_reference(exam.frames[0], GEOMETRY).centre_mm
    for turn, shift, pose in zip(motion.rotation_deg, motion.translation_mm, NODS, strict=True):
        assert pose_error_mm(np.r_[turn, shift], np.array(pose, float), centre) < 0.25
    again = correct_motion(replace(corrected, findings=()))[1]
    assert again.displacement_mm.max() < 0.3
    assert codes(corrected)["motion-corrected"].grade is Grade.NOTE


def test_frames_moved_back_look_like_frames_that_never_moved():
    corrected, _ = correct_motion(exam_with(NODS, sd_hu=0))
    still = exam_with([STILL] * len(NODS), sd_hu=0)
    moved = exam_with(NODS, sd_hu=0)
    head = still.frames[0] > -500
    # frame 3 moved within its slices; the others across them, where 5 mm slices lose what lies
    # between
    for t, rest in ((2, 0.8), (3, 0.25), (4, 0.6)):
        before = np.abs(moved.frames[t] - still.frames[t])[head].mean()
        after = np.abs(corrected.frames[t] - still.frames[t])[head].mean()
        assert after < rest * before


def test_a_frame_beyond_correction_is_dropped_with_its_time_and_named():
    poses = [STILL] * 10
    poses[6] = np.array([0, 0, 0, 12.0, 0, 0])
    exam = exam_with(poses)
    corrected, motion = correct_motion(exam)
    assert np.flatnonzero(~motion.kept).tolist() == [6]
    assert np.isclose(motion.translation_mm[6, 0], 12, atol=0.2)
    np.testing.assert_array_equal(corrected.frames, np.delete(exam.frames, 6, axis=0))
    np.testing.assert_array_equal(corrected.times_s, np.delete(exam.times_s, 6, axis=0))
    finding = codes(corrected)["motion-dropped"]
    assert finding.grade is Grade.WARNING
    assert "7 (12.0 s)" in finding.message


@pytest.mark.parametrize("broken", ["noise", "empty", "half", "doubled"])
def test_a_garbage_frame_is_dropped(broken):
    exam = exam_with([STILL] * 10)
    frames = exam.frames.copy()
    if broken == "noise":
        frames[4] = np.random.default_rng(0).normal(0, 500, frames[4].shape)
    elif broken == "empty":
        frames[4] = -1024
    elif broken == "half":
        frames[4, :, 50:] = -1024
    else:  # the head moved while it was measured
        frames[4] = (frames[4] + np.roll(frames[4], 5, axis=-1)) / 2
    corrected, motion = correct_motion(replace(exam, frames=frames))
    assert np.flatnonzero(~motion.kept).tolist() == [4]
    assert np.isfinite(motion.residual_hu).all()
    np.testing.assert_array_equal(corrected.frames, np.delete(exam.frames, 4, axis=0))


def test_a_garbage_first_frame_is_no_reference():
    exam = exam_with([STILL] * 10)
    frames = exam.frames.copy()
    frames[0] = -1024
    _, motion = correct_motion(replace(exam, frames=frames))
    assert np.flatnonzero(~motion.kept).tolist() == [0]


def test_an_exam_with_too_many_bad_frames_fails_but_loses_none():
    exam = exam_with([STILL] * 8)
    frames = exam.frames.copy()
    frames[5:] = -1024
    corrected, motion = correct_motion(replace(exam, frames=frames))
    assert motion.kept.all()
    np.testing.assert_array_equal(corrected.frames, frames)
    assert codes(corrected)["motion-uncorrectable"].grade is Grade.FAIL


def test_a_long_gap_left_by_dropped_frames_is_reported():
    exam = exam_with([STILL] * 12)
    frames = exam.frames.copy()
    frames[4:6] = -1024
    assert "6.0 s" in codes(correct_motion(replace(exam, frames=frames))[0])["motion-gap"].message


def test_motion_out_of_the_slab_is_reported_and_filled_from_the_nearest_slice():
    poses = [STILL] * 5 + [np.array([0, 0, 0, 0, 0, -7.0])]
    corrected, motion = correct_motion(exam_with(poses, sd_hu=0))
    found = codes(corrected)
    assert found["motion-edge-slices"].grade is Grade.WARNING
    assert found["motion-through-plane"].grade is Grade.WARNING
    assert np.isclose(motion.translation_mm[5, 2], -7, atol=0.4)
    # a head that sinks by 7 mm leaves the lowest slice: the lowest that was measured stands in
    assert np.abs(corrected.frames[5, 0] - corrected.frames[5, 1]).mean() < 30


def test_an_exam_without_skull_is_left_alone_and_reported():
    exam = exam_of(np.full((4, *GEOMETRY.shape), 40, np.float32), GEOMETRY)
    corrected, motion = correct_motion(exam)
    assert corrected.frames is exam.frames
    assert motion.kept.all()
    assert codes(corrected)["motion-not-assessed"].grade is Grade.WARNING


def test_earlier_findings_stay():
    exam = exam_of(np.full((4, *GEOMETRY.shape), 40, np.float32), GEOMETRY)
    twice = correct_motion(correct_motion(exam)[0])[0]
    assert len(twice.findings) == 2


def test_positions_of_a_shuttle_exam_are_aligned_apart():
    exam = exam_with([STILL] * 6)
    lower, upper = slice(0, 5), slice(5, 10)
    moved = exam_with([STILL] * 3 + [np.array([0, 0, 0, 2.0, 0, 0])] + [STILL] * 2)
    frames = exam.frames.copy()
    frames[3, upper] = moved.frames[3, upper]  # moved only while the upper half was measured
    times = exam.times_s.copy()
    times[:, upper] += 1.0
    corrected, motion = correct_motion(replace(exam, frames=frames, times_s=times))
    assert corrected.frames[:, lower].tobytes() == exam.frames[:, lower].tobytes()
    assert np.isclose(motion.translation_mm[3, 0], 2, atol=0.1)
    brain = (exam.frames[0, upper] > 0) & (exam.frames[0, upper] < 80)
    brain = binary_erosion(brain, np.ones((1, 7, 7), bool))
    rest = (corrected.frames[3, upper] - exam.frames[3, upper])[brain]
    assert rest.std() < 12  # two independent noises, no edges


def test_slices_form_groups_by_time():
    frame = np.arange(10.0)[:, None] * 3
    assert slice_groups(frame + np.linspace(0, 0.4, 8)) == [slice(0, 8)]
    assert slice_groups(frame + np.repeat([0, 1.5], 8)) == [slice(0, 8), slice(8, 16)]
    # a continuous sweep has no border, and interleaved slices are too few to be aligned
    assert slice_groups(frame + np.linspace(0, 2, 16)) == [slice(0, 16)]
    assert slice_groups(frame + np.tile([0, 1.5], 4)) == [slice(0, 8)]


def test_threads_change_nothing():
    exam = exam_with(NODS)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one, motion_one = correct_motion(exam)
        numba.set_num_threads(before)
        all_, motion_all = correct_motion(exam)
    finally:
        numba.set_num_threads(before)
    assert one.frames.tobytes() == all_.frames.tobytes()
    assert motion_one.rotation_deg.tobytes() == motion_all.rotation_deg.tobytes()
