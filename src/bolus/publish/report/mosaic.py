"""From volumes to images: all slices side by side with their positions, sides and colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from bolus.publish import palette
from bolus.publish.orientation import View
from bolus.publish.windows import Window
from bolus.types import BoolArray, Float32Array, IntArray, Tissue, Vessel

IndexImage = NDArray[np.uint8]

BRAIN_WINDOW_HU = (0.0, 80.0)
"""Level 40, width 80 HU: the usual window for brain."""

GAP = 2
"""Black pixels between slices."""

BAR_WIDTH = 20
BAR_COLUMN = 104
"""Room at the right for the colour scale and its numbers, pixels."""

SMALLEST_CELL = 48
"""Pixels: room for the labels of a slice, however thin the stack is from this side."""

TALLEST_TILE = 1.6
"""Height of a slice in widths; sagittal slabs would otherwise be too tall."""

SHORTEST_BAR = 150
"""Pixels of the colour scale with its title."""

CORE_LABEL, PENUMBRA_LABEL = 2, 1


@dataclass(frozen=True)
class Layout:
    """Where the slices of a mosaic are, in pixels."""

    count: int
    columns: int
    tile: tuple[int, int]
    """Height and width of a slice."""
    right: int = 0
    """Width of the column at the right."""
    left: int = 0
    """Width of the column at the left."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        rows = -(-self.count // self.columns)
        height, width = self.cell
        across = self.columns * (width + GAP) - GAP + self.left + self.right
        return max(rows * (height + GAP) - GAP, SHORTEST_BAR if self.right else 0), across

    @property
    def cell(self) -> tuple[int, int]:
        """Height and width of the place of a slice, which has room for its labels."""
        return max(self.tile[0], SMALLEST_CELL), max(self.tile[1], SMALLEST_CELL)

    def corner(self, i: int) -> tuple[int, int]:
        """Top and left of slice ``i``."""
        row, column = divmod(i, self.columns)
        return row * (self.cell[0] + GAP), self.left + column * (self.cell[1] + GAP)


@dataclass(frozen=True)
class Ramp:
    """Entries of the colour table that a scale has."""

    first: int = palette.FIRST_COLOUR
    levels: int = palette.LEVELS


MAPS = Ramp()


def map_mosaic(
    volume: Float32Array,
    tissue: BoolArray,
    view: View,
    window: Window,
    columns: int,
    tile_width: int,
) -> Image.Image:
    """A perfusion map, black outside the tissue, with its colour scale.

    Parameters
    ----------
    volume : (Z, Y, X) float32, in the window's unit
    tissue : (Z, Y, X) bool
        Where the map has a value.
    """
    layout = layout_of(len(view.slices), view, columns, tile_width, BAR_COLUMN)
    tiles = [
        coloured(values, where, layout.tile, window)
        for values, where in zip(view.take(volume), view.take(tissue), strict=True)
    ]
    image = assemble(tiles, layout)
    text = Text(image)
    _label_slices(text, layout, view)
    draw_bar(image, text, layout, window)
    text.print_on(image)
    return indexed(image, palette.table(palette.scale()))


def lesion_mosaic(
    tissue: Tissue, labels: NDArray[np.uint8], view: View, columns: int, tile_width: int
) -> Image.Image:
    """The baseline CT with penumbra (green) and core (magenta with a white rim).

    Parameters
    ----------
    labels : (Z, Y, X) uint8
        0 none, 1 penumbra, 2 core.
    """
    layout = layout_of(len(view.slices), view, columns, tile_width)
    stacks = (view.take(tissue.baseline), view.take(labels))
    tiles = [_overlaid(ct, label, layout.tile) for ct, label in zip(*stacks, strict=True)]
    image = assemble(tiles, layout)
    text = Text(image)
    _label_slices(text, layout, view)
    text.print_on(image)
    parts = (
        palette.tinted(palette.PENUMBRA, 0.34),
        palette.tinted(palette.CORE, 0.5),
        np.array([palette.PENUMBRA_RIM, palette.CORE_RIM], dtype=np.uint8),
    )
    return indexed(image, palette.table(*parts))


