"""The filter takes noise, and nothing else."""

from dataclasses import replace

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from bolus.curves.denoise import SliceTimes, denoise_curves
from bolus.curves.denoise import denoise as denoise_exam
from bolus.types import Geometry, Tissue
from sampled import sampled

TIMES_S = np.arange(30) * 2.0


def curve(delay_s: float, width_s: float, peak_hu: float):
    x = np.maximum(TIMES_S - delay_s, 0) / width_s
    return (peak_hu * (x / 3) ** 3 * np.exp(3 - x)).astype(np.float32)


NORMAL = curve(8, 3, 14)
CORE = curve(14, 4.5, 2)
GEOMETRY = Geometry((4, 64, 64), np.diag([5.0, 0.9, 0.9, 1.0]))
EVERYWHERE = np.ones(GEOMETRY.shape, bool)
NOWHERE = ~EVERYWHERE


def filled(tissue):
    return np.broadcast_to(tissue[:, None, None, None], (len(tissue), *GEOMETRY.shape)).copy()


def noisy(clean, sd_hu=8.0, seed=0):
    """With correlated noise, lag-1 autocorrelation 0.6 within slices."""
    white = np.random.default_rng(seed).normal(size=clean.shape)
    soft = gaussian_filter(white, (0, 0, 0.7, 0.7))
    return clean + (soft * (sd_hu / soft.std())).astype(np.float32)


def denoise(frames, mask, protected, geometry, noise_hu=8.0, **settings):
    """Filter frames in place of curves."""
    voxels = mask & ~protected
    out = frames.copy()
    times_s = np.repeat(TIMES_S[: len(frames), None], len(voxels), axis=1)
    rows = np.ascontiguousarray(frames[:, voxels].T)
    times = SliceTimes(times_s, times_s[:, 0], np.ones(len(frames)))
    out[:, voxels] = denoise_curves(
        rows, voxels, geometry, times, guide=rows, guide_noise_hu=noise_hu, **settings
    ).T
    return out


def filtered(curves, voxels, geometry, **settings):
    """Rows filtered with their own similarity."""
    times_s = np.repeat(np.arange(curves.shape[1], dtype=float)[:, None], len(voxels), axis=1)
    times = SliceTimes(times_s, times_s[:, 0], np.ones(curves.shape[1]))
    return denoise_curves(
        curves, voxels, geometry, times, guide=curves, guide_noise_hu=8.0, **settings
    )


def rows(frames):
    return frames.reshape(len(frames), -1).T


def test_tissue_of_one_kind_stays_as_it_is():
    out = denoise(filled(NORMAL), EVERYWHERE, NOWHERE, GEOMETRY)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, filled(NORMAL), atol=1e-4)


def test_noise_falls_to_a_sixth_and_the_mean_stays():
    clean = filled(NORMAL)
    frames = noisy(clean)
    out = denoise(frames, EVERYWHERE, NOWHERE, GEOMETRY)
    inner = out[:, 1:-1, 8:-8, 8:-8] - clean[:, 1:-1, 8:-8, 8:-8]
    assert inner.std() < 8 / 6
    assert np.abs(out.mean((1, 2, 3)) - frames.mean((1, 2, 3))).max() < 0.1


def test_neighbouring_slices_help():
    frames = noisy(filled(NORMAL))
    apart = Geometry(GEOMETRY.shape, np.diag([50.0, 0.9, 0.9, 1.0]))
    inner = (slice(None), slice(1, -1), slice(8, -8), slice(8, -8))
    with_them = (denoise(frames, EVERYWHERE, NOWHERE, GEOMETRY) - filled(NORMAL))[inner].std()
    without = (denoise(frames, EVERYWHERE, NOWHERE, apart) - filled(NORMAL))[inner].std()
    # weights 1 and twice exp(-25/18)
    near = np.exp(-25 / 18)
    expected = np.sqrt(1 + 2 * near**2) / (1 + 2 * near)
    assert with_them / without == pytest.approx(expected, rel=0.05)


