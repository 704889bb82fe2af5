"""The network's file: checked, then handed to ONNX Runtime."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from errno import EFBIG
from importlib.resources import files
from pathlib import Path

import numba
import numpy as np

from bolus.errors import DamagedFile, UsageError
from bolus.files.regular_file import read_regular
from bolus.infer.features import CONTEXT, PIXEL_CHANNELS
from bolus.infer.metadata import KEY, KEY_GAVA2021, MAPS, Card, WrongVersionError, read_card
from bolus.infer.onnxfile import UnsafeModelError, metadata_of
from bolus.infer.out_of_distribution import group_sizes
from bolus.infer.session import NetworkError, Session, SessionApart
from bolus.types import Float32Array

BUILT_IN = "weights.onnx"
LARGEST_BYTES = 200_000_000
MULTIPLE = 8
"""Rows and columns of a slice must be multiples of this."""
INPUTS = {"pixels": (PIXEL_CHANNELS, 4), "context": (CONTEXT, 2)}
OUTPUTS = {"maps": (len(MAPS), 4), "spread": (len(MAPS), 4)}
"""Names, channels and number of axes of what goes in and comes out."""
BUILT_IN_NAME = "the built-in network"
REMEDY = "Use a file written by `bolus train`."
BUILT_IN_REMEDY = "Reinstall bolus."


@dataclass(frozen=True)
class Model:
    """A network that is ready to run; its separate process, if any, ends with it."""

    card: Card
    sha256: str
    """Of the file."""
    path: Path | None
    """None for the built-in network."""
    session: Session | SessionApart

    def run(self, pixels: Float32Array, context: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Maps and spreads of one slice.

        Parameters
        ----------
        pixels : (PIXEL_CHANNELS, Y, X) float32
        context : (CONTEXT,) float32

        Returns
        -------
        maps, spread : (5, Y, X) float32 each, finite.

        Raises
        ------
        DamagedFile
            The network fails, takes too long or too much memory, crashes, or gives numbers that are
            not finite.
        """
        _, rows, columns = pixels.shape
        padding = [(0, 0), *((0, -n % MULTIPLE) for n in (rows, columns))]
        try:
            maps, spread = self.session.run([np.pad(pixels, padding)[None], context[None]])
        except NetworkError as error:
            raise self.unusable(str(error)) from error
        for what, values in (("maps", maps), ("standard errors", spread)):
            if not np.isfinite(values).all():
                raise self.unusable(f"it gives {what} that are not finite numbers")
        return maps[0, :, :rows, :columns], spread[0, :, :rows, :columns]

    def unusable(self, why: str) -> DamagedFile:
        """The error with the name of the network's file, what is wrong with it and what to do."""
        return _unusable(self.path, why)


def load_model(path: Path | None = None) -> Model:
    """Read a model; nothing in the file can make the program do more than compute.

    A user-supplied file runs in a child process with limits of time and memory, with the same
    results as in this process.

    Parameters
    ----------
    path : an ONNX file as `bolus.train.cnn.export` writes it; None for the built-in network.

    Raises
    ------
    UsageError
        There is no such file, or it belongs to another version of bolus or another recipe.
    DamagedFile
        It is not a model, damaged, or more than a model, or it takes too long or too much memory.
    """
    name = _name(path)
    content = files("bolus.infer").joinpath(BUILT_IN).read_bytes() if path is None else _read(path)
    try:
        metadata = metadata_of(content)
        if set(metadata) == {KEY_GAVA2021}:
            raise UsageError(
                f"{name} is a network of the recipe gava2021: it predicts one map, from registered "
                "and filtered frames, not what method cnn gives. docs/network.md explains "
                "how to run it; a network for cnn comes from `bolus train --recipe bolus`."
            )
        if set(metadata) != {KEY}:
            raise UnsafeModelError("it has no description by bolus, or more than that")
        card = read_card(metadata[KEY])
        if {one.name: one.centre.size for one in card.usual} != group_sizes():
            raise ValueError("its description is damaged (other numbers than an exam has)")
        # an untrusted file runs in a separate process; the parent never loads it
        where = Session if path is None else SessionApart
        session = where(content, numba.get_num_threads(), INPUTS, OUTPUTS)
    except WrongVersionError as error:
        raise UsageError(
            f"{name} was made for another version of bolus ({error}). Train it again with this one."
        ) from error
    except ValueError as error:
        raise _unusable(path, str(error)) from error
    return Model(card, hashlib.sha256(content).hexdigest(), path, session)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, LARGEST_BYTES)
    except OSError as error:
        if error.errno == EFBIG:
            raise _unusable(path, f"it is larger than {LARGEST_BYTES // 1_000_000} MB") from error
        raise UsageError(f"the model {path} can't be read: {error.strerror}. {REMEDY}") from error


def _name(path: Path | None) -> str:
    return BUILT_IN_NAME if path is None else str(path)


def _unusable(path: Path | None, why: str) -> DamagedFile:
    remedy = BUILT_IN_REMEDY if path is None else REMEDY
    return DamagedFile(f"{_name(path)} can't be used as a network: {why}. {remedy}")
