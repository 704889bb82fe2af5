"""The content of an ONNX file, read without running any of it.

A model must be a data file: a list of standard operations and the numbers they need.  The file is
read here, byte by byte, before ONNX Runtime sees it; what could point to other files or libraries,
or run for ever, is refused: operations outside the standard's own domain, tensors stored elsewhere,
functions, control flow.  Field numbers are those of onnx.proto (ONNX 1.17), wire types those of the
protocol buffer encoding.  The `onnx` package, which could read it too, is large and not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

STANDARD_DOMAINS = ("", "ai.onnx")
MOST_NODES = 10_000
MOST_FIELDS = 300_000
"""Of all messages together: a second's reading.  The built-in network has 3,500, 12 a node."""
VALUES_PER_BYTE = 8
"""No data type takes less than a bit per number."""

MODEL_GRAPH, MODEL_OPSET, MODEL_METADATA, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 8, 14, 20, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_ATTRIBUTE, NODE_DOMAIN = 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
ATTRIBUTE_SPARSE = (22, 23)
TENSOR_DIMENSIONS, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 13, 14

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10
LARGEST_KEY = 2**32 - 1

Value = int | memoryview
Left = Iterator[int]
"""One item for each field that may still be read."""


class UnsafeModelError(ValueError):
    """The file is not an ONNX model, or does more than compute; the message says why."""


@dataclass(frozen=True)
class Field:
    """One field of a message."""

    number: int
    value: Value

    @property
    def message(self) -> memoryview:
        """The bytes of a text or of a message inside the message."""
        if isinstance(self.value, int):
            raise UnsafeModelError("it is not an ONNX file")
        return self.value

    @property
    def text(self) -> str:
        """The field as text."""
        try:
            return str(self.message, "utf-8")
        except UnicodeDecodeError as error:
            raise UnsafeModelError("it is not an ONNX file") from error


def metadata_of(content: bytes) -> dict[str, str]:
    """Check that a model only computes, and read its metadata.

    Raises
    ------
    UnsafeModelError
        It is not an ONNX model, or holds more than standard operations and their numbers.
    """
    metadata: dict[str, str] = {}
    nodes = 0
    left = iter(range(MOST_FIELDS))
    for field in _fields(memoryview(content), left):
        if field.number == MODEL_GRAPH:
            nodes += _check_graph(field.message, left)
        elif field.number == MODEL_OPSET:
            _check_domain(_texts(field.message, left).get(1, ""))
        elif field.number == MODEL_METADATA:
            entry = _texts(field.message, left)
            metadata[entry.get(1, "")] = entry.get(2, "")
        elif field.number in (MODEL_TRAINING, MODEL_FUNCTIONS):
            raise UnsafeModelError("it holds functions or training steps")
    if not nodes:
        raise UnsafeModelError("it is not an ONNX file")
    if nodes > MOST_NODES:
        raise UnsafeModelError(f"it has more than {MOST_NODES} operations")
    return metadata


def _check_graph(graph: memoryview, left: Left) -> int:
    """Number of operations."""
    nodes = 0
    for field in _fields(graph, left):
        if field.number == GRAPH_NODE:
            _check_node(field.message, left)
            nodes += 1
        elif field.number == GRAPH_INITIALIZER:
            _check_tensor(field.message, left)
        elif field.number == GRAPH_SPARSE:
            raise UnsafeModelError("it holds sparse tensors")
    return nodes


def _check_node(node: memoryview, left: Left) -> None:
    for field in _fields(node, left):
        if field.number == NODE_DOMAIN:
            _check_domain(field.text)
        elif field.number == NODE_ATTRIBUTE:
            for part in _fields(field.message, left):
                if part.number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                    raise UnsafeModelError("it has branches or loops")
                if part.number in ATTRIBUTE_SPARSE:
                    raise UnsafeModelError("it holds sparse tensors")
                if part.number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                    _check_tensor(part.message, left)


def _check_tensor(tensor: memoryview, left: Left) -> None:
    values = 1
    for field in _fields(tensor, left):
        if field.number == TENSOR_EXTERNAL or (field.number == TENSOR_LOCATION and field.value):
            raise UnsafeModelError("its numbers lie in another file")
        if field.number == TENSOR_DIMENSIONS:
            for size in _integers(field, left):
                values *= size
                if values > VALUES_PER_BYTE * len(tensor):
                    raise UnsafeModelError("it lacks numbers of a tensor")


def _integers(field: Field, left: Left) -> Iterator[int]:
    """Those of a repeated field, of which a file may hold one or several together."""
    if isinstance(field.value, int):
        yield field.value
        return
    at = 0
    while at < len(field.value):
        _count(left)
        value, at = _varint(field.value, at)
        yield value


def _count(left: Left) -> None:
    if next(left, None) is None:
        raise UnsafeModelError("it has too many parts")


def _check_domain(domain: str) -> None:
    if domain not in STANDARD_DOMAINS:
        raise UnsafeModelError(f"it needs operations that are not ONNX's own ({domain[:40]!r})")


def _texts(message: memoryview, left: Left) -> dict[int, str]:
    """The texts of a message by field number; numbers are left out."""
    return {f.number: f.text for f in _fields(message, left) if not isinstance(f.value, int)}


def _fields(message: memoryview, left: Left) -> Iterator[Field]:
    """The fields of a message, in the order of the file."""
    at = 0
    while at < len(message):
        _count(left)
        key, at = _varint(message, at)
        if key > LARGEST_KEY:
            # other readers cut such a key off, and would see a field where this one sees none
            raise UnsafeModelError("it is not an ONNX file")
        kind = key & 7
        value: Value
        if kind == VARINT:
            value, at = _varint(message, at)
        elif kind in (BYTES, FIXED32, FIXED64):
            size = {FIXED32: 4, FIXED64: 8}.get(kind, 0)
            if kind == BYTES:
                size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
            if at > len(message):
                raise UnsafeModelError("it ends too early")
        else:
            raise UnsafeModelError("it is not an ONNX file")
        yield Field(key >> 3, value)


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of variable length and the place after it."""
    value = 0
    for i in range(LONGEST_VARINT):
        if at + i >= len(message):
            raise UnsafeModelError("it ends too early")
        byte = message[at + i]
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return value, at + i + 1
    raise UnsafeModelError("it is not an ONNX file")
