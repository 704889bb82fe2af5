"""How fast the page of `bolus view` is in a real browser.

One simulated exam of 512 x 512 pixels and 16 slices, two methods, every map on the screen; Chromium
without a graphics card, as `apt-get install chromium` gives it.  First paint is the time from the
address to the first map on the screen, a slice change the time from the key to the frame after the
one in which all panels were drawn.  Writes benchmarks/results/view.md.

    python benchmarks/view.py [FOLDER with results to use instead]
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from bolus.pipeline import Choices, Stages, analyse
from bolus.publish import publish
from bolus.simulate import Recipe, simulate_exam

METHODS = ("nlr", "cnn")
SIZE = Recipe(
    matrix=512, pixel_mm=0.45, slices=16, slice_mm=5.0, bottom_mm=-24.0, frames=30, dt_s=1.8
)
OPENINGS = 5
CHANGES = 60
OUT = Path(__file__).with_name("results") / "view.md"

# the second frame begins when the first, with the new slice, has been handed to the screen
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


def started(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server of these results, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bolus", "view", str(folder), "--port", str(port)]
    server = subprocess.Popen([*command, "--no-browser"], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    for _ in range(600):
        try:
            urllib.request.urlopen(url + "api/session").close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return server, url


def opened(browser: Any, url: str) -> tuple[Any, float, float]:
    """A page, and ms until its first map and until all of its maps were drawn."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".viewer[data-loaded]", timeout=120_000)
    everything = float(page.evaluate("performance.now()"))
    first = float(page.locator(".viewer").get_attribute("data-first-ms"))
    return page, first, everything


def measure(url: str) -> tuple[list[float], list[float], list[float], list[float], int]:
    """ms: first map, all maps, slice changes, drawing alone; and the number of panels."""
    path = shutil.which("chromium") or "/usr/bin/chromium"
    first, everything, changes, drawing = [], [], [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for k in range(OPENINGS + 1):
            page, one, all_ = opened(browser, url)
            if k > 0:  # the first opening reads the files from disk
                first.append(one)
                everything.append(all_)
            if k < OPENINGS:
                page.context.close()
        page.wait_for_timeout(1000)
        panels = page.locator(".cells .panel").count()
        for k in range(CHANGES):
            key = "ArrowUp" if (k // 10) % 2 == 0 else "ArrowDown"
            took, drew = page.evaluate(CHANGE, key)
            changes.append(took)
            drawing.append(drew)
        browser.close()
    return first, everything, changes, drawing, panels


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
        server, url = started(folder)
        try:
            first, everything, changes, drawing, panels = measure(url)
        finally:
            server.terminate()
            server.wait()
    lines = [
        "# The page's speed",
        "",
        "| ms | median | 95% | worst | wanted |",
        "|---|---|---|---|---|",
        row("first map on the screen", first, "2000"),
        row("all maps on the screen", everything, ""),
        row("slice change, from key to screen", changes, "50"),
        row("of it drawing", drawing, ""),
        "",
        f"A simulated exam of 512 x 512 x 16, {' and '.join(METHODS)}, {panels} panels in a "
        f"window of 1366 x 768. {OPENINGS} openings by a browser that had nothing of the page, "
        f"{CHANGES} slice changes. Chromium without a graphics card, driven by playwright "
        f"{version('playwright')}; {os.cpu_count()} cores ({platform.machine()}), load before the "
        f"measurement {load[0]:.1f} (above the number of cores, others were at work). Written by "
        "`benchmarks/view.py`.",
        "",
    ]
    OUT.write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
