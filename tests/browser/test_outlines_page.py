"""Outlines drawn in a real browser are never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from browsing import draw, on_disk, opened, outlining, saved, serving


def test_strokes_are_in_the_file_and_undo_takes_them_out(page: Any, own: Path) -> None:
    with serving(own) as server:
        opened(page, server.url)
        outlining(page)
        draw(page, "nlr/tmax", (0.6, 0.4), (0.7, 0.5))
        saved(page)
        drawn = on_disk(own)
        assert (drawn == 2).sum() > 10
        z = int(page.locator(".viewer").get_attribute("data-slice"))
        assert np.flatnonzero(drawn.any(axis=(0, 1))).tolist() == [z]
        page.get_by_role("button", name="Undo").click()
        page.wait_for_timeout(300)
        saved(page)
        assert not on_disk(own).any()


def test_kill_in_the_middle_of_a_stroke_loses_nothing(page: Any, own: Path) -> None:
    with serving(own) as server:
        opened(page, server.url)
        outlining(page)
        draw(page, "nlr/tmax", (0.35, 0.4), (0.4, 0.45))
        saved(page)
        first = on_disk(own) > 0

        draw(page, "nlr/tmax", (0.6, 0.4), (0.66, 0.5), release=False)
        server.kill()
        # the pen goes on; the page is closed while it is still down
        page.mouse.move(page.viewport_size["width"] * 0.55, 300, steps=5)
        page.wait_for_timeout(400)
        drawn = page.evaluate(
            """() => new Promise((resolve) => {
                const opening = indexedDB.open("bolus-outlines", 1);
                opening.onsuccess = () => {
                    const store = opening.result.transaction("slices").objectStore("slices");
                    const all = store.getAll();
                    const count = (one) => [one.z, one.bytes.filter((b) => b).length];
                    all.onsuccess = () => resolve(all.result.map(count));
                };
            })"""
        )
        ((z, count),) = drawn
        assert count > first.sum()
        context = page.context
        page.close()

        server.start()
        again = context.new_page()
        opened(again, server.url)
        outlining(again)
        again.wait_for_timeout(300)
        saved(again)
        found = on_disk(own) > 0
        assert (found & first).sum() == first.sum()
        assert found[:, :, z].sum() == found.sum() == count


def test_page_says_that_the_server_is_away_and_sends_when_it_is_back(page: Any, own: Path) -> None:
    with serving(own) as server:
        opened(page, server.url)
        outlining(page)
        server.kill()
        draw(page, "nlr/tmax", (0.6, 0.4), (0.7, 0.5))
        page.wait_for_selector(".keep-state[data-state=unreachable]")
        said = page.locator(".keep-state").inner_text()
        assert "server unreachable, kept in this browser" in said
        server.start()
        saved(page)
        assert (on_disk(own) == 2).sum() > 10
