"""Curves of slices that were all measured at the same times."""

from __future__ import annotations

import numpy as np

from bolus.types import Curves


def sampled(
    time_s: np.ndarray,
    tissue_hu: np.ndarray,
    voxels: np.ndarray,
    noise_hu: float,
    *,
    arrival_s: float = 12.0,
    spacing_mm: tuple[float, float, float] = (5.0, 1.0, 1.0),
) -> Curves:
    """Curves measured on the common grid itself."""
    return Curves(
        grid_s=time_s,
        tissue_hu=np.ascontiguousarray(tissue_hu, np.float32),
        times_s=np.repeat(time_s[:, None], len(voxels), axis=1),
        weight=np.ones(time_s.size),
        voxels=voxels,
        noise_hu=noise_hu,
        arrival_s=arrival_s,
        spacing_mm=spacing_mm,
    )
