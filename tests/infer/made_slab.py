"""A made-up slab for the network: tissue of two kinds, one artery and one vein."""

from __future__ import annotations

import numpy as np

from bolus.infer.features import Sampled

ARRIVAL_S = 10.0


def bolus(time_s: np.ndarray, start_s: float, peak_hu: float) -> np.ndarray:
    """(T,) a gamma variate."""
    u = np.clip((time_s - start_s) / 3.0, 0, None)
    return np.asarray(peak_hu * (u / 3) ** 3 * np.exp(3 - u))


def a_slab(
    slices: int = 3,
    rows: int = 30,
    columns: int = 26,
    pixel_mm: float = 1.0,
    interval_s: float = 1.5,
    frames: int = 34,
) -> Sampled:
    """An ellipse of tissue in every slice; its right half is late."""
    time_s = np.arange(frames) * interval_s
    y, x = np.mgrid[:rows, :columns]
    plane = ((y - rows / 2) / (rows / 2)) ** 2 + ((x - columns / 2) / (columns / 2)) ** 2 < 0.9
    voxels = np.repeat(plane[None], slices, axis=0)
    vessel = np.zeros_like(voxels)
    vessel[:, rows // 3, columns // 3 : columns // 3 + 2] = True
    vessel[:, rows // 2, columns // 2 : columns // 2 + 3] = True
    curves = np.zeros((*voxels.shape, frames), np.float32)
    curves[..., : columns // 2, :] = bolus(time_s, ARRIVAL_S + 2, 12)
    curves[..., columns // 2 :, :] = bolus(time_s, ARRIVAL_S + 7, 8)
    curves[:, rows // 3, columns // 3 : columns // 3 + 2] = bolus(time_s, ARRIVAL_S, 200)
    curves[:, rows // 2, columns // 2 : columns // 2 + 3] = bolus(time_s, ARRIVAL_S + 5, 350)
    level = np.where(x < columns / 3, 36.0, 30.0)
    rng = np.random.default_rng(3)
    rows_hu = curves[voxels] + rng.normal(0, 0.3, (int(voxels.sum()), frames)).astype(np.float32)
    return Sampled(
        curves_hu=rows_hu,
        area_hu=rows_hu.mean(axis=1),
        moment_s=(rows_hu * (time_s - ARRIVAL_S)).mean(axis=1).astype(np.float32),
        level_hu=np.repeat(level[None], slices, axis=0)[voxels].astype(np.float32),
        clear=np.ones(len(rows_hu), bool),
        voxels=voxels,
        vessel=vessel & voxels,
        times_s=np.repeat(time_s[:, None], slices, axis=1),
        weight=np.ones(frames),
        noise_hu=0.8,
        arrival_s=ARRIVAL_S,
        spacing_mm=(5.0, pixel_mm, pixel_mm),
    )
