"""Enhancement of every perfused voxel on the common time grid."""

from __future__ import annotations

import numpy as np

from bolus.curves.baseline import Baseline
from bolus.curves.timing import linear_weights, resample
from bolus.types import Curves, Exam, Float32Array, Float64Array, IntArray, Tissue

# Frames taken from the end of the exam where there are too few before the bolus to see noise.
TAIL_FRAMES = 6


def tissue_curves(exam: Exam, baseline: Baseline, tissue: Tissue, grid: Float64Array) -> Curves:
    """Subtract each voxel's baseline and move its curve onto the common grid.

    Parameters
    ----------
    exam : Exam
        Free of motion.
    baseline : Baseline
        Tells how many frames of each slice precede the bolus.  The baseline subtracted is the mean
        of those frames.
    tissue : Tissue
    grid : (N,) float64, s

    Returns
    -------
    Curves
        Rows in C order of ``tissue.perfused``; ``noise_hu`` is the SD of what noise is left in one
        sample of a row.
    """
    slices = np.nonzero(tissue.perfused)[0]
    curves = np.empty((slices.size, grid.size), np.float32)
    start = 0
    for z, plane in enumerate(tissue.perfused):
        values = np.ascontiguousarray(exam.frames[:, z][:, plane].T)  # (Vz, T)
        values -= values[:, : baseline.frames[z]].mean(axis=1, dtype=np.float64)[:, None]
        stop = start + values.shape[0]
        curves[start:stop] = resample(values, slices[start:stop], exam.times_s, grid)
        start = stop
    noise = noise_sd(exam, baseline.frames, tissue, grid)
    return Curves(
        time_s=grid,
        tissue_hu=curves,
        voxels=tissue.perfused,
        noise_hu=noise,
        measured=exam.frames.shape[0],
        arrival_s=baseline.arrival_s,
        spacing_mm=exam.geometry.spacing_mm,
    )


def noise_sd(exam: Exam, baseline_frames: IntArray, tissue: Tissue, grid: Float64Array) -> float:
    """SD of the noise in one sample of a tissue curve on the common grid, HU.

    From the differences of successive frames before the bolus, where nothing else changes (with
    fewer than two such frames: of the last frames, where little does), as a median over voxels and
    reduced by what interpolation between two frames averages away.
    """
    differences: list[Float32Array] = []
    shrink: list[float] = []
    for z, plane in enumerate(tissue.parenchyma):
        n = int(baseline_frames[z])
        part = slice(0, n) if n > 1 else slice(-TAIL_FRAMES, None)
        steps = np.diff(exam.frames[part, z][:, plane], axis=0)
        differences.append(np.abs(steps).ravel())
        _, weight = linear_weights(exam.times_s[:, z], grid)
        shrink.append(float(np.mean(weight**2 + (1 - weight) ** 2)))
    frame_noise = 1.4826 * float(np.median(np.concatenate(differences))) / np.sqrt(2)
    return float(frame_noise * np.sqrt(np.mean(shrink)))
