"""The training loop: epochs, checkpoints, resuming with the same result, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bolus.errors import BolusError, DamagedFile, UsageError
from bolus.files.atomic import whole_file

LAST, BEST = "last.pt", "best.pt"

Batch = tuple[Tensor, ...]
Row = dict[str, float]


class Task(Protocol):
    """What a recipe provides to the loop."""

    @property
    def model(self) -> nn.Module:
        """The network that is kept."""

    def steps(self, epoch: int) -> Iterator[Batch]:
        """Batches of an epoch (from 1), the same each time for the same epoch."""

    def step(self, batch: Batch, bf16: bool) -> float:
        """Train on a batch on the model's device; returns the loss."""

    def validate(self, bf16: bool) -> Row:
        """Metrics of the validation exams; "loss" is used for early stopping."""

    def end_epoch(self, row: Row) -> bool:
        """Update the schedule with the epoch's metrics; True if training is finished."""

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""


@dataclass(frozen=True)
class Settings:
    """When to stop."""

    epochs: int
    """Maximum number of epochs."""
    patience: int
    """Epochs without a lower validation loss after which training ends."""
    seed: int
    identity: str
    """Digest of recipe, data and settings: a run is only resumed with the same."""


def device() -> torch.device:
    """The GPU where there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def bf16_is_faster(where: torch.device) -> bool:
    """Whether mixed precision is faster there: GPUs, and CPUs with instructions for bfloat16."""
    if where.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return where.type == "cuda" and torch.cuda.is_bf16_supported()


def fit(
    task: Task,
    folder: Path,
    settings: Settings,
    *,
    seen: Callable[[Row], None] = lambda _: None,
) -> list[Row]:
    """Train until the schedule, patience or the number of epochs ends it.

    An interrupted run resumes after its last complete epoch, with the same result as an
    uninterrupted one: batches depend on seed and epoch alone, the checkpoint holds the rest.

    Parameters
    ----------
    task : the recipe's model, data and rules; already on its device.
    folder : gets ``last.pt`` (to resume) and ``best.pt`` (lowest validation loss).
    settings : when to stop.
    seen : called with each finished epoch's row: epoch, train_loss, seconds and the numbers of
        `Task.validate`.

    Returns
    -------
    One row per epoch.

    Raises
    ------
    UsageError
        The folder holds a run with other settings.
    BolusError
        The loss is not a number.
    DamagedFile
        The checkpoint can't be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = _resume(task, folder, settings)
    bf16 = bf16_is_faster(next(task.model.parameters()).device)
    while not _finished(rows, settings):
        epoch = len(rows) + 1
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        start = time.perf_counter()
        task.model.train()
        losses = [task.step(batch, bf16) for batch in task.steps(epoch)]
        task.model.eval()
        row = {"epoch": float(epoch), "train_loss": sum(losses) / len(losses)}
        row |= task.validate(bf16)
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["loss"])):
            raise BolusError(
                f"{folder}: the loss of epoch {epoch} is not a number, so training can't continue; "
                "look for exams whose maps hold implausible values (bolus dataset check)."
            )
        stop = task.end_epoch(row)
        row |= {"seconds": time.perf_counter() - start, "stop": float(stop)}
        rows.append(row)
        if row["loss"] <= min(r["loss"] for r in rows):
            _save({"model": task.model.state_dict(), "epoch": epoch}, folder / BEST)
        _save({"identity": settings.identity, "rows": rows, **task.state()}, folder / LAST)
        seen(row)
    return rows


def _finished(rows: list[Row], settings: Settings) -> bool:
    if not rows:
        return settings.epochs == 0
    best = min(range(len(rows)), key=lambda i: rows[i]["loss"])
    stale = len(rows) - 1 - best >= settings.patience
    return len(rows) >= settings.epochs or stale or bool(rows[-1]["stop"])


def _resume(task: Task, folder: Path, settings: Settings) -> list[Row]:
    path = folder / LAST
    if not path.exists():
        return []
    found = load(path)
    if found.get("identity") != settings.identity:
        raise UsageError(
            f"{folder} holds a run with other data or settings; use another folder for this one"
        )
    task.restore(found)
    rows: list[Row] = found["rows"]
    return rows


def load(path: Path) -> dict[str, Any]:
    """A checkpoint's content; nothing in the file is ever executed.

    Raises
    ------
    DamagedFile
        It is not a checkpoint.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, none of its own
        raise DamagedFile(
            f"{path}: not a checkpoint of bolus ({type(error).__name__}); remove it to start again."
        ) from error
    if not isinstance(found, dict):
        raise DamagedFile(f"{path}: not a checkpoint of bolus; remove it to start again.")
    return found


def _save(content: dict[str, Any], path: Path) -> None:
    """Whole or not at all, and on the disk before the previous one is removed."""
    with whole_file(path) as part, part.open("wb") as stream:
        torch.save(content, stream)
