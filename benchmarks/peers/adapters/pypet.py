"""PyPeT: its `generate_perfusion_maps`, from the clone that the environment's PYPET names.

It always models the AIF by a gamma-variate; here that function returns the given AIF.  CBV is the
sum of the residue function without the frame interval (right at 1 s only, so it is given 1 s);
Tmax is the time of the largest residue sample in whole seconds.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping

import numpy as np

from peers.adapters.stand_in import stand_in

NAME = "PyPeT"
METHODS = {"SVD": 0, "bcSVD1": 0, "bcSVD2": 0, "oSVD": 1000, "boxNLR": 500}


def maps(method: str, case: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Maps of one method."""
    if not os.environ.get("PYPET"):
        raise ImportError("no clone given (`make peers PYPET=folder`)")
    sys.path.insert(0, os.environ["PYPET"])
    stand_in("cc3d")  # of its search for an artery, which isn't used
    import utils.generate_perfusion_maps as peer

    peer.gamma_variate = lambda time, *samples: np.array(samples)
    volumes = case["curves"].T[:, None, None, :]  # (N, 1, 1, V)
    mask = np.ones(volumes.shape[1:])
    times = case["time_s"] - case["time_s"][0]
    with contextlib.redirect_stdout(io.StringIO()):
        found = peer.generate_perfusion_maps(volumes, times, mask, case["aif"], method=method)
    names = ("mtt", "cbv", "cbf", "tmax")
    return {name: array.ravel() for name, array in zip(names, found, strict=True)}
