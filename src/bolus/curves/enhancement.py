"""Enhancement of every perfused voxel at the times at which it was measured."""

from __future__ import annotations

import numpy as np

from bolus.anatomy.baseline import Baseline
from bolus.curves.frame_noise import frame_weights
from bolus.metrics import MAD_TO_SD
from bolus.types import Curves, Exam, Float32Array, Float64Array, Tissue

# Frames taken from the end of the exam where there are too few before the bolus to see noise.
TAIL_FRAMES = 6


def tissue_curves(exam: Exam, baseline: Baseline, tissue: Tissue, grid: Float64Array) -> Curves:
    """Subtract each voxel's baseline.

    Parameters
    ----------
    exam : Exam
        Free of motion.
    baseline : Baseline
        Tells how many frames of each slice precede the bolus.  The baseline subtracted is the mean
        of those frames.
    tissue : Tissue
    grid : (N,) float64, s
        Common time grid of the arterial input.

    Returns
    -------
    Curves
        Rows in C order of ``tissue.perfused``; ``noise_hu`` is the SD of a usual frame's noise.
    """
    curves = np.empty((int(tissue.perfused.sum()), len(exam.frames)), np.float32)
    start = 0
    for z, plane in enumerate(tissue.perfused):
        values = exam.frames[:, z][:, plane].T  # (Vz, T)
        stop = start + values.shape[0]
        before = values[:, : baseline.frames[z]].mean(axis=1, dtype=np.float64)
        np.subtract(values, before[:, None], out=curves[start:stop], casting="same_kind")
        start = stop
    weight = frame_weights(exam, tissue)
    return Curves(
        grid_s=grid,
        tissue_hu=curves,
        times_s=exam.times_s,
        weight=weight,
        voxels=tissue.perfused,
        noise_hu=noise_sd(exam, baseline, tissue, weight),
        arrival_s=baseline.arrival_s,
        spacing_mm=exam.geometry.spacing_mm,
    )


def noise_sd(exam: Exam, baseline: Baseline, tissue: Tissue, weight: Float64Array) -> float:
    """SD of the noise in one voxel of a frame of weight 1, HU.

    From the differences of successive frames before the bolus, where nothing else changes (with
    fewer than two such frames: of the last frames, where little does), as a median over voxels.
    """
    differences: list[Float32Array] = []
    expected = np.sqrt(1 / weight[1:] + 1 / weight[:-1]).astype(np.float32)
    for z, plane in enumerate(tissue.parenchyma):
        n = int(baseline.frames[z])
        part = slice(0, n) if n > 1 else slice(-TAIL_FRAMES, None)
        steps = np.diff(exam.frames[part, z][:, plane], axis=0)
        share = expected[: n - 1] if n > 1 else expected[-len(steps) :]
        differences.append(np.abs(steps / share[:, None]).ravel())
    return MAD_TO_SD * float(np.median(np.concatenate(differences)))
