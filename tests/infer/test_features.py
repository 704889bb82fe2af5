"""What the network sees doesn't depend on what it should not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_slab import ARRIVAL_S, a_slab, bolus

from bolus.infer.features import (
    AMPLITUDE_HU,
    BLOOD_ML,
    CONTEXT,
    GRID_S,
    LEAST_LOG,
    LITTLE_LOG,
    PIXEL_CHANNELS,
    USUAL_LOG,
    VOLUMES_ML,
    Sampled,
    blood,
    level_reference,
    log_volume,
    scale_if_low,
    slice_inputs,
    smoother,
)


def with_blood(exam: Sampled, share: float) -> Sampled:
    """The exam with ``share`` of the blood in all tissue; vessels stay as they are."""
    factor = np.where(exam.vessel[exam.voxels], 1, share).astype(np.float32)
    return replace(
        exam,
        curves_hu=exam.curves_hu * factor[:, None],
        area_hu=exam.area_hu * factor,
        moment_s=exam.moment_s * factor,
    )


def seen(exam: Sampled, z: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return slice_inputs(exam, z, blood(exam), level_reference(exam))


def test_shapes_are_what_a_model_file_is_checked_against() -> None:
    exam = a_slab()
    pixels, context = seen(exam)
    assert pixels.shape == (PIXEL_CHANNELS, *exam.voxels.shape[1:])
    assert context.shape == (CONTEXT,)
    assert not pixels[:, ~exam.voxels[1]].any()


@given(st.integers(0, 2**32 - 1))
def test_a_bolus_sampled_at_any_forty_times_is_found_again_on_the_grid(seed: int) -> None:
    times = np.sort(np.random.default_rng(seed).choice(np.arange(0, 70, 0.5), 40, replace=False))
    matrix, sd = smoother(times, np.ones(40), 0.1, ARRIVAL_S)
    found = matrix @ bolus(times, ARRIVAL_S, 12.0)
    true = bolus(GRID_S + ARRIVAL_S, ARRIVAL_S, 12.0)
    known = sd < 0.1
    assert known.sum() > 10
    assert np.abs(found - true)[known].max() < 1.0


def test_what_was_not_measured_is_said_to_be_unknown() -> None:
    times = np.arange(0, 30, 1.5)
    _, sd = smoother(times, np.ones(times.size), 0.5, ARRIVAL_S)
    assert sd[GRID_S + ARRIVAL_S > 45].min() > 0.98
    assert sd[(GRID_S + ARRIVAL_S > 3) & (GRID_S + ARRIVAL_S < 27)].max() < 0.15


def test_a_frame_of_little_weight_is_little_believed() -> None:
    times = np.arange(0, 60, 2.0)
    weight = np.ones(times.size)
    weight[12] = 1e-4
    matrix, _ = smoother(times, weight, 2.0, ARRIVAL_S)
    full, _ = smoother(times, np.ones(times.size), 2.0, ARRIVAL_S)
    assert np.abs(matrix[:, 12]).max() < 0.02 * np.abs(full[:, 12]).max()


@given(st.floats(0.3, 3))
def test_twice_the_contrast_agent_gives_the_same_pixels(times: float) -> None:
    exam = a_slab()
    factor = np.float32(times)
    stronger = replace(
        exam,
        curves_hu=exam.curves_hu * factor,
        area_hu=exam.area_hu * factor,
        moment_s=exam.moment_s * factor,
    )
    np.testing.assert_allclose(seen(stronger)[0], seen(exam)[0], rtol=1e-3, atol=2e-4)


@given(st.floats(0.3, 0.75), st.floats(0.3, 0.75))
def test_brains_with_little_blood_look_the_same_however_little_it_is(
    one: float, other: float
) -> None:
    exam = a_slab()
    first, second = (with_blood(exam, share) for share in (one, other))
    assert blood(first).volume / blood(second).volume == pytest.approx(one / other, rel=1e-3)
    np.testing.assert_allclose(blood(first).tissue, blood(second).tissue, rtol=1e-3)
    tissue = exam.voxels[1] & ~exam.vessel[1]
    pixels = [seen(some)[0][:, tissue] for some in (first, second)]
    np.testing.assert_allclose(*pixels, rtol=1e-3, atol=3e-4)


@given(st.floats(1.0, 2.5))
def test_brains_with_about_the_usual_blood_or_more_are_left_alone(share: float) -> None:
    assert blood(with_blood(a_slab(), share)).volume == 1


def test_the_step_from_usual_to_little_is_smooth() -> None:
    logs = np.linspace(0.5, -2.5, 400)
    volumes = np.log([scale_if_low(float(log)) for log in logs])
    assert (volumes[logs >= USUAL_LOG] == 0).all()
    believed = (logs <= LITTLE_LOG) & (logs >= LEAST_LOG)
    np.testing.assert_allclose(volumes[believed], logs[believed])
    np.testing.assert_allclose(volumes[logs < LEAST_LOG], LEAST_LOG)
    assert (np.diff(volumes) <= 1e-12).all()
    assert np.abs(np.diff(volumes)).max() < 4 * (logs[0] - logs[1])


def test_where_vessels_or_tissue_tell_nothing_the_brain_holds_the_usual_volume() -> None:
    poor = with_blood(a_slab(), 0.4)
    assert blood(poor).volume < 0.5
    for vessel in (np.zeros_like(poor.vessel), poor.voxels):
        assert blood(replace(poor, vessel=vessel)).volume == 1
    assert blood(replace(poor, curves_hu=-np.abs(poor.curves_hu))).volume == 1


def test_the_volume_is_what_its_constants_say() -> None:
    falling = np.array([1.3, 1.1, 0.95, 0.8, 0.7, 0.5])
    assert (VOLUMES_ML[1], VOLUMES_ML[3], VOLUMES_ML[5]) == (0.1, 1.2, 5.0)
    expected = 0.34 + np.log(0.65) - 0.64 * np.log(1.1) - 2.42 * np.log(0.8) + 0.24 * np.log(0.5)
    assert log_volume(0.65, falling) == pytest.approx(expected)
    # a usual head: tissue at two thirds of a twentieth of the blood, vessels of one brightness
    assert log_volume(0.7, np.ones(6)) == pytest.approx(0, abs=0.05)


def test_an_exam_that_begins_later_gives_the_same_inputs() -> None:
    exam = a_slab()
    later = replace(exam, times_s=exam.times_s + 100, arrival_s=exam.arrival_s + 100)
    for one, other in zip(seen(later), seen(exam), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_shuttle_exams_slices_are_put_on_one_grid() -> None:
    time_s = np.arange(0, 60, 1.5)
    exam = a_slab(frames=time_s.size)
    times = np.stack([time_s, time_s + 0.75, time_s], axis=1)
    curves = exam.curves_hu.copy()
    rows = exam.rows(1)
    late = replace(exam, times_s=times, curves_hu=curves)
    for row in range(rows.start, rows.stop):
        curves[row] = np.interp(times[:, 1], time_s, exam.curves_hu[row])
    still = exam.voxels[1] & ~exam.vessel[1]
    k = GRID_S.size
    error = np.abs(seen(late)[0][:k, still] - seen(exam)[0][:k, still])
    assert error.mean() < 0.05


def test_groups_of_vessels_go_from_artery_to_vein() -> None:
    found = blood(a_slab())
    times = (found.shapes * GRID_S).sum(axis=1) / found.shapes.sum(axis=1)
    assert times[0] < times[-2] - 3
    assert found.mean_hu > 5 * AMPLITUDE_HU


def test_a_slab_without_vessels_takes_its_brightest_tissue_for_blood() -> None:
    exam = a_slab()
    without = replace(exam, vessel=np.zeros_like(exam.vessel))
    assert 0 < blood(without).mean_hu <= blood(exam).mean_hu * 1.01


@pytest.mark.parametrize("vessels", [1, 2, 4, 7])
def test_a_few_voxels_of_vessel_are_enough(vessels: int) -> None:
    exam = a_slab()
    places = np.flatnonzero(exam.vessel)[:vessels]
    few = np.zeros_like(exam.vessel)
    few.flat[places] = True
    assert all(np.isfinite(part).all() for part in seen(replace(exam, vessel=few)))


def test_whole_voxels_of_blood_are_distinguished_from_parts() -> None:
    """Ten voxels of 50 mm3: what a large vein fills evenly, small ones don't."""
    exam = replace(a_slab(), spacing_mm=(5.0, 1.0, 1.0))
    voxels = int(BLOOD_ML * 1000 / 5)
    assert voxels > 3 * 5  # more than there are vein voxels: their brightness must fall
    assert blood(exam).falling[0] > 1.1 * blood(exam).falling[-1]


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_very_few_frames_still_give_inputs(frames: int) -> None:
    exam = a_slab()
    kept = np.linspace(6, 20, frames).astype(int)
    few = replace(
        exam,
        curves_hu=exam.curves_hu[:, kept],
        times_s=exam.times_s[kept],
        weight=exam.weight[kept],
    )
    assert all(np.isfinite(part).all() for part in seen(few))
