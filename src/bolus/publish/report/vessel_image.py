"""The image of all candidate arteries and veins for AIF and VOF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from bolus.publish import palette
from bolus.publish.orientation import View
from bolus.publish.report.mosaic import Text, assemble, grey, indexed, label_sides, layout_of
from bolus.types import Float32Array, Vessel

RING_MM = 3.5
"""Radius of a marker: wider than the vessels, so that they can be seen inside."""


def candidate_image(
    peak_hu: Float32Array,
    arteries: Sequence[Vessel],
    veins: Sequence[Vessel],
    view: View,
    width: int,
) -> Image.Image:
    """Maximum enhancement over time and over all slices, with a ring around each candidate.

    Parameters
    ----------
    peak_hu : (Z, Y, X) float32, HU
    arteries, veins : sequences of Vessel
        Named A1, A2... and V1, V2... in their order.
    width : int
        Of the image, pixels.
    """
    layout = layout_of(1, view, 1, width)
    highest = view.arrange(peak_hu).max(axis=0)[view.rows, view.columns]
    white = float(np.percentile(highest[highest > 0], 99.7)) if (highest > 0).any() else 1.0
    image = assemble([grey(highest, layout.tile, (0.0, white))], layout)
    text = Text(image)
    height, across = layout.tile
    rows, columns = view.crop_shape
    origin = (view.rows.start, view.columns.start)
    radius = RING_MM * height / (rows * view.spacing_mm[0])
    down, right = np.mgrid[:height, :across]
    for kind, (letter, vessels) in enumerate((("A", arteries), ("V", veins))):
        for i, vessel in enumerate(vessels, start=1):
            row, column = view.locate(vessel.voxels)[:, 1:].mean(axis=0) - origin
            y, x = (row + 0.5) * height / rows, (column + 0.5) * across / columns
            ring = np.abs(np.hypot(down - y, right - x) - radius) < (1.8 if i == 1 else 1.0)
            image[:height, :across][ring] = palette.FIRST_COLOUR + kind
            text.write(f"{letter}{i}", round(y - radius), round(x + radius), "lb", 15)
    label_sides(text, layout, 0)
    text.print_on(image)
    return indexed(image, palette.table(np.array([palette.ARTERY, palette.VEIN], np.uint8)))
