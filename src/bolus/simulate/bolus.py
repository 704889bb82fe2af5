"""The contrast bolus: blood curves of the internal carotid artery and of the great veins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import gammainc

from bolus.simulate.recipe import Recipe
from bolus.types import Float64Array

GRID_S = 0.1
"""Step of the fine time grid on which curves are computed, s."""

# Transit through the body after the first pass, returning as recirculation: delay and spread chosen
# so that width, tail/peak and the lag of the vein lie within the 93 clinical curve pairs of ISLES
# 2018 (medians: FWHM 11.3 s, tail/peak 0.20, lag 6 s).
BODY_DELAY_S = 7.0
BODY_MEAN_S = 16.0
BODY_SHAPE = 2.0
BRAIN_SHAPE = 3.0


@dataclass(frozen=True)
class Bolus:
    """Blood enhancement over time; curves at delay 0 as seen in a voxel full of blood."""

    time_s: Float64Array
    """(N,) from 0, step ``GRID_S``."""
    artery_hu: Float64Array
    """(N,) internal carotid artery."""
    vein_hu: Float64Array
    """(N,) superior sagittal sinus."""
    arrival_s: float
    alpha: float
    beta_s: float


def gamma_variate(
    t_s: Float64Array, arrival_s: float, peak: float, alpha: float, beta_s: float
) -> Float64Array:
    """Gamma-variate of given peak height: ((t - t0)/tp)^alpha exp(alpha (1 - (t - t0)/tp)).

    Its peak comes ``tp = alpha * beta_s`` after ``arrival_s``.

    Parameters
    ----------
    t_s : (N,) float64, s
    arrival_s : t0, s
    peak : height, HU
    alpha, beta_s : shape and scale (s) of the usual form (t - t0)^alpha exp(-(t - t0)/beta)
    """
    u = np.clip(t_s - arrival_s, 0, None) / (alpha * beta_s)
    return np.asarray(peak * u**alpha * np.exp(alpha * (1 - u)))


def transit(time_s: Float64Array, delay_s: float, mean_s: float, shape: float) -> Float64Array:
    """Gamma-distributed transit through a vascular bed as weights per time step (sum -> 1).

    The mean of the whole is ``delay_s + mean_s``: cell k of the weights stands for its mean, and
    the half steps lost by this are subtracted from the delay.
    """
    step = time_s[1] - time_s[0]
    edges = np.concatenate([time_s, [time_s[-1] + step]]) - delay_s - step / 2
    below = np.where(edges > 0, gammainc(shape, np.clip(edges, 0, None) * shape / mean_s), 0.0)
    below[0] = 0.0
    return np.diff(below)


def convolve(curve: Float64Array, weights: Float64Array) -> Float64Array:
    """Causal discrete convolution of two (N,) arrays, cut to N."""
    n = curve.size
    size = next_fast_len(2 * n)
    return np.asarray(irfft(rfft(curve, size) * rfft(weights, size), size)[:n])


def make_bolus(recipe: Recipe, rng: np.random.Generator) -> Bolus:
    """Blood curves of one exam: gamma-variate first pass in a closed circulation.

    The vein's curve is the artery's after passage of the brain, so both have the same area.
    """
    duration_s = recipe.duration_s
    steps = int(np.ceil(duration_s / GRID_S)) + 1
    time_s = np.arange(steps, dtype=np.float64) * GRID_S
    alpha = float(np.clip(rng.normal(recipe.bolus_shape, 0.4), 1.5, 8.0))
    beta_s = float(rng.normal(recipe.rise_s, 0.5)) / alpha
    first = gamma_variate(time_s, recipe.arrival_s, 1.0, alpha, beta_s)
    body = recipe.recirculation * transit(time_s, BODY_DELAY_S, BODY_MEAN_S, BODY_SHAPE)
    artery = first.copy()
    # C = first + body * C: each pass of the body comes later and flatter, a few suffice
    for _ in range(int(duration_s / BODY_DELAY_S) + 1):
        artery = first + convolve(artery, body)
    artery *= recipe.peak_hu / artery.max()
    brain_s = float(np.clip(rng.normal(4.5, 0.4), 3.5, 5.5))
    vein = convolve(artery, transit(time_s, 1.5, brain_s, BRAIN_SHAPE))
    return Bolus(time_s, artery, vein, recipe.arrival_s, alpha, beta_s)
