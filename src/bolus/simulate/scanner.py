"""The scan: when each slice is measured, and frames with motion and noise."""

from __future__ import annotations

import numpy as np

from bolus.simulate.head import AIR_HU
from bolus.simulate.motion import is_still, moved_slices, pull
from bolus.simulate.noise import noise_frame, noise_profile, noise_sd
from bolus.simulate.recipe import Recipe
from bolus.simulate.slab import MARGIN, mean_over_sub_slices
from bolus.simulate.streaks import Streaks
from bolus.simulate.subject import Subject
from bolus.types import BoolArray, Float32Array, Float64Array, Motion

CINE_SPREAD_S = 0.3
"""Slices of a cine frame are reconstructed at slightly different times."""
LOWEST_HU, HIGHEST_HU = -1024.0, 3071.0
NO_STREAKS_BELOW_HU = -500.0
"""Streaks in air are of no interest."""


def slice_times(recipe: Recipe) -> Float64Array:
    """(T, Z) time of each slice of each frame, s; the earliest is 0."""
    if recipe.timing in ("volume", "two-rate"):
        offset = np.zeros(recipe.slices)
    elif recipe.timing == "cine":
        offset = np.linspace(0, CINE_SPREAD_S, recipe.slices)
    else:
        offset = np.where(np.arange(recipe.slices) < recipe.slices // 2, 0.0, recipe.dt_s / 2)
    return np.asarray(recipe.frame_starts_s[:, None] + offset.round(3))


def with_margin(times_s: Float64Array) -> Float64Array:
    """(T, Z + 2) times of the simulated slices: the margin is measured with its neighbour."""
    return np.pad(times_s, ((0, 0), (MARGIN, MARGIN)), mode="edge")


def acquire(
    recipe: Recipe,
    subject: Subject,
    enhanced: Float32Array,
    motion: Motion,
    streaks: Streaks,
    rng: np.random.Generator,
) -> Float32Array:
    """Frames as reconstructed, HU.

    Parameters
    ----------
    enhanced : (T, Z + 2, Y, X) float32, HU, with margin

    Returns
    -------
    (T, Z, Y, X) float32
    """
    slab, fine_baseline = subject.slab, subject.fine_baseline
    inner = slice(MARGIN, MARGIN + recipe.slices)
    still = mean_over_sub_slices(fine_baseline, slab.sub)[inner]
    near_head: BoolArray = np.any(fine_baseline > AIR_HU + 1, axis=0)
    shape = (recipe.slices, recipe.matrix, recipe.matrix)
    sd = noise_sd(recipe.mas) * noise_profile(shape, slab.geometry.spacing_mm)
    dose = np.ones(recipe.frames, np.float32)
    """SD of each frame's noise against that of ``mas``."""
    if recipe.first_mas is not None:
        dose[0] = np.sqrt(recipe.mas / recipe.first_mas)
    frames = np.empty((recipe.frames, *shape), np.float32)
    for t in range(recipe.frames):
        if is_still(motion, t):
            frame = still + enhanced[t, inner]
        else:
            move = pull(motion, t, slab.geometry)
            seen: Float32Array = moved_slices(
                fine_baseline, move, slab.sub, near_head, MARGIN, recipe.slices
            )
            seen[:, ~near_head] = AIR_HU
            frame = seen + moved_slices(enhanced[t], move, 1, near_head, MARGIN, recipe.slices)
        frame = np.maximum(frame, subject.rest)
        if recipe.streaks_hu:
            frame += streaks.of_frame(t) * (frame > NO_STREAKS_BELOW_HU)
        if sd.any():
            noise = noise_frame(rng, shape, recipe.pixel_mm, recipe.noise_frequency_per_mm)
            frame += dose[t] * sd * noise
        frames[t] = np.clip(frame, LOWEST_HU, HIGHEST_HU)
    return frames
