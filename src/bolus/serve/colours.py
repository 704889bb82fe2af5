"""Colour tables of 256 steps for the page."""

from __future__ import annotations

import numpy as np

STEPS = 256


def colour_tables() -> dict[str, list[list[int]]]:
    """The report's scales, a grey ramp, and viridis, whose steps look equally large."""
    from matplotlib import colormaps

    from bolus.publish.palette import CORE, DIFFERENCE_STOPS, PENUMBRA, STOPS

    even = np.linspace(0.0, 1.0, STEPS)
    uniform = (colormaps["viridis"](even)[:, :3] * 255).round().astype(int).tolist()
    grey = [[step, step, step] for step in range(STEPS)]
    return {
        "perfusion": _between(STOPS),
        "difference": _between(DIFFERENCE_STOPS),
        "grey": grey,
        "uniform": uniform,
        "lesion": [[0, 0, 0], list(PENUMBRA), list(CORE)],
    }


def _between(stops: tuple[tuple[float, tuple[int, int, int]], ...]) -> list[list[int]]:
    positions, colours = zip(*stops, strict=True)
    at = np.linspace(0.0, 1.0, STEPS)
    channels = [np.interp(at, positions, channel) for channel in zip(*colours, strict=True)]
    table: list[list[int]] = np.stack(channels, axis=1).round().astype(int).tolist()
    return table
