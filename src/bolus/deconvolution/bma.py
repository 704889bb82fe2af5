"""Bayesian averaging over a family of residue functions, whose mix is learned from neighbours.

A residue function's shape can hardly be determined from one voxel's curve, and a wrong shape
biases flow by up to a factor of two.  So every voxel is compared with curves of all shapes of
`FAMILY`, all transit times and delays (a dictionary, amplitude solved for), which gives the
evidence of each shape and, given the shape, the mean and variance of CBV, MTT, Tmax and flow.  How
frequent each shape is around a voxel is then found by expectation maximisation: the shapes'
probabilities, averaged over the neighbourhood, are the prior of the next round.  The result is the
posterior mean, with a standard error that covers noise and uncertainty of the shape.

The model is the delay-corrected gamma model of the literature (Mouridsen, NeuroImage 2006;33:570),
extended by box, linear and exponential residues, with its priors; pooling the shape is new here.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter

from bolus.deconvolution.elementary import exp32, log32
from bolus.deconvolution.family import (
    DELAYS_S,
    DISPERSED_FROM_S,
    DISPERSED_SHARE,
    FAMILY,
    FINE_S,
    LEAST_DISPERSION_S,
    MTT_S,
    Dictionary,
    FineCurves,
    cell_means,
    dispersion,
    fine_curves,
    make_dictionary,
)
from bolus.deconvolution.model import (
    CBV_SCALE,
    DELAY_PRIOR_S,
    DELAY_PRIOR_SD_S,
    MTT_PRIOR_LOG_SD,
    MTT_PRIOR_S,
    PRIOR_PARAMETERS,
    Measured,
    VoxelMaps,
    time_groups,
)
from bolus.deconvolution.pooling import POOLING_MM, pool_shapes
from bolus.deconvolution.posterior import (
    CBV_PRIOR_LOG_SD,
    CBV_PRIOR_ML_100G,
    INVERSE_CBV_SD,
    LOG_CBV_PRIOR,
    MOMENTS,
    add_moments,
)
from bolus.types import Curves, Float32Array, Float64Array, IntArray

MODEL_ERROR = 0.01
"""Model error, as a fraction of the curve's peak."""
LEAST_NOISE_HU = 1e-3
"""Curves without any noise still have a finite weight."""
SAMPLE = 3000
"""Voxels that the exam's own prior of MTT and delay is learned from."""
CLASSES = 4
PRIOR_ROUNDS = 5
GENERAL_SHARE = 0.1
"""Classes of blood volume, rounds, and share of the physiological prior; chosen on simulated exams
6802-6808, where grey matter's flow is 16 % too low with no round, 5 % with five, and white
matter's 4 % too high."""
POSTERIOR_SHARE = {"cbf": 0.81, "cbv": 1.0, "mtt": 0.78, "tmax": 1.0}
UNMODELLED = {"cbf": 0.0, "cbv": 0.095, "mtt": 0.0, "tmax": 0.077}
"""Factor on the posterior's SD, and relative error that no posterior covers (smoothing over
neighbours, error of the input).  Chosen by ``benchmarks/standard_errors.py`` so that 68 % of errors
are within one standard error."""


