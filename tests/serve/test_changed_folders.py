"""What was opened is replaced, moved or deleted while a page is open: no answer mixes two exams."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest_serve import METHODS, serving

from bolus.publish.write import publish
from bolus.serve.results_app import results_app
from bolus.serve.study_app import study_app
from bolus.study.raters.make import create
from bolus.types import Results

SLICE = bytes(128 * 128)
CHANGED = "start bolus view again"


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def rerun(own: Path, ran: Results) -> None:
    """`bolus run -o OUT` once more: the same bytes, but for times."""
    publish(ran, own)


def replaced(own: Path, ran: Results) -> None:
    """Another exam takes the folder's name."""
    other = own.with_name("other")
    shutil.copytree(own, other)
    summary = json.loads((other / "summary.json").read_text())
    summary["verdict"]["text"] = "another exam"
    (other / "summary.json").write_text(json.dumps(summary))
    own.rename(own.with_name("former"))
    other.rename(own)


def one_map_replaced(own: Path, ran: Results) -> None:
    shutil.copy(own / "cnn/cbf.nii.gz", own / "nlr/cbf.nii.gz")


def moved(own: Path, ran: Results) -> None:
    own.rename(own.with_name("elsewhere"))


def deleted(own: Path, ran: Results) -> None:
    shutil.rmtree(own)


@pytest.mark.parametrize("change", [rerun, replaced, one_map_replaced, moved, deleted])
def test_nothing_is_answered_or_written_after_the_results_changed(
    own: Path, ran: Results, change: Callable[[Path, Results], None]
) -> None:
    with serving(results_app([own])) as url, httpx.Client(base_url=url, timeout=60) as client:
        # everything is in memory that the server keeps there
        assert client.get("/api/exams/0").status_code == 200
        assert client.get("/api/exams/0/voxel/60/60/3").status_code == 200
        asked = {"method": "nlr", "preset": "rapid"}
        assert client.post("/api/exams/0/lesion", json=asked).status_code == 200
        change(own, ran)
        before = tree(own.parent)
        stroke = {"revision": 0, "active_s": 1.0}
        for answer in (
            client.get("/api/exams/0"),
            client.get("/api/exams/0/rules"),
            client.get("/api/exams/0/volumes/nlr/cbf.nii.gz"),
            client.get("/api/exams/0/voxel/60/60/3"),
            client.post("/api/exams/0/lesion", json=asked),
            client.post("/api/exams/0/recompute", json={"method": "nlr", "aif": [1, 1, 1]}),
            client.get("/api/exams/0/outlines"),
            client.get("/api/exams/0/outlines/anna"),
            client.put("/api/exams/0/outlines/anna/slices/2", params=stroke, content=SLICE),
            client.post("/api/exams/0/outlines/anna/export"),
        ):
            assert answer.status_code == 409, (answer.url, answer.text)
            assert CHANGED in answer.json()["error"]
            assert "revision" not in answer.json()  # the page keeps its strokes and says so
        assert tree(own.parent) == before
        assert client.get("/api/session").status_code == 200


def test_outlines_on_an_exam_do_not_count_as_a_change(own: Path) -> None:
    with serving(results_app([own])) as url, httpx.Client(base_url=url, timeout=60) as client:
        stroke = {"revision": 0, "active_s": 1.0}
        put = client.put("/api/exams/0/outlines/anna/slices/2", params=stroke, content=SLICE)
        assert put.status_code == 200
        assert client.get("/api/exams/0").status_code == 200


@pytest.fixture
def study(out: Path, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    folder = tmp_path / "study"
    return folder, create(folder, [out], METHODS, ["anna"], repeats=0, seed=4)


@pytest.fixture
def desk(study: tuple[Path, dict[str, str]]) -> Iterator[httpx.Client]:
    folder, codes = study
    with serving(study_app(folder)) as url, httpx.Client(base_url=url, timeout=60) as client:
        asked = {"rater": "anna", "code": codes["anna"]}
        assert client.post("/api/sign-in", json=asked).status_code == 200
        yield client


@pytest.mark.parametrize("change", ["moved", "deleted", "replaced"])
def test_a_study_that_is_gone_takes_no_strokes(
    desk: httpx.Client, study: tuple[Path, dict[str, str]], out: Path, change: str
) -> None:
    folder = study[0]
    reading = "/api/readings/r0001"
    stroke = {"active_s": 1.0}
    drawn = np.ones((128, 128), np.uint8).tobytes()
    first = desk.put(f"{reading}/outline/slices/2", params=stroke | {"revision": 0}, content=drawn)
    assert first.status_code == 200
    if change == "deleted":
        shutil.rmtree(folder)
    else:
        folder.rename(folder.with_name("elsewhere"))
    if change == "replaced":  # the same seed gives the same names to other images
        create(folder, [out], METHODS, ["anna"], repeats=0, seed=4)
    before = tree(folder.parent)
    for answer in (
        desk.get("/api/worklist"),
        desk.get(reading),
        desk.get(f"{reading}/volumes/cbf.nii.gz"),
        desk.get(f"{reading}/outline"),
        desk.put(f"{reading}/outline/slices/2", params=stroke | {"revision": 1}, content=drawn),
        desk.post(f"{reading}/done", json={"active_s": 3}),
        desk.post(f"{reading}/reopen"),
        desk.post("/api/sign-in", json={"rater": "anna", "code": study[1]["anna"]}),
    ):
        assert answer.status_code == 409, (answer.url, answer.text)
        assert CHANGED in answer.json()["error"]
    assert tree(folder.parent) == before
