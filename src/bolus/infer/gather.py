"""From the pipeline's curves, before and after denoising, to the network's input."""

from __future__ import annotations

import numpy as np

from bolus.anatomy.baseline import mean_frames
from bolus.anatomy.motion_residue import CLEAR_OF_EDGE, edge_hu
from bolus.anatomy.time_course import correlation_with, lagged_correlation
from bolus.infer.features import Sampled
from bolus.types import (
    BoolArray,
    Curves,
    Exam,
    Float32Array,
    Float64Array,
    Geometry,
    Motion,
    Tissue,
)

MIN_CORRELATION = 0.85
"""Steps and drifts of moving bone rarely reach this, blood in heads that moved mostly does: over
eighteen exams in which bone was mistaken for blood or nearly (seeds 9300-9600), the error of CBF
is 8.5 ml/100g/min without it, 6.3 with it and 6.0 at 0.9, which loses the blood of two others."""
CORRELATION_MARGIN = 0.1
"""A curve must be this much more similar to the brain's course than to the head's position, or it
is bone: bone that jumps in as the bolus arrives resembles it."""
ENOUGH_FRAMES = 4
"""Two or three points resemble anything: then only the brightest tissue represents blood in a head
that moved.  Over sixteen exams (seeds 9450-9599) three frames have an error of CBF of
21.6 ml/100g/min this way and of 28.1 with the limits; four have 9.6 with these and 10.8 without."""
LEVER_MM = 80.0
"""From the head's centre to its skull."""
SAMPLE_STEP = 7
"""Subsampling step for the brain's course, in voxels."""


def sampled(
    exam: Exam, tissue: Tissue, measured: Curves, denoised: Curves, *, motion: Motion
) -> Sampled:
    """Gather an exam's curves as input of the network, for training and inference.

    Parameters
    ----------
    exam : free of motion; the mean of its frames shows grey and white matter best.
    tissue : masks.
    measured, denoised : the same voxels' curves before and after the filter.  Area and first moment
        come from the former: averages over all frames have little noise, and the filter blurs.
    motion : the motion that was corrected; all frames, dropped ones included.
    """
    return Sampled(
        curves_hu=denoised.tissue_hu,
        area_hu=measured.tissue_hu.mean(axis=1),
        moment_s=first_moment(
            measured.tissue_hu, measured.voxels, measured.times_s, measured.arrival_s
        ),
        level_hu=mean_frames(exam.frames, len(exam.frames))[denoised.voxels],
        clear=_clear(measured, denoised, tissue, exam.geometry, motion),
        voxels=denoised.voxels,
        vessel=tissue.vessel,
        times_s=denoised.times_s,
        weight=denoised.weight,
        noise_hu=denoised.noise_hu,
        arrival_s=denoised.arrival_s,
        spacing_mm=denoised.spacing_mm,
    )


def _clear(
    measured: Curves, denoised: Curves, tissue: Tissue, geometry: Geometry, motion: Motion
) -> BoolArray:
    """(V,) whether a vessel's curve is contrast, not residual motion of bone."""
    clear = np.ones(len(measured.tissue_hu), bool)
    moved_mm = motion.largest_mm
    if moved_mm == 0:
        return clear
    vessel = tissue.vessel[measured.voxels]
    if measured.tissue_hu.shape[1] < ENOUGH_FRAMES:
        clear[vessel] = False
        return clear
    edge = edge_hu(tissue.baseline, geometry, moved_mm)[measured.voxels][vessel]
    clear[vessel] = denoised.tissue_hu[vessel].max(axis=1) > CLEAR_OF_EDGE * edge
    course = np.median(measured.tissue_hu[::SAMPLE_STEP].astype(np.float64), axis=0)
    curves = measured.tissue_hu[vessel]
    noise = measured.noise_hu**2 / np.maximum(curves.var(axis=1), 1e-6)
    signal = np.sqrt(np.clip(1 - noise, 0, 1))
    correlation = lagged_correlation(curves, course, measured.times_s.mean(axis=1))
    like_head = np.abs(correlation_with(curves, _course_of_head(motion)))
    clear[vessel] &= correlation > np.maximum(
        MIN_CORRELATION * signal, like_head + CORRELATION_MARGIN * signal
    )
    return clear


def _course_of_head(motion: Motion) -> Float64Array:
    """(T,) position of the head in each frame along its main direction of motion, mm."""
    turned_mm = LEVER_MM * np.deg2rad(motion.rotation_deg)
    moved = np.concatenate([motion.translation_mm, turned_mm], axis=1)[motion.kept]
    moved = moved - moved.mean(axis=0)
    directions = np.linalg.svd(moved, full_matrices=False)[2]
    return np.asarray(moved @ directions[0], np.float64)


def first_moment(
    curves_hu: Float32Array, voxels: BoolArray, times_s: Float64Array, arrival_s: float
) -> Float32Array:
    """Mean over all frames of enhancement x time after arrival, HU s.

    Parameters
    ----------
    curves_hu : (V, T), those of ``voxels`` (Z, Y, X) in C order.
    times_s : (T, Z)
    arrival_s : s after the first frame.

    Returns
    -------
    (V,) float32
    """
    after_s = times_s - arrival_s
    moments, row = [], 0
    for z, count in enumerate(voxels.sum(axis=(1, 2)).tolist()):
        # slice by slice, for the product in double precision is large
        moments.append((curves_hu[row : row + count] * after_s[:, z]).mean(axis=1))
        row += count
    return np.concatenate(moments).astype(np.float32)
