"""Results in a real browser: what is shown is what is in the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from browsing import Server, at, canvas, opened, pointed, serving

from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.publish.write import publish
from bolus.simulate.truth import Truth
from bolus.types import Exam


@pytest.fixture(scope="module")
def server(out: Path) -> Iterator[Server]:
    with serving(out) as running:
        yield running


def slice_shown(page: Any) -> int:
    return int(page.locator(".viewer").get_attribute("data-slice"))


def test_page_asks_nobody_else_and_says_what_it_is_for(page: Any, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    opened(page, server.url)
    page.locator("[data-key='nlr/tmax'] button[title*=planes]").click()
    page.wait_for_selector("canvas.planes")
    page.wait_for_timeout(1500)
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
    assert page.locator(".topbar .use").inner_text() == "Research use, not for diagnosis"


def test_name_of_an_exam_is_text(page: Any, server: Server) -> None:
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    opened(page, server.url)
    assert page.locator(".topbar .exam").inner_text() == "<img src=x onerror=alert(1)>"
    assert page.locator("img").count() == 0
    assert said == []


def test_wheel_and_keys_move_all_panels_through_the_slices(page: Any, server: Server) -> None:
    opened(page, server.url)
    start = slice_shown(page)
    page.keyboard.press("ArrowUp")
    page.wait_for_selector(f".viewer[data-slice='{start + 1}']")
    page.mouse.move(*at(canvas(page, "cnn/cbf"), 0.5, 0.5))
    page.mouse.wheel(0, 100)
    page.wait_for_selector(f".viewer[data-slice='{start}']")
    page.keyboard.press("Home")
    page.wait_for_selector(".viewer[data-slice='0']")


def test_click_reads_the_numbers_of_the_files(page: Any, server: Server, out: Path) -> None:
    opened(page, server.url)
    page.mouse.click(*at(canvas(page, "nlr/cbf"), 0.62, 0.45))
    page.wait_for_selector("[data-answered]")
    x, y, z = map(int, page.locator(".where").get_attribute("data-at").split(","))
    cells = page.locator(".values td[data-key]")
    assert cells.count() >= 12
    for k in range(cells.count()):
        key = cells.nth(k).get_attribute("data-key")
        file = nibabel.load(out / f"{key}.nii.gz")
        value = np.asanyarray(file.dataobj)[x, y, z]
        served = cells.nth(k).inner_text()
        own = cells.nth(k).get_attribute("data-file")
        assert np.float32(served) == np.float32(value), key
        assert sum(c.isdigit() for c in served) <= 12, served  # and no digits that say nothing
        assert np.float32(own) == np.float32(value), key
    assert page.locator("svg.plot circle").count() > 20  # the filtered curve
    assert page.locator("svg.plot polyline").count() >= 3  # fit, AIF, VOF
    legend = page.locator("figure .legend span").all_inner_texts()
    assert legend == ["filtered curve", "nlr fit", "AIF", "VOF"]


@pytest.mark.parametrize(
    ("key", "title", "unit"),
    [
        ("cnn/cbf_se", "SE CBF cnn", "ml/100g/min"),
        ("cnn/tmax_se", "SE Tmax cnn", "s"),
        ("cnn-minus-nlr/cbf", "Δ CBF cnn-minus-nlr", "ml/100g/min"),
        ("cnn-minus-nlr/cbv", "Δ CBV cnn-minus-nlr", "ml/100g"),
    ],
)
def test_panels_of_standard_errors_and_differences_show_their_files(
    page: Any, server: Server, out: Path, key: str, title: str, unit: str
) -> None:
    opened(page, server.url)
    page.locator(".menu summary").click()
    page.get_by_label(title, exact=True).first.check()
    page.locator(".menu summary").click()
    panel = page.locator(f".panel[data-key='{key}']")
    panel.locator(".loading").wait_for(state="hidden")
    assert panel.locator("h2").inner_text() == title
    assert panel.locator("footer .unit").inner_text() == unit

    x, y, z = pointed(page, key, 0.62, 0.45)
    page.wait_for_selector(f"[data-answered='{x},{y},{z}']")
    stored = np.asanyarray(nibabel.load(out / f"{key}.nii.gz").dataobj)[x, y, z]
    cell = page.locator(f".values td[data-key='{key}']")
    assert stored != 0
    assert np.float32(cell.inner_text()) == stored  # what the server read
    assert np.float32(cell.get_attribute("data-file")) == stored  # what the panel is drawn from
    line = page.locator(f".values tr:has(td[data-key='{key}'])").inner_text().split("\t")
    assert (line[0], line[-1]) == (title, unit)
    if key.startswith("cnn-minus-nlr"):
        name = key.rpartition("/")[2]
        cnn, nlr = (
            np.asanyarray(nibabel.load(out / f"{method}/{name}.nii.gz").dataobj)[x, y, z]
            for method in ("cnn", "nlr")
        )
        assert stored == pytest.approx(cnn - nlr, rel=1e-6, abs=1e-6)

    page.mouse.move(*at(canvas(page, key), 0.62, 0.45))
    under = page.locator(".reading").inner_text()
    assert under.endswith(f" {unit} at {x}, {y}, {z}")
    shown = float(under.removeprefix(title.removesuffix(f" {key.partition('/')[0]}")).split()[0])
    assert shown == pytest.approx(float(stored), rel=5e-4)


def test_sides_of_the_screen_are_the_patients(page: Any, server: Server, out: Path) -> None:
    opened(page, server.url)
    affine = nibabel.load(out / "nlr" / "cbf.nii.gz").affine

    def ras_at(x: float, y: float) -> Any:
        voxel = pointed(page, "nlr/cbf", x, y)
        return (affine @ [*voxel, 1])[:3]

    left_of_screen, right_of_screen = ras_at(0.3, 0.5), ras_at(0.7, 0.5)
    assert left_of_screen[0] > right_of_screen[0]  # the patient's right is on the viewer's left
    assert ras_at(0.5, 0.4)[1] > ras_at(0.5, 0.6)[1]  # the front is on top
    letters = page.locator("[data-key='nlr/cbf'] .letter").all_inner_texts()
    assert letters == ["R", "L", "A", "P"]
    words = page.locator(".orientation")
    assert words.inner_text() == "radiological: patient's left is on your right"
    page.locator("button", has_text="Neurological").click()
    page.wait_for_function("() => document.querySelector('.letter.left').textContent === 'L'")
    assert words.inner_text() == "neurological: patient's left is on your left"
    assert ras_at(0.3, 0.5)[0] < ras_at(0.7, 0.5)[0]


@pytest.fixture(scope="module")
def ran_by_presets(
    small: tuple[Exam, Truth], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What ``summary.json`` says of nlr's lesion after `bolus run --preset`, by preset."""
    folder = tmp_path_factory.mktemp("presets")
    found = {}
    for preset in ("rapid", "wintermark", "mistar"):
        results = analyse(small[0], Choices(methods=("nlr",), preset=preset), Stages())
        publish(results, folder / preset)
        summary = json.loads((folder / preset / "summary.json").read_text())
        found[preset] = summary["methods"]["nlr"]["lesion"]
    return found


