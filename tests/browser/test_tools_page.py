"""Each outlining tool leaves in the rater's file just the voxels that it should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from browsing import at, canvas, draw, on_disk, opened, outlining, pointed, saved, serving
from scipy import ndimage

PANEL = "nlr/tmax"
PENUMBRA, CORE = 1, 2


@pytest.fixture
def desk(page: Any, own: Path) -> Iterator[Any]:
    """A page on which anna outlines the results in ``own``, core pen in hand."""
    with serving(own) as server:
        opened(page, server.url)
        outlining(page)
        yield page


def spacing_xy(folder: Path) -> tuple[float, float]:
    """mm between voxels of a slice."""
    x, y, _ = nibabel.load(folder / f"{PANEL}.nii.gz").header.get_zooms()
    return float(x), float(y)


def disc(folder: Path, centre: list[int], radius_mm: float) -> Any:
    """(X, Y, Z) voxels whose centres lie within a radius of one, in its slice."""
    sx, sy = spacing_xy(folder)
    shape = nibabel.load(folder / f"{PANEL}.nii.gz").shape
    x, y, z = np.indices(shape)
    mm = np.hypot((x - centre[0]) * sx, (y - centre[1]) * sy)
    return (mm <= radius_mm) & (z == centre[2])


def brush(page: Any, radius_mm: float) -> None:
    page.get_by_label("Brush radius, mm").fill(str(radius_mm))


def voxel_at(page: Any, x: float, y: float) -> list[int]:
    """The voxel at a place of the panel; the tool in hand is put down for it."""
    page.keyboard.press("l")
    found = pointed(page, PANEL, x, y)
    page.keyboard.press("p")
    return found


def dab(page: Any, x: float, y: float) -> None:
    """One touch with the tool in hand, kept by the server."""
    page.mouse.click(*at(canvas(page, PANEL), x, y))
    saved(page)


def test_pen_paints_a_round_brush_and_erase_takes_a_smaller_one_out(desk: Any, own: Path) -> None:
    centre = voxel_at(desk, 0.6, 0.45)
    brush(desk, 9)
    dab(desk, 0.6, 0.45)
    assert (on_disk(own) == np.where(disc(own, centre, 9), CORE, 0)).all()
    desk.keyboard.press("w")
    brush(desk, 5)
    dab(desk, 0.6, 0.45)
    desk.keyboard.press("e")
    brush(desk, 3)
    dab(desk, 0.6, 0.45)
    left = np.select(
        [disc(own, centre, 3), disc(own, centre, 5), disc(own, centre, 9)], [0, PENUMBRA, CORE]
    )
    assert (on_disk(own) == left).all()
    assert disc(own, centre, 3).sum() > 5


def test_fill_fills_a_closed_outline_and_refuses_an_open_one(desk: Any, own: Path) -> None:
    brush(desk, 2)
    corners = ((0.5, 0.4), (0.65, 0.4), (0.65, 0.55), (0.5, 0.55))
    draw(desk, PANEL, *corners)
    saved(desk)
    three_sides = on_disk(own).copy()
    desk.keyboard.press("f")
    dab(desk, 0.57, 0.47)
    desk.get_by_text("The outline is not closed: nothing was filled.").wait_for()
    assert (on_disk(own) == three_sides).all()

    desk.keyboard.press("p")
    draw(desk, PANEL, corners[3], corners[0])
    saved(desk)
    ring = on_disk(own) == CORE
    z = int(np.flatnonzero(ring.any(axis=(0, 1)))[0])
    desk.keyboard.press("w")
    desk.keyboard.press("f")
    dab(desk, 0.57, 0.47)
    inside = np.zeros_like(ring)
    inside[..., z] = ndimage.binary_fill_holes(ring[..., z]) & ~ring[..., z]
    assert inside.sum() > 20
    assert (on_disk(own) == np.where(ring, CORE, np.where(inside, PENUMBRA, 0))).all()


def test_brush_with_limits_paints_only_voxels_whose_value_lies_between(
    desk: Any, own: Path
) -> None:
    tmax = np.asanyarray(nibabel.load(own / f"{PANEL}.nii.gz").dataobj)
    centre = voxel_at(desk, 0.6, 0.45)
    reached = disc(own, centre, 15)
    low, high = (float(np.round(one, 2)) for one in np.quantile(tmax[reached], (0.4, 0.8)))
    desk.get_by_label("only values").check()
    desk.get_by_label("Lowest value of the panel").fill(str(low))
    desk.get_by_label("Highest value of the panel").fill(str(high))
    desk.keyboard.press("Tab")
    brush(desk, 15)
    dab(desk, 0.6, 0.45)
    allowed = reached & (tmax >= low) & (tmax <= high)
    assert 10 < allowed.sum() < reached.sum() - 10
    assert ((on_disk(own) == CORE) == allowed).all()


def test_undo_and_redo_walk_through_the_strokes_and_a_new_one_ends_redo(
    desk: Any, own: Path
) -> None:
    assert not (own / "outlines").exists()
    states = [np.zeros(nibabel.load(own / f"{PANEL}.nii.gz").shape, np.uint8)]
    for x in (0.45, 0.55, 0.65):
        dab(desk, x, 0.45)
        states.append(on_disk(own).copy())
    counts = [int((one > 0).sum()) for one in states]
    assert counts == sorted(set(counts))

    def after(key: str) -> Any:
        desk.keyboard.press(key)
        saved(desk)
        return on_disk(own)

    for back in (2, 1, 0):
        assert (after("Control+z") == states[back]).all(), back
    for on in (1, 2):
        assert (after("Control+y") == states[on]).all(), on
    assert (after("Control+Shift+Z") == states[3]).all()
    after("Control+z")
    dab(desk, 0.45, 0.6)
    drawn = on_disk(own).copy()
    assert (after("Control+y") == drawn).all()
    assert not (drawn == states[3]).all()


def test_slices_between_two_outlines_get_the_shape_between_them(desk: Any, own: Path) -> None:
    """Signed distances to both outlines' edges, in mm, are mixed by the slices' distances."""
    desk.keyboard.press("Home")
    brush(desk, 4)
    dab(desk, 0.5, 0.45)
    for _ in range(3):
        desk.keyboard.press("ArrowUp")
    desk.wait_for_selector(".viewer[data-slice='3']")
    brush(desk, 11)
    dab(desk, 0.54, 0.45)
    ends = on_disk(own).copy()
    desk.get_by_role("button", name="Fill the slices between").click()
    saved(desk)
    found = on_disk(own)
    edges = [signed_mm(ends[..., z] > 0, spacing_xy(own)) for z in (0, 3)]
    for z in (1, 2):
        mixed = ((3 - z) * edges[0] + z * edges[1]) / 3
        sure = np.abs(mixed) > 1e-3  # the page computes with single precision
        assert ((found[..., z] == CORE) == (mixed < 0))[sure].all()
    areas = (found == CORE).sum(axis=(0, 1))
    assert areas[0] < areas[1] < areas[2] < areas[3]
    assert (found[..., [0, 3]] == ends[..., [0, 3]]).all()
    assert not found[..., 4:].any()


def signed_mm(mask: Any, spacing: tuple[float, float]) -> Any:
    """(X, Y) mm to the nearest voxel of the other side, negative inside."""
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing)
    return outside - inside
