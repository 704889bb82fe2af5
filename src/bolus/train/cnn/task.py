"""The recipe `bolus`: loss, schedule and validation of the network for all five maps."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bolus.train.cnn.data import batches, slices, whole
from bolus.train.cnn.network import MAPS, PerfusionNet
from bolus.train.loop import Batch, Row, device
from bolus.train.prepare import read_prepared

LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
WARM_UP_STEPS = 100
STEPS_PER_EPOCH = 200
EPOCHS = 14
PATIENCE = 6
"""Epochs without a lower validation loss after which training ends."""
AVERAGE = 0.995
"""The network that is kept is a moving average of the trained one."""
SCALES = (8.0, 0.4, 0.8, 0.7, 0.8)
"""Typical errors of CBF, CBV, MTT, Tmax and TTP: equal weights for each."""
RELATIVE_CBF = 6.0
"""ml/100g/min added to the flow by which its error is divided: a core's flow matters too."""
SPREAD_WEIGHT = 0.3


def loss(maps: Tensor, spread: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute errors, and how well the spread predicts them (Laplace likelihood)."""
    error = (maps - targets).abs()
    scales = torch.tensor(SCALES, device=error.device)[None, :, None, None]
    plain = (error / scales).mean(dim=1)
    relative = error[:, 0] / (targets[:, 0] + RELATIVE_CBF)
    likelihood = (error.detach() / spread + torch.log(spread)).mean(dim=1)
    total = plain + relative + SPREAD_WEIGHT * likelihood
    return (total * weight).sum() / weight.sum().clamp(min=1)


class BolusTask:
    """See `bolus.train.loop.Task`."""

    def __init__(
        self, training: Sequence[Path], validation: Sequence[Path], *, seed: int, epochs: int
    ) -> None:
        torch.manual_seed(seed)
        self.device = device()
        self.training, self.validation = list(training), list(validation)
        self.seed, self.total_steps = seed, epochs * STEPS_PER_EPOCH
        self.learner = PerfusionNet().to(self.device)
        self.learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = copy.deepcopy(self.learner)
        self.optimiser = torch.optim.AdamW(
            self.learner.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        self.done = 0

    def steps(self, epoch: int) -> Iterator[Batch]:
        return batches(self.training, self.seed, epoch, STEPS_PER_EPOCH)

    def step(self, batch: Batch, bf16: bool) -> float:
        self.learner.train()
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * self._rate()
        pixels, context, targets, weight = (part.to(self.device) for part in batch)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            maps, spread = self.learner(pixels, context)
        value = loss(maps, spread, targets, weight)
        self.optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimiser.step()
        self.done += 1
        self._average()
        return float(value.detach())

    def _rate(self) -> float:
        """Warm-up, then a cosine to zero at the last step."""
        warm = min(1.0, (self.done + 1) / WARM_UP_STEPS)
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, self.done / self.total_steps)))

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(AVERAGE, self.done / (self.done + 9))
        ours, theirs = self.model.state_dict(), self.learner.state_dict()
        for name, value in ours.items():
            if value.dtype.is_floating_point:
                value.lerp_(theirs[name], 1 - keep)
            else:
                value.copy_(theirs[name])

    @torch.no_grad()
    def validate(self, bf16: bool) -> Row:
        """Mean absolute error of each map in valid voxels, and the loss, over whole exams."""
        sums = torch.zeros(len(MAPS) + 1, dtype=torch.float64)
        count, total = 0.0, 0
        for path in self.validation:
            for one in slices(read_prepared(path), None)[::2]:
                pixels, context, targets, weight = (p.to(self.device) for p in whole(one))
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                    maps, spread = self.model(pixels, context)
                valid = weight >= 1
                error = (maps - targets).abs().transpose(0, 1)[:, valid]
                sums[:-1] += error.sum(dim=1).cpu().double()
                sums[-1] += loss(maps, spread, targets, weight).cpu().double()
                count, total = count + float(valid.sum()), total + 1
        row = {f"{name}_mae": float(v) / max(count, 1) for name, v in zip(MAPS, sums, strict=False)}
        return row | {"loss": float(sums[-1]) / max(total, 1)}

    def end_epoch(self, row: Row) -> bool:
        return False

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "learner": self.learner.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "done": self.done,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.learner.load_state_dict(state["learner"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done = state["done"]
