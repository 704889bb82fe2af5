"""Bayesian averaging over a family of residue functions, whose mix is learned from neighbours.

A residue function's shape can hardly be told from one voxel's curve, and a wrong shape makes flow
wrong by up to a factor of two.  So every voxel is compared with curves of all shapes of `FAMILY`,
all transit times and delays (a dictionary, amplitude solved for), which gives the evidence of each
shape and, given the shape, the mean and variance of CBV, MTT, Tmax and flow.  How frequent each
shape is around a voxel is then found by expectation maximisation: the shapes' probabilities,
averaged over the neighbourhood, are the prior of the next round.  The result is the posterior mean,
with a standard error that holds noise and ignorance of the shape.

The model is the delay-corrected gamma model of the literature (Mouridsen, NeuroImage 2006;33:570),
extended by box, linear and exponential residues, with its priors; pooling the shape is ours.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bolus.deconvolve.family import (
    DELAY_STEP_S,
    DELAYS_S,
    FAMILY,
    MTT_S,
    Dictionary,
    FineCurves,
    fine_curves,
    make_dictionary,
)
from bolus.deconvolve.model import (
    CBV_SCALE,
    DELAY_PRIOR_S,
    DELAY_PRIOR_SD_S,
    MTT_PRIOR_LOG_SD,
    MTT_PRIOR_S,
    PRIOR_PARAMETERS,
    VoxelMaps,
    time_groups,
)
from bolus.types import Curves, Float32Array, Float64Array, IntArray

CBV_PRIOR_ML_100G = 2.5
CBV_PRIOR_LOG_SD = 0.7
"""Log-normal: 0.6 to 10 ml/100g lie within two SD of its median."""
MODEL_ERROR = 0.01
"""Of the curve's peak: what no curve of the dictionary explains."""
RANK_TOLERANCE = 1e-3
"""The dictionary's curves are so alike that a few components hold all but this of them."""
NEGLIGIBLE = 12.0
"""Curves this much less probable (log) than the best are left out: 6e-6."""
SAMPLE = 3000
"""Voxels that the exam's own prior of MTT and delay is learned from."""
CLASSES = 4
PRIOR_ROUNDS = 5
GENERAL_SHARE = 0.1
"""Classes of blood volume, rounds, and share of the physiological prior; chosen on simulated exams
6802-6808, where grey matter's flow is 16 % too low with no round, 5 % with five, and white
matter's 4 % too high."""
ROUNDS = 50
POOLING_MM = 10.0
"""SD of the neighbourhood that shares its mix of shapes."""
CELL_MM = 2.5
"""Neighbourhoods are averaged on cubes of this size."""
WHOLE_BRAIN = 0.6
"""Weight of the whole brain's mix against the neighbourhood's: tissue whose curves tell shapes
apart lends to tissue whose curves don't.  Chosen on the Kudo phantom (slope of CBF in linear
tissue 0.80 without, 0.99 with it) and two simulated exams."""
LEAST_SHARE = 0.02
"""Probability that every shape keeps everywhere."""
UNMODELLED = {"cbf": 0.160, "cbv": 0.134, "mtt": 0.064, "tmax": 0.122}
"""Relative error that no posterior knows of: smoothing over neighbours, error of the input.  Chosen
by ``benchmarks/standard_errors.py`` so that 68 % of errors are within one standard error."""
MTT_STEP_VARIANCE = float(np.log(MTT_S[1] / MTT_S[0]) ** 2 / 12)
DELAY_STEP_VARIANCE = DELAY_STEP_S**2 / 12
"""Variance within one step of the dictionary, relative and in s^2."""
UNROLL = 4
GROUP = 8
"""Voxels whose matches with the dictionary stay in the processor's cache."""

MOMENTS = 10
"""Log evidence; means of CBV, MTT, flow, Tmax, TTP; mean squares of the first four."""


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
        name: np.sqrt(variance[name] + (UNMODELLED[name] * value[name]) ** 2) for name in variance
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


