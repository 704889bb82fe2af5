"""Curves to maps by the network, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bolus.data import WithArrays
from bolus.errors import ImplausibleValues, NoPerfusion
from bolus.infer.features import USUAL_LOG, Blood, Sampled, blood, level_reference, slice_inputs
from bolus.infer.metadata import MAPS
from bolus.infer.model import Model
from bolus.infer.out_of_distribution import (
    SliceSample,
    describe,
    distance_finding,
    scores,
    subsample,
)
from bolus.infer.resolution import coarsened, factor_for, refined
from bolus.types import CNN, MAP_UNITS, BoolArray, Finding, Float32Array, Float64Array, Grade, Maps

MTT_RANGE_S = (0.5, 60.0)
SCALED = [MAPS.index("cbf"), MAPS.index("cbv")]
SCALED += [len(MAPS) + i for i in SCALED]
"""Maps and spreads that scale with the brain's blood volume."""
LEAST_CBF = 0.01
"""ml/100g/min: zero means "no tissue"."""
POSSIBLE = {
    "cbf": (-100.0, 10_000.0),
    "cbv": (-10.0, 1000.0),
    "mtt": (-6.0, 600.0),
    "tmax": (-600.0, 600.0),
    "ttp": (-600.0, 600.0),
}
"""Allowed output of a network, in its maps' units; beyond it is broken.  Ten times the blood of a
voxel that is all blood (100 ml/100g), such a voxel refilled every 0.6 s, and ten minutes, where
scans last about one (27 to 70 s in training).  A network's noise may go below zero by a
hundredth of that, and is cut off there.  The built-in network gives at most 200 ml/100g/min,
30 ml/100g and 70 s for noise as strong as its input can be."""


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(WithArrays):
    """The network's maps and their findings."""

    maps: Maps
    findings: tuple[Finding, ...]


def predict(exam: Sampled, model: Model) -> Prediction:
    """Maps with standard errors, and whether the exam resembles the training exams.

    Parameters
    ----------
    exam : curves of the perfused voxels.

    Raises
    ------
    DamagedFile
        The network fails, or gives impossible values.
    ImplausibleValues
        The exam's curves hold non-finite numbers; the network is not run.
    NoPerfusion
        There is no voxel.
    """
    if not exam.voxels.any():
        raise NoPerfusion("there is no voxel to make maps of: the mask is empty")
    _require_numbers(
        exam.curves_hu, exam.area_hu, exam.moment_s, exam.level_hu, exam.times_s, exam.weight
    )
    factor = factor_for(min(exam.spacing_mm[1:]))
    seen = coarsened(exam, factor) if factor > 1 else exam
    box = _box(seen.voxels)
    inside = replace(seen, voxels=seen.voxels[box], vessel=seen.vessel[box])
    slab = blood(inside)
    outputs, slices = _run(inside, slab, model)
    whole = np.zeros((2 * len(MAPS), *seen.voxels.shape), np.float32)
    whole[(slice(None), *box)] = outputs
    if factor > 1:
        rows, columns = exam.voxels.shape[1:]
        whole = refined(whole, seen.voxels, factor, (rows, columns))
    scored = scores(model.card.usual, describe(slices))
    unlike = max(scored.values())
    maps = _maps(whole, exam, model, max(unlike, 1.0))
    about: dict[str, float | str] = {
        "model": model.card.name,
        "sha256": model.sha256,
        "pixel_mm": seen.spacing_mm[1],
        "blood_volume": slab.volume,
        "unlike_training": unlike,
    }
    findings = (volume_finding(slab.volume), distance_finding(scored))
    return Prediction(
        replace(maps, parameters=about), tuple(one for one in findings if one is not None)
    )