def bma(curves: Curves, input_hu: Float64Array) -> tuple[VoxelMaps, dict[str, float | str]]:
    """Posterior mean and standard error of each voxel's perfusion.

    Parameters
    ----------
    curves : the tissue's curves.
    input_hu : (N,) scaled arterial input, HU.

    Notes
    -----
    CBF is 60 CBV/MTT of the posterior means, so that the central volume theorem holds and short
    transit times don't inflate it; its standard error is about that value.
    """
    moments = shape_moments(curves, input_hu)
    evidence = moments[:, :, 0]
    likelihood = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    share = pool_shapes(likelihood, curves)
    mean = np.einsum("vs,vsm->vm", _responsibility(likelihood, share), moments[:, :, 1:])
    cbv, mtt, flow, tmax, ttp = mean[:, :5].T
    cbf = np.divide(60 * cbv, mtt, out=np.zeros_like(cbv), where=mtt > 0)
    spread = np.maximum(mean[:, 5:] - mean[:, :4] ** 2, 0)
    variance = {
        "cbf": spread[:, 2] + (flow - cbf) ** 2,
        "cbv": spread[:, 0],
        "mtt": spread[:, 1],
        "tmax": spread[:, 3],
    }
    value = {"cbf": cbf, "cbv": cbv, "mtt": mtt, "tmax": tmax}
    standard_error = {
        name: np.sqrt(
            POSTERIOR_SHARE[name] ** 2 * variance[name] + (UNMODELLED[name] * value[name]) ** 2
        )
        for name in variance
    }
    voxel = VoxelMaps(
        cbf=cbf,
        mtt=mtt.copy(),
        tmax=tmax.copy(),
        ttp=ttp.copy(),
        delay=tmax - np.float32(0.5) * mtt,
        se=standard_error,
    )
    return voxel, {
        "residue_functions": ", ".join(FAMILY),
        "pooling_mm": POOLING_MM,
        **PRIOR_PARAMETERS,
        "cbv_prior_ml_100g": CBV_PRIOR_ML_100G,
        "cbv_prior_log_sd": CBV_PRIOR_LOG_SD,
        "noise_hu": curves.noise_hu,
    }


def fitted_bma(voxel: Measured) -> Float64Array:
    """(N,) model with the maps' CBV, MTT and delay, HU, and the residue function of the family that
    comes closest to the measured curve beside a free baseline."""
    curves = [_passed(voxel, name) for name in FAMILY]
    misfits = []
    for curve in curves:
        rest = voxel.curve_hu - np.interp(voxel.times_s, voxel.grid_s, curve)
        misfits.append(float(rest.var()))
    return curves[int(np.argmin(misfits))]


def _passed(voxel: Measured, name: str) -> Float64Array:
    """The input after dispersion, delay and one residue function."""
    residue, delay = FAMILY[name], float(voxel.delay_s or 0.0)
    start, end = float(voxel.grid_s[0]), float(voxel.grid_s[-1])
    fine = np.arange(start, end + FINE_S, FINE_S)
    spline = CubicSpline(voxel.grid_s, voxel.input_hu, bc_type="natural")
    source = np.asarray(spline(np.minimum(fine, end)))
    lag = np.asarray(FINE_S * np.arange(fine.size), np.float64)
    length = 2 ** int(np.ceil(np.log2(2 * fine.size)))
    kernel = np.fft.rfft(cell_means(residue.function, voxel.mtt_s, lag), length) / voxel.mtt_s
    spread_s = DISPERSED_SHARE * max(delay - DISPERSED_FROM_S, 0.0) if residue.dispersed else 0.0
    if spread_s >= LEAST_DISPERSION_S:
        kernel = kernel * np.fft.rfft(dispersion(spread_s, lag), length)
    else:
        spread_s = 0.0
    passed = np.fft.irfft(np.fft.rfft(source, length) * FINE_S * kernel, length)[: fine.size]
    at = voxel.grid_s - (delay - spread_s)
    return np.asarray(voxel.cbv / CBV_SCALE * np.interp(at, fine, passed, left=0.0))


def shape_moments(curves: Curves, input_hu: Float64Array) -> Float32Array:
    """(V, S, MOMENTS) evidence and moments of each voxel for each shape.

    The evidence of a shape is averaged over transit times and delays as they occur in this exam.
    """
    fine = fine_curves(curves.grid_s, input_hu)
    precision = _precision(curves)
    classes = _volume_classes(curves)
    groups = [
        (np.arange(len(precision))[group.rows], make_dictionary(fine, group.times_s, curves.weight))
        for group in time_groups(curves)
    ]
    log_prior = _learned_priors(curves, precision, fine, classes, groups)
    out = np.empty((len(precision), len(FAMILY), MOMENTS), np.float32)
    for rows, dictionary in groups:
        add_moments(
            curves.tissue_hu[rows], precision[rows], classes[rows], rows,
            dictionary, fine, log_prior, out,
        )  # fmt: skip
    return out


def _volume_classes(curves: Curves) -> IntArray:
    """(V,) class of each voxel by its mean enhancement, which goes with blood volume.

    White matter has less blood and a longer transit time than grey matter: what is usual for a
    voxel depends on how much blood it holds.
    """
    level = curves.tissue_hu.mean(axis=1, dtype=np.float64)
    edges = np.quantile(level, np.arange(1, CLASSES) / CLASSES)
    return np.asarray(np.searchsorted(edges, level))


