"""Model files corrupted by chance or on purpose."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from small_network import CARD, cast, node, small_network

from bolus.infer.metadata import KEY

OPERATIONS = (
    "Abs", "Add", "ArgMax", "AveragePool", "BatchNormalization", "Ceil", "Concat", "Conv", "Cos",
    "CumSum", "DepthToSpace", "Div", "Einsum", "Erf", "Exp", "Expand", "Flatten", "Gather", "Gemm",
    "GlobalMaxPool", "If", "InstanceNormalization", "LSTM", "Log", "Loop", "LpPool", "MatMul",
    "MaxPool", "MaxUnpool", "Mod", "Mul", "NonZero", "NoSuchOperation", "OneHot", "Pad", "Pow",
    "Range", "Reciprocal", "ReduceSum", "Relu", "Reshape", "Resize", "RoiAlign", "ScatterND",
    "Shape", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "TopK",
    "Transpose", "Unsqueeze", "Where",
)  # fmt: skip
WHOLE = (-(2**63), -(2**31), -1, 0, 1, 2, 5, 7, 1000, 2**31 - 1, 2**40, 2**63 - 1)
NUMBERS = (float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e10, -1e4, 0.0, 1e-40)
JSON_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "-1", "0", "1e-320", "null",
                "true", '"1"', "[]", "{}", "[" * 3000 + "]" * 3000, '"\\u001b[2J"')  # fmt: skip


def hostile_model(rng: random.Random) -> bytes:
    """A file made from a valid small model by one to three changes.

    Among these are flipped bits, missing and repeated parts, other operations, shapes, attributes
    and numbers, and other words in its description.  None asks for gigabytes that a machine may
    have: those that ask for much ask for terabytes.
    """
    model = ModelProto()
    model.CopyFrom(_valid())
    for _ in range(rng.choice((0, 1, 1, 2))):
        rng.choice(OF_A_MODEL)(rng, model)
    content = model.SerializeToString()
    for _ in range(rng.choice((0, 1, 1, 2)) if rng.random() < 0.6 else 0):
        content = rng.choice(OF_BYTES)(rng, content)
    return content


@cache
def _valid() -> ModelProto:
    return small_network()


def _some_node(rng: random.Random, model: ModelProto) -> int:
    return rng.randrange(len(model.graph.node))


def _other_operation(rng: random.Random, model: ModelProto) -> None:
    model.graph.node[_some_node(rng, model)].op_type = rng.choice(OPERATIONS)


def _other_domain(rng: random.Random, model: ModelProto) -> None:
    model.graph.node[_some_node(rng, model)].domain = rng.choice(("com.microsoft", "x\x1b[2J", "é"))


def _lost_node(rng: random.Random, model: ModelProto) -> None:
    del model.graph.node[_some_node(rng, model)]


def _repeated_node(rng: random.Random, model: ModelProto) -> None:
    model.graph.node.append(model.graph.node[_some_node(rng, model)])


def _other_wiring(rng: random.Random, model: ModelProto) -> None:
    names = [name for one in model.graph.node for name in (*one.input, *one.output)]
    one = model.graph.node[_some_node(rng, model)]
    ends = one.input if rng.random() < 0.7 else one.output
    if ends:
        ends[rng.randrange(len(ends))] = rng.choice(names)


def _other_attribute(rng: random.Random, model: ModelProto) -> None:
    one = model.graph.node[_some_node(rng, model)]
    name = rng.choice(("axis", "strides", "pads", "dilations", "group", "kernel_shape", "alpha"))
    several = [rng.choice(WHOLE) for _ in range(rng.randrange(5))]
    value = rng.choice((rng.choice(WHOLE), rng.choice(NUMBERS), several or 1, "text"))
    one.attribute.append(helper.make_attribute(name, value))


def _other_dimensions(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(model.graph.initializer)
    if rng.random() < 0.5 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(WHOLE)
    else:
        tensor.dims.append(rng.choice(WHOLE))


def _other_kind(rng: random.Random, model: ModelProto) -> None:
    if rng.random() < 0.5:
        rng.choice(model.graph.initializer).data_type = rng.randrange(25)
    else:
        ends = rng.choice((model.graph.input, model.graph.output))
        rng.choice(ends).type.tensor_type.elem_type = rng.randrange(25)


def _other_numbers(rng: random.Random, model: ModelProto) -> None:
    number = rng.randrange(len(_valid().graph.initializer))
    # an earlier change may have left this one unreadable
    values = numpy_helper.to_array(_valid().graph.initializer[number]).copy()
    place = rng.randrange(values.size)
    if values.dtype == np.float32:
        values.flat[place] = np.float32(rng.choice(NUMBERS))
    else:
        values.flat[place] = rng.choice(WHOLE)
    tensor = model.graph.initializer[number]
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _other_shape(rng: random.Random, model: ModelProto) -> None:
    ends = rng.choice((model.graph.input, model.graph.output))
    shape = rng.choice(ends).type.tensor_type.shape
    if rng.random() < 0.3:
        shape.dim.add(dim_value=rng.choice(WHOLE))
    elif rng.random() < 0.3 and len(shape.dim):
        del shape.dim[0]
    elif len(shape.dim):
        shape.dim[rng.randrange(len(shape.dim))].dim_value = rng.choice(WHOLE)


def _other_maps(rng: random.Random, model: ModelProto) -> None:
    """Operations put between the last but one and the maps or spreads."""
    (*_, last) = model.graph.node
    made = last.output[0]
    number = numpy_helper.from_array(np.float32([rng.choice(NUMBERS)]), "number")
    whole = numpy_helper.from_array(
        np.array([rng.choice(WHOLE) for _ in range(rng.choice((1, 4, 4)))]), "whole"
    )
    terabytes = numpy_helper.from_array(np.array([2**20, 2**10, 1, 2**10]), "terabytes")
    model.graph.initializer.extend([number, whole, terabytes])
    last.output[0] = "before"
    kinds = (
        [node(rng.choice(("Add", "Mul", "Div", "Pow", "Mod")), "before", "number", to=made)],
        [node(rng.choice(("Reshape", "Expand")), "before", "whole", to=made)],
        [node("Tile", "before", "terabytes", to=made)],
        [node("Gather", "before", "whole", to=made, axis=rng.randrange(-5, 5))],
        [
            node("ConstantOfShape", "terabytes", to="much"),
            node("ReduceMax", "much", to="most", keepdims=0),
            node("Add", "before", "most", to=made),
        ],
        [
            cast("before", "integers", TensorProto.INT64),
            node(rng.choice(("Div", "Mod")), "integers", "whole", to="fewer"),
            cast("fewer", made, TensorProto.FLOAT),
        ],
        [node("Resize", "before", "", "number", to=made)],
    )
    model.graph.node.extend(rng.choice(kinds))


def _other_card(rng: random.Random, model: ModelProto) -> None:
    found = json.loads(CARD)
    inside = rng.choice((found, found["standard_errors"], rng.choice(found["usual"])))
    key = rng.choice(list(inside))
    if rng.random() < 0.2:
        del inside[key]
    else:
        place = inside[key]
        if isinstance(place, list) and rng.random() < 0.7:
            place[rng.randrange(len(place))] = "HERE"
        else:
            inside[key] = "HERE"
    text = json.dumps(found).replace('"HERE"', rng.choice(JSON_NUMBERS))
    del model.metadata_props[:]
    model.metadata_props.add(key=KEY, value=text)


def _other_metadata(rng: random.Random, model: ModelProto) -> None:
    model.metadata_props.add(key=rng.choice((KEY, "ort_config", "")), value="{}")


def _other_version(rng: random.Random, model: ModelProto) -> None:
    if rng.random() < 0.5:
        model.ir_version = rng.choice(WHOLE)
    else:
        model.opset_import[0].version = rng.choice(WHOLE)


def _in_the_head(rng: random.Random, content: bytes) -> int:
    """A place, mostly before the description, which is the longest part."""
    return rng.randrange(max(len(content) - (len(CARD) if rng.random() < 0.8 else 0), 1))


def _flipped_bits(rng: random.Random, content: bytes) -> bytes:
    corrupted = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if corrupted:
            corrupted[_in_the_head(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(corrupted)


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _spliced(rng: random.Random, content: bytes) -> bytes:
    a, at = _in_the_head(rng, content), _in_the_head(rng, content)
    return content[:at] + content[a : a + rng.choice((1, 2, 8, 64, 1024))] + content[at:]


def _left_out(rng: random.Random, content: bytes) -> bytes:
    at = _in_the_head(rng, content)
    return content[:at] + content[at + rng.choice((1, 2, 8, 64)) :]


def _random_bytes(rng: random.Random, content: bytes) -> bytes:
    at = _in_the_head(rng, content)
    return content[:at] + rng.randbytes(rng.choice((1, 2, 8, 64))) + content[at:]


def _twice(rng: random.Random, content: bytes) -> bytes:
    return content * rng.choice((2, 3))


OF_A_MODEL: tuple[Callable[[random.Random, ModelProto], None], ...] = (
    _other_operation, _other_domain, _lost_node, _repeated_node, _other_wiring, _other_attribute,
    _other_dimensions, _other_kind, _other_numbers, _other_shape, _other_maps, _other_maps,
    _other_card, _other_card, _other_metadata, _other_version,
)  # fmt: skip
OF_BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flipped_bits, _flipped_bits, _cut, _spliced, _left_out, _random_bytes, _twice,
)  # fmt: skip
