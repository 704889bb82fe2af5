"""Evidence and moments of each voxel for each residue function: the hot loop of `bma`.

For every voxel: its match with all curves of the dictionary (a matrix product in a compressed
basis), then sums over the few curves that explain it.  Curves are in blocks of one residue
function, one MTT and some delays.  The loops are written so that compilers turn each into vector
instructions: the dictionary lies in order of delay, then block, to find the best score of each
block without a reduction along the vector.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from bolus.deconvolution.elementary import exp32, log32
from bolus.deconvolution.family import DELAY_STEP_S, DELAYS_S, FAMILY, MTT_S, Dictionary, FineCurves
from bolus.deconvolution.model import CBV_SCALE
from bolus.types import Float32Array, Float64Array, IntArray

CBV_PRIOR_ML_100G = 2.5
CBV_PRIOR_LOG_SD = 0.7
"""Log-normal: 0.6 to 10 ml/100g lie within two SD of its median."""
RANK_TOLERANCE = 1e-3
"""The dictionary's curves are so similar that a few components represent all but this fraction."""
NEGLIGIBLE = np.float32(12.0)
"""Curves this much less probable (log) than the best are left out: 6e-6."""
MTT_STEP_VARIANCE = float(np.log(MTT_S[1] / MTT_S[0]) ** 2 / 12)
DELAY_STEP_VARIANCE = DELAY_STEP_S**2 / 12
"""Variance within one step of the dictionary, relative and in s^2."""
MOMENTS = 10
"""Log evidence; means of CBV, MTT, flow, Tmax, TTP; mean squares of the first four."""

SHAPES = len(FAMILY)
DELAYS = 18
"""Neighbouring delays in a block; few, since few curves of a block explain a voxel."""
PIECES = DELAYS_S.size // DELAYS
BLOCKS = SHAPES * MTT_S.size * PIECES
CURVES = BLOCKS * DELAYS
UNROLL = 4
"""Voxels and components whose products are summed up in registers at once."""
GROUP = 8
"""Voxels whose matches with the dictionary stay in the processor's cache."""
TILE = CURVES // 16
"""Curves whose part of the dictionary stays in the first cache while a group goes over it."""
PART = 256
"""Voxels that a thread processes at a time."""

LOG_CBV_PRIOR = np.float32(np.log(CBV_PRIOR_ML_100G))
INVERSE_CBV_SD = np.float32(1 / CBV_PRIOR_LOG_SD)
LEAST_MATCH = np.float32(1e-12)
"""HU; its square must not be denormal, which is slow."""
NEVER = np.float32(-1e30)


