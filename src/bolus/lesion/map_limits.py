"""Whether maps are possible in a living brain.

A method, a network or a damaged exam can give numbers that no brain has, and thresholds turn any
numbers into volumes.  Such maps are kept for inspection, and the exam is graded not reliable.
"""

from __future__ import annotations

import numpy as np

from bolus.types import MAP_UNITS, BoolArray, Finding, Float32Array, Grade, Maps, Tissue

MEDIAN_LIMITS = {
    "cbf": (1.0, 150.0),
    "cbv": (0.1, 15.0),
    "mtt": (0.5, 40.0),
    "tmax": (-5.0, 40.0),
}
"""Of the whole slab's parenchyma, in `MAP_UNITS`.  Grey and white matter have 60 and 25
ml/100g/min, 4 and 2 ml/100g, 4.0 and 4.8 s (Leenders 1990,
doi:10.1093/brain/113.1.27); flow below 10 is lethal, the largest mean flows under acetazolamide
or hypercapnia are 100 to 120.  SVD gives half the flow."""
LARGEST = 1e6
"""In single voxels: vessels and noise reach thousands in flow, never this."""
MOST_LESION = 0.99
"""Share of the slab above which a lesion points to wrong maps rather than to the brain."""


def map_findings(maps: Maps, tissue: Tissue, share: float) -> list[Finding]:
    """Impossible values in the maps of one method; empty where there are none.

    Parameters
    ----------
    tissue : of the same grid; lesions are counted in its parenchyma.
    share : of that parenchyma, as far as it is mapped, that counts as hypoperfused.
    """
    mapped = tissue.parenchyma & (maps.mtt != 0)
    wrong = [_wrong(key, getattr(maps, key), mapped) for key in MAP_UNITS]
    if share > MOST_LESION:
        wrong.append("all of the slab counts as hypoperfused")
    return [
        Finding(
            "maps-impossible",
            Grade.FAIL,
            f"{maps.method}: {text}.",
            "Don't use these maps; check the exam's scaling and arteries, or the network.",
        )
        for text in wrong
        if text
    ]


def _wrong(key: str, values: Float32Array, mapped: BoolArray) -> str:
    """The fault of a map, in words; empty if there is none."""
    unit = MAP_UNITS[key]
    odd = int(np.count_nonzero(~(np.abs(values) < LARGEST)))
    if odd:
        return f"{key.upper()} has {odd} voxels that are not a number or beyond {LARGEST:g} {unit}"
    if key not in MEDIAN_LIMITS or not mapped.any():
        return ""
    low, high = MEDIAN_LIMITS[key]
    median = float(np.median(values[mapped]))
    if low <= median <= high:
        return ""
    return (
        f"half of the brain has {key.upper()} of {median:.3g} {unit} or "
        f"{'less' if median < low else 'more'}, which no brain has (limit "
        f"{low if median < low else high:g})"
    )
