"""Several methods' maps of the same slices, one below the other, and their differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from bolus.publish import palette
from bolus.publish.orientation import View
from bolus.publish.report.mosaic import (
    BAR_COLUMN,
    GAP,
    MAPS,
    SHORTEST_BAR,
    Layout,
    Ramp,
    Text,
    assemble,
    coloured,
    draw_bar,
    indexed,
    label_sides,
    label_z,
    layout_of,
)
from bolus.publish.windows import Window
from bolus.types import BoolArray, Float32Array

DIFFERENCE_RAMP = Ramp(palette.FIRST_COLOUR + palette.LEVELS, palette.DIFFERENCE_LEVELS)


NAME_COLUMN = 84
"""Room at the left for the methods' names, pixels."""
LINE = 19


@dataclass(frozen=True)
class Strip:
    """One row of slices: a method's map, or a difference of two."""

    name: tuple[str, ...]
    """Lines."""
    volume: Float32Array
    """(Z, Y, X), in the window's unit."""
    where: BoolArray
    """(Z, Y, X) where it has a value."""
    is_difference: bool = False


def comparison(
    strips: Sequence[Strip],
    view: View,
    window: Window,
    difference: Window,
    columns: int,
    tile_width: int,
) -> Image.Image:
    """Rows of the same slices, methods first and differences below, with both colour scales.

    Parameters
    ----------
    strips : maps, all in ``window``, then differences, all in ``difference``.
    columns : slices side by side; the next ones follow below all strips of these.
    """
    groups = -(-len(view.slices) // columns)
    plain = layout_of(groups * len(strips) * columns, view, columns, tile_width, BAR_COLUMN)
    layout = replace(plain, left=NAME_COLUMN)
    tiles = [np.zeros(layout.tile, np.uint8)] * layout.count
    labels = []
    for s, strip in enumerate(strips):
        shown, ramp = (difference, DIFFERENCE_RAMP) if strip.is_difference else (window, MAPS)
        slices = zip(view.take(strip.volume), view.take(strip.where), strict=True)
        for k, (values, where) in enumerate(slices):
            group, column = divmod(k, columns)
            place = (group * len(strips) + s) * columns + column
            tiles[place] = coloured(values, where, layout.tile, shown, ramp)
            labels.append((place, k, strip.name if column == 0 else ()))
    image = _room_for_bars(assemble(tiles, layout))
    text = Text(image)
    for place, k, name in labels:
        label_z(text, layout, place, view.z_mm[k])
        label_sides(text, layout, place)
        _name_strip(text, layout, place, name)
    draw_bar(image, text, layout, window)
    if any(strip.is_difference for strip in strips):
        maps = sum(not strip.is_difference for strip in strips)
        top = max(maps * (layout.cell[0] + GAP), SHORTEST_BAR + GAP)
        draw_bar(image, text, layout, difference, DIFFERENCE_RAMP, top)
    text.print_on(image)
    return indexed(image, palette.table(palette.scale(), palette.difference_scale()))


def _room_for_bars(image: np.ndarray) -> np.ndarray:
    short = max(2 * SHORTEST_BAR + GAP - len(image), 0)
    return np.pad(image, ((0, short), (0, 0)))


def _name_strip(text: Text, layout: Layout, place: int, name: tuple[str, ...]) -> None:
    middle = layout.corner(place)[0] + layout.cell[0] // 2
    for i, line in enumerate(name):
        text.write(line, middle + round((i - (len(name) - 1) / 2) * LINE), 8, "lm", 17)
