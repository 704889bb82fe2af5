"""What each map is called, its unit, and between which values it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bolus.types import BoolArray, Float32Array


@dataclass(frozen=True)
class Window:
    """A map's name, unit and display range; values outside take the colour of the nearest end."""

    key: str
    """Field of ``Maps`` and name of the file."""
    label: str
    name: str
    unit: str
    low: float
    high: float
    ticks: tuple[float, ...]
    source: str


UNITS = {"cbf": "ml/100g/min", "cbv": "ml/100g", "mtt": "s", "tmax": "s", "ttp": "s"}
"""Unit of each of the five maps, everywhere."""

# Normal grey and white matter have about 60 and 25 ml/100g/min, 4 and 2 ml/100g (Manhart 2013's
# tissue table); with these ranges normal tissue is green to yellow and a lesion is blue.
# The times show normal tissue in blue and the 6 s threshold of Tmax in the middle of the scale;
# Kudo 2013 (PMC3606546, figure 2) showed Tmax at level 8 s, width 16 s.
WINDOWS: dict[str, Window] = {
    window.key: window
    for window in (
        Window(
            *("cbf", "CBF", "Cerebral blood flow", UNITS["cbf"], 0.0, 60.0),
            (0, 15, 30, 45, 60),
            "grey matter's normal value at the upper end",
        ),
        Window(
            *("cbv", "CBV", "Cerebral blood volume", UNITS["cbv"], 0.0, 6.0),
            (0, 2, 4, 6),
            "1.5 times grey matter's normal value",
        ),
        Window(
            *("mtt", "MTT", "Mean transit time", UNITS["mtt"], 0.0, 15.0),
            (0, 5, 10, 15),
            "normal 3-5 s; 12-13.5 s marks ischaemia (Kamalian 2012)",
        ),
        Window(
            *("tmax", "Tmax", "Time to the residue function's centre", UNITS["tmax"], 0.0, 12.0),
            (0, 3, 6, 9, 12),
            "twice the 6 s threshold",
        ),
    )
}


def ttp_window(ttp: Iterable[Float32Array], tissue: BoolArray) -> Window:
    """Window of TTP: 1st to 99th percentile of the tissue, whole seconds.

    TTP counts from the first frame, so its range depends on when contrast was given.

    Parameters
    ----------
    ttp : iterable of (Z, Y, X) float32, s
        The maps of all methods, which share one window so that they can be compared.
    tissue : (Z, Y, X) bool
    """
    values = np.concatenate([m[tissue & (m > 0)] for m in ttp])
    low, high = (0.0, 1.0) if values.size == 0 else np.percentile(values, [1.0, 99.0])
    low = float(np.floor(low))
    high = float(max(np.ceil(high), low + 1.0))
    ticks = tuple(float(t) for t in np.unique(np.linspace(low, high, 5).round()))
    source = "1st to 99th percentile of this exam's tissue"
    return Window("ttp", "TTP", "Time to peak", UNITS["ttp"], low, high, ticks, source)