def shape_moments(curves: Curves, input_hu: Float64Array) -> Float32Array:
    """(V, S, MOMENTS) evidence and moments of each voxel for each shape.

    The evidence of a shape is averaged over transit times and delays as they occur in this exam.
    """
    fine = fine_curves(curves.time_s, input_hu)
    precision = _precision(curves)
    classes = _volume_classes(curves)
    groups = [
        (np.arange(len(precision))[group.rows], make_dictionary(fine, group.times_s, curves.weight))
        for group in time_groups(curves)
    ]
    log_prior = _learned_priors(curves, precision, fine, classes, groups)
    out = np.zeros((len(precision), len(FAMILY), MOMENTS), np.float32)
    by_block = (-1, DELAYS_S.size)
    for rows, dictionary in groups:
        basis, projected = _compress(dictionary)
        for c, prior in enumerate(log_prior):
            own = rows[classes[rows] == c]
            constants = np.stack([
                prior - np.log(dictionary.norm), CBV_SCALE / dictionary.norm, fine.mtt_s,
                fine.delay_s, fine.ttp_s,
            ]).astype(np.float32)  # fmt: skip
            part = np.zeros((len(own), *out.shape[1:]), np.float32)
            _moments(
                curves.tissue_hu[own] @ basis,
                precision[own],
                projected.reshape(len(projected), *by_block),
                constants.reshape(len(constants), *by_block),
                part,
            )
            out[own] = part
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
    variance = curves.noise_hu**2 + (MODEL_ERROR * curves.tissue_hu.max(axis=1)) ** 2
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
    or delays which the others don't find must not earn credit for it."""
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


@njit(cache=True, parallel=True, error_model="numpy")
def _to_likelihood(match, precision, cbv_per_hu):  # type: ignore[no-untyped-def]
    """In place, from matches: amplitudes integrated out under the prior of CBV."""
    log_prior_cbv = np.float32(np.log(CBV_PRIOR_ML_100G))
    for i in prange(len(match)):
        row = match[i]
        top = np.float32(-1e30)
        for k in range(row.size):
            d = max(row[k], np.float32(1e-3))
            log_cbv = np.log(d * cbv_per_hu[k])
            off = (log_cbv - log_prior_cbv) / np.float32(CBV_PRIOR_LOG_SD)
            row[k] = precision[i] * d * d - np.float32(0.5) * off * off - np.log(d)
            top = max(top, row[k])
        for k in range(row.size):
            row[k] = np.exp(row[k] - top)


def pool_shapes(likelihood: Float32Array, curves: Curves) -> Float32Array:
    """(V, S) prior probability of each shape around each voxel, by expectation maximisation.

    Parameters
    ----------
    likelihood : (V, S) evidence of each shape, as a share of the best one's.
    curves : tells where the voxels are.
    """
    cell, grid = _cells(curves)
    order = np.argsort(cell, kind="stable")
    occupied, start, count = np.unique(cell[order], return_index=True, return_counts=True)
    sorted_likelihood = likelihood[order]
    sigma = POOLING_MM / CELL_MM

    def neighbourhood(per_cell: Float64Array) -> Float64Array:
        volume = np.zeros(int(np.prod(grid)))
        volume[occupied] = per_cell
        return np.asarray(gaussian_filter(volume.reshape(grid), sigma).ravel()[occupied])

    nearby = np.maximum(neighbourhood(count.astype(float)), 1e-6)
    shapes = likelihood.shape[1]
    share = np.full((occupied.size, shapes), 1 / shapes)
    total = np.empty_like(share)
    for _ in range(ROUNDS):
        _sum_responsibilities(sorted_likelihood, np.append(start, len(cell)), share, total)
        whole = total.sum(axis=0) / len(cell)
        for s in range(shapes):
            share[:, s] = neighbourhood(total[:, s]) / nearby
        share = (1 - WHOLE_BRAIN) * share + WHOLE_BRAIN * whole
        share = (1 - LEAST_SHARE) * share + LEAST_SHARE / shapes
    result = np.empty_like(likelihood)
    result[order] = np.repeat(share, count, axis=0)
    return result


@njit(cache=True, parallel=True)
def _sum_responsibilities(likelihood, start, share, total):  # type: ignore[no-untyped-def]
    """Sum over each cell's voxels of the probabilities of the shapes, given the cell's shares."""
    shapes = likelihood.shape[1]
    for c in prange(len(share)):
        total[c] = 0.0
        for v in range(start[c], start[c + 1]):
            joint = 0.0
            for s in range(shapes):
                joint += likelihood[v, s] * share[c, s]
            for s in range(shapes):
                total[c, s] += likelihood[v, s] * share[c, s] / joint


