"""bolus: all of its deconvolutions, in a process like those of its peers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from bolus.deconvolution.methods import METHODS as BOLUS_METHODS
from bolus.deconvolution.methods import deconvolve
from bolus.types import Curves

NAME = "bolus"
METHODS = dict.fromkeys(BOLUS_METHODS, 0)
PREFIX = "bolus."


def fields(curves: Curves) -> dict[str, np.ndarray]:
    """What bolus reads of a case: the `Curves` its pipeline would hand to an estimator."""
    names = (field.name for field in dataclasses.fields(curves))
    return {PREFIX + name: np.asarray(getattr(curves, name)) for name in names}


def maps(method: str, case: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Maps of one method."""
    own = {name.removeprefix(PREFIX): case[name] for name in case if name.startswith(PREFIX)}
    curves = Curves(**{name: v.item() if v.ndim == 0 else v for name, v in own.items()})
    found = deconvolve(method, curves, case["aif"])
    return {name: getattr(found, name)[curves.voxels] for name in ("cbf", "cbv", "mtt", "tmax")}