def _box(voxels: BoolArray) -> tuple[slice, slice, slice]:
    """The part of the slab that holds all voxels; all slices of it."""
    rows, columns = (np.flatnonzero(voxels.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    return slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def volume_finding(volume: float) -> Finding | None:
    """A warning where the vessels' brightness, not prior knowledge, sets the scale of flow."""
    if np.log(volume) >= USUAL_LOG:
        return None
    return Finding(
        "blood-volume",
        Grade.WARNING,
        f"cnn: the whole brain seems to hold {volume:.2f} times the usual volume of blood; flow "
        "and volume are on this scale, which depends on the vessels' brightness.",
        "Compare with the method bma: vessels next to moving bone may look brighter than blood.",
    )


def _run(exam: Sampled, slab: Blood, model: Model) -> tuple[Float32Array, list[SliceSample]]:
    """(10, Z, Y, X) maps and spreads, and what the network was given."""
    level_hu = level_reference(exam)
    outputs = np.zeros((2 * len(MAPS), *exam.voxels.shape), np.float32)
    slices = []
    for z, mask in enumerate(exam.voxels):
        if mask.any():
            pixels, context = slice_inputs(exam, z, slab, level_hu)
            _require_numbers(pixels, context)
            maps, spread = model.run(pixels, context)
            _require_possible(maps[:, mask], spread[:, mask], model)
            outputs[:, z] = np.concatenate([maps, spread])
            outputs[SCALED, z] *= np.float32(slab.volume)
            some = subsample(int(mask.sum()))
            y, x = (axis[some] for axis in np.nonzero(mask))
            slices.append(SliceSample(pixels[:, y, x], context, spread[:, y, x]))
    return outputs, slices


def _require_numbers(*arrays: Float32Array | Float64Array) -> None:
    """Raise ImplausibleValues for non-finite input, which no network can use."""
    if not all(np.isfinite(one).all() for one in arrays):
        raise ImplausibleValues(
            "cnn: the exam's curves or times hold values that are not finite numbers, from which "
            "no network can make maps; check its images for damaged pixels, or export it again."
        )


def _require_possible(maps: Float32Array, spread: Float32Array, model: Model) -> None:
    """Raise DamagedFile for (5, v) maps and spreads that are impossible in a head."""
    for name, values, errors in zip(MAPS, maps, spread, strict=True):
        least, most = POSSIBLE[name]
        if values.min() < least or values.max() > most:
            raise model.unusable(
                f"it gives {name.upper()} from {values.min():.3g} to {values.max():.3g} "
                f"{MAP_UNITS[name]}, where {least:g} to {most:g} is possible"
            )
        if errors.min() <= 0 or errors.max() > most:
            raise model.unusable(
                f"it gives standard errors of {name.upper()} from {errors.min():.3g} to "
                f"{errors.max():.3g} {MAP_UNITS[name]}, only above 0 and up to {most:g} is possible"
            )


def _maps(outputs: Float32Array, exam: Sampled, model: Model, wider: float) -> Maps:
    """Outputs as maps: 0 outside the voxels, CBV exactly CBF x MTT / 60."""
    inside = exam.voxels
    raw = dict(zip(MAPS, outputs[: len(MAPS)], strict=True))
    cbf = np.where(inside, np.maximum(raw["cbf"], LEAST_CBF), 0).astype(np.float32)
    mtt = np.where(inside, np.clip(raw["mtt"], *MTT_RANGE_S), 0).astype(np.float32)
    tmax = np.where(inside, raw["tmax"], 0).astype(np.float32)
    ttp = np.where(inside, raw["ttp"] + np.float32(exam.arrival_s), 0).astype(np.float32)
    spreads = np.where(inside, outputs[len(MAPS) :], 0)
    se = {
        name: np.asarray(spread * np.float32(model.card.factors[name] * wider))
        for name, spread in zip(MAPS, spreads, strict=True)
    }
    return Maps(
        method=CNN,
        cbf=cbf,
        cbv=cbf * mtt / np.float32(60),
        mtt=mtt,
        tmax=tmax,
        ttp=ttp,
        # the centre of the residue function, Tmax, lies half a transit time after its onset
        delay=np.maximum(tmax - mtt / np.float32(2), 0),
        se=se,
    )
