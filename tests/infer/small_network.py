"""Networks of a few operations that `load_model` takes, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from bolus.infer.features import CONTEXT, PIXEL_CHANNELS
from bolus.infer.metadata import KEY
from bolus.infer.onnxfile import metadata_of

OPSET = 17
CARD = metadata_of(files("bolus.infer").joinpath("weights.onnx").read_bytes())[KEY]
"""The built-in network's."""

Numbers = dict[str, np.ndarray]


def node(operation: str, *inputs: str, to: str, **attributes: object) -> NodeProto:
    """One operation with one output."""
    return helper.make_node(operation, list(inputs), [to], **attributes)


def cast(name: str, made: str, kind: int) -> NodeProto:
    """The numbers of ``name`` as those of another kind, of `TensorProto`."""
    return helper.make_node("Cast", [name], [made], to=kind)


def small_network(
    last: Sequence[NodeProto] = (), numbers: Numbers | None = None, *, card: str = CARD
) -> ModelProto:
    """A network that is right about nothing but gives maps; ``last`` may make other ones.

    Parameters
    ----------
    last : operations that make "maps" or "spread" from what is there: "good" and "sure",
        (1, 5, Y, X) each; what they don't make is made from those two.
    numbers : that ``last`` needs.
    """
    rng = np.random.default_rng(1)
    weights = {
        "w": rng.normal(0, 0.1, (10, PIXEL_CHANNELS, 1, 1)).astype(np.float32),
        "b": np.repeat(np.float32([3, 1]), 5),
        "of_context": rng.normal(0, 0.01, (CONTEXT, 10)).astype(np.float32),
        "plane": np.array([2, 3]),
        "halves": np.array([5, 5]),
    }
    nodes = [
        node("Conv", "pixels", "w", "b", to="seen"),
        node("MatMul", "context", "of_context", to="told"),
        node("Unsqueeze", "told", "plane", to="everywhere"),
        node("Add", "seen", "everywhere", to="sum"),
        node("Softplus", "sum", to="both"),
        helper.make_node("Split", ["both", "halves"], ["good", "sure"], axis=1),
        *last,
    ]
    made = {name for one in last for name in one.output}
    nodes += [
        node("Identity", start, to=name)
        for start, name in (("good", "maps"), ("sure", "spread"))
        if name not in made
    ]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in {
            "pixels": ["batch", PIXEL_CHANNELS, "rows", "columns"],
            "context": ["batch", CONTEXT],
            "maps": ["batch", 5, "rows", "columns"],
            "spread": ["batch", 5, "rows", "columns"],
        }.items()
    }
    graph = helper.make_graph(
        nodes,
        "small",
        [values["pixels"], values["context"]],
        [values["maps"], values["spread"]],
        [numpy_helper.from_array(v, name) for name, v in {**weights, **(numbers or {})}.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="tests"
    )
    model.metadata_props.add(key=KEY, value=card)
    return model


def slow(times: int, start: str) -> tuple[list[NodeProto], Numbers]:
    """So many products of large matrices, made of the first number of ``start``."""
    nodes = [
        node("ReduceMax", start, to="one", keepdims=0),
        node("Expand", "one", "large", to="m0"),
        *(node("MatMul", f"m{i}", f"m{i}", to=f"m{i + 1}") for i in range(times)),
        node("ReduceMax", f"m{times}", to="end", keepdims=0),
        node("Add", "good", "end", to="maps"),
    ]
    return nodes, {"large": np.array([1500, 1500])}


def large(start: str) -> tuple[list[NodeProto], Numbers]:
    """100 GB between the input and the output."""
    nodes = [
        node("ReduceMax", start, to="one", keepdims=0),
        node("Expand", "one", "huge", to="expanded"),
        node("ReduceMax", "expanded", to="end", keepdims=0),
        node("Add", "good", "end", to="maps"),
    ]
    return nodes, {"huge": np.array([25, 1000, 1000, 1000])}
