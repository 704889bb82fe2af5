"""Colours mean what the scale beside them says, on the side where they belong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from bolus.publish import palette
from bolus.publish.orientation import view_of
from bolus.publish.report.mosaic import lesion_mosaic, map_mosaic, vessel_mosaic
from bolus.publish.windows import WINDOWS, ttp_window
from bolus.types import MAP_UNITS, Geometry, Results, Tissue

TILE = 120


def rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def first_tile(image: Image.Image) -> np.ndarray:
    return rgb(image)[:, :TILE]


def near(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(image - colour).max(axis=-1) <= 1


@pytest.mark.parametrize("grid", ["axial", "flipped", "sheared"])
def test_a_lesion_on_the_patients_left_is_on_the_images_right(
    results_on: Callable[[str], Results], grid: str
) -> None:
    results = results_on(grid)
    view = view_of(results.geometry, results.tissue.brain)
    labels = results.methods["nlr"].lesion.labels
    tile = first_tile(lesion_mosaic(results.tissue, labels, view, 4, TILE))
    green = near(tile, palette.PENUMBRA_RIM)
    assert green.any()
    assert np.nonzero(green)[1].min() > TILE / 2


def test_late_tissue_is_red_on_the_images_right_in_every_slice(results: Results) -> None:
    view = view_of(results.geometry, results.tissue.brain)
    maps = results.methods["nlr"].maps
    image = rgb(map_mosaic(maps.tmax, results.tissue.brain, view, WINDOWS["tmax"], 4, TILE))
    red = (image[..., 0] > 200) & (image[..., 2] < 70)
    blue = (image[..., 2] > 150) & (image[..., 0] < 70)
    for i in range(4):
        tile = slice(i * (TILE + 2), i * (TILE + 2) + TILE)
        assert np.nonzero(red[:, tile])[1].mean() > 0.65 * TILE
        assert np.nonzero(blue[:, tile])[1].mean() < 0.5 * TILE


def test_the_nose_is_up(results: Results) -> None:
    view = view_of(results.geometry, results.tissue.brain)
    volume = np.zeros(results.geometry.shape, np.float32)
    volume[:, :30] = 60.0  # stored from the front
    image = first_tile(map_mosaic(volume, results.tissue.brain, view, WINDOWS["cbf"], 4, TILE))
    high = near(image, palette.STOPS[-1][1])
    assert np.nonzero(high)[0].max() < 0.55 * len(image)


@pytest.mark.parametrize("key", list(WINDOWS))
def test_the_ends_of_the_window_have_the_scales_end_colours(results: Results, key: str) -> None:
    window, tissue = WINDOWS[key], results.tissue.brain
    view = view_of(results.geometry, tissue)
    for value, colour in ((window.low, palette.STOPS[0][1]), (window.high, palette.STOPS[-1][1])):
        flat = np.full(results.geometry.shape, value, np.float32)
        image = rgb(map_mosaic(flat, tissue, view, window, 4, TILE))
        middle = image[image.shape[0] // 2, TILE // 2]
        np.testing.assert_allclose(middle, colour, atol=1)
        bar = image[:, -80]  # through the colour bar
        coloured = np.flatnonzero(bar.max(axis=1) > 70)
        np.testing.assert_allclose(bar[coloured[-1]], palette.STOPS[0][1], atol=1)
        assert near(bar, palette.STOPS[-1][1]).any()


def test_a_value_has_the_same_colour_in_the_map_and_at_its_tick(results: Results) -> None:
    window, tissue = WINDOWS["tmax"], results.tissue.brain
    view = view_of(results.geometry, tissue)
    image = rgb(map_mosaic(np.full(tissue.shape, 6.0, np.float32), tissue, view, window, 4, TILE))
    middle = image[image.shape[0] // 2, TILE // 2]
    bar = image[:, -80]
    at = np.flatnonzero(np.abs(bar - middle).max(axis=1) <= 4)
    scale = np.flatnonzero(bar.max(axis=1) > 70)
    scale = scale[scale >= 50]  # below the name and the unit
    assert abs(at.mean() - scale.mean()) <= 2  # 6 s is in the middle of 0-12 s


def test_outside_the_tissue_is_black_and_does_not_bleed_inside(results: Results) -> None:
    tissue = results.tissue.brain
    view = view_of(results.geometry, tissue)
    volume = np.where(tissue, 31.0, 0.0).astype(np.float32)
    image = first_tile(map_mosaic(volume, tissue, view, WINDOWS["cbf"], 4, TILE))
    middle = image[len(image) // 2, TILE // 2]
    colours = {tuple(c) for c in image.reshape(-1, 3) if len(set(c)) > 1}
    assert colours == {tuple(middle)}


def test_crosses_are_at_the_vessels(results: Results) -> None:
    view = view_of(results.geometry, results.tissue.brain)
    vessels = (("AIF", results.arteries.aif), ("VOF", results.arteries.vof))
    image = rgb(vessel_mosaic(results.peak_hu, vessels, view, 300))
    tiles = image[:, :300], image[:, 302:]
    crosses = [np.argwhere(near(tile, colour)).mean(axis=0) for tile, colour in
               zip(tiles, (palette.ARTERY, palette.VEIN), strict=True)]  # fmt: skip
    height = image.shape[0]
    assert crosses[0][1] < 130  # AIF: patient's right
    assert crosses[0][0] < 0.5 * height  # and front
    assert abs(crosses[1][1] - 150) < 10  # VOF: midline
    assert crosses[1][0] > 0.8 * height  # and back


def test_ttp_is_shown_over_the_range_of_its_tissue(results: Results) -> None:
    tissue = results.tissue.parenchyma
    maps = [method.maps.ttp for method in results.methods.values()]
    window = ttp_window(maps, tissue)
    values = np.concatenate([m[tissue] for m in maps])
    assert np.mean((values >= window.low) & (values <= window.high)) > 0.97
    assert (window.ticks[0], window.ticks[-1]) == (window.low, window.high)
    assert 2 <= len(window.ticks) <= 9


def test_ttp_has_a_window_even_without_tissue(results: Results) -> None:
    window = ttp_window([np.zeros((2, 2, 2), np.float32)], np.zeros((2, 2, 2), bool))
    assert window.high > window.low


def test_all_windows_have_the_maps_units_and_ticks_inside() -> None:
    for key, window in WINDOWS.items():
        assert window.unit == MAP_UNITS[key]
        assert (window.ticks[0], window.ticks[-1]) == (window.low, window.high)


def test_core_and_penumbra_differ_in_lightness_and_for_dichromats() -> None:
    core, penumbra = np.array(palette.CORE) / 255, np.array(palette.PENUMBRA) / 255
    luminance = np.array([0.2126, 0.7152, 0.0722])
    assert abs(core @ luminance - penumbra @ luminance) > 0.15
    # deuteranopes still see blue against yellow
    assert abs(core[2] - penumbra[2]) > 0.2


def test_neighbouring_colours_of_the_scale_are_alike_and_all_differ() -> None:
    colours = palette.scale().astype(int)
    steps = np.abs(np.diff(colours, axis=0)).max(axis=1)
    assert steps.max() <= 10
    assert len({tuple(c) for c in colours}) == palette.LEVELS


@pytest.mark.parametrize(("depth", "axis"), [(3, 0), (1, 0), (3, 1), (1, 1)])
def test_thin_coronal_and_sagittal_slabs_can_be_drawn(
    results: Results, depth: int, axis: int
) -> None:
    """Seen from the feet they are strips; labels and colour scale need their room all the same."""
    shape = [40, 40, 40]
    shape[axis] = depth
    affine = np.diag([4.0, 4.0, 4.0, 1.0])  # stored from right, front and feet
    geometry = Geometry((shape[0], shape[1], shape[2]), affine)
    brain = np.ones(shape, dtype=bool)
    view = view_of(geometry, brain)
    window = WINDOWS["tmax"]
    image = map_mosaic(np.full(shape, 12, np.float32), brain, view, window, 8, 171)
    picture = rgb(image)
    assert image.height >= 150
    assert image.height < 4 * 300
    assert near(picture[:, :-104], palette.STOPS[-1][1]).any()
    for _, colour in (palette.STOPS[0], palette.STOPS[-1]):  # the whole scale
        assert near(picture[:, -104:], colour).any()
    tissue = Tissue(np.full(shape, 40, np.float32), brain, ~brain, ~brain)
    labels = np.full(shape, 2, np.uint8)
    overlay = rgb(lesion_mosaic(tissue, labels, view, 8, 171))
    assert (overlay[..., 0] - overlay[..., 1] > 50).any()  # magenta
