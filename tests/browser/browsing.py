"""A real server in a process of its own, and a real browser in front of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

START_S = 90.0


@dataclass
class Server:
    """`bolus view` on one port, which can be killed and started again."""

    folders: tuple[Path, ...]
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        command = [sys.executable, "-m", "bolus", "view", *map(str, self.folders)]
        options = ["--port", str(self.port), "--no-browser"]
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            assert self.process.poll() is None, "the server ended by itself"
            try:
                urllib.request.urlopen(f"{self.url}api/session", timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError("the server does not answer")

    def kill(self) -> None:
        """As `kill -9`: it has no chance to save anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(*folders: Path) -> Iterator[Server]:
    """A running server; its port stays its own when it is started again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(folders, port)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def opened(page: Any, url: str) -> Any:
    """Opens results and waits until every panel has its volume."""
    page.goto(url)
    page.wait_for_selector(".viewer[data-loaded]", timeout=60_000)
    return page


def canvas(page: Any, key: str) -> dict[str, float]:
    """Where the picture of a panel is on the screen."""
    box: dict[str, float] = page.locator(f"[data-key='{key}'] canvas.slice").bounding_box()
    return box


def at(box: dict[str, float], x: float, y: float) -> tuple[float, float]:
    """A point of a picture, by fractions of its width and height."""
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(page: Any, key: str, *points: tuple[float, float], release: bool = True) -> None:
    """A stroke through points of a panel."""
    box = canvas(page, key)
    page.mouse.move(*at(box, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*at(box, *point), steps=6)
    if release:
        page.mouse.up()


def saved(page: Any) -> None:
    """Waits until the server has everything."""
    page.wait_for_selector(".keep-state[data-state=saved]", timeout=30_000)


def pointed(page: Any, key: str, x: float, y: float) -> list[int]:
    """The voxel (x, y, z) that a click on a panel finds; another one than the click before."""
    shown = page.locator(".where")
    before = shown.get_attribute("data-at") if shown.count() else ""
    page.mouse.click(*at(canvas(page, key), x, y))
    page.wait_for_function(
        "(old) => (document.querySelector('.where')?.dataset.at ?? old) !== old", arg=before
    )
    return [int(index) for index in shown.get_attribute("data-at").split(",")]


def on_disk(folder: Path, rater: str = "anna") -> Any:
    """(X, Y, Z) labels in the rater's file."""
    path = folder / "outlines" / rater / "outline.nii.gz"
    return np.asanyarray(nibabel.load(path).dataobj)


def outlining(page: Any) -> None:
    """Opens the outline of anna, with the pen in hand."""
    page.locator(".box > summary", has_text="Outline").click()
    page.get_by_placeholder("your name").fill("anna")
    page.get_by_placeholder("your name").press("Enter")
    page.get_by_role("button", name="Paint the region").click()
    saved(page)
