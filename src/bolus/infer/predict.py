"""Curves to maps by the network, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bolus.infer.card import MAPS
from bolus.infer.coarse import coarsened, factor_for, refined
from bolus.infer.inputs import (
    USUAL_LOG,
    Blood,
    Sampled,
    blood,
    level_reference,
    slice_inputs,
)
from bolus.infer.model import Model
from bolus.infer.unlike import SliceSeen, describe, scores, some_of, unlike_finding
from bolus.types import CNN, BoolArray, Finding, Float32Array, Grade, Maps

MTT_RANGE_S = (0.5, 60.0)
SCALED = [MAPS.index("cbf"), MAPS.index("cbv")]
SCALED += [len(MAPS) + i for i in SCALED]
"""Maps and spreads that go with the brain's volume of blood."""
LEAST_CBF = 0.01
"""ml/100g/min: zero stands for "nothing there"."""


@dataclass(frozen=True)
class Prediction:
    """The network's maps and what is to be known about them."""

    maps: Maps
    findings: tuple[Finding, ...]


def predict(exam: Sampled, model: Model) -> Prediction:
    """Maps with standard errors, and whether the exam is like those that were learnt from.

    Parameters
    ----------
    exam : curves with at least one perfused voxel.
    """
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
    findings = (volume_finding(slab.volume), unlike_finding(scored))
    return Prediction(
        replace(maps, parameters=about), tuple(one for one in findings if one is not None)
    )


def _box(voxels: BoolArray) -> tuple[slice, slice, slice]:
    """The part of the slab that holds all voxels; all slices of it."""
    rows, columns = (np.flatnonzero(voxels.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    return slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def volume_finding(volume: float) -> Finding | None:
    """A warning where the blood's brightness decides on flow, not what is known of brains."""
    if np.log(volume) >= USUAL_LOG:
        return None
    return Finding(
        "blood-volume",
        Grade.WARNING,
        f"cnn: the whole brain seems to hold {volume:.2f} times the usual volume of blood; flow "
        "and volume are on this scale, which the vessels' brightness decides.",
        "Compare with --method bma: vessels beside moving bone may look brighter than blood.",
    )


def _run(exam: Sampled, slab: Blood, model: Model) -> tuple[Float32Array, list[SliceSeen]]:
    """(10, Z, Y, X) maps and spreads, and what the network was given."""
    level_hu = level_reference(exam)
    outputs = np.zeros((2 * len(MAPS), *exam.voxels.shape), np.float32)
    slices = []
    for z, mask in enumerate(exam.voxels):
        if mask.any():
            pixels, context = slice_inputs(exam, z, slab, level_hu)
            maps, spread = model.run(pixels, context)
            outputs[:, z] = np.concatenate([maps, spread])
            outputs[SCALED, z] *= np.float32(slab.volume)
            some = some_of(int(mask.sum()))
            y, x = (axis[some] for axis in np.nonzero(mask))
            slices.append(SliceSeen(pixels[:, y, x], context, spread[:, y, x]))
    return outputs, slices


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