def vessel_mosaic(
    peak_hu: Float32Array, vessels: Sequence[tuple[str, Vessel]], view: View, tile_width: int
) -> Image.Image:
    """Maximum enhancement in each vessel's slice, with a cross on the vessel's voxels.

    Parameters
    ----------
    peak_hu : (Z, Y, X) float32, HU
    vessels : sequence of (name, Vessel)
        Artery first, vein second; their voxels are indices z, y, x.
    """
    layout = layout_of(len(vessels), view, len(vessels), tile_width)
    stack = view.arrange(peak_hu)
    white = float(np.percentile(stack[stack > 0], 99.7)) if (stack > 0).any() else 1.0
    places = [view.locate(vessel.voxels) for _, vessel in vessels]
    slices = [_fullest_slice(place) for place in places]
    tiles = [grey(stack[k, view.rows, view.columns], layout.tile, (0.0, white)) for k in slices]
    image = assemble(tiles, layout)
    text = Text(image)
    origin = (view.rows.start, view.columns.start)
    for i, (name, _) in enumerate(vessels):
        shown = places[i][places[i][:, 0] == slices[i]][:, 1:] - origin
        _draw_cross(image, layout, i, shown, view, palette.FIRST_COLOUR + i)
        label_sides(text, layout, i)
        top, left = layout.corner(i)
        z_mm = float((view.affine @ (slices[i], *places[i][:, 1:].mean(axis=0), 1.0))[2])
        text.write(f"{name}   z {z_mm:.1f} mm", top + 6, left + 8, "la", 17)
    text.print_on(image)
    colours = np.array([palette.ARTERY, palette.VEIN], dtype=np.uint8)
    return indexed(image, palette.table(colours))


def layout_of(count: int, view: View, columns: int, tile_width: int, right: int = 0) -> Layout:
    row_mm, column_mm = view.spacing_mm
    rows, across = view.crop_shape
    aspect = rows * row_mm / (across * column_mm)
    width = tile_width * min(1.0, TALLEST_TILE / aspect)
    tile = max(round(width * aspect), 1), max(round(width), 1)
    return Layout(count, min(columns, count), tile, right)


