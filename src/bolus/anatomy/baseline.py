"""Arrival of contrast in the head, and the mean of all frames before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bolus.anatomy.brain_mask import (
    CUT_BONE_SHARE,
    MUCH_CUT_BONE_SHARE,
    brain_mask,
    cut_share,
    stripped_head,
)
from bolus.anatomy.motion_residue import CLEAR_SD_EDGE, edge_hu
from bolus.anatomy.time_course import Change, change_over_time
from bolus.data import WithArrays
from bolus.errors import NoPerfusion
from bolus.metrics import MAD_TO_SD
from bolus.timegrid import common_grid, resample
from bolus.types import BoolArray, Exam, Finding, Float32Array, Float64Array, Grade, IntArray

# Frames for a first estimate of the anatomy, before the arrival is known.
FIRST_FRAMES = 3
# The voxels that change most over time: vessels fill some 2-3 % of the brain.
CHANGING_SHARE = 0.02
MIN_CHANGING = 80
# The quarter of them that changes most, mostly veins, shows whether there is a bolus: it lifts
# their mean by far more than noise and drift: half the weakest arterial peak
# among 93 clinical curves (17 HU at the 5th percentile) and 6 SD.
MIN_RISE_HU = 8.0
MIN_RISE_SD = 6.0
STRONGEST_SHARE = 0.25
# Arteries are the first to enhance.
EARLY_SHARE = 0.1
# Among thousands of noisy curves some rise early by chance, but none this high.
CLEAR_SD = 8.0
# Foot of the upslope: 10 % of the peak, as arrival is usually defined, or clear of the noise.
FOOT = 0.1
FOOT_SD = 3.0
MAX_FOOT = 0.4
# Fewer frames or less time than this before the bolus make a noisy baseline.
MIN_BASELINE_FRAMES = 3
MIN_BASELINE_S = 4.0
# Share of the brain that changes without contrast: almost none in a head at rest.
DISTURBED_NOTE = 0.01
DISTURBED_WARNING = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class Baseline(WithArrays):
    """The unenhanced head and the arrival of contrast."""

    image: Float32Array
    """(Z, Y, X) mean of the frames before the bolus, HU."""
    arrival_s: float
    """Contrast arrives in the head's arteries, s after the first frame."""
    frames: IntArray
    """(Z,) number of frames before that, at least 1."""
    findings: tuple[Finding, ...] = ()


def baseline_and_arrival(exam: Exam, moved_mm: float = 0.0) -> Baseline:
    """Find the bolus and average all frames before it, for each slice by its own clock.

    The voxels that change most, and as contrast does, are vessels; their mean curve shows whether
    there is a bolus at all, and the earliest tenth of them when it arrives.

    Parameters
    ----------
    exam : Exam
        Free of motion.
    moved_mm : float
        Largest displacement of the head: next to steep edges some of it remains after correction.

    Returns
    -------
    Baseline
        With the finding ``baseline-short`` where fewer than 3 frames or 4 s precede the bolus,
        ``brain-disturbed`` where much of the brain changes in ways contrast cannot explain, and
        ``skull-removed`` where the exam was stripped before, ``head-cut`` where only in part.

    Raises
    ------
    NoPerfusion
        If there is no brain, or nothing in it enhances.
    """
    first = mean_frames(exam.frames, FIRST_FRAMES)
    brain = brain_mask(first, exam.geometry)
    grid = common_grid(exam.times_s)
    change = change_over_time(exam, brain)
    edge = edge_hu(first, exam.geometry, moved_mm)[brain]
    clear = change.sd_hu > CLEAR_SD_EDGE * edge
    change = replace(change, surely_bolus=change.surely_bolus & clear)
    curves = _changing_curves(exam, brain, change, grid)
    _require_bolus(curves[: int(STRONGEST_SHARE * len(curves))].mean(axis=0))
    arrival = arrival_time(_early_curve(curves), grid)
    frames = np.maximum((exam.times_s < arrival).sum(axis=0), 1)
    image = np.stack(
        [exam.frames[:n, z].mean(axis=0, dtype=np.float64) for z, n in enumerate(frames)]
    ).astype(np.float32)
    findings = _stripped(first) + _short(exam.times_s, frames, arrival) + _disturbed(change)
    return Baseline(image, arrival, frames, findings)


def mean_frames(frames: Float32Array, count: int) -> Float32Array:
    """Mean of the first ``count`` frames, (Z, Y, X) float32."""
    return np.asarray(frames[:count].mean(axis=0, dtype=np.float32))


def arrival_time(curve: Float64Array, grid: Float64Array) -> float:
    """Foot of the upslope: the line through its 10 % and 50 % points, followed down to zero.

    Parameters
    ----------
    curve : (N,) float64, HU
        Enhancement with one clear peak; need not start at 0.
    grid : (N,) float64, s

    Returns
    -------
    float
        s; the grid's first moment where the curve starts on its way up.
    """
    peak = int(curve.argmax())
    rest = float(_three_point_mean(curve)[: peak + 1].min())
    arrival = float(grid[0])
    # the level before the bolus and the bolus's foot depend on each other
    for _ in range(3):
        height = float(curve[peak]) - rest
        foot = float(np.clip(FOOT_SD * float(_noise(curve)) / height, FOOT, MAX_FOOT))
        low = _last_crossing(curve, grid, peak, rest + foot * height)
        half = _last_crossing(curve, grid, peak, rest + 0.5 * height)
        if low is None or half is None:
            return float(grid[0])
        arrival = low - foot / (0.5 - foot) * (half - low)
        before = grid < arrival
        if not before.any():
            return float(grid[0])
        rest = float(curve[before].mean())
    return arrival


