"""The model card of a run: architecture, data, training and accuracy of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bolus.dataset.index import Index
from bolus.metrics import image_agreement, pearson_of_pixels
from bolus.train.gava2021.data import Slices, Spec
from bolus.train.gava2021.export import MODEL
from bolus.train.gava2021.network import UNet, parameter_count
from bolus.train.gava2021.sides import Sides
from bolus.train.gava2021.task import BATCH, LEARNING_RATE, predict
from bolus.train.gava2021.windows import INPUT, share
from bolus.train.loop import Row
from bolus.train.model_card import Card, Results
from bolus.types import MAP_UNITS, BoolArray, Float32Array

PURPOSE = (
    "Perfusion maps from the frames of a CT perfusion slice without an arterial input function, "
    "after Gava et al. (doi:10.3389/fninf.2023.852105) as in their first public code."
)
LIMITS = (
    "It learns to reproduce the method behind the data set's maps, errors included.",
    "It is valid for one protocol: number and interval of frames, field of view, injection and "
    "scanner of its training exams. Other exams give plausible but wrong maps.",
    "Frames must be registered and filtered as the training frames were.",
    "Values end where the map's window ends, and come in steps of 1/255 of it in training.",
    "It gives no uncertainty, and nothing warns of an exam unlike its training exams.",
    "Not tested against patient outcome: its maps were compared with other maps only.",
)
TRUTH_NOTE = (
    "In tissue where the truth is valid, all clipped to the map's window: what the network adds to "
    "or loses from the maps it was trained on."
)
SIMULATED = "Results on simulated exams (see Data) do not apply to patients."


def model_facts(network: UNet, spec: Spec, numbers: Sequence[int]) -> dict[str, object]:
    """Architecture, input and output of the network."""
    window, unit = spec.window, MAP_UNITS.get(spec.map, "s")
    bug = "as in the public code, which wraps around" if spec.wrap_bug else "clipped"
    return {
        "Network": "2D U-Net, average pooling, transposed convolutions, one slice at a time",
        "Parameters": f"{parameter_count(network):,}",
        "Input": f"{spec.frames} frames (numbers {', '.join(map(str, numbers))} from 0) of "
        f"{spec.size} x {spec.size} pixels, {INPUT.centre:g}/{INPUT.width:g} HU, 8 bits",
        "Output": f"{spec.map}, window {window.low:g} to {window.low + window.width:g} {unit} "
        f"({window.source}), {bug}",
        "File": f"{MODEL}: HU in, {unit} out; standard operations of ONNX only",
    }


def data_facts(index: Index, sides: Sides, slices: Mapping[str, Slices]) -> dict[str, object]:
    """Training data; slices by part of the split."""
    cases = {"training": sides.train, "validation": sides.validation, "test": sides.test}
    simulated = sum(case.truth is not None for case in sides.train)
    return {
        "Layout": index.layout,
        "Digest of the index": index.digest[:16],
        **{
            name.capitalize(): f"{len({c.patient for c in cases[name]})} patients, "
            f"{len(cases[name])} exams, {len(part)} slices (digest {part.digest[:16]})"
            for name, part in slices.items()
        },
        "Frames of an exam": sides.frames,
        "Left out": f"{sides.left_out} exams with another number of frames or without the map",
        "Origin": f"{simulated} of {len(sides.train)} training exams are simulated",
    }


def training_facts(seed: int, rows: Sequence[Row], best: int) -> dict[str, object]:
    """Training; ``best`` is the epoch that was kept."""
    return {
        "Recipe": "gava2021",
        "Seed": seed,
        "Loss": "mean squared error over the whole image",
        "Optimiser": f"Adam, {LEARNING_RATE:g}, a tenth after a plateau of the validation loss; "
        f"batches of {BATCH} slices",
        "Epochs": f"{len(rows)}; kept is the one with the lowest validation loss, "
        f"{best} (the public code keeps the last, here last.pt)",
        "Time": f"{sum(row['seconds'] for row in rows):.0f} s",
    }


def gava_card(
    network: UNet,
    spec: Spec,
    facts: Mapping[str, Mapping[str, object]],
    measured: Mapping[str, Slices],
) -> Card:
    """The card of a run.

    Parameters
    ----------
    network : with the weights that are kept.
    facts : sections about model, data and training.
    measured : slices by part of the split; the held-out part comes last.
    """
    found = {side: predict(network, slices) for side, slices in measured.items()}
    tables = [_against_maps(found, measured)]
    true = [
        row for side in measured for row in _truth_rows(side, found[side], measured[side], spec)
    ]
    if true:
        tables.append(Results("Against the truth of simulated exams", true, TRUTH_NOTE))
    title = f"gava2021: {spec.map.upper()} from {spec.frames} frames"
    return Card(title, PURPOSE, facts, tables, (*LIMITS, SIMULATED))


def _against_maps(found: Mapping[str, Float32Array], measured: Mapping[str, Slices]) -> Results:
    rows: list[dict[str, object]] = []
    for side, slices in measured.items():
        values = image_agreement(found[side], share(slices.target), slices.brain)
        mean = float(np.square(share(slices.target) - share(slices.target).mean()).mean())
        rows.append({"side": side, "slices": len(slices), **_named(values), "MSE of a mean": mean})
    note = "MSE of images from 0 to 1 over all pixels; r over the brain, and over all pixels."
    return Results("Against the data set's maps", rows, note)


def _named(values: Mapping[str, float]) -> dict[str, float]:
    return {"MSE": values["mse"], "r": values["r"], "r of all pixels": values["r_all"]}


def _truth_rows(
    side: str, found: Float32Array, slices: Slices, spec: Spec
) -> list[dict[str, object]]:
    """The network's agreement with the truth, next to that of the maps it was trained on.

    Nothing for exams without truth, nor where targets wrap around.
    """
    valid = slices.valid
    if spec.wrap_bug or not valid.any():
        return []
    truth, maps = share(slices.truth), share(slices.target)
    unit = MAP_UNITS.get(spec.map, "s")
    return [
        {"side": side, "maps": name, **_errors(values, truth, valid, spec.window.width, unit)}
        for name, values in (("network", found), ("data set's own (NLR in UniToBrain)", maps))
    ]


def _errors(
    values: Float32Array, truth: Float32Array, valid: BoolArray, span: float, unit: str
) -> dict[str, float]:
    error = (values - truth)[valid].astype(np.float64)
    return {
        "MSE": float(np.square(error).mean()),
        f"MAE, {unit}": float(np.abs(error).mean() * span),
        f"bias, {unit}": float(error.mean() * span),
        "r": pearson_of_pixels(values[valid], truth[valid]),
    }
