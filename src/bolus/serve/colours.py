"""Colour tables of 256 steps for the page."""

from __future__ import annotations

import numpy as np

from bolus.serve.viridis import VIRIDIS

STEPS = 256


def colour_tables() -> dict[str, list[list[int]]]:
    """The report's scales, a grey ramp, and viridis, whose steps look equally large."""
    from bolus.publish.palette import CORE, DIFFERENCE_STOPS, PENUMBRA, STOPS

    steps = np.frombuffer(bytes.fromhex("".join(VIRIDIS)), np.uint8)
    uniform: list[list[int]] = steps.reshape(STEPS, 3).tolist()
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
