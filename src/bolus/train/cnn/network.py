"""One network for all five maps: a temporal layer conditioned on the slab's blood, then a U-Net."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu, softplus

from bolus.infer.features import CONTEXT, PIXEL_CHANNELS
from bolus.types import MAP_UNITS

MAPS = tuple(MAP_UNITS)
WIDTHS = (40, 64, 96, 128)
HIDDEN = 160
TEMPORAL = 48
"""Temporal filters, each a linear function of the curve that depends on the blood's curves, as
deconvolution is."""
CBF_UNIT, MTT_UNIT, TIME_UNIT = 20.0, 4.0, 4.0
"""ml/100g/min, s and s: scale of the outputs."""


class Block(nn.Module):
    """Two convolutions; the context scales and shifts the output of the first one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.film = nn.Linear(HIDDEN, 2 * outputs)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        gain, shift = self.film(hidden)[:, :, None, None].chunk(2, dim=1)
        x = self.first_norm(self.first(x))
        x = relu(x * (1 + gain) + shift)
        return relu(self.second_norm(self.second(x)))


class PerfusionNet(nn.Module):
    """(B, PIXEL_CHANNELS, Y, X) and (B, CONTEXT) to maps and their spread, (B, 5, Y, X) each.

    Y and X are multiples of 8.  Maps are CBF (ml/100g/min), CBV (ml/100g), MTT, Tmax and TTP after
    the bolus's arrival (s); CBV = CBF x MTT / 60.  The spread is the expected mean absolute
    error, in the same units.
    """

    def __init__(self) -> None:
        super().__init__()
        self.context = nn.Sequential(
            nn.Linear(CONTEXT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
        )
        self.temporal = nn.Linear(HIDDEN, TEMPORAL * PIXEL_CHANNELS)
        self.temporal_bias = nn.Linear(HIDDEN, TEMPORAL)
        widths = (TEMPORAL, *WIDTHS)
        self.down = nn.ModuleList(Block(a, b) for a, b in pairwise(widths))
        pairs = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.join = nn.ModuleList(Block(2 * b, b) for _, b in pairs)
        self.out = nn.Conv2d(WIDTHS[0] + TEMPORAL, 32, 1)
        self.maps = nn.Conv2d(32, 9, 1)

    def forward(self, pixels: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.context(context)
        batch, channels, rows, columns = pixels.shape
        weights = self.temporal(hidden).reshape(batch, TEMPORAL, channels)
        x = torch.bmm(weights, pixels.reshape(batch, channels, rows * columns))
        x = x + self.temporal_bias(hidden)[:, :, None]
        x = relu(x).reshape(batch, TEMPORAL, rows, columns)
        stem, skips = x, []
        for depth, block in enumerate(self.down):
            x = block(x if depth == 0 else avg_pool2d(x, 2), hidden)
            skips.append(x)
        skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), skips.pop()], dim=1), hidden)
        x = relu(self.out(torch.cat([x, stem], dim=1)))
        return physical(self.maps(x).float())


def physical(raw: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 9, Y, X) outputs to maps and spreads in their units."""
    cbf = CBF_UNIT * softplus(raw[:, 0])
    mtt = 1.0 + MTT_UNIT * softplus(raw[:, 1])
    cbv = cbf * mtt / 60
    tmax, ttp = TIME_UNIT * (raw[:, 2] + 1), TIME_UNIT * (raw[:, 3] + 2)
    spread = softplus(raw[:, 4:]) + 0.01
    units = torch.tensor([10.0, 0.5, 1.0, 1.0, 1.0], device=raw.device)
    maps = torch.stack([cbf, cbv, mtt, tmax, ttp], dim=1)
    return maps, spread * units[None, :, None, None]
