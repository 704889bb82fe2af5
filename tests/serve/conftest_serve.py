"""A real server on a loopback port, with a small simulated exam."""

from __future__ import annotations

import base64
import gzip
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI

from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.publish.write import publish
from bolus.serve.access import Access
from bolus.serve.app import guarded
from bolus.serve.results_app import results_app
from bolus.serve.server import _bound, configured
from bolus.simulate.truth import Truth
from bolus.types import Exam, Results

METHODS = ("nlr", "cnn")


@contextmanager
def serving(app: FastAPI, *, token: str | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a running server."""
    sock = _bound("127.0.0.1", 0)
    port = sock.getsockname()[1]
    access = Access(host=host, port=port, token=token)
    server = uvicorn.Server(configured(guarded(app, access)))
    sock.listen()
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """`bolus view` in a process of its own, and its address."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bolus", "view", folder, "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    # left open: the server has more to say
    return server, server.stdout.readline().split()[-1]


def unpacked(mask: str, shape: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) labels as the page reads them."""
    return np.frombuffer(gzip.decompress(base64.b64decode(mask)), np.uint8).reshape(shape)


@pytest.fixture(scope="session")
def ran(small: tuple[Exam, Truth]) -> Results:
    """What a run makes of the small exam."""
    return analyse(small[0], Choices(methods=METHODS), Stages())


@pytest.fixture(scope="session")
def out(ran: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; nobody writes there."""
    folder = tmp_path_factory.mktemp("results") / "small"
    publish(ran, folder)
    return folder


@pytest.fixture
def own(out: Path, tmp_path: Path) -> Path:
    """A copy to draw on."""
    return Path(shutil.copytree(out, tmp_path / "mine"))


@pytest.fixture(scope="session")
def page(out: Path) -> Iterator[httpx.Client]:
    """A client of a server of the small exam."""
    with serving(results_app([out])) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
def drawing(own: Path) -> Iterator[httpx.Client]:
    """A client of a server whose exam may be drawn on."""
    with serving(results_app([own])) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def job_done() -> Callable[[httpx.Client, httpx.Response], dict[str, Any]]:
    """Wait for a job."""

    def wait(client: httpx.Client, begun: httpx.Response) -> dict[str, Any]:
        assert begun.status_code == 202, begun.text
        while True:
            state: dict[str, Any] = client.get(f"/api/jobs/{begun.json()['job']}").json()
            if state["state"] != "running":
                return state
            time.sleep(0.02)

    return wait