def _precision(curves: Curves) -> Float32Array:
    """(V,) half the inverse variance of a sample of weight 1, 1/HU^2."""
    variance = (
        max(curves.noise_hu, LEAST_NOISE_HU) ** 2
        + (MODEL_ERROR * curves.tissue_hu.max(axis=1)) ** 2
    )
    return np.asarray(0.5 / variance, np.float32)


def _learned_priors(
    curves: Curves,
    precision: Float32Array,
    fine: FineCurves,
    classes: IntArray,
    groups: list[tuple[IntArray, Dictionary]],
) -> list[Float64Array]:
    """For each class (K,) log probability of each MTT and delay in this exam.

    Starts from the physiological prior and goes some rounds of expectation maximisation on an even
    sample of voxels: the mean of their posteriors, smoothed, is the prior of the next round.  Few
    rounds and a share of the physiological prior keep it from following noise.
    """
    general = np.exp(
        -0.5 * (np.log(fine.mtt_s / MTT_PRIOR_S) / MTT_PRIOR_LOG_SD) ** 2
        - 0.5 * ((fine.delay_s - DELAY_PRIOR_S) / DELAY_PRIOR_SD_S) ** 2
    )
    general /= general.sum()
    picked = [rows[:: max(1, len(rows) * len(groups) // SAMPLE)] for rows, _ in groups]
    likelihood = np.concatenate([
        _likelihood(curves.tissue_hu[own], precision[own], dictionary)
        for own, (_, dictionary) in zip(picked, groups, strict=True)
    ])  # fmt: skip
    of_sample = classes[np.concatenate(picked)]
    return [_learned(likelihood[of_sample == c], general) for c in range(CLASSES)]


def _learned(likelihood: Float32Array, general: Float64Array) -> Float64Array:
    """Log prior of one class, the same for all shapes: a shape that fits only with transit times
    or delays which the others don't find must not be favoured for it."""
    shape = (len(FAMILY), MTT_S.size, DELAYS_S.size)
    prior = general
    for _ in range(PRIOR_ROUNDS if len(likelihood) else 0):
        joint = likelihood @ prior.astype(np.float32)
        found = prior * (likelihood.T @ (1 / np.maximum(joint, 1e-30)))
        smooth = gaussian_filter(found.reshape(shape).sum(axis=0), 1, mode="nearest")
        both = np.tile(smooth.ravel() / smooth.sum() / len(FAMILY), len(FAMILY))
        prior = (1 - GENERAL_SHARE) * both + GENERAL_SHARE * general
    return np.asarray(np.log(prior))


def _likelihood(
    tissue_hu: Float32Array, precision: Float32Array, dictionary: Dictionary
) -> Float32Array:
    """(n, K) likelihood of every curve of the dictionary; the best of each voxel is 1."""
    match = (tissue_hu * dictionary.root_weight) @ dictionary.unit.T
    _to_likelihood(match, precision, np.float32(CBV_SCALE) / dictionary.norm)
    return np.asarray(match)


@njit(cache=True, parallel=True, fastmath=True, error_model="numpy")
def _to_likelihood(match, precision, cbv_per_hu):  # type: ignore[no-untyped-def]
    """In place, from matches: amplitudes integrated out under the prior of CBV."""
    for i in prange(len(match)):
        row, w = match[i], precision[i]
        for k in range(row.size):
            d = row[k] if row[k] > np.float32(1e-3) else np.float32(1e-3)
            log_cbv = log32(d * cbv_per_hu[k])
            off = (log_cbv - LOG_CBV_PRIOR) * INVERSE_CBV_SD
            row[k] = w * d * d - np.float32(0.5) * off * off - log32(d)
        top = row.max()
        for k in range(row.size):
            row[k] = exp32(row[k] - top)


def _responsibility(likelihood: Float32Array, share: Float32Array) -> Float32Array:
    """(V, S) probability of each shape given the curve and the prior ``share``."""
    joint = likelihood * share
    joint /= joint.sum(axis=1, keepdims=True)
    return np.asarray(joint)
