"""dcmri: its deconvolution; it stops at the residue function, so the four maps are taken here.

CBF is the maximum of the residue function and CBV its area, both with bolus's kappa/rho; MTT is
their ratio and Tmax the time of the maximum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

NAME = "dcmri"
METHODS = {"TSVD 0.1": 0, "TSVD 0.2": 0, "Tikhonov 0.1": 0}


def maps(method: str, case: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Maps from the residue function of one regularisation and its tolerance."""
    import dcmri

    name, tolerance = method.split()
    dt = float(case["time_s"][1] - case["time_s"][0])
    residue = dcmri.deconv(
        case["curves"].T, case["aif"], dt, method=name, tol=float(tolerance)
    )  # (N, V), 1/s
    flow, volume = residue.max(axis=0), residue.sum(axis=0) * dt
    scale = float(case["scale"])
    return {
        "cbf": 60 * scale * flow,
        "cbv": scale * volume,
        "mtt": volume / flow,
        "tmax": residue.argmax(axis=0) * dt,
    }
