"""One run of the recipe: data, training, results, card and model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from bolus import __version__
from bolus.dataset.index import Case, read_index
from bolus.dataset.split import read_split
from bolus.errors import UsageError
from bolus.metrics import mean_absolute_error, pearson
from bolus.train.cnn.cache import prepare_cases
from bolus.train.cnn.data import slices, whole
from bolus.train.cnn.export import export
from bolus.train.cnn.network import PerfusionNet
from bolus.train.cnn.task import (
    AVERAGE,
    EPOCHS,
    LEARNING_RATE,
    PATIENCE,
    STEPS_PER_EPOCH,
    WEIGHT_DECAY,
    BolusTask,
)
from bolus.train.loop import BEST, Row, Settings, fit, load
from bolus.train.model_card import CARD, LICENCE, USE, Card, Results, write_card
from bolus.train.monitor import Column, Sheet, Watch
from bolus.train.prepare import TARGETS, read_prepared
from bolus.train.run_folder import own
from bolus.types import MAP_UNITS, Float32Array

MODEL, PREPARED = "model.onnx", "prepared"
SAMPLES = 4
SHOWN = (("cbf", 80.0, 30.0), ("mtt", 16.0, 6.0), ("tmax", 12.0, 4.0))
"""Map, end of its window, and of its differences'."""
PURPOSE = (
    "Perfusion maps (CBF, CBV, MTT, Tmax, TTP) with standard errors from the curves of a CT "
    "perfusion exam, of any number of frames at any times, without an arterial input function."
)
LIMITS = (
    "It is valid for exams like its training exams; others are flagged by their distance, but an "
    "exam that only seems similar can go unnoticed.",
    "Not tested against patient outcome.",
    "Standard errors are valid for exams like those of its validation.",
)
SIMULATED = "Simulated exams: results on them do not apply to patients."

Say = Callable[[str], None]


def train(
    index_path: Path,
    split_path: Path,
    folder: Path,
    *,
    seed: int = 0,
    fold: int | None = None,
    epochs: int = EPOCHS,
    say: Say = lambda _: None,
) -> list[Row]:
    """Train the network, or resume an interrupted run.

    Parameters
    ----------
    index_path, split_path : of `bolus dataset`.
    folder : of the run: prepared exams, checkpoints, ``history.csv``, ``samples``,
        ``model-card.md`` and ``model.onnx``.
    seed : of the initial weights and of the order of slices.
    fold : of a split with several.
    epochs : of 200 steps; the learning rate falls to zero at the last one.
    say : called with a line of progress.

    Returns
    -------
    One row per epoch, as in ``history.csv``.

    Raises
    ------
    UsageError
        The data don't suffice, or the folder holds another run.
    """
    if epochs < 1:
        raise UsageError(f"--epochs takes a number of at least 1, not {epochs}")
    index = read_index(index_path)
    split = read_split(split_path, fold=fold, index=index)
    cases = {
        "training": index.of(split.train),
        "validation": index.of(split.validation),
        "test": index.of(split.test),
    }
    for side in ("training", "validation"):
        if not cases[side]:
            raise UsageError(f"no usable exam for {side}; make another split")
    own(folder, _settings(index.digest, cases, seed, epochs))
    prepared, refused = {}, {}
    for side, some in cases.items():
        prepared[side], refused[side] = prepare_cases(some, index, folder / PREPARED, say)
    task = BolusTask(prepared["training"], prepared["validation"], seed=seed, epochs=epochs)
    identity = _identity(index.digest, prepared, seed, epochs)
    watch = Watch(folder, lambda: samples(task), say)
    rows = fit(task, folder, Settings(epochs, PATIENCE, seed, identity), seen=watch)
    if (folder / CARD).exists():  # it is written last
        return rows
    say("measuring and exporting the best epoch")
    best = load(folder / BEST)
    facts = {"recipe": "bolus", "seed": seed, "epochs": best["epoch"], "data": index.digest[:16]}
    export(
        folder / BEST, prepared["training"], prepared["validation"], folder / MODEL,
        name="bolus", facts=facts,
    )  # fmt: skip
    net = PerfusionNet()
    net.load_state_dict(best["model"])
    net.eval()
    measured = {side: prepared[side] for side in ("validation", "test") if prepared[side]}
    write_card(_card(net, index.layout, index.digest, cases, refused, rows, seed, measured), folder)
    return rows


def _settings(
    digest: str, cases: dict[str, tuple[Case, ...]], seed: int, epochs: int
) -> dict[str, object]:
    names = {side: [case.name for case in some] for side, some in cases.items()}
    split = hashlib.sha256(json.dumps(names).encode()).hexdigest()
    return {
        "recipe": "bolus", "seed": seed, "epochs": epochs, "data": digest[:16], "split": split[:16],
        # prepared exams are those of a version
        "bolus": __version__,
    }  # fmt: skip


