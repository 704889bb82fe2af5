"""Prepared exams small enough to learn from in a second."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bolus.infer.features import Sampled
from bolus.train.cnn import data, task
from bolus.train.prepare import Prepared

ARRIVAL_S = 10.0


def small_steps(set_to: Callable[[object, str, object], None]) -> None:
    """Epochs of two steps on small crops."""
    set_to(task, "STEPS_PER_EPOCH", 2)
    set_to(task, "WARM_UP_STEPS", 2)
    set_to(data, "CROPS", {False: (32, 24), True: (32, 24)})
    set_to(data, "BATCH", 2)


def bolus(time_s: np.ndarray, start_s: np.ndarray | float, area: np.ndarray | float) -> np.ndarray:
    """Curve of a gamma variate that begins at ``start_s``."""
    u = np.clip((time_s - start_s) / 3.0, 0, None)
    return np.asarray(area * (u / 3) ** 3 * np.exp(3 - u))


def prepared_exam(seed: int) -> Prepared:
    """Three slices whose flow and delay change from left to right, with an artery and a vein."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(0, 50, 2.0)
    shape = (3, 36, 28)
    y, x = np.mgrid[: shape[1], : shape[2]]
    plane = ((y - 18) / 17) ** 2 + ((x - 14) / 13) ** 2 < 1
    voxels = np.repeat(plane[None], 3, axis=0)
    vessel = np.zeros(shape, bool)
    vessel[:, 10:12, 10:13] = vessel[:, 24:27, 13:16] = True
    flow = np.broadcast_to(30 + 25 * np.sin(x / 5 + seed), shape)
    delay = np.broadcast_to(1 + 6 * (x > 14), shape)
    curves = bolus(time_s, (ARRIVAL_S + delay)[..., None], (flow / 5)[..., None])
    curves[:, 10:12, 10:13] = bolus(time_s, ARRIVAL_S, 220)
    curves[:, 24:27, 13:16] = bolus(time_s, ARRIVAL_S + 5, 260)
    rows = (curves[voxels] + rng.normal(0, 0.5, (voxels.sum(), time_s.size))).astype(np.float32)
    mtt = np.full(shape, 5.0)
    sampled = Sampled(
        curves_hu=rows,
        area_hu=rows.mean(axis=1),
        moment_s=(rows * (time_s - ARRIVAL_S)).mean(axis=1).astype(np.float32),
        level_hu=(30 + flow / 10)[voxels].astype(np.float32),
        clear=np.ones(len(rows), bool),
        voxels=voxels,
        vessel=vessel & voxels,
        times_s=np.repeat(time_s[:, None], 3, axis=1),
        weight=np.ones(time_s.size),
        noise_hu=0.8,
        arrival_s=ARRIVAL_S,
        spacing_mm=(5.0, 1.0, 1.0),
    )
    maps = np.stack([flow, flow * mtt / 60, mtt, delay + mtt / 2, ARRIVAL_S + delay + 9])
    return Prepared(**vars(sampled), targets=maps.astype(np.float32), valid=voxels & ~vessel)