def measured(page: Any, lesion: dict[str, Any]) -> None:
    """Waits until the page shows these volumes for nlr."""
    for key in ("core_ml", "hypoperfused_ml", "mismatch_ml"):
        page.wait_for_function(
            """([key, ml]) => {
                const cell = document.querySelector(`[data-volume="nlr/${key}"]`);
                return Math.abs(Number(cell.dataset.exact) - ml) <= 1e-5 * ml;
            }""",
            arg=[key, lesion[key]],
        )


def slider(page: Any, region: str) -> Any:
    return page.locator(f"input[data-threshold='nlr/{region}']")


def test_moved_thresholds_give_the_volumes_of_bolus_run(
    page: Any, server: Server, ran_by_presets: dict[str, Any]
) -> None:
    opened(page, server.url)
    slider(page, "hypoperfused").fill("6")
    slider(page, "core").fill("0.3")
    measured(page, ran_by_presets["rapid"])
    assert page.locator("[data-dice=core]").inner_text() != "–"
    assert page.get_by_label("nlr: preset of thresholds").input_value() == ""


@pytest.mark.parametrize(
    ("preset", "core", "hypoperfused", "words"),
    [
        (
            "wintermark", ("CBV", 2.0), ("relative MTT", 1.45),
            "core: CBV < 2 ml/100g; hypoperfused: MTT > 145 % of normal tissue",
        ),
        (
            "mistar", ("relative CBF", 0.3), ("delay", 3.0),
            "core: CBF < 30 % of normal tissue; hypoperfused: delay > 3 s",
        ),
    ],
)  # fmt: skip
def test_sliders_take_over_the_maps_of_a_preset_and_act_on_them(
    page: Any,
    server: Server,
    ran_by_presets: dict[str, Any],
    preset: str,
    core: tuple[str, float],
    hypoperfused: tuple[str, float],
    words: str,
) -> None:
    opened(page, server.url)
    choice = page.get_by_label("nlr: preset of thresholds")
    choice.select_option(preset)
    measured(page, ran_by_presets[preset])
    part = page.locator("fieldset", has=choice)
    assert part.locator(".rule").inner_text() == words
    for region, (name, threshold) in (("core", core), ("hypoperfused", hypoperfused)):
        assert slider(page, region).get_attribute("data-map") == name
        assert float(slider(page, region).input_value()) == threshold

    # by hand to another threshold on the same map, and back: the preset's lesion again
    own = page.locator("[data-volume='nlr/hypoperfused_ml']")
    slider(page, "hypoperfused").fill(str(hypoperfused[1] + 1))
    page.wait_for_function(
        "([cell, ml]) => Number(cell.dataset.exact) < ml - 0.5",
        arg=[own.element_handle(), ran_by_presets[preset]["hypoperfused_ml"]],
    )
    assert choice.input_value() == ""
    assert slider(page, "hypoperfused").get_attribute("data-map") == hypoperfused[0]
    slider(page, "hypoperfused").fill(str(hypoperfused[1]))
    measured(page, ran_by_presets[preset])


