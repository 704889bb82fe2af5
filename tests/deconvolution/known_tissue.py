"""Curves whose perfusion is known, one at a time and as a slab with its vessels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from bolus.deconvolution.methods import METHODS, deconvolve
from bolus.deconvolution.model import CBV_SCALE
from bolus.infer.features import Sampled
from bolus.infer.gather import first_moment
from bolus.infer.model import Model, load_model
from bolus.infer.predict import predict
from bolus.simulate.kudo import SHAPES, blood_hu, residue_curve
from bolus.types import CNN, MAP_UNITS, BoolArray, Curves, Float64Array, Maps
from sampled import sampled

TIME = np.arange(0.0, 60.0, 1.0)
INPUT = blood_hu(TIME)
GRID = [(c, m, d) for c in (1.5, 4.0) for m in (4.0, 8.0, 14.0) for d in (0.0, 2.0, 4.0)]
"""CBV, ml/100g; MTT, s; delay, s."""
EVERY_METHOD = (*METHODS, CNN)


def curves(tissue: np.ndarray, noise_hu: float = 0.1, time_s: np.ndarray = TIME) -> Curves:
    """The rows as neighbours of one another."""
    return sampled(time_s, tissue, np.ones((1, 1, len(tissue)), bool), noise_hu)


def tissue(
    cbv: float, mtt: float, delay: float, shape: str = "box", time_s: np.ndarray = TIME
) -> np.ndarray:
    """(T,) enhancement, HU."""
    return cbv / CBV_SCALE / mtt * residue_curve(shape, mtt, time_s - delay)  # type: ignore[arg-type]


def flat(maps: Maps) -> dict[str, np.ndarray]:
    """The five maps, each as a row."""
    return {name: getattr(maps, name).ravel() for name in MAP_UNITS}


def everything(maps: Maps) -> dict[str, np.ndarray]:
    """All arrays: the five maps, the delay, standard errors."""
    delay = {} if maps.delay is None else {"delay": maps.delay}
    errors = {f"{name}_se": values for name, values in maps.se.items()}
    return {name: getattr(maps, name) for name in MAP_UNITS} | delay | errors


@dataclass(frozen=True)
class Slab:
    """What every method can make maps of; deconvolution has no use for ``vessel``."""

    curves: Curves
    input_hu: Float64Array
    vessel: BoolArray


def slab(slices: int = 2, size: int = 12, noise_hu: float = 0.3, seed: int = 1) -> Slab:
    """Tissue of all kinds in a frame of nothing, with an artery and a vein in every slice."""
    rng = np.random.default_rng(seed)
    voxels = np.zeros((slices, size, size), bool)
    voxels[:, 1:-1, 1:-1] = True
    vessel = np.zeros_like(voxels)
    vessel[:, 2, 2:5] = vessel[:, -3, 2:7] = True
    volume = np.zeros((*voxels.shape, TIME.size))
    for z, y, x in np.argwhere(voxels):
        cbv, mtt, delay = GRID[rng.integers(len(GRID))]
        volume[z, y, x] = tissue(cbv, mtt, delay, SHAPES[rng.integers(len(SHAPES))])
    volume[:, 2, 2:5] = blood_hu(TIME)
    volume[:, -3, 2:7] = blood_hu(TIME - 5)
    rows = volume[voxels] + rng.normal(0, noise_hu, (int(voxels.sum()), TIME.size))
    return Slab(sampled(TIME, rows, voxels, noise_hu, arrival_s=8.0), INPUT, vessel)


def solve(method: str, measured: Slab) -> Maps:
    """Maps of a deconvolution or of the built-in network."""
    if method != CNN:
        return deconvolve(method, measured.curves, measured.input_hu)
    own = measured.curves
    hu = np.asarray(own.tissue_hu, np.float32)
    seen = Sampled(
        curves_hu=hu,
        area_hu=hu.mean(axis=1),
        moment_s=first_moment(hu, own.voxels, own.times_s, own.arrival_s)
        if len(hu)
        else np.empty(0, np.float32),
        level_hu=np.full(len(hu), 35, np.float32),
        clear=np.ones(len(hu), bool),
        voxels=own.voxels,
        vessel=measured.vessel,
        times_s=own.times_s,
        weight=own.weight,
        noise_hu=own.noise_hu,
        arrival_s=own.arrival_s,
        spacing_mm=own.spacing_mm,
    )
    return predict(seen, _network()).maps


@cache
def _network() -> Model:
    return load_model()


def scaled(measured: Slab, tissue: float, blood: float) -> Slab:
    """Another contrast agent, unit or tube voltage: everything that is enhancement times a factor;
    the noise goes with the tissue."""
    own = measured.curves
    made = replace(
        own, tissue_hu=own.tissue_hu * np.float32(tissue), noise_hu=own.noise_hu * tissue
    )
    return replace(measured, curves=made, input_hu=measured.input_hu * blood)
