"""The 2D U-Net: frames of a slice in, its map before the sigmoid out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 4
"""Poolings: the image's sides must be multiples of 2**4."""
WIDTH = 64
"""Channels of the first level; each level below has twice as many, 1024 at the bottom."""


class UNet(nn.Module):
    """U-Net with average pooling and transposed convolutions.

    Parameters
    ----------
    frames : channels of the input.
    width : channels of the first level.
    """

    def __init__(self, frames: int, width: int = WIDTH) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS + 1)]
        inputs = [frames, *widths[:-1]]
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        self.down = nn.ModuleList(block(i, o) for i, o in zip(inputs, widths, strict=True))
        self.pool = nn.AvgPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, w, 2, stride=2) for deep, w in pairs)
        self.join = nn.ModuleList(block(2 * w, w) for _, w in pairs)
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map before the sigmoid.

        Parameters
        ----------
        image : (B, frames, Y, X) float32, normalised; Y and X multiples of 16.

        Returns
        -------
        (B, 1, Y, X)
        """
        skips = []
        features = self.down[0](image)
        for down in self.down[1:]:
            skips.append(features)
            features = down(self.pool(features))
        for level in reversed(range(LEVELS)):
            features = torch.cat([self.up[level](features), skips[level]], dim=1)
            features = self.join[level](features)
        found: Tensor = self.out(features)
        return found


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Twice convolution, batch normalisation and ReLU; the normalisation makes a bias redundant."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def parameter_count(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters())
