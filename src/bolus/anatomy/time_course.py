"""Separation of voxels that enhance from voxels that change because of motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bolus.metrics import robust_sd
from bolus.types import BoolArray, Exam, Float32Array, Float64Array

# Vessels fill about 3 % of the brain; with motion artefacts, no more than these need analysis.
ANALYSED_SHARE = 0.15
MAX_SAMPLE = 20_000
# Arteries enhance about 4 s before the mean of the brain, collaterals and veins up to 8 s after it.
LAGS_S = np.arange(-8.0, 8.5, 1.0)
# Without noise nine vessels in ten of simulated exams have 0.9 and more; steps and drifts that
# lie well against the bolus reach 0.7.
MIN_CORRELATION = 0.8
# Above this, three vessel voxels in four and hardly anything else.
SURE_CORRELATION = 0.9
# A voxel changes significantly where its variance lies this far above the others'.
OUTLIER_SD = 6.0


@dataclass(frozen=True)
class Change:
    """How the voxels of a mask change over time, (V,) in C order of the mask."""

    sd_hu: Float32Array
    """SD over time: a measure of enhancement that needs no baseline, hence free of its noise."""
    like_bolus: BoolArray
    """Changes significantly, with the time course of contrast."""
    surely_bolus: BoolArray
    """As ``like_bolus``, with a correlation that only contrast reaches."""
    disturbed: BoolArray
    """Changes significantly, but not as contrast does: bone or air moved in and out."""
    usual_hu2: float
    """Median variance."""

    @property
    def variance(self) -> Float64Array:
        """(V,) variance over time, HU^2."""
        return self.sd_hu.astype(np.float64) ** 2


def change_over_time(exam: Exam, mask: BoolArray) -> Change:
    """SD over time of the mask's voxels, and which of them change with the time course of contrast.

    Contrast gives each voxel the course of the whole brain, a few seconds earlier or later and
    more or less wide.  Residual motion, mostly next to the skull, gives a step or a drift.

    Parameters
    ----------
    exam : Exam
    mask : (Z, Y, X) bool
    """
    sd = np.concatenate(
        [exam.frames[:, z][:, plane].std(axis=0) for z, plane in enumerate(mask)]
    ).astype(np.float32)
    variance = sd.astype(np.float64) ** 2
    usual = float(np.median(variance))
    spread = robust_sd(variance - usual)
    most = np.argsort(-sd, kind="stable")[: max(1, int(ANALYSED_SHARE * sd.size))]
    rows = np.sort(most[variance[most] > usual + OUTLIER_SD * spread])
    like, sure, disturbed = (np.zeros(sd.size, bool) for _ in range(3))
    z, y, x = (axis[rows] for axis in np.nonzero(mask))
    times = exam.times_s.mean(axis=1)
    # noise alone lowers a correlation by the root of the signal's share of the variance
    signal = np.sqrt(np.clip(1 - usual / np.maximum(variance[rows], 1e-9), 0, 1))
    correlation = lagged_correlation(exam.frames[:, z, y, x].T, _course(exam, mask), times)
    like[rows] = correlation > MIN_CORRELATION * signal
    sure[rows] = correlation > SURE_CORRELATION * signal
    disturbed[rows] = ~like[rows]
    return Change(sd, like, sure, disturbed, usual)


def lagged_correlation(
    curves: Float32Array, course: Float64Array, times_s: Float64Array
) -> Float64Array:
    """Correlation of each curve with a course, at the lag at which it is largest.

    Parameters
    ----------
    curves : (V, T) float32, HU
    course : (T,) float64, HU
    times_s : (T,) float64, s

    Returns
    -------
    (V,) float64, -1..1
    """
    shifted = np.stack([np.interp(times_s - lag, times_s, course) for lag in LAGS_S])
    shifted = _standardised(shifted)
    standard = _standardised(curves.astype(np.float64))
    # plain einsum: no BLAS, so the same bits with any number of threads
    return np.asarray(np.einsum("vt,lt->vl", standard, shifted).max(axis=1))


def correlation_with(curves: Float32Array, course: Float64Array) -> Float64Array:
    """Correlation of each curve (V, T) with a course (T,), -1..1; 0 where either is flat."""
    return np.asarray(
        np.einsum("vt,t->v", _standardised(curves.astype(np.float64)), _standardised(course))
    )


def _course(exam: Exam, mask: BoolArray) -> Float64Array:
    """(T,) median over the mask in each frame: the brain's mean enhancement course."""
    z, y, x = np.nonzero(mask)
    step = max(1, z.size // MAX_SAMPLE)
    return np.median(exam.frames[:, z[::step], y[::step], x[::step]].astype(np.float64), axis=1)


def _standardised(curves: Float64Array) -> Float64Array:
    """Curves (..., T) with mean 0 and length 1; flat ones stay 0."""
    centred = curves - curves.mean(axis=-1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    return np.asarray(centred / np.maximum(length, 1e-9))
