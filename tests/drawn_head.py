"""A small head drawn from ellipses, with curves known on paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bolus.types import BoolArray, Exam, Float64Array, Geometry, Scanner

SPACING_MM = 1.8
DT_S = 2.0
FRAMES = 26
ONSET_S = 9.0
VOF_LAG_S = 6.0
CSF, TISSUE, BONE, SCALP = 8.0, 35.0, 900.0, 45.0


def blood(t: Float64Array, onset_s: float, rise_s: float = 6.0, alpha: float = 3.0) -> Float64Array:
    """Gamma variate of peak 1 at ``onset_s + rise_s``."""
    s = np.maximum(np.asarray(t, float) - onset_s, 0) / rise_s
    return np.asarray(s**alpha * np.exp(alpha * (1 - s)))


def arterial(t: Float64Array, onset_s: float) -> Float64Array:
    """First pass and recirculation of undiluted blood, peak about 1."""
    return blood(t, onset_s) + 0.15 * blood(t, onset_s + 12, 15)


@dataclass(frozen=True)
class Head:
    """What was drawn, (Z, Y, X) each."""

    brain: BoolArray
    csf: BoolArray
    artery: BoolArray
    """Proximal; holds 80 % blood."""
    late_artery: BoolArray
    """Beyond an occlusion: 4 s later and wider, but as strong."""
    sinus: BoolArray
    """Pure blood."""
    area_hu_s: float
    """Of the undelayed blood's curve over the exam."""


def draw_head(
    *,
    slices: int = 4,
    size: int = 112,
    noise_hu: float = 4.0,
    peak_hu: float = 250.0,
    onset_s: float = ONSET_S,
    slice_offset_s: float = 0.05,
    seed: int = 7,
    shift: tuple[float, float] = (0.0, 0.0),
    angle_deg: float = 0.0,
    gap_deg: float = 0.0,
    iodine: bool = True,
) -> tuple[Exam, Head]:
    """An elliptic skull 4 voxels thick with scalp, ventricles, two arteries and a sinus.

    ``gap_deg`` leaves out the skull over that angle on the patient's left (craniectomy).
    """
    c = (size - 1) / 2
    yy, xx = np.mgrid[:size, :size] - c
    yy, xx = yy - shift[0], xx - shift[1]
    a = np.deg2rad(angle_deg)
    y, x = np.cos(a) * yy - np.sin(a) * xx, np.sin(a) * yy + np.cos(a) * xx
    radius = np.hypot(y / 46, x / 38)  # 1 at the inner table
    brain = radius < 1
    bone = (radius >= 1) & (radius < 1.1)
    bone &= np.abs(np.rad2deg(np.arctan2(y, x))) >= gap_deg / 2
    ventricle = (np.abs(y) < 12) & (np.abs(np.abs(x) - 5) < 3)
    artery = np.hypot(y + 12, x - 7) < 1.8
    late_artery = np.hypot(y + 2, x + 25) < 1.8
    sinus = np.hypot(y - 40, x) < 3.2

    head = np.select(
        [bone, ventricle, brain, radius < 1.2], [BONE, CSF, TISSUE, SCALP], default=-1000.0
    )
    times = np.arange(FRAMES)[:, None] * DT_S + np.arange(slices)[None] * slice_offset_s
    frames = np.empty((FRAMES, slices, size, size), np.float32)
    rng = np.random.default_rng(seed)
    for z in range(slices):
        t = times[:, z]
        early = arterial(t, onset_s)
        vein = blood(t, onset_s + VOF_LAG_S, 7.0) * 0.86 + 0.15 * blood(
            t, onset_s + 12 + VOF_LAG_S, 15
        )
        late = blood(t, onset_s + 4, 9.0)
        slow = blood(t, onset_s + 2, 9.0)
        curve = np.zeros((FRAMES, size, size))
        if iodine:
            curve += 0.03 * slow[:, None, None] * (brain & ~ventricle)
            for mask, course in ((artery, 0.8 * early), (late_artery, 0.8 * late), (sinus, vein)):
                curve = np.where(mask, course[:, None, None], curve)
        noise = rng.normal(size=curve.shape)
        noise = ndimage.gaussian_filter(noise, (0, 0.7, 0.7))
        noise *= noise_hu / noise.std()
        frames[:, z] = head + peak_hu * curve + noise
    masks = (brain, ventricle, artery, late_artery, sinus)
    stacked = [np.repeat(mask[None], slices, axis=0) for mask in masks]
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, SPACING_MM], [0, SPACING_MM, 0], [5.0, 0, 0]]
    exam = Exam(frames, times, Geometry(frames.shape[1:], affine), Scanner("nifti"))
    fine = np.arange(0, (FRAMES - 1) * DT_S, 0.1)
    return exam, Head(*stacked, area_hu_s=peak_hu * float(arterial(fine, onset_s).sum()) * 0.1)
