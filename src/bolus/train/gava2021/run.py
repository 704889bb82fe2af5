"""One run of the recipe: data, training, results, card and model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bolus.dataset.index import MAP_NAMES, Case, Index, read_index
from bolus.dataset.split import read_split
from bolus.errors import UsageError
from bolus.train.gava2021.data import Slices, Spec, frame_numbers, map_window, prepare_slices
from bolus.train.gava2021.export import MODEL, export
from bolus.train.gava2021.model_card import data_facts, gava_card, model_facts, training_facts
from bolus.train.gava2021.network import LEVELS, WIDTH, UNet
from bolus.train.gava2021.sides import Sides, choose
from bolus.train.gava2021.task import GavaTask, predict
from bolus.train.gava2021.windows import INPUT, share
from bolus.train.loop import BEST, Row, Settings, fit, load
from bolus.train.model_card import LICENCE, USE, write_card
from bolus.train.monitor import Column, Sheet, Watch
from bolus.train.run_folder import own
from bolus.types import MAP_UNITS, Float32Array

SLICES = "slices"
SAMPLES = 4
HEAD_HU = (0.0, 100.0)
"""Window in which samples of the input are shown."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What `bolus train` can choose; the defaults are the public code's."""

    map: str = "cbv"
    frames: int = 89
    size: int = 512
    seed: int = 0
    wrap_bug: bool = False
    width: int = WIDTH


def train(
    index_path: Path,
    split_path: Path,
    folder: Path,
    options: Options,
    *,
    epochs: int = 250,
    fold: int | None = None,
    say: Say = lambda _: None,
) -> list[Row]:
    """Train a network, or resume an interrupted run.

    Parameters
    ----------
    index_path, split_path : of `bolus dataset`.
    folder : of the run: checkpoints, ``history.csv``, ``samples``, ``model-card.md`` and
        ``model.onnx``.
    options : what the network is for.
    epochs : maximum number; the plateau schedule usually ends earlier.
    fold : of a split with several.
    say : called with a line of progress.

    Returns
    -------
    One row per epoch, as in ``history.csv``.

    Raises
    ------
    UsageError
        The options don't fit the data, or the folder holds another run.
    """
    _check(options, epochs)
    index = read_index(index_path)
    split = read_split(split_path, fold=fold, index=index)
    sides = choose(index, split, options.map, options.frames)
    window = map_window(sides.train, options.map)
    spec = Spec(options.map, options.frames, options.size, window, options.wrap_bug)
    settings = {"recipe": "gava2021", **asdict(options), **_data(index, sides)}
    own(folder, settings)

    def prepared(cases: Sequence[Case]) -> Slices:
        return prepare_slices(cases, index, spec, folder / SLICES, lambda n: say(f"reading {n}"))

    training, validation = prepared(sides.train), prepared(sides.validation)
    task = GavaTask(training, validation, seed=options.seed, width=options.width)
    identity = _digest([settings, training.digest, validation.digest])
    watch = Watch(folder, lambda: samples(task, spec), say)
    # the schedule stops on a plateau of the validation loss, so no other patience is needed
    limits = Settings(epochs=epochs, patience=epochs, seed=options.seed, identity=identity)
    rows = fit(task, folder, limits, seen=watch)
    say("measuring and exporting the best epoch")
    measured = {"validation": validation}
    if sides.test:
        measured["test"] = prepared(sides.test)
    network = UNet(options.frames, options.width)
    best = load(folder / BEST)
    network.load_state_dict(best["model"])
    numbers = frame_numbers(sides.frames, options.frames).tolist()
    about = {**settings, "frame_numbers": numbers, "window": [window.centre, window.width]}
    export(network, spec, {**about, "licence": LICENCE, "use": USE}, folder / MODEL)
    facts = {
        "Model": model_facts(network, spec, numbers),
        "Data": data_facts(index, sides, {"training": training, **measured}),
        "Training": training_facts(options.seed, rows, best["epoch"]),
    }
    write_card(gava_card(network, spec, facts, measured), folder)
    return rows


def _check(options: Options, epochs: int) -> None:
    if epochs < 1:
        raise UsageError(f"--epochs takes a number of at least 1, not {epochs}")
    multiple = 2**LEVELS
    if options.size < multiple or options.size % multiple:
        raise UsageError(f"--size must be a multiple of {multiple}, not {options.size}")
    if options.map not in MAP_NAMES:
        raise UsageError(f"--map takes one of {', '.join(MAP_NAMES)}, not '{options.map}'")


def _data(index: Index, sides: Sides) -> dict[str, str]:
    names = [[case.name for case in side] for side in (sides.train, sides.validation, sides.test)]
    return {"data": index.digest[:16], "split": _digest(names)}


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def samples(task: GavaTask, spec: Spec) -> Sheet:
    """Input, target, prediction and difference of the fullest slices of some validation exams."""
    slices = task.validation
    area = slices.brain.sum(axis=(1, 2))
    names = np.array(slices.cases)
    fullest = [int(np.argmax(np.where(names == name, area, -1))) for name in dict.fromkeys(names)]
    shown = fullest[:SAMPLES]
    inputs = share(slices.inputs[shown]).mean(axis=1)
    target = _in_unit(share(slices.target[shown]), spec)
    found = _in_unit(predict(task.model, slices, only=shown), spec)
    low, span = spec.window.low, spec.window.span(spec.wrap_bug)
    label = f"{spec.map.upper()}, {MAP_UNITS.get(spec.map, 's')}"
    return (
        Column("mean of the frames, HU", inputs * INPUT.width + INPUT.low, *HEAD_HU, "grey"),
        Column(f"target: {label}", target, low, low + span, "map"),
        Column(f"network: {label}", found, low, low + span, "map"),
        Column("difference", found - target, -span / 2, span / 2, "difference"),
    )


def _in_unit(image: Float32Array, spec: Spec) -> Float32Array:
    return np.asarray(image * spec.window.span(spec.wrap_bug) + spec.window.low, np.float32)
