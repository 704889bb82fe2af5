"""The network is given the same numbers in training as in use."""

from __future__ import annotations

import numpy as np

from bolus.infer import sampled
from bolus.types import Exam, Geometry, Scanner, Tissue
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
    seen = sampled(exam, Tissue(frames[0], voxels, empty, empty), measured, denoised)
    np.testing.assert_allclose(seen.area_hu, measured.tissue_hu.mean(axis=1), rtol=1e-6)
    expected = (measured.tissue_hu * (time_s - measured.arrival_s)).mean(axis=1)
    np.testing.assert_allclose(seen.moment_s, expected, rtol=1e-5)
    np.testing.assert_array_equal(seen.curves_hu, denoised.tissue_hu)
    np.testing.assert_allclose(seen.level_hu, frames.mean(axis=0)[voxels], rtol=1e-5)
    assert seen.noise_hu == 0.5
