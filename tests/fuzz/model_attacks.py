"""Corrupted model files; they are made in ``tests/infer``."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
from hostile_models import hostile_model
from made_slab import a_slab
from oracle import CHANGED, REFUSED, Fault, check_message

from bolus.errors import BolusError
from bolus.infer.features import Sampled
from bolus.infer.model import load_model
from bolus.infer.predict import predict
from bolus.types import MAP_UNITS


def attack_model(rng: random.Random, folder: Path) -> str:
    """Load a corrupted model and make maps with it: refused, or finite maps."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "corrupted.onnx"
    path.write_bytes(hostile_model(rng))
    try:
        maps = predict(_slab(), load_model(path)).maps
    except BolusError as error:
        check_message(str(error), path)
        return REFUSED
    for name in MAP_UNITS:
        if not (np.isfinite(getattr(maps, name)).all() and np.isfinite(maps.se[name]).all()):
            raise Fault(f"{name} of an accepted model holds NaN or infinity")
    return CHANGED


@cache
def _slab() -> Sampled:
    return a_slab(slices=1, rows=12, columns=10)