def _changing_curves(
    exam: Exam, brain: BoolArray, change: Change, grid: Float64Array
) -> Float64Array:
    """(n, N) curves of the voxels that change most, the strongest first, on the common grid."""
    count = max(MIN_CHANGING, int(CHANGING_SHARE * change.sd_hu.size))
    order = np.argsort(-change.sd_hu, kind="stable")
    chosen = order[change.surely_bolus[order]][:count]
    # without a bolus no curve resembles one: the noise level then shows it
    if chosen.size < MIN_CHANGING:
        chosen = order[:count]
    z, y, x = (axis[chosen] for axis in np.nonzero(brain))
    return resample(exam.frames[:, z, y, x].T, z, exam.times_s, grid).astype(np.float64)


def _require_bolus(curve: Float64Array) -> None:
    """Raise NoPerfusion unless the vessels' mean curve rises like a bolus."""
    level = _three_point_mean(curve)
    peak = int(level.argmax())
    rise = float(level[peak] - level[: peak + 1].min())
    needed = max(MIN_RISE_HU, MIN_RISE_SD * float(_noise(curve)))
    if rise < needed:
        raise NoPerfusion(
            f"no bolus found: the brain's most changing voxels rise by {rise:.1f} HU, at least "
            f"{needed:.1f} HU are needed; check that contrast was given and that the series "
            "begins before it arrives"
        )


def _early_curve(curves: Float64Array) -> Float64Array:
    """Mean curve of the voxels that are first halfway up to their peak."""
    smooth = _three_point_mean(curves)
    peak = smooth.argmax(axis=1)
    column = np.arange(curves.shape[1])
    top = smooth.max(axis=1)
    rest = np.where(column <= peak[:, None], smooth, np.inf).min(axis=1)
    height = top - rest
    below = (smooth < (rest + 0.5 * height)[:, None]) & (column <= peak[:, None])
    halfway = np.where(below, column, -1).max(axis=1).astype(np.float64)
    noise = float(np.median(_noise(curves)))
    clear = height >= max(0.5 * float(np.median(height)), CLEAR_SD * noise)
    if not clear.any():
        return np.asarray(curves.mean(axis=0))
    order = np.flatnonzero(clear)[np.argsort(halfway[clear], kind="stable")]
    return np.asarray(curves[order[: max(1, int(EARLY_SHARE * order.size))]].mean(axis=0))


def _three_point_mean(curve: Float64Array) -> Float64Array:
    """Curves (..., N) averaged over three neighbouring samples."""
    padded = np.concatenate([curve[..., :1], curve, curve[..., -1:]], axis=-1)
    return np.asarray((padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]) / 3)


def _noise(curve: Float64Array) -> Float64Array:
    """SD of the noise of curves (..., N), by the median second difference, insensitive to peaks."""
    return np.asarray(MAD_TO_SD * np.median(np.abs(np.diff(curve, 2)), axis=-1) / np.sqrt(6))


def _last_crossing(
    curve: Float64Array, grid: Float64Array, peak: int, level: float
) -> float | None:
    """Time of the last upward crossing of ``level`` before the peak, by linear interpolation."""
    below = np.flatnonzero(curve[:peak] < level)
    if not below.size:
        return None
    i = int(below[-1])
    share = (level - curve[i]) / (curve[i + 1] - curve[i])
    return float(grid[i] + share * (grid[i + 1] - grid[i]))


def _stripped(image: Float32Array) -> tuple[Finding, ...]:
    if stripped_head(image) is None:
        return _cut(cut_share(image))
    return (
        Finding(
            "skull-removed",
            Grade.WARNING,
            "The exam was stripped of its skull: the brain is what is left, so its border, veins "
            "next to the skull and absolute flow are less sure.",
            "Use the images as the scanner reconstructed them, if there are any.",
        ),
    )


def _cut(share: float) -> tuple[Finding, ...]:
    if share < CUT_BONE_SHARE:
        return ()
    return (
        Finding(
            "head-cut",
            Grade.WARNING if share > MUCH_CUT_BONE_SHARE else Grade.NOTE,
            "Bone borders on the constant value around the head (it is "
            f"{share:.0%} of that border): the head was partly stripped of its skull or its face, "
            "or cut off by the field of view; motion is measured on what is left.",
            "Use the images as the scanner reconstructed them, if there are any.",
        ),
    )


def _disturbed(change: Change) -> tuple[Finding, ...]:
    share = float(change.disturbed.mean())
    if share < DISTURBED_NOTE:
        return ()
    return (
        Finding(
            "brain-disturbed",
            Grade.WARNING if share > DISTURBED_WARNING else Grade.NOTE,
            f"{share:.1%} of the brain changes over time in a way contrast cannot explain: motion "
            "that could not be corrected, or streaks; it is left out of maps and lesions "
            f"(limit {DISTURBED_WARNING:.0%}).",
            "Interpret the maps next to bone with care.",
        ),
    )


def _short(times_s: Float64Array, frames: IntArray, arrival_s: float) -> tuple[Finding, ...]:
    duration = arrival_s - float(times_s[0].max())
    if frames.min() >= MIN_BASELINE_FRAMES and duration >= MIN_BASELINE_S:
        return ()
    return (
        Finding(
            "baseline-short",
            Grade.WARNING,
            f"Contrast arrives {max(duration, 0):.1f} s after the scan's start, with "
            f"{int(frames.min())} frames before it; {MIN_BASELINE_FRAMES} frames and "
            f"{MIN_BASELINE_S:.0f} s are needed for a low-noise baseline.",
            "Start the scan earlier after the injection; interpret absolute CBV with care.",
        ),
    )
