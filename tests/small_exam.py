"""The small exam that tests of the whole way run on."""

from bolus.simulate.recipe import Recipe

SMALL = Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
"""A whole head at a quarter of the pixels."""
