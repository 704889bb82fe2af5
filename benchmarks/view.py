"""Speed of the page of `bolus view` in a real browser.

One simulated exam of 512 x 512 pixels and 16 slices, two methods, every map on the screen; Chromium
without a graphics card, as `apt-get install chromium` gives it.  Opening is timed twice: from the
start of the command's process, with the browser already open, and from the address alone,
with the server already running.  A slice change is the time from the key to the frame after the
one in which all panels were drawn.  Writes benchmarks/results/view.md.

    python benchmarks/view.py [FOLDER with results to use instead]
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.publish.write import publish
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe

METHODS = ("nlr", "cnn")
SIZE = Recipe(
    matrix=512, pixel_mm=0.45, slices=16, slice_mm=5.0, bottom_mm=-24.0, frames=30, dt_s=1.8
)
COMMAND, FIRST, ALL, SLICE, DRAWING = ROWS = (
    "from the command to the first map on the screen",
    "from the address to the first map on the screen",
    "from the address to all maps on the screen",
    "slice change, from key to screen",
    "of it drawing",
)
WANTED = {COMMAND: "2000", FIRST: "2000", SLICE: "50"}
OPENINGS = 5
CHANGES = 60
OUT = Path(__file__).with_name("results") / "view.md"

# the second frame begins when the first, with the new slice, has been passed to the screen
CHANGE = """async (key) => {
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    await new Promise((go) => setTimeout(go, 20));
    const start = performance.now();
    document.dispatchEvent(new KeyboardEvent("keydown", { key }));
    await frame();
    await frame();
    const draw = Number(document.querySelector(".viewer").dataset.drawMs);
    return [performance.now() - start, draw];
}"""


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A server of these results, and its address as soon as it is printed."""
    command = [sys.executable, "-m", "bolus", "view", str(folder), "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().split()[-1]


def ended(server: subprocess.Popen[str]) -> None:
    server.terminate()
    server.communicate()


def opened(browser: Any, url: str) -> tuple[Any, float, float]:
    """A page, and ms until its first map and until all of its maps were drawn."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".viewer[data-loaded]", timeout=120_000)
    everything = float(page.evaluate("performance.now()"))
    first = float(page.locator(".viewer").get_attribute("data-first-ms"))
    return page, first, everything


def from_command(browser: Any, folder: Path) -> float:
    """ms from the start of `bolus view`'s process to the first map on the screen."""
    start_ms = 1000.0 * time.time()
    server, url = started(folder)
    try:
        page, first, _ = opened(browser, url)
        # the page's clock counts from its own beginning, which it knows by the same wall clock
        origin_ms = float(page.evaluate("performance.timeOrigin"))
        page.context.close()
    finally:
        ended(server)
    return origin_ms + first - start_ms


def measure(folder: Path) -> tuple[dict[str, list[float]], int]:
    """ms of everything by the name of its row; and the number of panels."""
    path = shutil.which("chromium") or "/usr/bin/chromium"
    found: dict[str, list[float]] = {name: [] for name in ROWS}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for k in range(OPENINGS + 1):
            took = from_command(browser, folder)
            if k > 0:  # the first reads the program and the files from disk
                found[COMMAND].append(took)
        server, url = started(folder)
        try:
            for k in range(OPENINGS + 1):
                page, first, everything = opened(browser, url)
                if k > 0:
                    found[FIRST].append(first)
                    found[ALL].append(everything)
                if k < OPENINGS:
                    page.context.close()
            page.wait_for_timeout(1000)
            panels = page.locator(".cells .panel").count()
            for k in range(CHANGES):
                key = "ArrowUp" if (k // 10) % 2 == 0 else "ArrowDown"
                took, drew = page.evaluate(CHANGE, key)
                found[SLICE].append(took)
                found[DRAWING].append(drew)
            browser.close()
        finally:
            ended(server)
    return found, panels


def row(name: str, values: list[float], limit: str) -> str:
    ordered = sorted(values)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return (
        f"| {name} | {statistics.median(values):.0f} | {late:.0f} | {ordered[-1]:.0f} | {limit} |"
    )


def main() -> None:
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        if len(sys.argv) > 1:
            folder = Path(sys.argv[1])
        else:
            folder = Path(scratch) / "results"
            publish(analyse(simulate_exam(7, SIZE)[0], Choices(methods=METHODS), Stages()), folder)
            load = os.getloadavg()
        found, panels = measure(folder)
    lines = [
        "# Speed of the web viewer",
        "",
        "| ms | median | 95% | worst | wanted |",
        "|---|---|---|---|---|",
        *(row(name, found[name], WANTED.get(name, "")) for name in ROWS),
        "",
        f"A simulated exam of 512 x 512 x 16, {' and '.join(METHODS)}, {panels} panels in a "
        f"window of 1366 x 768. {OPENINGS} openings each, by a running browser with an "
        "empty cache; the command's time is from the start of its process, including "
        f"Python's, with files in the system's cache. {CHANGES} slice changes. Chromium "
        "without a graphics card, driven by playwright "
        f"{version('playwright')}; {os.cpu_count()} cores ({platform.machine()}), load before the "
        f"measurement {load[0]:.1f} (above the number of cores: other processes were running). "
        "Written by `benchmarks/view.py`.",
        "",
    ]
    OUT.write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
