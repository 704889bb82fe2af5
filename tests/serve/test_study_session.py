"""A rater reads a study in the browser and can't learn what made the maps."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pytest
from conftest_serve import METHODS, serving, unpacked

from bolus.errors import NoReadableFiles
from bolus.serve.study_app import TRIES, study_app
from bolus.study.raters.make import create
from bolus.study.raters.readings import progress
from bolus.study.raters.store import open_study

SHAPE = (6, 128, 128)


@pytest.fixture
def study(out: Path, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    folder = tmp_path / "study"
    return folder, create(folder, [out], METHODS, ["anna", "bo"], repeats=1, seed=4)


@pytest.fixture
def desk(study: tuple[Path, dict[str, str]]) -> Iterator[httpx.Client]:
    with serving(study_app(study[0])) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def sign_in(desk: httpx.Client, study: tuple[Path, dict[str, str]], rater: str = "anna") -> None:
    answer = desk.post("/api/sign-in", json={"rater": rater, "code": study[1][rater]})
    assert answer.status_code == 200, answer.text


def put(desk: httpx.Client, reading: str, z: int, revision: int, value: int = 1) -> httpx.Response:
    plane = np.zeros(SHAPE[1:], np.uint8)
    plane[40:60, 30:50] = value
    url = f"/api/readings/{reading}/outline/slices/{z}"
    asked = {"revision": revision, "active_s": 2.0}
    return desk.put(url, params=asked, content=plane.tobytes())


def test_nothing_is_shown_before_the_sign_in(
    desk: httpx.Client, study: tuple[Path, dict[str, str]]
) -> None:
    session = desk.get("/api/session").json()
    assert (session["kind"], session["rater"], session["raters"]) == ("study", None, ["anna", "bo"])
    for url in ("/api/worklist", "/api/readings/r0001", "/api/readings/r0001/outline",
                "/api/readings/r0001/volumes/cbf.nii.gz"):  # fmt: skip
        assert desk.get(url).status_code == 401
    assert put(desk, "r0001", 1, 0).status_code == 401
    wrong = desk.post("/api/sign-in", json={"rater": "anna", "code": study[1]["bo"]})
    assert wrong.status_code == 403
    assert desk.get("/api/worklist").status_code == 401


def test_codes_cannot_be_tried_forever(
    desk: httpx.Client, study: tuple[Path, dict[str, str]]
) -> None:
    for _ in range(TRIES):
        assert desk.post("/api/sign-in", json={"rater": "bo", "code": "x"}).status_code == 403
    right = desk.post("/api/sign-in", json={"rater": "bo", "code": study[1]["bo"]})
    assert right.status_code == 429
    sign_in(desk, study, "anna")  # who is not held up by that


def test_a_rater_reads_outlines_finishes_and_reopens(
    desk: httpx.Client, study: tuple[Path, dict[str, str]]
) -> None:
    sign_in(desk, study)
    work = desk.get("/api/worklist").json()
    assert (work["rater"], work["done"], work["total"]) == ("anna", 0, 3)
    assert {one["state"] for one in work["readings"]} == {"new"}
    manifest = desk.get("/api/readings/r0001").json()
    assert manifest["methods"] == ["?"]
    assert manifest["shape_xyz"] == list(SHAPE[::-1])
    for one in manifest["volumes"]:
        values = nib.Nifti1Image.from_bytes(gzip.decompress(desk.get(one["url"]).content))
        assert values.shape == SHAPE[::-1]
    assert desk.get("/api/readings/r0001/outline").status_code == 404
    assert put(desk, "r0001", 2, 0).json() == {"revision": 1}
    assert put(desk, "r0001", 3, 0, value=2).status_code == 409
    assert put(desk, "r0001", 3, 1, value=2).json() == {"revision": 2}
    shown = desk.get("/api/readings/r0001/outline").json()
    labels = unpacked(shown["mask"], SHAPE)
    assert (labels[2].max(), labels[3].max(), shown["active_s"]) == (1, 2, 2.0)
    done = desk.post("/api/readings/r0001/done", json={"active_s": 30.5})
    assert done.json()["state"] == "done"
    assert desk.get("/api/worklist").json()["done"] == 1
    assert put(desk, "r0001", 2, 3).status_code == 409
    again = desk.post("/api/readings/r0001/reopen").json()
    assert again["state"] == "open"
    assert put(desk, "r0001", 2, again["revision"]).status_code == 200
    record = json.loads((study[0] / "readings/anna/r0001/reading.json").read_text())
    assert record["active_s"] == 30.5
    assert progress(open_study(study[0])) == {"anna": (0, 3), "bo": (0, 3)}
    desk.post("/api/sign-out")
    assert desk.get("/api/worklist").status_code == 401


def test_no_byte_of_any_answer_tells_the_method_or_the_exam(
    desk: httpx.Client, study: tuple[Path, dict[str, str]], out: Path
) -> None:
    sign_in(desk, study)
    answers = [desk.get("/api/session"), desk.get("/api/worklist"), desk.get("/api/openapi.json")]
    for one in answers[1].json()["readings"]:
        manifest = desk.get(f"/api/readings/{one['reading']}")
        answers.append(manifest)
        answers += [desk.get(volume["url"]) for volume in manifest.json()["volumes"]]
        answers.append(put(desk, one["reading"], 1, 0))
        answers.append(desk.get(f"/api/readings/{one['reading']}/outline"))
        answers.append(desk.post(f"/api/readings/{one['reading']}/done", json={"active_s": 1}))
        answers.append(put(desk, one["reading"], 1, 99))
        answers.append(desk.get(f"/api/readings/{one['reading']}/volumes/nlr/cbf.nii.gz"))
    secret = [*METHODS, out.name, str(out), "delay", "_se.", "repeat"]
    assert len(answers) > 25
    for answer in answers:
        seen = [answer.content, repr(answer.headers.raw).encode()]
        if answer.content[:2] == b"\x1f\x8b":
            # a map's numbers may spell anything: of the file's text only the header is one
            seen = [gzip.decompress(answer.content)[:352], seen[1]]
        for content in seen:
            for word in secret:
                assert word.encode() not in content.lower(), (answer.url, word)


def test_raters_see_their_own_readings_only(
    desk: httpx.Client, study: tuple[Path, dict[str, str]]
) -> None:
    sign_in(desk, study, "anna")
    put(desk, "r0002", 1, 0)
    sign_in(desk, study, "bo")
    assert desk.get("/api/readings/r0002/outline").status_code == 404
    for name in ("r9999", "..", "anna", "key.json", "r0001%2f..%2f..%2fkey"):
        assert desk.get(f"/api/readings/{name}").status_code in (404, 405), name
    for path in ("../../key.json", "..%2f..%2fkey.json", "info.json", "/etc/passwd", "cbf", "%00"):
        assert desk.get(f"/api/readings/r0001/volumes/{path}").status_code == 404, path


def test_a_results_session_has_no_study_and_a_study_no_exams(desk: httpx.Client) -> None:
    for url in ("/api/exams/0", "/api/exams/0/voxel/1/1/1"):
        assert desk.get(url).status_code == 404


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoReadableFiles, match="no reading study"):
        study_app(tmp_path)
