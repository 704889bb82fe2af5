"""The network is given the same numbers in training as in use."""

from __future__ import annotations

import numpy as np
from made_slab import bolus

from bolus.infer import sampled
from bolus.infer.inputs import blood
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
    seen = sampled(exam, Tissue(frames[0], voxels, empty, empty), measured, denoised, moved_mm=0.0)
    np.testing.assert_allclose(seen.area_hu, measured.tissue_hu.mean(axis=1), rtol=1e-6)
    expected = (measured.tissue_hu * (time_s - measured.arrival_s)).mean(axis=1)
    np.testing.assert_allclose(seen.moment_s, expected, rtol=1e-5)
    np.testing.assert_array_equal(seen.curves_hu, denoised.tissue_hu)
    np.testing.assert_allclose(seen.level_hu, frames.mean(axis=0)[voxels], rtol=1e-5)
    assert seen.noise_hu == 0.5


def test_moved_bone_is_no_blood() -> None:
    """A vein, bone that stepped in beside the skull, bone that drifted in where no edge is near."""
    time_s = np.arange(0, 50, 1.5)
    voxels = np.ones((2, 12, 12), bool)
    vessel = np.zeros_like(voxels)
    vein, step, drift = (0, 3, 3), (0, 8, 10), (1, 6, 3)
    for place in (vein, step, drift):
        vessel[place] = True
    hu = np.repeat(bolus(time_s, 12, 12.0)[None], voxels.sum(), axis=0).reshape(2, 12, 12, -1)
    hu[vein] = bolus(time_s, 14, 300.0)
    hu[step] = bolus(time_s, 14, 60.0)  # enhances alike, but no more than the edge beside it does
    hu[drift] = 400 * (time_s > 30)
    rng = np.random.default_rng(4)
    curves = curves_of(
        time_s, hu[voxels] + rng.normal(0, 1, (voxels.sum(), time_s.size)), voxels, 1
    )
    image = np.full(voxels.shape, 35.0, np.float32)
    image[..., 11] = 900
    frames = np.moveaxis(hu, -1, 0).astype(np.float32) + image
    tissue = Tissue(image, voxels, np.zeros_like(voxels), vessel)
    exam = Exam(frames, curves.times_s, Geometry((2, 12, 12), np.eye(4)), Scanner("nifti"))
    moved = sampled(exam, tissue, curves, curves, moved_mm=6.0)
    still = sampled(exam, tissue, curves, curves, moved_mm=0.0)
    assert [bool(moved.clear.reshape(voxels.shape)[place]) for place in (vein, step, drift)] == [
        True, False, False,
    ]  # fmt: skip
    assert still.clear.all()
    # bone is brighter than blood: it must not stand for it
    assert blood(moved).mean_hu < blood(still).mean_hu