def test_outside_and_protected_voxels_keep_their_bytes_and_leak_nowhere():
    frames = noisy(filled(NORMAL))
    mask = EVERYWHERE.copy()
    mask[:, :10] = False
    vessel = NOWHERE.copy()
    vessel[:, 30:34, 30:34] = True
    plain = denoise(frames, mask, vessel, GEOMETRY)
    frames[:, vessel] += 1000
    frames[:, ~mask] = -1000
    out = denoise(frames, mask, vessel, GEOMETRY)
    np.testing.assert_array_equal(out[:, vessel], frames[:, vessel])
    np.testing.assert_array_equal(out[:, ~mask], frames[:, ~mask])
    np.testing.assert_array_equal(out[:, mask & ~vessel], plain[:, mask & ~vessel])


def test_an_unprotected_vessel_is_spared_by_its_time_course():
    frames = filled(NORMAL)
    frames[:, :, 30:33, 30:33] = curve(6, 2.5, 300)[:, None, None, None]
    frames = noisy(frames)
    out = denoise(frames, EVERYWHERE, NOWHERE, GEOMETRY)
    assert out[:, :, 31, 31].max(axis=0).mean() > 285

    def leak(frames):
        return np.abs(frames[:, :, 28, 31] - NORMAL[:, None]).mean()

    assert leak(out) < 2
    assert leak(denoise(frames, EVERYWHERE, NOWHERE, GEOMETRY, range_hu=1e6)) > 5


@pytest.mark.parametrize(("range_hu", "leak_1_mm", "rest"), [(20, 0.35, 1.35), (3, 0.2, 1.6)])
def test_the_edge_of_an_infarct_keeps_its_place(range_hu, leak_1_mm, rest):
    clean = filled(NORMAL)
    clean[..., 32:] = CORE[:, None, None, None]
    out = denoise(noisy(clean), EVERYWHERE, NOWHERE, GEOMETRY, range_hu=range_hu)
    contrast = CORE - NORMAL
    share = np.tensordot(contrast, out - NORMAL[:, None, None, None], 1) / (contrast @ contrast)
    profile = share[1:-1].mean((0, 1))
    assert profile[31] < 0.5 < profile[32]
    assert profile[33] > 1 - leak_1_mm  # 1.35 mm inside
    assert (out - clean)[:, 1:-1, 8:-8, 8:24].std() < rest


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 29), st.integers(0, 100))
def test_a_later_bolus_is_the_same_bolus_later(lag, seed):
    # weights are one number per pair of voxels, so the order of frames must not matter
    rng = np.random.default_rng(seed)
    curves = rng.normal(0, 8, (60, 30)).astype(np.float32)
    voxels = np.zeros((2, 6, 6), bool)
    voxels.ravel()[rng.permutation(72)[:60]] = True
    geometry = Geometry((2, 6, 6), np.diag([5.0, 1, 1, 1]))
    out = filtered(curves, voxels, geometry, range_hu=1e6)
    later = filtered(np.roll(curves, lag, axis=1), voxels, geometry, range_hu=1e6)
    np.testing.assert_allclose(later, np.roll(out, lag, axis=1), atol=1e-4)


def test_the_filter_never_leaves_the_range_of_what_was_measured():
    curves = np.random.default_rng(0).normal(0, 8, (64, 20)).astype(np.float32)
    geometry = Geometry((1, 8, 8), np.diag([5.0, 1, 1, 1]))
    out = filtered(curves, np.ones((1, 8, 8), bool), geometry)
    assert (out <= curves.max(axis=0) + 1e-4).all()
    assert (out >= curves.min(axis=0) - 1e-4).all()


def test_passes_along_the_axes_equal_the_whole_window_for_equal_tissue():
    frames = noisy(filled(NORMAL))[:, :1, :24, :24]
    geometry = Geometry((1, 24, 24), np.diag([5.0, 0.9, 0.9, 1.0]))
    mask = np.ones(geometry.shape, bool)
    out = denoise(frames, mask, ~mask, geometry, range_hu=1e6)
    near = np.arange(-6, 7)
    weights = np.exp(-0.5 * (np.add.outer(near**2, near**2) * 0.81) / 9)
    centre = (weights * frames[:, 0, 6:19, 6:19]).sum((1, 2)) / weights.sum()
    np.testing.assert_allclose(out[:, 0, 12, 12], centre, rtol=1e-4, atol=1e-3)


