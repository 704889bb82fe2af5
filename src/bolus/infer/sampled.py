"""From the pipeline's curves, before and after denoising, to what the network is given."""

from __future__ import annotations

import numpy as np

from bolus.curves.baseline import mean_frames
from bolus.infer.inputs import Sampled
from bolus.types import Curves, Exam, Float32Array, Tissue


def sampled(exam: Exam, tissue: Tissue, measured: Curves, denoised: Curves) -> Sampled:
    """Gather an exam's curves as the network takes them, in training as in use.

    Parameters
    ----------
    exam : free of motion; the mean of its frames shows grey and white matter best.
    tissue : masks.
    measured, denoised : the same voxels' curves before and after the filter.  Area and first moment
        come from the former: averages over all frames have little noise, and the filter blurs.
    """
    return Sampled(
        curves_hu=denoised.tissue_hu,
        area_hu=measured.tissue_hu.mean(axis=1),
        moment_s=_moment(measured),
        level_hu=mean_frames(exam.frames, len(exam.frames))[denoised.voxels],
        voxels=denoised.voxels,
        vessel=tissue.vessel,
        times_s=denoised.times_s,
        weight=denoised.weight,
        noise_hu=denoised.noise_hu,
        arrival_s=denoised.arrival_s,
        spacing_mm=denoised.spacing_mm,
    )


def _moment(curves: Curves) -> Float32Array:
    """(V,) mean over all frames of enhancement x time after arrival, HU s."""
    after_s = curves.times_s - curves.arrival_s
    moments, row = [], 0
    for z, count in enumerate(curves.voxels.sum(axis=(1, 2)).tolist()):
        # slice by slice, for the product in double precision is large
        moments.append((curves.tissue_hu[row : row + count] * after_s[:, z]).mean(axis=1))
        row += count
    return np.concatenate(moments).astype(np.float32)
