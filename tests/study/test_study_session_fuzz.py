"""A reading study asked for anything in any order: no fault, and no stroke in a wrong place.

The steps are drawn by hypothesis beside a model of what should happen.  A fuzzer of the schema
would not get far: readings, codes and revisions that fit together are nothing a schema tells.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_study import SHAPE, write_results

from bolus.serve.access import Access
from bolus.serve.app import guarded
from bolus.serve.study_app import TRIES, study_app
from bolus.study.raters.make import create
from bolus.study.raters.readings import read_outline, reading_state
from bolus.study.raters.store import open_study

RATERS = ("anna", "ben")
READINGS = ("r0001", "r0002", "r0003", "r9999", "..", "key.json")
NO_READING = READINGS[3:]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A study nobody has read, and its codes."""
    exam = write_results(tmp_path_factory.mktemp("results") / "exam", 0)
    folder = tmp_path_factory.mktemp("study") / "study"
    return folder, create(folder, [exam], ("nlr", "cnn"), RATERS, repeats=1, seed=3)


@dataclass(frozen=True)
class Browser:
    """Asks the whole application without a network; its exceptions are raised here."""

    loop: asyncio.Runner
    client: httpx.AsyncClient

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.loop.run(self.client.request(method, path, **more))


@contextmanager
def desk(folder: Path) -> Iterator[tuple[Path, Browser]]:
    """A fresh copy of the study, and a browser in front of it."""
    with tempfile.TemporaryDirectory() as scratch, asyncio.Runner() as loop:
        own = Path(shutil.copytree(folder, Path(scratch) / "study"))
        transport = httpx.ASGITransport(guarded(study_app(own), Access(port=80)))
        yield (
            own,
            Browser(loop, httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")),
        )


@dataclass
class Expected:
    """What the study should hold."""

    rater: str | None = None
    wrong: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RATERS, 0))
    state: dict[tuple[str, str], str] = field(default_factory=dict)
    revision: dict[tuple[str, str], int] = field(default_factory=dict)
    labels: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)


SIGN_IN = st.tuples(
    st.just("sign in"), st.sampled_from([*RATERS, "carl"]), st.sampled_from(["own", "own", "other"])
)
PUT = st.tuples(
    st.just("put"),
    st.sampled_from(READINGS),
    st.sampled_from([0, 2, SHAPE[0], -1]),
    st.sampled_from([0, 0, 1, -1]),  # from the revision that is right
    st.sampled_from(["labels", "labels", "labels", "short", "seven"]),
    st.integers(0, 5),
)
PLAIN = st.tuples(
    st.sampled_from(["sign out", "worklist", "open", "outline", "done", "reopen", "volume"]),
    st.sampled_from(READINGS),
)
STEPS = st.lists(st.one_of(SIGN_IN, PUT, PUT, PLAIN, PLAIN), min_size=1, max_size=16)


def plane(kind: str, seed: int) -> bytes:
    """A slice's body, right or wrong."""
    labels = np.random.default_rng(seed).integers(0, 3, SHAPE[1:]).astype(np.uint8)
    if kind == "seven":
        labels[0, 0] = 7
    return labels.tobytes()[: -1 if kind == "short" else None]


def signed_in(client: Browser, codes: dict[str, str], now: Expected, step: tuple) -> None:
    _, rater, kind = step
    code = codes.get(rater, "x") if kind == "own" else "no-such-code"
    answer = client.ask("POST", "/api/sign-in", json={"rater": rater, "code": code})
    if rater not in RATERS:
        assert answer.status_code == 403
    elif now.wrong[rater] >= TRIES:
        assert answer.status_code == 429
    elif kind == "other":
        assert answer.status_code == 403
        now.wrong[rater] += 1
    else:
        assert answer.status_code == 200
        now.wrong[rater] = 0
        now.rater = rater