def _enlarge(values: Float32Array, size: tuple[int, int]) -> Float32Array:
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def _enlarge_mask(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    return _enlarge(mask.astype(np.float32), size) > 0.5


def _steps(values: NDArray[np.floating[Any]], low: float, high: float, count: int) -> IntArray:
    """Values to steps 0 .. count - 1 of a scale."""
    part = (np.nan_to_num(values).astype(np.float64) - low) / (high - low)
    steps: IntArray = np.clip(part * count, 0, count - 1).astype(np.int64)
    return steps


def coloured(
    values: Float32Array,
    where: BoolArray,
    size: tuple[int, int],
    window: Window,
    ramp: Ramp = MAPS,
) -> IndexImage:
    """One slice of a map; only tissue takes part in the interpolation, so edges stay true."""
    weight = _enlarge(where.astype(np.float32), size)
    inside: Float32Array = np.where(where, values, 0.0).astype(np.float32)
    smooth = _enlarge(inside, size) / np.maximum(weight, 1e-6)
    steps = _steps(smooth, window.low, window.high, ramp.levels) + ramp.first
    return np.where(weight > 0.5, steps, palette.BLACK).astype(np.uint8)


def grey(values: Float32Array, size: tuple[int, int], hu: tuple[float, float]) -> IndexImage:
    return _steps(_enlarge(values, size), *hu, palette.GREYS).astype(np.uint8)


def _overlaid(ct: Float32Array, labels: NDArray[np.uint8], size: tuple[int, int]) -> IndexImage:
    image = grey(ct, size, BRAIN_WINDOW_HU)
    penumbra_rim = palette.FIRST_COLOUR + 2 * palette.GREYS
    lesion = _enlarge_mask(labels >= PENUMBRA_LABEL, size)
    core = _enlarge_mask(labels == CORE_LABEL, size)
    image[lesion] += palette.FIRST_COLOUR
    image[core] += palette.GREYS
    image[_rim(lesion) & ~core] = penumbra_rim
    image[_rim(core)] = penumbra_rim + 1
    return image


def _rim(mask: BoolArray) -> BoolArray:
    inside: BoolArray = ndimage.binary_erosion(mask, iterations=2, border_value=1)
    return mask & ~inside


def assemble(tiles: list[IndexImage], layout: Layout) -> IndexImage:
    image = np.zeros(layout.size, dtype=np.uint8)
    height, width = layout.tile
    for i, tile in enumerate(tiles):
        top, left = layout.corner(i)
        image[top : top + height, left : left + width] = tile
    return image


class Text:
    """Text to be printed on an image with smooth edges, in the image's grey ramp."""

    def __init__(self, image: IndexImage) -> None:
        self._mask = Image.new("L", image.shape[::-1])
        self._draw = ImageDraw.Draw(self._mask)

    def write(self, text: str, top: int, left: int, anchor: str, size: int) -> None:
        font = ImageFont.load_default(size)
        self._draw.text((left, top), text, fill=235, font=font, anchor=anchor)

    def print_on(self, image: IndexImage) -> None:
        ink = np.asarray(self._mask).astype(np.int64) * palette.WHITE // 255
        image[ink > 4] = ink[ink > 4]


def _label_slices(text: Text, layout: Layout, view: View) -> None:
    for i, z_mm in enumerate(view.z_mm):
        label_z(text, layout, i, z_mm)
        label_sides(text, layout, i)


def label_z(text: Text, layout: Layout, i: int, z_mm: float) -> None:
    top, left = layout.corner(i)
    text.write(f"z {z_mm:.1f}", top + 3, left + 5, "la", 14)


def label_sides(text: Text, layout: Layout, i: int) -> None:
    top, left = layout.corner(i)
    height, width = layout.cell
    # in the corners, where no head is
    text.write("R", top + height - 4, left + 5, "ls", 15)
    text.write("L", top + height - 4, left + width - 5, "rs", 15)


def draw_bar(
    image: IndexImage, text: Text, layout: Layout, window: Window, ramp: Ramp = MAPS, at: int = 0
) -> None:
    """The colour scale with its numbers, in the column at the right from row ``at`` on."""
    height = max(layout.cell[0], SHORTEST_BAR)
    top, bottom = at + 50, at + height - 12
    left = layout.size[1] - BAR_COLUMN + 14
    text.write(window.label, at + 4, left, "la", 19)
    text.write(window.unit, at + 27, left, "la", 13)
    steps = np.linspace(ramp.levels - 1, 0, bottom - top).round().astype(np.uint8)
    image[top:bottom, left : left + BAR_WIDTH] = (steps + ramp.first)[:, None]
    for tick in window.ticks:
        part = (tick - window.low) / (window.high - window.low)
        y = round(bottom - 1 - part * (bottom - 1 - top))
        image[y, left + BAR_WIDTH : left + BAR_WIDTH + 5] = palette.WHITE
        text.write(f"{tick:g}", y, left + BAR_WIDTH + 9, "lm", 14)


def _fullest_slice(places: IntArray) -> int:
    slices, counts = np.unique(places[:, 0], return_counts=True)
    return int(slices[counts.argmax()])


def _draw_cross(
    image: IndexImage, layout: Layout, i: int, voxels: IntArray, view: View, colour: int
) -> None:
    """A cross with an open middle, so that the vessel under it can be seen."""
    (height, width), (top, left) = layout.tile, layout.corner(i)
    rows, columns = view.crop_shape
    row, column = voxels.mean(axis=0)
    y, x = round((row + 0.5) * height / rows), round((column + 0.5) * width / columns)
    tile = image[top : top + height, left : left + width]
    pixels_per_mm = height / (rows * view.spacing_mm[0])
    down, across = np.abs(np.arange(height) - y)[:, None], np.abs(np.arange(width) - x)[None]
    reach = np.maximum(down, across)
    arms = (np.minimum(down, across) <= 1) & (reach > 5 * pixels_per_mm)
    tile[arms & (reach < 14 * pixels_per_mm)] = colour


def indexed(image: IndexImage, table: list[int]) -> Image.Image:
    picture = Image.fromarray(image)
    picture.putpalette(table)  # turns grey levels into indices
    return picture