def _identity(digest: str, prepared: dict[str, list[Path]], seed: int, epochs: int) -> str:
    names = {side: [path.stem for path in paths] for side, paths in prepared.items()}
    text = json.dumps([digest, names, seed, epochs, STEPS_PER_EPOCH])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@torch.no_grad()
def samples(task: BolusTask) -> Sheet:
    """Truth, prediction and difference of the middle slices of some validation exams."""
    images: dict[str, list[Float32Array]] = {}
    level = []
    for path in task.validation[:SAMPLES]:
        found = slices(read_prepared(path), None)
        pixels, context, targets, _ = whole(found[len(found) // 2])
        maps, _ = task.model(pixels.to(task.device), context.to(task.device))
        shown = pixels[0, -2].numpy() > 0
        level.append(pixels[0, -3].numpy())
        for name, _, _ in SHOWN:
            channel = TARGETS.index(name)
            for kind, values in (("target", targets), ("network", maps.cpu())):
                image = np.where(shown, values[0, channel].numpy(), 0).astype(np.float32)
                images.setdefault(f"{name} {kind}", []).append(image)
    sheet = [Column("mean of the frames", _same_size(level), -2, 2, "grey")]
    for name, high, difference in SHOWN:
        target, network = (_same_size(images[f"{name} {kind}"]) for kind in ("target", "network"))
        label = f"{name.upper()}, {MAP_UNITS[name]}"
        sheet += [
            Column(f"target: {label}", target, 0, high, "map"),
            Column(f"network: {label}", network, 0, high, "map"),
            Column("difference", network - target, -difference, difference, "difference"),
        ]
    return sheet


def _same_size(images: Sequence[Float32Array]) -> Float32Array:
    """(n, Y, X) of images of several sizes, 0 beyond their edges."""
    rows, columns = (max(image.shape[axis] for image in images) for axis in (0, 1))
    out = np.zeros((len(images), rows, columns), np.float32)
    for k, image in enumerate(images):
        out[k, : image.shape[0], : image.shape[1]] = image
    return out


@torch.no_grad()
def _measured(net: PerfusionNet, paths: Sequence[Path]) -> dict[str, float]:
    """MAE and r of each map in valid voxels; means over exams."""
    rows = []
    for path in paths:
        pairs = []
        for one in slices(read_prepared(path), None):
            pixels, context, targets, weight = whole(one)
            valid = weight[0] >= 1
            pairs.append((net(pixels, context)[0][0][:, valid], targets[0][:, valid]))
        found, true = (torch.cat(part, dim=1).double().numpy() for part in zip(*pairs, strict=True))
        row = {}
        for name, one, other in zip(TARGETS, found, true, strict=True):
            row[f"{name} MAE"] = mean_absolute_error(one, other)
            row[f"{name} r"] = pearson(one, other)
        rows.append(row)
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _card(
    net: PerfusionNet,
    layout: str,
    digest: str,
    cases: dict[str, tuple[Case, ...]],
    refused: dict[str, list[str]],
    rows: Sequence[Row],
    seed: int,
    measured: dict[str, list[Path]],
) -> Card:
    simulated = sum(case.truth is not None for case in cases["training"])
    data: dict[str, object] = {"Layout": layout, "Digest of the index": digest[:16]}
    for side, some in cases.items():
        data[side.capitalize()] = (
            f"{len({case.patient for case in some})} patients, {len(some)} exams, "
            f"{len(refused[side])} of them refused by the pipeline"
        )
    data["Origin"] = f"{simulated} of {len(cases['training'])} training exams are simulated"
    best = min(rows, key=lambda row: row["loss"])
    facts: dict[str, dict[str, object]] = {
        "Model": {
            "Network": "temporal filters conditioned on the slab's blood, 2D U-Net of 4 levels",
            "Parameters": f"{sum(p.numel() for p in net.parameters()):,}",
            "File": f"{MODEL}: standard operations of ONNX only; {USE}",
        },
        "Data": data,
        "Training": {
            "Recipe": "bolus",
            "Seed": seed,
            "Loss": "mean absolute errors of five maps, relative error of CBF, Laplace likelihood",
            "Optimiser": f"AdamW, {LEARNING_RATE:g} after a warm-up, a cosine to 0; weight decay "
            f"{WEIGHT_DECAY:g}; moving average of the weights, {AVERAGE:g}",
            "Epochs": f"{len(rows)} of {STEPS_PER_EPOCH} steps; kept is {best['epoch']:.0f}",
            "Time": f"{sum(row['seconds'] for row in rows):.0f} s",
            "Licence of the weights": LICENCE,
        },
    }
    table = [{"side": side, **_measured(net, paths)} for side, paths in measured.items()]
    units = ", ".join(f"{name} {MAP_UNITS[name]}" for name in TARGETS)
    note = f"In valid voxels, means over exams; {units}. Tmax and TTP after the bolus's arrival."
    limits = (*LIMITS, SIMULATED) if simulated else LIMITS
    return Card("bolus", PURPOSE, facts, [Results("Accuracy", table, note)], limits)
