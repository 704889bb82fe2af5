"""osipy: its own map function with its own defaults and constants.

kappa 0.73 in CBV only, rho 1.04 in both; Tmax is the time of the largest residue sample; MTT is the
residue's area over its maximum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

NAME = "osipy"
METHODS = {"sSVD": 0, "cSVD": 0, "oSVD": 0, "tikhonov": 0}


def maps(method: str, case: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Maps of one osipy deconvolver."""
    from osipy.dsc import compute_perfusion_maps

    image = case["curves"][:, None, None, :]  # (V, 1, 1, N)
    found = compute_perfusion_maps(image, case["aif"], case["time_s"], deconvolution_method=method)
    return {name: getattr(found, name).values.ravel() for name in ("cbf", "cbv", "mtt", "tmax")}
