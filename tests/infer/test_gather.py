"""The network is given the same numbers in training as in use."""

from __future__ import annotations

import numpy as np
from made_slab import bolus

from bolus.infer.features import Sampled, blood
from bolus.infer.gather import sampled
from bolus.types import Exam, Geometry, Motion, Scanner, Tissue
from sampled import sampled as curves_of


def test_area_and_moment_are_those_before_denoising() -> None:
    voxels = np.ones((2, 3, 4), bool)
    voxels[0, 0] = False
    rng = np.random.default_rng(2)
    time_s = np.arange(20.0)
    measured = curves_of(time_s, rng.normal(5, 2, (int(voxels.sum()), 20)), voxels, 2.0)
    denoised = curves_of(time_s, np.full((int(voxels.sum()), 20), 5.0), voxels, 0.5)
    frames = rng.normal(40, 1, (20, 2, 3, 4)).astype(np.float32)
    geometry = Geometry((2, 3, 4), np.eye(4))
    exam = Exam(frames, denoised.times_s, geometry, Scanner("nifti"))
    empty = np.zeros_like(voxels)
    seen = sampled(
        exam,
        Tissue(frames[0], voxels, empty, empty),
        measured,
        denoised,
        motion=motion(np.zeros(20)),
    )
    np.testing.assert_allclose(seen.area_hu, measured.tissue_hu.mean(axis=1), rtol=1e-6)
    expected = (measured.tissue_hu * (time_s - measured.arrival_s)).mean(axis=1)
    np.testing.assert_allclose(seen.moment_s, expected, rtol=1e-5)
    np.testing.assert_array_equal(seen.curves_hu, denoised.tissue_hu)
    np.testing.assert_allclose(seen.level_hu, frames.mean(axis=0)[voxels], rtol=1e-5)
    assert seen.noise_hu == 0.5


def motion(x_mm: np.ndarray) -> Motion:
    """A head that moves along x."""
    none, shift = np.zeros((x_mm.size, 3)), np.stack([x_mm, 0 * x_mm, 0 * x_mm], axis=1)
    return Motion(none, shift, np.abs(x_mm), 0 * x_mm, np.ones(x_mm.size, bool))


def passage(time_s: np.ndarray, start_s: float, peak_hu: float) -> np.ndarray:
    """(T,) a bolus and what goes round again."""
    first = bolus(time_s, start_s, peak_hu)
    return np.asarray(first + 0.4 * peak_hu * np.cumsum(first) / first.sum())


ARTERY, BESIDE, PASSING, JUMPED = (0, 3, 3), (0, 8, 10), (1, 6, 3), (1, 3, 6)


def moved_slab(time_s: np.ndarray, x_mm: np.ndarray) -> Sampled:
    """An artery, and bone: beside the skull, there for a moment, jumped in as the bolus comes."""
    voxels = np.ones((2, 12, 12), bool)
    hu = np.tile(passage(time_s, 12, 12.0), (2, 12, 12, 1))
    hu[ARTERY] = passage(time_s, 14, 300.0)
    hu[BESIDE] = passage(time_s, 14, 60.0)  # no more than the edge beside it explains
    hu[PASSING] = 400 * ((time_s > 30) & (time_s < 34))
    hu[JUMPED] = np.where(time_s > 14, 1000 * np.exp((14 - time_s) / 60), 0)
    vessel = np.zeros_like(voxels)
    for place in (ARTERY, BESIDE, PASSING, JUMPED):
        vessel[place] = True
    noise = np.random.default_rng(4).normal(0, 1, (voxels.sum(), time_s.size))
    curves = curves_of(time_s, hu[voxels] + noise, voxels, 1)
    image = np.full(voxels.shape, 35.0, np.float32)
    image[..., 11] = 900
    frames = np.moveaxis(hu, -1, 0).astype(np.float32) + image
    tissue = Tissue(image, voxels, np.zeros_like(voxels), vessel)
    exam = Exam(frames, curves.times_s, Geometry((2, 12, 12), np.eye(4)), Scanner("nifti"))
    return sampled(exam, tissue, curves, curves, motion=motion(x_mm))


def clear_vessels(slab: Sampled) -> list[bool]:
    clear = slab.clear.reshape(slab.voxels.shape)
    return [bool(clear[place]) for place in (ARTERY, BESIDE, PASSING, JUMPED)]


def test_moved_bone_is_no_blood() -> None:
    time_s = np.arange(0, 50, 1.5)
    moved = moved_slab(time_s, 0.05 * time_s + 6 * (time_s > 14))
    still = moved_slab(time_s, 0 * time_s)
    assert clear_vessels(moved) == [True, False, False, False]
    assert still.clear.all()
    # bone is brighter than blood: it must not stand for it
    assert blood(moved).mean_hu < blood(still).mean_hu


def test_three_frames_of_a_head_that_moved_tell_no_blood_from_bone() -> None:
    time_s = np.array([0.0, 18.0, 23.0, 44.0])
    x_mm = np.array([0.0, 6.0, 0.0, 6.0])
    assert clear_vessels(moved_slab(time_s, x_mm))[0]
    few = moved_slab(time_s[:3], x_mm[:3])
    np.testing.assert_array_equal(few.clear, ~few.vessel[few.voxels])
    assert moved_slab(time_s[:3], 0 * x_mm[:3]).clear.all()
