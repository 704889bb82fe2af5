"""The published network has the size it was published with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bolus.train.gava2021.network import UNet, parameter_count

PUBLISHED = {
    89: 31_087_169,
    44: 31_061_249,
    27: 31_051_457,
    18: 31_046_273,
    10: 31_041_665,
    7: 31_039_937,
    5: 31_038_785,
}


@pytest.mark.parametrize(("frames", "count"), PUBLISHED.items())
def test_parameters_are_those_of_the_public_code(frames: int, count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(UNet(frames)) == count


def test_layers_are_those_of_the_public_code() -> None:
    with torch.device("meta"):
        layers = list(UNet(89).modules())
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert sorted({layer.out_channels for layer in convolutions}) == [1, 64, 128, 256, 512, 1024]
    assert sum(layer.bias is not None for layer in convolutions) == 1
    assert sum(isinstance(layer, nn.ConvTranspose2d) for layer in layers) == 4
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in layers) == 18
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in layers)


@pytest.mark.parametrize("shape", [(16, 16), (32, 48), (128, 128)])
def test_any_multiple_of_16_is_drawn_at_its_own_size(shape: tuple[int, int]) -> None:
    net = UNet(3, width=2).eval()
    assert net(torch.zeros(2, 3, *shape)).shape == (2, 1, *shape)


def test_skips_join_behind_what_comes_from_below() -> None:
    """The first half of a joined block's input comes from the transposed convolution."""
    net = UNet(3, width=2).eval()
    first = net.join[0][0]
    with torch.no_grad():
        first.weight[:, :2] = 0
        a = net(torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        net.up[0].weight.mul_(5)
        b = net(torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        first.weight[:, :2] = 1
        c = net(torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
