"""From perfusion parameters to enhancement over time.

``C_t(t) = CBV / 69.84 / MTT * (C_a * R)(t - delay)``.  Each voxel's R is a mixture of tabulated
residue functions with shares that keep R(0) = 1 and its mean transit time exact, so the table
costs no accuracy: interpolating between two transit times is just one more mixture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from bolus.simulate.bolus import GRID_S, Bolus, convolve, transit
from bolus.simulate.perfusion import MAX_DISPERSION_S, MAX_MTT_S, MIN_MTT_S, Perfusion
from bolus.simulate.residue import RESIDUES
from bolus.simulate.vessels import Vessels
from bolus.types import BoolArray, Float32Array, Float64Array

DENSITY_G_PER_ML = 1.05
HAEMATOCRIT_LARGE, HAEMATOCRIT_SMALL = 0.45, 0.25
CBV_SCALE = 100 * (1 - HAEMATOCRIT_LARGE) / (1 - HAEMATOCRIT_SMALL) / DENSITY_G_PER_ML
"""69.84: CBV in ml/100g = CBV_SCALE x area of the tissue curve / area of the arterial curve."""

MTT_NODES_S: Float64Array = np.geomspace(MIN_MTT_S, MAX_MTT_S, 36)
DISPERSION_NODES_S: Float64Array = np.linspace(0.0, MAX_DISPERSION_S, 5)
DISPERSION_SHAPE = 2.0


@dataclass(frozen=True)
class Templates:
    """Curves of unit flow for every tabulated residue function, at delay 0."""

    tissue: Float64Array
    """(D, S, M, N): dispersion, shape, MTT, time: (C_a * VTF * R)(t), HU s."""
    artery: Float64Array
    """(D, N) dispersed arterial blood, HU."""
    vein: Float64Array
    """(N,) HU."""


def dispersed_arteries(bolus: Bolus) -> Float64Array:
    """(D, N) arterial curve after dispersion with each mean of ``DISPERSION_NODES_S``.

    The dispersion's mean is *not* removed: it delays the curve, as in the body.
    """
    curves = [bolus.artery_hu]
    for mean_s in DISPERSION_NODES_S[1:]:
        vtf = transit(bolus.time_s, 0.0, float(mean_s), DISPERSION_SHAPE)
        curves.append(convolve(bolus.artery_hu, vtf))
    return np.stack(curves)


def make_templates(bolus: Bolus) -> Templates:
    """Convolve the arterial curve with every tabulated residue function.

    Cell k of R's exact area is set against the arterial curve in the middle of that cell, which
    keeps the area of the result exact.
    """
    artery = dispersed_arteries(bolus)
    n = bolus.time_s.size
    edges = np.arange(n + 1, dtype=np.float64) * GRID_S
    middle = artery.copy()
    middle[:, 1:] = (artery[:, 1:] + artery[:, :-1]) / 2
    tissue = np.empty((len(DISPERSION_NODES_S), len(RESIDUES), len(MTT_NODES_S), n))
    for s, residue in enumerate(RESIDUES.values()):
        for m, mtt_s in enumerate(MTT_NODES_S):
            weights = np.diff(residue.area(edges, float(mtt_s)))
            for d in range(len(artery)):
                tissue[d, s, m] = convolve(middle[d], weights)
    return Templates(tissue, artery, bolus.vein_hu)


@numba.njit(nogil=True)
def _at(curve: Float64Array, t_s: float) -> float:
    """Linear interpolation on the fine grid; 0 before its start."""
    position = t_s / GRID_S
    if position <= 0.0:
        return 0.0
    i = min(int(position), curve.size - 2)
    share = position - i
    return float(curve[i] * (1 - share) + curve[i + 1] * share)


@numba.njit(nogil=True)
def _bracket(nodes: Float64Array, value: float) -> tuple[int, float]:
    """Index of the node below and the share of the node above."""
    i = 0
    while i < nodes.size - 2 and nodes[i + 1] < value:
        i += 1
    share = float((value - nodes[i]) / (nodes[i + 1] - nodes[i]))
    return i, min(max(share, 0.0), 1.0)


@numba.njit(nogil=True)
def _tissue_curves(
    templates: Float64Array,
    mtt_nodes: Float64Array,
    dispersion_nodes: Float64Array,
    flow: Float64Array,
    mtt: Float64Array,
    shift: Float64Array,
    dispersion: Float64Array,
    shares: Float64Array,
    times_s: Float64Array,
    out: Float32Array,
    peak_s: Float64Array,
) -> None:
    """Fill ``out`` (V, T) and the time of each noise-free curve's maximum (V,)."""
    n = templates.shape[3]
    curve = np.empty(n)
    for v in range(mtt.size):
        d, d_share = _bracket(dispersion_nodes, dispersion[v])
        m, m_share = _bracket(mtt_nodes, mtt[v])
        curve[:] = 0.0
        for dd in range(2):
            for s in range(templates.shape[1]):
                for mm in range(2):
                    weight = (
                        (d_share if dd else 1 - d_share)
                        * (m_share if mm else 1 - m_share)
                        * shares[v, s]
                    )
                    if weight > 0.0:
                        row = templates[d + dd, s, m + mm]
                        for i in range(n):
                            curve[i] += weight * row[i]
        peak_s[v] = np.argmax(curve) * GRID_S + shift[v]
        for t in range(times_s.shape[1]):
            out[v, t] = flow[v] * _at(curve, times_s[v, t] - shift[v])


