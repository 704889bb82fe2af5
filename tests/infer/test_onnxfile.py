"""A model file is data: whatever could do more than compute is refused before anything runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from bolus.infer.onnxfile import UnsafeModelError, metadata_of

WEIGHTS = files("bolus.infer").joinpath("weights.onnx").read_bytes()


def a_model() -> ModelProto:
    """y = x + 1, with one number inside."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "one"], ["y"])], "g", [x], [y], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.metadata_props.add(key="colour", value="blue")
    return model


def test_metadata_is_read_as_it_was_written() -> None:
    assert metadata_of(a_model().SerializeToString()) == {"colour": "blue"}
    assert list(metadata_of(WEIGHTS)) == ["bolus"]


def other_domain(model: ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def imports_other_domain(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def external_numbers(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.external_data.add(key="location", value="../../etc/passwd")
    tensor.data_location = TensorProto.EXTERNAL


def external_constant(model: ModelProto) -> None:
    constant = helper.make_node(
        "Constant", [], ["c"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    )
    constant.attribute[0].t.external_data.add(key="location", value="numbers.bin")
    model.graph.node.append(constant)


def branches(model: ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "inner", [], [])
    model.graph.node.append(
        helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner)
    )


def functions(model: ModelProto) -> None:
    model.functions.append(
        helper.make_function("mine", "f", ["a"], ["b"], [], [helper.make_opsetid("", 17)])
    )


def training(model: ModelProto) -> None:
    model.training_info.add()


def missing_numbers(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [10**6, 10**6]


def negative_dimensions(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [-1]


def missing_constant(model: ModelProto) -> None:
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))
    model.graph.node[-1].attribute[0].t.dims[:] = [2**60]


def many_operations(model: ModelProto) -> None:
    model.graph.node.extend(model.graph.node[:1] * 10_001)


def many_names(model: ModelProto) -> None:
    model.graph.node[0].input.extend([""] * 300_000)


@pytest.mark.parametrize(
    ("corrupt", "words"),
    [
        (other_domain, "com.example"),
        (imports_other_domain, "com.microsoft"),
        (external_numbers, "another file"),
        (external_constant, "another file"),
        (branches, "branches or loops"),
        (functions, "functions"),
        (training, "training"),
        (missing_numbers, "lacks numbers"),
        (negative_dimensions, "lacks numbers"),
        (missing_constant, "lacks numbers"),
        (many_operations, "10000 operations"),
        (many_names, "too many parts"),
    ],
)
def test_what_does_more_than_compute_is_refused(
    corrupt: Callable[[ModelProto], None], words: str
) -> None:
    model = a_model()
    corrupt(model)
    with pytest.raises(UnsafeModelError, match=words):
        metadata_of(model.SerializeToString())


def test_a_field_that_others_would_see_under_another_number_is_refused() -> None:
    """Readers of protobuf cut field numbers off at 32 bits."""
    hidden = (14 << 3 | 2) + (1 << 32)  # metadata, and a bit more
    key = bytes((hidden >> 7 * i) & 127 | (128 if i < 4 else 0) for i in range(5))
    with pytest.raises(UnsafeModelError, match="not an ONNX file"):
        metadata_of(WEIGHTS + key + b"\0")
    assert metadata_of(WEIGHTS + bytes([14 << 3 | 2, 0])) == metadata_of(WEIGHTS) | {"": ""}


def test_operations_are_counted_over_all_parts_of_a_graph() -> None:
    """Readers of protobuf put a message that is there twice together."""
    half = a_model()
    half.graph.node.extend(half.graph.node[:1] * 6000)
    whole = half.SerializeToString()
    assert metadata_of(whole)
    with pytest.raises(UnsafeModelError, match="10000 operations"):
        metadata_of(whole + whole)


def test_a_large_file_of_small_parts_is_soon_refused() -> None:
    began = time.monotonic()
    with pytest.raises(UnsafeModelError, match="too many parts"):
        metadata_of(bytes([9 << 3, 0]) * 50_000_000)
    dimensions = bytes([1 << 3 | 2]) + varint(50_000_000) + bytes([1]) * 50_000_000
    tensor = bytes([5 << 3 | 2]) + varint(len(dimensions)) + dimensions
    with pytest.raises(UnsafeModelError, match="too many parts"):
        metadata_of(bytes([7 << 3 | 2]) + varint(len(tensor)) + tensor)
    assert time.monotonic() - began < 20


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


@given(end=st.integers(0, len(WEIGHTS) - 1))
def test_a_file_that_ends_too_early_is_refused(end: int) -> None:
    whole = metadata_of(WEIGHTS)
    try:
        found = metadata_of(WEIGHTS[:end])
    except UnsafeModelError:
        return
    assert found != whole  # cut between two fields: the description is missing


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_but_never_anything_else(content: bytes) -> None:
    with pytest.raises(UnsafeModelError):
        metadata_of(content)


@given(place=st.integers(0, 4000), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused_but_never_anything_else(place: int, value: int) -> None:
    corrupted = bytearray(WEIGHTS)
    corrupted[place] = value
    try:
        metadata_of(bytes(corrupted))
    except UnsafeModelError:
        return