def add_moments(
    tissue_hu: Float32Array,
    precision: Float32Array,
    classes: IntArray,
    rows: IntArray,
    dictionary: Dictionary,
    fine: FineCurves,
    log_prior: list[Float64Array],
    out: Float32Array,
) -> None:
    """Evidence and moments of the voxels measured at one set of times.

    Parameters
    ----------
    tissue_hu : (n, T) their curves.
    precision : (n,) half the inverse variance of a sample of weight 1, 1/HU^2.
    classes : (n,) which prior holds for each.
    rows : (n,) where each voxel's result goes.
    dictionary, fine : the K curves as sampled, and what they stand for.
    log_prior : (K,) for each class.
    out : (V, S, MOMENTS) written to.
    """
    basis, projected = compress(dictionary)
    coefficients = np.zeros((-(-len(rows) // GROUP) * GROUP, basis.shape[1]), np.float32)
    np.matmul(tissue_hu, basis, out=coefficients[: len(rows)])
    prior = np.stack([p - np.log(dictionary.norm) for p in log_prior]).astype(np.float32)
    _moments(
        coefficients,
        precision,
        classes,
        rows,
        _by_delay(projected).ravel(),
        _by_delay(prior),
        prior,
        np.float32(CBV_SCALE) / dictionary.norm,
        fine.ttp_s.astype(np.float32),
        MTT_S,
        DELAYS_S.astype(np.float32),
        out,
    )


def _by_delay(values: Float32Array) -> Float32Array:
    """(n, K) in order of block, then delay, to order of delay, then block."""
    turned = values.reshape(len(values), BLOCKS, DELAYS).transpose(0, 2, 1)
    return np.ascontiguousarray(turned).reshape(len(values), CURVES)


def compress(dictionary: Dictionary) -> tuple[Float32Array, Float32Array]:
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
def _moments(  # type: ignore[no-untyped-def]
    coefficients, precision, classes, rows, projected, prior_by_delay, prior, cbv_per_hu, ttp_s,
    mtt_s, delay_s, out,
):  # fmt: skip
    """``projected`` (R * K,) and ``prior_by_delay`` (C, K) in order of delay, all else of block."""
    for part in prange((len(rows) + PART - 1) // PART):
        match = np.empty(GROUP * CURVES, np.float32)
        top = np.empty(BLOCKS, np.float32)
        blocks = np.empty(BLOCKS, np.int64)
        own = np.empty(CURVES, np.float32)
        log_p = np.empty(CURVES, np.float32)
        for first in range(part * PART, min((part + 1) * PART, len(rows)), GROUP):
            _match(coefficients, first, projected, match)
            for i in range(min(GROUP, len(rows) - first)):
                v = first + i
                weight, c = precision[v], classes[v]
                own_match = match[i * CURVES : (i + 1) * CURVES]
                _block_tops(own_match, weight, prior_by_delay[c], top)
                best = top.max()
                count = _pick(own_match, top, best - NEGLIGIBLE, blocks, own)
                log_top = _log_posterior(
                    own, blocks[:count], weight, prior[c], best, cbv_per_hu, log_p
                )
                _sum_up(
                    own, log_p, blocks[:count], weight, cbv_per_hu, ttp_s, mtt_s, delay_s,
                    log_top, best + log_top, out[rows[v]],
                )  # fmt: skip


@njit(cache=True, fastmath=True, error_model="numpy")
def _match(coefficients, first, projected, match):  # type: ignore[no-untyped-def]
    """Products of a group's voxels with all curves.

    A multi-threaded matrix product would compete with the threads of this loop.
    """
    match[:] = 0
    for start in range(0, CURVES, TILE):
        for i in range(0, GROUP, UNROLL):
            m = match[i * CURVES + start :]
            for r in range(0, coefficients.shape[1], UNROLL):
                a0, a1, a2, a3 = coefficients[first + i, r : r + UNROLL]
                b0, b1, b2, b3 = coefficients[first + i + 1, r : r + UNROLL]
                c0, c1, c2, c3 = coefficients[first + i + 2, r : r + UNROLL]
                d0, d1, d2, d3 = coefficients[first + i + 3, r : r + UNROLL]
                p = projected[r * CURVES + start :]
                for k in range(np.uint64(TILE)):
                    p0, p1 = p[k], p[CURVES + k]
                    p2, p3 = p[2 * CURVES + k], p[3 * CURVES + k]
                    m[k] += a0 * p0 + a1 * p1 + a2 * p2 + a3 * p3
                    m[CURVES + k] += b0 * p0 + b1 * p1 + b2 * p2 + b3 * p3
                    m[2 * CURVES + k] += c0 * p0 + c1 * p1 + c2 * p2 + c3 * p3
                    m[3 * CURVES + k] += d0 * p0 + d1 * p1 + d2 * p2 + d3 * p3


@njit(cache=True, fastmath=True, error_model="numpy")
def _block_tops(match, weight, prior, top):  # type: ignore[no-untyped-def]
    """Best score of each block over all delays."""
    top[:] = NEVER
    for j in range(DELAYS):
        m = match[j * BLOCKS : (j + 1) * BLOCKS]
        p = prior[j * BLOCKS : (j + 1) * BLOCKS]
        for b in range(BLOCKS):
            d = m[b] if m[b] > np.float32(0) else np.float32(0)
            score = weight * d * d + p[b]
            top[b] = score if score > top[b] else top[b]


@njit(cache=True)
def _pick(match, top, least, blocks, own):  # type: ignore[no-untyped-def]
    """The matches of the blocks that count, each block's in a row."""
    count = 0
    for b in range(BLOCKS):
        if top[b] >= least:
            blocks[count] = b
            for j in range(DELAYS):
                own[count * DELAYS + j] = match[j * BLOCKS + b]
            count += 1
    return count


@njit(cache=True, fastmath=True, error_model="numpy")
def _log_posterior(own, blocks, weight, prior, best, cbv_per_hu, log_p):  # type: ignore[no-untyped-def]
    """Fill ``log_p``, the amplitude integrated out under the prior of CBV; gives its maximum."""
    top = np.full(DELAYS, NEVER)
    for n in range(len(blocks)):
        out = log_p[n * DELAYS : (n + 1) * DELAYS]
        match = own[n * DELAYS : (n + 1) * DELAYS]
        k = blocks[n] * DELAYS
        own_prior, scale = prior[k : k + DELAYS], cbv_per_hu[k : k + DELAYS]
        for j in range(DELAYS):
            d = match[j] if match[j] > LEAST_MATCH else LEAST_MATCH
            score = weight * d * d + own_prior[j] - best
            log_cbv = log32(d * scale[j])
            off = (log_cbv - LOG_CBV_PRIOR) * INVERSE_CBV_SD
            value = score - np.float32(0.5) * off * off - log_cbv
            value = value if score >= -NEGLIGIBLE else NEVER
            value = value if match[j] > np.float32(0) else NEVER
            out[j] = value
            top[j] = value if value > top[j] else top[j]
    return top.max()


@njit(cache=True, fastmath=True, error_model="numpy")
def _sum_up(  # type: ignore[no-untyped-def]
    own, log_p, blocks, weight, cbv_per_hu, ttp_s, mtt_s, delay_s, log_top, log_scale, out
):
    """Evidence and moments; probabilities are relative to exp(``log_scale``)."""
    sums = np.zeros((SHAPES, MOMENTS))
    for n in range(len(blocks)):
        k = blocks[n] * DELAYS
        scale, ttp = cbv_per_hu[k : k + DELAYS], ttp_s[k : k + DELAYS]
        delay = delay_s[blocks[n] % PIECES * DELAYS :]
        logs, match = log_p[n * DELAYS : (n + 1) * DELAYS], own[n * DELAYS : (n + 1) * DELAYS]
        total = volume = volume_2 = spread = late = late_2 = peak = np.float32(0)
        for j in range(DELAYS):
            p = exp32(logs[j] - log_top) if logs[j] > NEVER else np.float32(0)
            cbv = match[j] * scale[j]
            total += p
            volume += p * cbv
            volume_2 += p * cbv * cbv
            spread += p * scale[j] * scale[j]
            late += p * delay[j]
            late_2 += p * delay[j] * delay[j]
            peak += p * ttp[j]
        of_mtt = blocks[n] // PIECES
        mtt = mtt_s[of_mtt % len(mtt_s)]
        noise = spread / (2 * weight)
        rate = 60 / mtt
        s = sums[of_mtt // len(mtt_s)]
        s[0] += total
        s[1] += volume
        s[2] += mtt * total
        s[3] += rate * volume
        s[4] += late + 0.5 * mtt * total
        s[5] += peak
        s[6] += volume_2 + noise
        s[7] += mtt * mtt * (1 + MTT_STEP_VARIANCE) * total
        s[8] += rate * rate * ((1 + MTT_STEP_VARIANCE) * volume_2 + noise)
        within = 0.25 * mtt * mtt * (1 + MTT_STEP_VARIANCE) + DELAY_STEP_VARIANCE
        s[9] += late_2 + mtt * late + within * total
    for shape in range(SHAPES):
        evidence = sums[shape, 0]
        out[shape, 0] = np.log(evidence) + log_scale if evidence > 0 else NEVER
        for i in range(1, MOMENTS):
            out[shape, i] = sums[shape, i] / evidence if evidence > 0 else 0.0