@numba.njit(nogil=True)
def _blood_curves(
    curves: Float64Array,
    dispersion_nodes: Float64Array,
    fraction: Float64Array,
    shift: Float64Array,
    dispersion: Float64Array,
    times_s: Float64Array,
    out: Float32Array,
) -> None:
    """Add ``fraction`` x blood curve to ``out`` (V, T)."""
    for v in range(fraction.size):
        d, share = _bracket(dispersion_nodes, dispersion[v])
        for t in range(times_s.shape[1]):
            at = times_s[v, t] - shift[v]
            value = _at(curves[d], at) * (1 - share) + _at(curves[d + 1], at) * share
            out[v, t] += fraction[v] * value


def enhancement(
    perfusion: Perfusion, vessels: Vessels, templates: Templates, times_s: Float64Array
) -> tuple[Float32Array, Float32Array]:
    """Noise-free enhancement of every voxel, and when its tissue's curve peaks.

    Parameters
    ----------
    times_s : (T, Z) float64, s

    Returns
    -------
    enhancement : (T, Z, Y, X) float32, HU
        (1 - blood fraction) x tissue + blood fraction x blood.
    ttp : (Z, Y, X) float32, s after the first frame
        0 where there is no tissue.
    """
    frames = np.zeros((times_s.shape[0], *perfusion.mtt.shape), np.float32)
    ttp = np.zeros(perfusion.mtt.shape, np.float32)
    for z in range(perfusion.mtt.shape[0]):
        tissue = perfusion.mtt[z] > 0
        curves, ttp[z][tissue] = _tissue_of_slice(perfusion, templates, z, tissue, times_s[:, z])
        blood = vessels.artery[z] + vessels.vein[z] + vessels.clot[z]
        frames[:, z, tissue] = curves.T * (1 - blood[tissue])
        bloody = blood > 0
        frames[:, z, bloody] += _blood_of_slice(vessels, templates, z, bloody, times_s[:, z]).T
    return frames, ttp


def _tissue_of_slice(
    perfusion: Perfusion, templates: Templates, z: int, tissue: BoolArray, times_s: Float64Array
) -> tuple[Float32Array, Float64Array]:
    """(V, T) tissue curves, HU, and (V,) times of their maxima, s."""
    mtt, delay, dispersion, cbv = (
        values[z][tissue].astype(np.float64)
        for values in (perfusion.mtt, perfusion.delay, perfusion.dispersion, perfusion.cbv)
    )
    curves = np.empty((mtt.size, times_s.size), np.float32)
    peak_s = np.empty(mtt.size)
    shares = np.ascontiguousarray(perfusion.shares[:, z][:, tissue].T, dtype=np.float64)
    _tissue_curves(
        templates.tissue, MTT_NODES_S, DISPERSION_NODES_S, cbv / CBV_SCALE / mtt, mtt,
        delay - dispersion, dispersion, shares,
        np.broadcast_to(times_s, (mtt.size, times_s.size)), curves, peak_s,
    )  # fmt: skip
    return curves, peak_s


def _blood_of_slice(
    vessels: Vessels, templates: Templates, z: int, bloody: BoolArray, times_s: Float64Array
) -> Float32Array:
    """(V, T) enhancement by large vessels, HU, weighted with their share of the voxel."""
    artery, vein, delay, dispersion, vein_delay = (
        values[z][bloody].astype(np.float64)
        for values in (vessels.artery, vessels.vein, vessels.artery_delay_s,
                       vessels.artery_dispersion_s, vessels.vein_delay_s)
    )  # fmt: skip
    times = np.broadcast_to(times_s, (artery.size, times_s.size))
    curves = np.zeros((artery.size, times_s.size), np.float32)
    _blood_curves(templates.artery, DISPERSION_NODES_S, artery, delay, dispersion, times, curves)
    both = np.stack([templates.vein, templates.vein])
    nodes = DISPERSION_NODES_S[:2]
    _blood_curves(both, nodes, vein, vein_delay, np.zeros(vein.size), times, curves)
    return curves
