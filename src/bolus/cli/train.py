"""``bolus train``: a network from a data set."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from bolus.errors import OutputError, UsageError

RecipeName = Literal["bolus", "gava2021"]
MapName = Literal["cbf", "cbv", "mtt", "ttp", "tmax", "delay"]


def train(
    index: Path,
    *,
    split: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    recipe: RecipeName = "bolus",
    fold: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    map_name: Annotated[MapName | None, Parameter(name="--map")] = None,
    frames: int | None = None,
    size: int | None = None,
    wrap_bug: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Train a network on a data set; repeat the command to resume after an interruption.

    The folder of the run gets the weights (last.pt, best.pt, model.onnx), history.csv, sample maps
    and model-card.md. Needs `pip install 'bolus[train]'`; a GPU is used where there is one.

    Parameters
    ----------
    index
        File of `bolus dataset index`.
    split
        File of `bolus dataset split`: patients for training, validation and testing.
    out
        Folder of the run: new, or that of an interrupted run to resume.
    recipe
        "bolus": one network for all maps; "gava2021": the published network for one map and one
        number of frames.
    fold
        Which fold, from 0, of a split with several.
    epochs
        Maximum number of epochs (gava2021: 250); training stops earlier when the validation loss no
        longer improves.
    seed
        Random seed of the initial weights and of the order of slices.
    map_name
        gava2021 only: the map to predict, cbv by default.
    frames
        gava2021 only: number of frames, 89 by default.
    size
        gava2021 only: rows and columns of the images, 512 by default.
    wrap_bug
        gava2021 only: window the maps exactly as the public code did, overflow included.
    quiet
        Print nothing but errors.
    """
    if find_spec("torch") is None or find_spec("onnx") is None:
        raise UsageError("training needs PyTorch and onnx: pip install 'bolus[train]'")
    say = _nothing if quiet else _print
    given = {"map": map_name, "frames": frames, "size": size, "wrap_bug": wrap_bug or None}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    limit = {} if epochs is None else {"epochs": epochs}
    if recipe == "bolus" and chosen:
        names = ", ".join("--" + name.replace("_", "-") for name in chosen)
        raise UsageError(f"{names} belong to the recipe gava2021")
    try:
        if recipe == "gava2021":
            from bolus.train.gava2021.run import Options
            from bolus.train.gava2021.run import train as train_gava2021

            options = Options(seed=seed, **chosen)
            train_gava2021(index, split, out, options, fold=fold, say=say, **limit)
        else:
            from bolus.train.cnn.run import train as train_bolus

            train_bolus(index, split, out, seed=seed, fold=fold, say=say, **limit)
    except KeyboardInterrupt:
        say("interrupted; the same command resumes after the last complete epoch")
        raise SystemExit(130) from None
    except OSError as error:
        place = error.filename or out
        raise OutputError(f"{place}: can't be read or written ({error.strerror}).") from error


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _nothing(line: str) -> None:
    pass
