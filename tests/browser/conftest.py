"""One browser for all tests of the page; skips only where there is no Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.publish.write import publish
from bolus.simulate.truth import Truth
from bolus.types import Exam


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running browser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    # CI runs as root, where Chromium's sandbox doesn't start
    options = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page that remembers nothing of others; any fault of its scripts fails the test."""
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    one = context.new_page()
    one.set_default_timeout(30_000)
    faults: list[str] = []
    one.on("pageerror", lambda error: faults.append(str(error)))
    yield one
    context.close()
    assert faults == []


@pytest.fixture(scope="session")
def out(small: tuple[Exam, Truth], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two methods, in a folder whose name would be markup; nobody writes there."""
    folder = tmp_path_factory.mktemp("results") / "<img src=x onerror=alert(1)>"
    publish(analyse(small[0], Choices(methods=("nlr", "cnn")), Stages()), folder)
    return folder


@pytest.fixture
def own(out: Path, tmp_path: Path) -> Path:
    """A copy to draw on."""
    return Path(shutil.copytree(out, tmp_path / "mine"))
