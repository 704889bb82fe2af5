"""ONNX Runtime on the CPU, in this process or, for an untrusted file, in a child process.

A file of standard operations can still run for ever, request more memory than there is, or crash
the library.  The child is ``python -m bolus.infer.session`` (see
`bolus.child_process`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bolus.child_process import Child, ChildEnded, serve
from bolus.types import Float32Array

MAX_MEMORY_BYTES = 8 * 2**30
"""Of a child's address space: ten times what the built-in network needs for a slice of 512 x 512
voxels (0.8 GB with 2 threads, 1.4 GB with 64)."""
LOAD_TIMEOUT_S = 60.0
"""Starting Python and importing ONNX Runtime included, which take seconds from a cold disk."""
RUN_TIMEOUT_S = 60.0
"""Per slice; the built-in network takes 0.5 s for 192 x 192 voxels on two cores."""
FATAL = 4
"""ONNX Runtime's log level for silence; errors are raised anyway."""
FLOAT = "tensor(float)"

Layout = Mapping[str, Sequence[int]]
"""Channels and number of axes of what goes in or comes out, by name."""


class NetworkError(ValueError):
    """A network can't be loaded or run; the message says why."""


class Session:
    """A network in this process."""

    def __init__(self, content: bytes, threads: int, inputs: Layout, outputs: Layout) -> None:
        """Load a model.

        Raises
        ------
        NetworkError
            ONNX Runtime refuses it, or it has other inputs or outputs.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = FATAL
        # its own format, which it would otherwise detect by itself, has not been checked
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # many kinds, whose only common base is this
            raise NetworkError(f"ONNX Runtime refuses it ({_why(error)})") from error
        given, made = self._session.get_inputs(), self._session.get_outputs()
        for kind, expected, found in (("inputs", inputs, given), ("outputs", outputs, made)):
            if {one.name: _layout(one) for one in found} != {
                name: (FLOAT, *layout) for name, layout in expected.items()
            }:
                raise NetworkError(f"it has other {kind} than bolus's networks")
        self._inputs, self._outputs = list(inputs), {n: outputs[n][0] for n in outputs}

    def run(self, given: Sequence[Float32Array]) -> list[Float32Array]:
        """One slice through the network.

        Parameters
        ----------
        given : (1, C, Y, X) float32 first, in the order of the inputs.

        Returns
        -------
        (1, C, Y, X) float32 each, in the order of the outputs.

        Raises
        ------
        NetworkError
            The network fails, or gives arrays of another shape.
        """
        try:
            made = self._session.run(
                list(self._outputs), dict(zip(self._inputs, given, strict=True))
            )
        except Exception as error:  # as above
            raise NetworkError(f"it fails in use ({_why(error)})") from error
        shapes = _shapes(self._outputs.values(), given)
        if [one.shape for one in made] != shapes:
            raise NetworkError("it gives arrays of another shape than its input's")
        return list(made)


class SessionApart:
    """A network in a child process, with the same results to the last bit."""

    def __init__(self, content: bytes, threads: int, inputs: Layout, outputs: Layout) -> None:
        """As `Session`; the network may also run out of time or memory, or crash."""
        self._child = Child("bolus.infer.session")
        self._channels = [outputs[name][0] for name in outputs]
        request = {"threads": threads, "inputs": dict(inputs), "outputs": dict(outputs)}
        self._ask(request, content, seconds=LOAD_TIMEOUT_S, most_bytes=0)

    def run(self, given: Sequence[Float32Array]) -> list[Float32Array]:
        """As `Session.run`."""
        shapes = _shapes(self._channels, given)
        sizes = [int(np.prod(shape)) for shape in shapes]
        size = sum(sizes) * np.dtype(np.float32).itemsize
        body = self._ask(
            {"shapes": [one.shape for one in given]},
            *(one.tobytes() for one in given),
            seconds=RUN_TIMEOUT_S,
            most_bytes=size,
        )
        if len(body) != size:
            raise NetworkError("its process gave no complete answer")
        return _arrays(body, shapes)

    def _ask(
        self, request: Mapping[str, Any], *data: bytes, seconds: float, most_bytes: int
    ) -> bytes:
        try:
            answer, body = self._child.ask(request, *data, seconds=seconds, most_bytes=most_bytes)
        except ChildEnded as ended:
            raise NetworkError(str(ended)) from ended
        if reason := answer.get("refused") or answer.get("error"):
            raise NetworkError(str(reason))
        return body


def _layout(one: Any) -> tuple[Any, ...]:
    """Kind of number, channels and number of axes of an input or output; shapes may be missing."""
    shape = one.shape or []
    return one.type, shape[1] if len(shape) > 1 else None, len(shape)


def _why(error: Exception) -> str:
    # the library's own messages are long and name paths of its build machine
    lacks_memory = isinstance(error, MemoryError) or "alloc" in str(error)
    return "it needs too much memory" if lacks_memory else type(error).__name__


def _shapes(channels: Any, given: Sequence[Float32Array]) -> list[tuple[int, ...]]:
    batch, _, *plane = given[0].shape
    return [(batch, count, *plane) for count in channels]


def _arrays(body: bytes, shapes: Sequence[Sequence[int]]) -> list[Float32Array]:
    sizes = [int(np.prod(shape)) for shape in shapes]
    flat = np.frombuffer(body, np.float32)
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def main() -> None:
    """Load the network of the first request, and run it on the data of the others."""
    session: Session | None = None

    def answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        nonlocal session
        try:
            if session is None:
                layouts = (
                    {name: tuple(layout) for name, layout in request[kind].items()}
                    for kind in ("inputs", "outputs")
                )
                session = Session(data, request["threads"], *layouts)
                return {}, b""
            made = session.run(_arrays(data, request["shapes"]))
            return {}, b"".join(one.tobytes() for one in made)
        except NetworkError as error:
            return {"refused": str(error)}, b""

    serve(answer, MAX_MEMORY_BYTES)


if __name__ == "__main__":
    main()
