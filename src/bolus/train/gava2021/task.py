"""Loss, optimiser, schedule and validation of the published network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bolus.metrics import image_agreement
from bolus.train.gava2021.data import Slices
from bolus.train.gava2021.network import WIDTH, UNet
from bolus.train.gava2021.windows import MEAN, SD, share
from bolus.train.loop import Batch, Row, device
from bolus.types import Float32Array

LEARNING_RATE = 5e-5
BATCH = 8
PLATEAU_PATIENCE = 5
PLATEAU_FACTOR = 0.1
LAST_RATE = 1e-7
"""Training ends when the plateau schedule gets there: 5e-5, 5e-6, 5e-7, stop."""


class GavaTask:
    """See `bolus.train.loop.Task`.

    Parameters
    ----------
    training, validation : slices with the same number of frames.
    seed : of the initial weights and of the order of slices; added here, there was none.
    width : channels of the first level; 64 in the published network.
    """

    def __init__(
        self, training: Slices, validation: Slices, *, seed: int, width: int = WIDTH
    ) -> None:
        torch.manual_seed(seed)
        self.training, self.validation, self.seed = training, validation, seed
        self.device = device()
        model = UNet(training.inputs.shape[1], width)
        self.model: nn.Module = model.to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimiser, mode="min", factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE
        )

    def steps(self, epoch: int) -> Iterator[Batch]:
        """Batches of 8 slices in an order determined by seed and epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.training))
        for start in range(0, len(order), BATCH):
            # sorted for fast disk access; the mean over a batch has no order
            chosen = np.sort(order[start : start + BATCH])
            pair = self.training.inputs[chosen], self.training.target[chosen]
            yield tuple(torch.from_numpy(part) for part in pair)

    def step(self, batch: Batch, bf16: bool) -> float:
        """One step of Adam on the mean squared error over the whole images."""
        images, target = (part.to(self.device) for part in batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            found = self.model(normalised(images))
        loss = functional.mse_loss(found.float().sigmoid()[:, 0], target / 255)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())

    def validate(self, bf16: bool) -> Row:
        """Agreement with the data set's maps over the validation slices; "loss" is the MSE."""
        found = predict(self.model, self.validation, bf16=bf16)
        row = image_agreement(found, share(self.validation.target), self.validation.brain)
        rate = float(self.optimiser.param_groups[0]["lr"])
        return {"loss": row.pop("mse"), **row, "learning_rate": rate}

    def end_epoch(self, row: Row) -> bool:
        """Lower the rate on a plateau of the validation loss; finished when it is low enough."""
        self.schedule.step(row["loss"])
        return bool(self.optimiser.param_groups[0]["lr"] <= LAST_RATE)

    def state(self) -> dict[str, Any]:
        """Weights, moments and rate."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])


def normalised(images: Tensor) -> Tensor:
    """(B, frames, Y, X) uint8 to float32 as the network wants it."""
    image = (images / 255 - MEAN) / SD
    return image.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def predict(
    model: nn.Module, slices: Slices, *, only: Sequence[int] | None = None, bf16: bool = False
) -> Float32Array:
    """(N, size, size) maps from 0 to 1 of all slices, or some; the model stays in evaluation."""
    model.eval()
    where = next(model.parameters()).device
    chosen = np.arange(len(slices)) if only is None else np.array(only)
    found = []
    for start in range(0, len(chosen), BATCH):
        images = torch.from_numpy(slices.inputs[chosen[start : start + BATCH]]).to(where)
        with torch.autocast(where.type, torch.bfloat16, enabled=bf16):
            out = model(normalised(images))
        found.append(out.float().sigmoid()[:, 0].cpu().numpy())
    return np.concatenate(found)