def test_double_click_enlarges_and_escape_goes_back(page: Any, server: Server) -> None:
    opened(page, server.url)
    panels = page.locator(".cells .panel").count()
    page.mouse.dblclick(*at(canvas(page, "cnn/tmax"), 0.5, 0.5))
    page.wait_for_selector(".cells.one")
    assert page.locator(".cells .panel").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector(".cells:not(.one)")
    assert page.locator(".cells .panel").count() == panels


def test_right_drag_moves_the_window_of_a_map_in_all_methods(page: Any, server: Server) -> None:
    opened(page, server.url)
    fields = [f"[data-key='{key}/tmax'] footer input" for key in ("nlr", "cnn")]
    before = page.locator(fields[0]).last.input_value()
    page.mouse.move(*at(canvas(page, "nlr/tmax"), 0.5, 0.5))
    page.mouse.down(button="right")
    page.mouse.move(*at(canvas(page, "nlr/tmax"), 0.9, 0.5), steps=4)
    page.mouse.up(button="right")
    page.wait_for_timeout(200)
    after = [page.locator(field).last.input_value() for field in fields]
    assert after[0] == after[1] != before


def test_another_artery_gives_new_maps_next_to_the_old(page: Any, server: Server) -> None:
    opened(page, server.url)
    page.locator(".box > summary", has_text="AIF and VOF").click()
    page.get_by_role("button", name="Go to the slice of the AIF").click()
    box = canvas(page, "nlr/cbf")

    def voxel_at(x: float, y: float) -> list[int]:
        return pointed(page, "nlr/cbf", x, y)

    # where one of the artery's own voxels is on the screen, from two clicks beside the head
    corner, opposite = voxel_at(0.1, 0.1), voxel_at(0.9, 0.9)
    manifest = page.evaluate("fetch('/api/exams/0').then((answer) => answer.json())")
    artery = manifest["curves"]["aif_voxels_xyz"][0]
    fractions = [0.1 + 0.8 * (artery[k] - corner[k]) / (opposite[k] - corner[k]) for k in (0, 1)]
    page.mouse.move(*at(box, *fractions))
    page.mouse.down()
    page.mouse.move(*at(box, fractions[0] + 0.02, fractions[1]))
    page.mouse.move(*at(box, *fractions))
    page.mouse.up()
    page.locator(".box", has_text="VOF unchanged").get_by_text("AIF at").wait_for()
    page.locator("[aria-label='Method to recompute']").select_option("nlr")
    page.get_by_role("button", name="Recompute this method").click()
    page.wait_for_selector("[data-key='r1:nlr/cbf']", timeout=60_000)
    assert page.locator("[data-key='nlr/cbf'] canvas.slice").count() == 1

    # the exam's menu offers the new maps by the method and the artery that made them
    name = page.evaluate("fetch('/api/exams/0r1').then((answer) => answer.json())")["name"]
    assert name.startswith(f"{manifest['name']}, nlr, AIF at ")
    menu = page.get_by_role("combobox", name="Exam")
    page.get_by_role("option", name=name, exact=True).wait_for(state="attached")
    assert menu.locator("option").all_inner_texts() == [manifest["name"], name]
    menu.select_option("0r1")
    page.wait_for_function("(name) => document.title.startsWith(name)", arg=name)


def test_fingers_swipe_and_pinch(chromium: Any, server: Server) -> None:
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, has_touch=True)
    page = opened(context.new_page(), server.url)
    fingers = context.new_cdp_session(page)
    start = slice_shown(page)
    x, y = at(canvas(page, "cnn/cbf"), 0.5, 0.5)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": px, "y": py, "id": k} for k, (px, py) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (x, y))
    touch("touchMove", (x, y - 30))
    touch("touchEnd")
    page.wait_for_selector(f".viewer[data-slice='{start + 1}']")

    pixels = "document.querySelector(\"[data-key='cnn/cbf'] canvas.slice\").toDataURL()"
    before = page.evaluate(pixels)
    touch("touchStart", (x - 10, y), (x + 10, y))
    touch("touchMove", (x - 30, y), (x + 30, y))
    touch("touchEnd")
    page.wait_for_timeout(300)
    assert page.evaluate(pixels) != before
    assert slice_shown(page) == start + 1
    context.close()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1024, 768)])
def test_nothing_is_cut_off_on_laptop_and_tablet(
    page: Any, server: Server, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    opened(page, server.url)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for key in ("baseline", "nlr/cbf", "cnn/delay"):
        box = canvas(page, key)
        assert box["width"] >= 70
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