def _cells(curves: Curves) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Index of the cube of `CELL_MM` each voxel is in, and the grid of cubes."""
    position = np.argwhere(curves.voxels) * (np.array(curves.spacing_mm) / CELL_MM)
    index = position.astype(np.intp)
    index -= index.min(axis=0)
    grid = tuple(int(n) for n in index.max(axis=0) + 1)
    return np.ravel_multi_index(tuple(index.T), grid), grid


def _responsibility(likelihood: Float32Array, share: Float32Array) -> Float32Array:
    """(V, S) probability of each shape given the curve and the prior ``share``."""
    joint = likelihood * share
    joint /= joint.sum(axis=1, keepdims=True)
    return np.asarray(joint)


def _compress(dictionary: Dictionary) -> tuple[Float32Array, Float32Array]:
    """(T, R) basis to multiply measured curves with, and (R, K) curves of the dictionary in it.

    The basis is orthogonal to a constant, so curves need not be freed of theirs.
    """
    unit = dictionary.unit.astype(np.float64)
    power, axes = np.linalg.eigh(unit.T @ unit)
    power, axes = np.maximum(power[::-1], 0), axes[:, ::-1]
    left_out = np.sqrt(np.cumsum(power[::-1])[::-1] / power.sum())
    rank = int((left_out > RANK_TOLERANCE).sum())
    samples = unit.shape[1]
    rank = min(-(-rank // UNROLL) * UNROLL, samples // UNROLL * UNROLL)
    basis = axes[:, :rank]
    weighted = np.asarray(dictionary.root_weight[:, None] * basis, np.float32)
    return weighted, np.ascontiguousarray((unit @ basis).T, np.float32)


@njit(cache=True, parallel=True, fastmath=True, error_model="numpy")
def _moments(coefficients, weight, projected, constants, out):  # type: ignore[no-untyped-def]
    """Evidence and moments per shape.

    ``coefficients`` (V, R) and ``projected`` (R, B, D) are curves and dictionary in the compressed
    basis, the latter in blocks of one shape and MTT.  Their product, the match of each voxel with
    each curve, is made for a few voxels at a time, so that the dictionary is read from the cache;
    a multi-threaded matrix product would fight with this loop for the processor.
    """
    ranks, blocks, delays = projected.shape
    for g in prange((len(coefficients) + GROUP - 1) // GROUP):
        first = g * GROUP
        count = min(GROUP, len(coefficients) - first)
        match = np.zeros((count, blocks, delays), np.float32)
        top = np.empty((count, blocks), np.float32)
        for b in range(blocks):
            prior = constants[0, b]
            for i in range(count):
                row = match[i, b]
                for r in range(0, ranks, UNROLL):
                    c0, c1, c2, c3 = coefficients[first + i, r : r + UNROLL]
                    p0, p1 = projected[r, b], projected[r + 1, b]
                    p2, p3 = projected[r + 2, b], projected[r + 3, b]
                    for k in range(delays):
                        row[k] += c0 * p0[k] + c1 * p1[k] + c2 * p2[k] + c3 * p3[k]
                w = weight[first + i]
                high = np.float32(-1e30)
                for k in range(delays):
                    d = max(row[k], np.float32(0))
                    high = max(high, w * d * d + prior[k])
                top[i, b] = high
        for i in range(count):
            _sum_up(match[i], top[i], weight[first + i], constants, out[first + i])


@njit(cache=True, fastmath=True, error_model="numpy")
def _sum_up(match, top, weight, constants, out):  # type: ignore[no-untyped-def]
    """One voxel's evidence and moments; ``top`` is the best score of each block."""
    shapes = len(out)
    blocks = len(top) // shapes
    best = top.max()
    log_prior_cbv = np.float32(np.log(CBV_PRIOR_ML_100G))
    for s in range(shapes):
        sums = np.zeros(MOMENTS)
        for b in range(s * blocks, (s + 1) * blocks):
            if top[b] < best - NEGLIGIBLE:
                continue
            for k in range(match.shape[1]):
                d = match[b, k]
                score = weight * d * d + constants[0, b, k] - best
                if d <= 0 or score < -NEGLIGIBLE:
                    continue
                cbv, mtt = d * constants[1, b, k], constants[2, b, k]
                log_cbv = np.log(cbv)
                prior = (log_cbv - log_prior_cbv) / CBV_PRIOR_LOG_SD
                p = np.exp(score - 0.5 * prior * prior - log_cbv)
                tmax = constants[3, b, k] + 0.5 * mtt
                flow = 60 * cbv / mtt
                own = constants[1, b, k] ** 2 / (2 * weight)
                sums[0] += p
                sums[1] += p * cbv
                sums[2] += p * mtt
                sums[3] += p * flow
                sums[4] += p * tmax
                sums[5] += p * constants[4, b, k]
                sums[6] += p * (cbv * cbv + own)
                sums[7] += p * mtt * mtt * (1 + MTT_STEP_VARIANCE)
                sums[8] += p * (flow * flow * (1 + MTT_STEP_VARIANCE) + own * (60 / mtt) ** 2)
                sums[9] += p * (
                    tmax * tmax + DELAY_STEP_VARIANCE + 0.25 * mtt * mtt * MTT_STEP_VARIANCE
                )
        out[s, 0] = np.log(sums[0]) + best if sums[0] > 0 else -1e30
        for i in range(1, MOMENTS):
            out[s, i] = sums[i] / sums[0] if sums[0] > 0 else 0.0
