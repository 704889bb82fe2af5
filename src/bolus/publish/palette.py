"""Every colour of the report's images.

Images are indexed (8 bits): entries 0-63 are a grey ramp also used for text, the rest depends
on the kind of image.  Indexed images are small and store the colour scale exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ColourTable = NDArray[np.uint8]

GREYS = 64
BLACK = 0
WHITE = GREYS - 1
FIRST_COLOUR = GREYS
LEVELS = 160
"""Steps of a map's colour scale."""

# The field's convention: low is blue, high is red, in flow, volume and times alike.  Unlike "jet"
# the stops have no flat bright bands at cyan and yellow, which would suggest false edges.
STOPS = (
    (0.00, (24, 18, 74)),
    (0.12, (38, 58, 168)),
    (0.27, (32, 121, 214)),
    (0.40, (36, 176, 190)),
    (0.52, (76, 195, 104)),
    (0.64, (184, 213, 62)),
    (0.75, (248, 202, 52)),
    (0.87, (243, 120, 37)),
    (1.00, (196, 18, 32)),
)

DIFFERENCE_LEVELS = 31
"""Steps of the scale of differences: odd, so that zero difference has its own step."""

# Blue is less, orange is more, equal is light grey: distinct in all common colour deficiencies.
DIFFERENCE_STOPS = (
    (0.00, (8, 62, 150)),
    (0.25, (84, 150, 216)),
    (0.50, (228, 228, 228)),
    (0.75, (238, 154, 62)),
    (1.00, (168, 66, 0)),
)

# Magenta and green are distinct in all common colour deficiencies; core has a white rim as well.
CORE = (222, 38, 150)
PENUMBRA = (52, 190, 84)
CORE_RIM = (255, 255, 255)
PENUMBRA_RIM = (126, 240, 142)

# Arteries red and veins blue, light enough for a black background (Okabe and Ito's hues).
ARTERY = (255, 110, 60)
VEIN = (90, 180, 255)


def greys() -> ColourTable:
    """(64, 3) ramp from black to white."""
    ramp = np.linspace(0, 255, GREYS).round().astype(np.uint8)
    return np.repeat(ramp[:, None], 3, axis=1)


def scale() -> ColourTable:
    """(160, 3) colour scale of the maps, low to high."""
    return _between(STOPS, LEVELS)


def difference_scale() -> ColourTable:
    """(31, 3) colour scale of differences, less to more."""
    return _between(DIFFERENCE_STOPS, DIFFERENCE_LEVELS)


def _between(stops: tuple[tuple[float, tuple[int, int, int]], ...], levels: int) -> ColourTable:
    positions, colours = zip(*stops, strict=True)
    at = np.linspace(0.0, 1.0, levels)
    channels = [np.interp(at, positions, channel) for channel in zip(*colours, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def tinted(colour: tuple[int, int, int], opacity: float) -> ColourTable:
    """(64, 3) grey ramp seen through a coloured film."""
    film = np.array(colour, dtype=float)
    return (greys() * (1.0 - opacity) + film * opacity).round().astype(np.uint8)


def table(*parts: ColourTable) -> list[int]:
    """Palette of an indexed image: the grey ramp, then ``parts`` in order, 768 numbers."""
    colours = np.concatenate([greys(), *parts])
    padded = np.zeros((256, 3), dtype=np.uint8)
    padded[: len(colours)] = colours
    return [int(c) for c in padded.ravel()]
