"""Name, unit and display range of each map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from bolus.types import MAP_UNITS, BoolArray, Float32Array


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
    """Source of this range."""

    @property
    def shown(self) -> tuple[float, float]:
        """Its ends, lowest first."""
        return self.low, self.high


CBF = Window(
    key="cbf",
    label="CBF",
    name="Cerebral blood flow",
    unit=MAP_UNITS["cbf"],
    low=0.0,
    high=60.0,
    ticks=(0, 15, 30, 45, 60),
    source="grey matter 53, white matter 25, penumbra 7-16, core 2-5 (Manhart 2013)",
)
CBV = Window(
    key="cbv",
    label="CBV",
    name="Cerebral blood volume",
    unit=MAP_UNITS["cbv"],
    low=0.0,
    high=6.0,
    ticks=(0, 2, 4, 6),
    source="grey matter 3.3, white matter 1.9, core 0.4-0.7 (Manhart 2013)",
)
MTT = Window(
    key="mtt",
    label="MTT",
    name="Mean transit time",
    unit=MAP_UNITS["mtt"],
    low=0.0,
    high=15.0,
    ticks=(0, 5, 10, 15),
    source="normal 3.7-4.6 s, penumbra 11-14 s (Manhart 2013)",
)
TMAX = Window(
    key="tmax",
    label="Tmax",
    name="Time to maximum",
    unit=MAP_UNITS["tmax"],
    low=0.0,
    high=12.0,
    ticks=(0, 3, 6, 9, 12),
    source="the 6 s threshold in the middle; Kudo 2013 (PMC3606546) showed 0-16 s",
)

WINDOWS: dict[str, Window] = {window.key: window for window in (CBF, CBV, MTT, TMAX)}
"""The maps with a fixed window, in the order of the report; TTP's depends on the exam."""


SE_KEYS = ("cbf", "tmax")
"""Maps whose standard errors are shown: those that define core and penumbra."""


def se_window(window: Window) -> Window:
    """Window of a map's standard error: the lower half of the map's own."""
    return replace(
        window,
        key=f"{window.key}_se",
        label=f"SE {window.label}",
        name=f"Standard error of {window.label}",
        low=0.0,
        high=window.high / 2,
        ticks=tuple(tick / 2 for tick in window.ticks),
        source="0 to half of the map's window",
    )


def difference_window(window: Window) -> Window:
    """Window of the differences of a map: as wide as the map's own, with 0 in the middle."""
    reach = (window.high - window.low) / 2
    return replace(
        window,
        key=f"{window.key}_difference",
        label="diff.",
        name=f"Difference of {window.label}",
        low=-reach,
        high=reach,
        ticks=(-reach, -reach / 2, 0.0, reach / 2, reach),
        source="as wide as the map's window",
    )


TICK_STEPS_S = (1, 2, 5, 10, 20, 50, 100, 1000)
MOST_TICKS = 7


def ttp_window(ttp: Iterable[Float32Array], tissue: BoolArray) -> Window:
    """Window of TTP: 1st to 99th percentile of the tissue, widened to whole steps of the scale.

    TTP counts from the first frame, so its range depends on when contrast was given.

    Parameters
    ----------
    ttp : iterable of (Z, Y, X) float32, s
        The maps of all methods, which share one window so that they can be compared.
    tissue : (Z, Y, X) bool
    """
    values = np.concatenate([m[tissue & (m > 0)] for m in ttp])
    first, last = np.percentile(values, [1.0, 99.0]) if values.size else (0.0, 1.0)
    step = next(s for s in TICK_STEPS_S if last - first <= MOST_TICKS * s)
    low = float(np.floor(first / step)) * step
    high = max(float(np.ceil(last / step)) * step, low + step)
    ticks = tuple(np.arange(low, high + step / 2, step).tolist())
    return Window(
        key="ttp",
        label="TTP",
        name="Time to peak",
        unit=MAP_UNITS["ttp"],
        low=low,
        high=high,
        ticks=ticks,
        source="1st to 99th percentile of this exam's tissue",
    )
