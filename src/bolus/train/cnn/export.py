"""From a trained network to the file that `bolus run` reads: ONNX with a card."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from bolus import __version__
from bolus.files.atomic import whole_file
from bolus.infer.features import CONTEXT, PIXEL_CHANNELS
from bolus.infer.metadata import KEY, Card, Fact, write_card
from bolus.infer.model import INPUTS, OUTPUTS, load_model
from bolus.infer.out_of_distribution import Description, SliceSample, describe, fit, subsample
from bolus.train.cnn.data import LOSES_FRAMES, slices, whole, with_frames_lost
from bolus.train.cnn.network import MAPS, PerfusionNet
from bolus.train.loop import load
from bolus.train.prepare import read_prepared
from bolus.types import Float32Array

OPSET = 17
LICENCE = "Apache-2.0"
ONE_SD = 68.27
"""Target percentage of errors within one standard error."""
SLICES_PER_EXAM = 6
"""Enough for quantiles over an exam."""
DESCRIBED = 400
"""At most this many training exams, evenly spread, define the usual values."""
THREADS = 2
"""PyTorch's last digits depend on the number of threads, which other libraries may change."""
SAME = 1e-4
"""Tolerance between ONNX Runtime and PyTorch, as a fraction of a map's largest value."""


@dataclass(frozen=True)
class ExamOutput:
    """Output of the network for one prepared exam."""

    description: Description
    ratios: Float32Array
    """(5, n) absolute error over the network's spread, in valid voxels."""


def export(
    checkpoint: Path,
    training: Sequence[Path],
    validation: Sequence[Path],
    out: Path,
    *,
    name: str,
    facts: Mapping[str, Fact],
) -> None:
    """Write a checkpoint as a model file; the same arguments give the same bytes.

    Parameters
    ----------
    checkpoint : as `bolus.train.loop.fit` writes it.
    training, validation : prepared exams; the latter set standard errors and the limits beyond
        which an exam counts as unlike the training exams.
    out : the ONNX file.
    name : of the model, in results.
    facts : seed, epochs and other facts about the training.

    Raises
    ------
    DamagedFile
        The checkpoint can't be read.
    RuntimeError
        ONNX Runtime's maps differ from PyTorch's.
    """
    net = PerfusionNet()
    net.load_state_dict(load(checkpoint)["model"])
    net.eval()
    step, every = -(-len(training) // DESCRIBED), round(1 / LOSES_FRAMES)
    with _threads(THREADS):
        learnt = [
            # missing frames are common as well
            run_on_exam(net, path, np.random.default_rng(n) if n % every == 0 else None).description
            for n, path in enumerate(training[::step])
        ]
        checked = [run_on_exam(net, path) for path in validation]
    ratios = np.concatenate([seen.ratios for seen in checked], axis=1)
    factors = np.percentile(ratios, ONE_SD, axis=1)
    card = Card(
        name=name,
        factors={m: float(f"{f:.4g}") for m, f in zip(MAPS, factors, strict=True)},
        usual=fit(learnt, [seen.description for seen in checked]),
        training={
            **facts,
            "training_exams": len(training),
            "validation_exams": len(validation),
            "bolus": __version__,
            "licence": LICENCE,
        },
    )
    with whole_file(out) as part:
        part.write_bytes(with_card(onnx_bytes(net), card))
        require_same(net, part, validation[0])


@torch.no_grad()
def run_on_exam(
    net: nn.Module, path: Path, losing: np.random.Generator | None = None
) -> ExamOutput:
    """Run the network on a prepared exam.

    Parameters
    ----------
    net : in evaluation mode.
    losing : random generator of the frames left out; None for none.
    """
    prepared = read_prepared(path)
    if losing is not None:
        prepared = with_frames_lost(prepared, losing)
    seen, ratios = [], []
    found = slices(prepared, None)
    for one in found[:: max(len(found) // SLICES_PER_EXAM, 1)]:
        pixels, context, targets, weight = whole(one)
        maps, spread = net(pixels, context)
        valid = weight[0] >= 1
        ratios.append(((maps - targets).abs() / spread)[0][:, valid].numpy())
        inside = torch.nonzero(pixels[0, -2].ravel()).ravel()
        some = inside[subsample(len(inside))]
        seen.append(SliceSample(_at(pixels, some), context[0].numpy(), _at(spread, some)))
    return ExamOutput(describe(seen), np.concatenate(ratios, axis=1))


def _at(values: Tensor, places: Tensor) -> Float32Array:
    """(C, n) of (1, C, Y, X)."""
    return np.asarray(values[0].flatten(1)[:, places].numpy())


def onnx_bytes(net: nn.Module) -> bytes:
    """The network as ONNX: any batch, any rows and columns that are multiples of 8."""
    example = (torch.zeros(2, PIXEL_CHANNELS, 32, 40), torch.zeros(2, CONTEXT))
    axes = {0: "batch", 2: "rows", 3: "columns"}
    with _quiet(), TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            net,
            example,
            path,
            # the newer exporter needs another package and changes names each time
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={
                "pixels": axes,
                "context": {0: "batch"},
                "maps": axes,
                "spread": axes,
            },
        )
        return path.read_bytes()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's deprecation warnings."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def with_card(content: bytes, card: Card) -> bytes:
    """The same model with the card in its metadata, and without local paths."""
    import onnx

    model = onnx.load_from_string(content)
    for node in model.graph.node:
        node.ClearField("doc_string")
    del model.metadata_props[:]
    model.metadata_props.add(key=KEY, value=write_card(card))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


@torch.no_grad()
def require_same(net: nn.Module, path: Path, exam: Path) -> float:
    """Compare PyTorch's and ONNX Runtime's maps of an exam's middle slice.

    Returns
    -------
    Largest difference over the largest value, of all maps.

    Raises
    ------
    RuntimeError
        It is above `SAME`.
    """
    found = slices(read_prepared(exam), None)
    pixels, context, *_ = found[len(found) // 2]
    whole_pixels, whole_context, *_ = whole(found[len(found) // 2])
    expected = [v[0].numpy() for v in net(whole_pixels, whole_context)]
    apart = 0.0
    for theirs, ours in zip(expected, load_model(path).run(pixels, context), strict=True):
        rows, columns = ours.shape[1:]
        theirs = theirs[:, :rows, :columns]
        largest = np.abs(theirs).max(axis=(1, 2))
        apart = max(apart, float((np.abs(theirs - ours).max(axis=(1, 2)) / largest).max()))
    if apart > SAME:
        raise RuntimeError(f"ONNX Runtime's maps differ from PyTorch's by {apart:.1e}")
    return apart