def put(client: Browser, now: Expected, step: tuple) -> None:
    _, reading, z, off, kind, seed = step
    place = (now.rater or "", reading)
    revision = now.revision.get(place, 0) + off
    body = plane(kind, seed)
    answer = client.ask(
        "PUT",
        f"/api/readings/{reading}/outline/slices/{z}",
        params={"revision": revision, "active_s": 1.0},
        content=body,
    )
    if reading in NO_READING or now.rater is None:
        assert answer.status_code in (401, 404, 405)
        return
    if now.state.get(place) == "done" or off != 0:
        assert answer.status_code == 409
        assert answer.json()["revision"] == now.revision.get(place, 0)
    elif not 0 <= z < SHAPE[0]:
        assert answer.status_code == 404
    elif kind != "labels":
        assert answer.status_code == 422
    else:
        assert answer.json() == {"revision": revision + 1}
        labels = now.labels.setdefault(place, np.zeros(SHAPE, np.uint8))
        labels[z] = np.frombuffer(body, np.uint8).reshape(SHAPE[1:])
        now.revision[place] = revision + 1
        now.state[place] = "open"


def plain(client: Browser, now: Expected, step: tuple) -> None:
    what, reading = step
    if what == "sign out":
        assert client.ask("POST", "/api/sign-out").status_code == 200
        now.rater = None
        return
    place = (now.rater or "", reading)
    answer = asked(client, what, reading)
    if now.rater is None:
        assert answer.status_code in (401, 404, 405)
    elif what == "worklist":
        done = sum(r == now.rater and s == "done" for (r, _), s in now.state.items())
        assert (answer.json()["rater"], answer.json()["done"]) == (now.rater, done)
    elif reading in NO_READING:
        assert answer.status_code in (404, 405)
    elif what == "outline":
        assert answer.status_code == (200 if place in now.labels else 404)
    elif what == "done":
        assert answer.status_code == (409 if now.state.get(place) == "done" else 200)
        if answer.status_code == 200:
            now.state[place] = "done"
            now.revision[place] = now.revision.get(place, 0) + 1
            now.labels.setdefault(place, np.zeros(SHAPE, np.uint8))
    elif what == "reopen":
        assert answer.status_code == (200 if now.state.get(place) == "done" else 409)
        if answer.status_code == 200:
            now.state[place] = "open"
    else:
        assert answer.status_code == 200
        if what == "open":
            now.state.setdefault(place, "open")


def asked(client: Browser, what: str, reading: str) -> httpx.Response:
    path = f"/api/readings/{reading}"
    if what == "worklist":
        return client.ask("GET", "/api/worklist")
    if what == "done":
        return client.ask("POST", f"{path}/done", json={"active_s": 2.0})
    if what == "reopen":
        return client.ask("POST", f"{path}/reopen")
    return client.ask(
        "GET", path + {"open": "", "outline": "/outline", "volume": "/volumes/cbf.nii.gz"}[what]
    )


@settings(max_examples=40)
@given(steps=STEPS, first=st.sampled_from(["sign in", "nothing"]))
def test_whatever_is_asked_in_whatever_order_the_study_stays_right(
    made: tuple[Path, dict[str, str]], steps: list[tuple], first: str
) -> None:
    folder, codes = made
    now = Expected()
    with desk(folder) as (own, client):
        if first == "sign in":
            signed_in(client, codes, now, ("sign in", "anna", "own"))
        for step in steps:
            # an exception in the server is raised here
            if step[0] == "sign in":
                signed_in(client, codes, now, step)
            elif step[0] == "put":
                put(client, now, step)
            else:
                plain(client, now, step)
        study = open_study(own)
        for rater in RATERS:
            for one in study.worklist(rater):
                place = (rater, one.reading)
                found = reading_state(study, rater, one.reading)
                assert found.state == now.state.get(place, "new")
                assert found.revision == now.revision.get(place, 0)
                labels = read_outline(study, rater, one.reading)
                assert (labels is None) == (place not in now.labels)
                if labels is not None:
                    np.testing.assert_array_equal(labels, now.labels[place])
