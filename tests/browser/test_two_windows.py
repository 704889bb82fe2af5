"""Two windows with one rater's outline: what is drawn in either is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import at, canvas, on_disk, opened, outlining, saved, serving

PANEL = "nlr/tmax"
WORD = "also changed in another window"


@pytest.fixture(params=["tabs of one browser", "two browsers"])
def windows(request: Any, chromium: Any, own: Path) -> Iterator[tuple[Any, Any]]:
    """Two pages on which anna's outline is open, both from before the first stroke."""
    contexts = [chromium.new_context(viewport={"width": 1366, "height": 768})]
    if request.param == "two browsers":
        contexts.append(chromium.new_context(viewport={"width": 1366, "height": 768}))
    pages = contexts[0].new_page(), contexts[-1].new_page()
    with serving(own) as server:
        for one in pages:
            one.set_default_timeout(30_000)
            opened(one, server.url)
            outlining(one)
        yield pages
    for context in contexts:
        context.close()


def dab(page: Any, x: float, y: float, region: str) -> None:
    """One touch of the pen with a region, "q" core or "w" penumbra, kept by the server."""
    page.bring_to_front()
    page.keyboard.press(region)
    page.mouse.click(*at(canvas(page, PANEL), x, y))
    saved(page)


def volumes(page: Any) -> str:
    return str(page.locator(".outline-volumes").inner_text())


def test_strokes_of_two_windows_on_one_slice_are_all_kept(
    windows: tuple[Any, Any], own: Path
) -> None:
    first, second = windows
    dab(first, 0.55, 0.45, "q")
    theirs = on_disk(own).copy()
    assert first.locator(".elsewhere").inner_text() == ""

    # overlaps the stroke that this window hasn't seen
    dab(second, 0.58, 0.45, "w")
    both = on_disk(own).copy()
    mine = both == 1
    assert mine.sum() > 10
    assert (mine & (theirs == 2)).any()
    assert (both == np.where(mine, 1, theirs)).all()
    assert WORD in second.locator(".elsewhere").inner_text()

    # and the first, which knows only its own
    dab(first, 0.55, 0.6, "w")
    everything = on_disk(own).copy()
    assert (everything[both > 0] == both[both > 0]).all()
    assert (everything == 1).sum() > (both == 1).sum()
    assert WORD in first.locator(".elsewhere").inner_text()

    # what it shows now is what is on the disk
    dab(second, 0.58, 0.45, "w")
    assert volumes(first) == volumes(second)
    assert (on_disk(own) == everything).all()


def test_undo_takes_back_only_what_its_own_window_drew(windows: tuple[Any, Any], own: Path) -> None:
    first, second = windows
    dab(first, 0.5, 0.45, "q")
    only_first = on_disk(own).copy()
    dab(second, 0.65, 0.45, "w")
    dab(first, 0.5, 0.6, "q")
    assert WORD in first.locator(".elsewhere").inner_text()
    first.keyboard.press("Control+z")
    saved(first)
    first.keyboard.press("Control+z")
    saved(first)
    left = on_disk(own)
    assert (left[only_first > 0] == 0).all()
    assert (left == 1).sum() > 10
    assert not (left == 2).any()
