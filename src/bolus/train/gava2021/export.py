"""The trained network as an ONNX file that takes Hounsfield units and gives the map in its unit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bolus.files.atomic import whole_file
from bolus.infer.metadata import KEY_GAVA2021
from bolus.train.gava2021.data import Spec
from bolus.train.gava2021.windows import ABOVE, INPUT, MEAN, SD

MODEL = "model.onnx"
OPSET = 17


class FromHounsfield(nn.Module):
    """The network with its input and output windows, so that users need not know them."""

    def __init__(self, network: nn.Module, spec: Spec) -> None:
        super().__init__()
        self.network, self.window, self.wrap_bug = network, spec.window, spec.wrap_bug

    def forward(self, hu: Tensor) -> Tensor:
        """(B, frames, Y, X) HU of the chosen frames to (B, Y, X) in the map's unit."""
        image = (self._levels(hu) / 255 - MEAN) / SD
        share: Tensor = self.network(image).sigmoid()[:, 0]
        return share * self.window.span(self.wrap_bug) + self.window.low

    def _levels(self, hu: Tensor) -> Tensor:
        """8-bit levels, as `windows.to_bytes` makes them."""
        if not self.wrap_bug:
            return ((hu - INPUT.low) / INPUT.width).clamp(0, 1).mul(255).floor()
        level = ((hu - (INPUT.centre - 0.5)) / (INPUT.width - 1) + 0.5) * 255
        level = level.floor().clamp(min=0)
        return torch.where(hu > INPUT.low + INPUT.width, float(ABOVE), level)


def export(network: nn.Module, spec: Spec, about: Mapping[str, object], path: Path) -> None:
    """Write the network as ONNX, completely or not at all.

    Input ``hu`` (slices, frames, rows, columns) float32 of the chosen frames, rows and columns
    multiples of 16; output ``map`` (slices, rows, columns) float32 in the map's unit.

    Parameters
    ----------
    network : `UNet` with its trained weights, on the CPU.
    spec : what it was trained for.
    about : goes into the file as JSON, under the key `KEY_GAVA2021`.
    """
    import onnx

    slices = {0: "slices", 1: "rows", 2: "columns"}
    with whole_file(path) as part:
        with warnings.catch_warnings():
            # the exporter that needs no further package is the older one and says so
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                FromHounsfield(network, spec).eval(),
                (torch.zeros(1, spec.frames, spec.size, spec.size),),
                str(part),
                input_names=["hu"],
                output_names=["map"],
                dynamic_axes={"hu": {0: "slices", 2: "rows", 3: "columns"}, "map": slices},
                opset_version=OPSET,
                dynamo=False,
            )
        model = onnx.load(part)
        for node in model.graph.node:
            # local path of the code that made the node
            node.ClearField("doc_string")
        onnx.helper.set_model_props(model, {KEY_GAVA2021: json.dumps(about, sort_keys=True)})
        part.write_bytes(model.SerializeToString(deterministic=True))
