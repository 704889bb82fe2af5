"""The page tells the reader when the shown results have changed on the disk."""

from __future__ import annotations

import gzip
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from browsing import draw, on_disk, opened, outlining, saved, serving

PANEL = "nlr/tmax"
CHANGED = "changed on the disk after they were opened here"
AGAIN = "start bolus view again"


def kept_strokes(page: Any) -> int:
    """How many slices this browser keeps because no server has them."""
    count: int = page.evaluate(
        """() => new Promise((done) => {
          const request = indexedDB.open("bolus-outlines", 1);
          request.onsuccess = () => {
            const store = request.result.transaction("slices").objectStore("slices");
            store.count().onsuccess = (event) => done(event.target.result);
          };
        })"""
    )
    return count


def test_strokes_on_results_that_are_gone_stay_in_the_page_until_they_are_back(
    page: Any, own: Path
) -> None:
    with serving(own) as server:
        opened(page, server.url)
        outlining(page)
        draw(page, PANEL, (0.4, 0.45), (0.45, 0.5))
        saved(page)
        first = on_disk(own).copy()
        away = own.rename(own.with_name("away"))
        draw(page, PANEL, (0.6, 0.45), (0.65, 0.5))
        page.wait_for_selector(".keep-state[data-state=refused]")
        said = page.locator(".keep-state").inner_text()
        assert CHANGED in said
        assert AGAIN in said
        assert "kept in this browser" in said
        assert not own.exists()
        assert kept_strokes(page) == 1

        # a click on a voxel says it too, instead of the former numbers
        page.keyboard.press("l")
        page.locator(f"[data-key='{PANEL}'] canvas.slice").click()
        page.wait_for_selector(f".trouble:has-text('{AGAIN}')")

        # and so does the page when it is loaded again
        page.reload()
        page.wait_for_selector(f".problem:has-text('{AGAIN}')")
        assert page.locator(".viewer").count() == 0

        away.rename(own)
        server.kill()
        server.start()
        opened(page, server.url)
        outlining(page)
        assert kept_strokes(page) == 0
        both = on_disk(own)
        assert (both[first > 0] == first[first > 0]).all()
        assert (both > 0).sum() > (first > 0).sum() + 10


def test_strokes_that_a_browser_keeps_do_not_come_to_another_exam_of_the_same_name_and_grid(
    page: Any, own: Path
) -> None:
    with serving(own) as server:
        opened(page, server.url)
        outlining(page)
        server.kill()
        draw(page, PANEL, (0.6, 0.45), (0.65, 0.5))
        page.wait_for_selector(".keep-state[data-state=unreachable]")
        assert kept_strokes(page) == 1
        for name in ("baseline", "maximum"):  # all that a browser can tell the head by
            path = own / f"{name}.nii.gz"
            content = bytearray(gzip.decompress(path.read_bytes()))
            values = np.frombuffer(content, np.float32, offset=352) + 1
            path.write_bytes(gzip.compress(bytes(content[:352]) + values.tobytes(), 1))
        server.start()
        opened(page, server.url)
        outlining(page)
        assert kept_strokes(page) == 1
        assert not (own / "outlines").exists()


def test_a_map_that_unpacks_to_more_than_it_should_does_not_fill_the_browser(
    page: Any, own: Path
) -> None:
    path = own / "nlr/cbf.nii.gz"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    start = packer.compress(gzip.decompress(path.read_bytes()))
    zeros = b"".join(packer.compress(bytes(2**24)) for _ in range(4))
    path.write_bytes(start + zeros + packer.flush())
    with serving(own) as server:
        page.goto(server.url)
        panel = page.locator("[data-key='nlr/cbf']")
        panel.get_by_text("holds more data than its exam allows").wait_for(timeout=60_000)


def test_of_several_exams_the_others_can_still_be_read(page: Any, own: Path) -> None:
    other = Path(shutil.copytree(own, own.with_name("other")))
    with serving(own, other) as server:
        opened(page, server.url)
        shutil.rmtree(own)
        page.reload()
        page.wait_for_selector(f".problem:has-text('{AGAIN}')")
        page.get_by_label("Exam").select_option(label="other")
        page.wait_for_selector(".viewer[data-loaded]", timeout=60_000)
        assert page.locator(".problem").count() == 0


def test_of_two_exams_chosen_in_quick_succession_the_last_is_shown(page: Any, own: Path) -> None:
    other = Path(shutil.copytree(own, own.with_name("other")))
    late: list[Any] = []
    with serving(own, other) as server:
        opened(page, server.url)
        page.route("**/api/exams/1", lambda route: late.append(route))
        page.get_by_label("Exam").select_option(label="other")
        page.wait_for_function("() => !document.querySelector('.viewer')")
        page.get_by_label("Exam").select_option(label="mine")
        page.wait_for_selector(".viewer[data-loaded]", timeout=60_000)
        with page.expect_response("**/api/exams/1"):
            late[0].continue_()
        page.wait_for_timeout(500)
        assert page.title() == "mine – bolus"
        assert page.locator(".viewer[data-loaded]").count() == 1