def test_few_frames_and_empty_masks_are_no_trouble():
    frames = noisy(filled(NORMAL))[:2]
    assert np.isfinite(denoise(frames, EVERYWHERE, NOWHERE, GEOMETRY)).all()
    np.testing.assert_array_equal(denoise(frames, NOWHERE, NOWHERE, GEOMETRY), frames)


def test_the_input_is_left_alone_and_threads_change_nothing():
    frames = noisy(filled(NORMAL))
    before = frames.copy()
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = denoise(frames, EVERYWHERE, NOWHERE, GEOMETRY)
    finally:
        numba.set_num_threads(threads)
    assert one.tobytes() == denoise(frames, EVERYWHERE, NOWHERE, GEOMETRY).tobytes()
    np.testing.assert_array_equal(frames, before)


def test_vessels_lend_nothing_to_parenchyma_and_the_noise_left_is_known():
    vessel = EVERYWHERE.copy()
    vessel[..., 8:] = False
    clean = filled(NORMAL)
    clean[:, vessel] = 200
    tissue_hu = np.ascontiguousarray(rows(noisy(clean)))
    curves = sampled(TIMES_S, tissue_hu, EVERYWHERE, 8.0, arrival_s=8.0, spacing_mm=(5.0, 0.9, 0.9))
    tissue = Tissue(clean[0], EVERYWHERE, NOWHERE, vessel)
    out = denoise_exam(curves, tissue, GEOMETRY)
    error = out.tissue_hu - rows(clean)
    assert out.noise_hu == pytest.approx(error[tissue.parenchyma.ravel()].std(), rel=0.15)
    beside = np.zeros_like(vessel)
    beside[..., 8] = True
    assert abs(error[beside.ravel()].mean()) < 0.3
    np.testing.assert_array_equal(out.tissue_hu[vessel.ravel()], tissue_hu[vessel.ravel()])


def test_grey_and_white_matter_keep_their_blood_volumes():
    # ribbons of 4 mm, thinner than the filter: what tells them apart is their mean over all frames
    white = (np.arange(64) // 4 % 2 == 1) & EVERYWHERE
    clean = filled(NORMAL)
    clean[:, white] *= 0.55
    noise = noisy(np.zeros_like(clean))
    curves = sampled(TIMES_S, rows(clean + noise), EVERYWHERE, 8.0, arrival_s=8.0)
    curves = replace(curves, spacing_mm=GEOMETRY.spacing_mm)
    baseline = np.where(white, 29, 36).astype(np.float32)
    out = denoise_exam(curves, Tissue(baseline, EVERYWHERE, NOWHERE, NOWHERE), GEOMETRY)
    area = out.tissue_hu.sum(axis=1).reshape(white.shape)
    ratio = area[white].mean() / area[~white].mean()
    assert ratio == pytest.approx(0.55, abs=0.08)


def test_neighbouring_slices_are_read_at_the_voxels_own_times():
    # the second slice is measured 1 s later in every frame; a filter that mixed frames would shift
    # the bolus by a share of it
    late = np.stack([TIMES_S, TIMES_S + 1.0], axis=1)
    geometry = Geometry((2, 16, 16), np.diag([2.0, 1, 1, 1]))
    everywhere = np.ones(geometry.shape, bool)
    fine = np.linspace(0, 60, 3001)
    x = np.maximum(fine - 8, 0) / 3
    course = 14 * (x / 3) ** 3 * np.exp(3 - x)
    by_slice = [np.interp(late[:, z], fine, course) for z in (0, 1)]
    measured = np.repeat(np.array(by_slice, np.float32), 256, axis=0)
    times = SliceTimes(late, TIMES_S, np.ones(30))
    out = denoise_curves(measured, everywhere, geometry, times, guide=measured, guide_noise_hu=1.0)
    # linear interpolation between frames 2 s apart cuts the peak a little
    assert np.abs(out - measured).max() < 0.6
    mean_time = (out * np.repeat(late.T, 256, axis=0)).sum(axis=1) / out.sum(axis=1)
    true_time = (measured * np.repeat(late.T, 256, axis=0)).sum(axis=1) / measured.sum(axis=1)
    np.testing.assert_allclose(mean_time, true_time, atol=0.05)
