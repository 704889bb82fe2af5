"""The network's file: checked, then handed to ONNX Runtime."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numba
import numpy as np

from bolus.errors import DamagedFile, UsageError
from bolus.infer.card import KEY, KEY_GAVA2021, MAPS, Card, WrongVersionError, read_card
from bolus.infer.inputs import CONTEXT, PIXEL_CHANNELS
from bolus.infer.onnxfile import UnsafeModelError, metadata_of
from bolus.types import Float32Array

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BUILT_IN = "weights.onnx"
LARGEST_BYTES = 200_000_000
MULTIPLE = 8
"""Rows and columns of a slice must be multiples of this."""
INPUTS = {"pixels": (PIXEL_CHANNELS, 4), "context": (CONTEXT, 2)}
OUTPUTS = {"maps": (len(MAPS), 4), "spread": (len(MAPS), 4)}
"""Names, channels and number of axes of what goes in and comes out."""
FATAL = 4
"""ONNX Runtime's level of messages at which it is silent; what goes wrong is raised anyway."""

REMEDY = "Take a file that `bolus train` has written."


@dataclass(frozen=True)
class Model:
    """A network that is ready to run."""

    card: Card
    sha256: str
    """Of the file."""
    session: InferenceSession

    def run(self, pixels: Float32Array, context: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Maps and spreads of one slice.

        Parameters
        ----------
        pixels : (PIXEL_CHANNELS, Y, X) float32
        context : (CONTEXT,) float32

        Returns
        -------
        maps, spread : (5, Y, X) float32 each
        """
        _, rows, columns = pixels.shape
        padding = [(0, 0), *((0, -n % MULTIPLE) for n in (rows, columns))]
        given = {"pixels": np.pad(pixels, padding)[None], "context": context[None]}
        maps, spread = self.session.run(list(OUTPUTS), given)
        return maps[0, :, :rows, :columns], spread[0, :, :rows, :columns]


def load_model(path: Path | None = None) -> Model:
    """Read a model; nothing in the file can make the program do more than compute.

    Parameters
    ----------
    path : an ONNX file as `bolus.train.bolus.export` writes it; None for the built-in network.

    Raises
    ------
    UsageError
        There is no such file, or it belongs to another version of bolus or another recipe.
    DamagedFile
        It is not a model, damaged, or more than a model.
    """
    name = "the built-in network" if path is None else str(path)
    content = files("bolus.infer").joinpath(BUILT_IN).read_bytes() if path is None else _read(path)
    try:
        metadata = metadata_of(content)
        if set(metadata) == {KEY_GAVA2021}:
            raise UsageError(
                f"{name} is a network of the recipe gava2021: it draws one map, of registered and "
                "filtered frames, not what --method cnn gives. docs/network.md tells how to run "
                "it; a network for --model comes from bolus train --recipe bolus."
            )
        if set(metadata) != {KEY}:
            raise UnsafeModelError("it has no description by bolus, or more than that")
        card = read_card(metadata[KEY])
        session = _session(content)
    except WrongVersionError as error:
        raise UsageError(
            f"{name} was made for another version of bolus ({error}). Train it anew with this one."
        ) from error
    except ValueError as error:
        raise DamagedFile(f"{name} can't be used as a network: {error}. {REMEDY}") from error
    return Model(card, hashlib.sha256(content).hexdigest(), session)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DamagedFile(
                f"{path} can't be used as a network: it is larger than "
                f"{LARGEST_BYTES // 1_000_000} MB. {REMEDY}"
            )
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"--model {path} can't be read: {error.strerror}. {REMEDY}") from error


def _session(content: bytes) -> InferenceSession:
    """On the CPU, with as many threads as the other methods use."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = numba.get_num_threads()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = FATAL
    # its own format, which it would otherwise recognise by itself, has not been checked
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # many kinds, whose only common base is this
        raise ValueError(f"ONNX Runtime refuses it ({type(error).__name__})") from error
    given, made = session.get_inputs(), session.get_outputs()
    for kind, expected, found in (("inputs", INPUTS, given), ("outputs", OUTPUTS, made)):
        if {one.name: (one.shape[1], len(one.shape)) for one in found} != expected:
            raise ValueError(f"it has other {kind} than bolus's networks")
    return session
