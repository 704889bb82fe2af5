"""Results, studies and requests that mean harm: a named refusal, and nothing is written elsewhere.

`benchmarks` may draw thousands of the same; here are as many as a test has time for.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest_serve import serving
from fastapi import FastAPI
from hostile_results import (
    OF_A_STUDY,
    OF_RESULTS,
    SLICE,
    Asked,
    asked,
    good_results,
    good_study,
    hostile_request,
    hostile_results,
    hostile_study,
)

from bolus.errors import BolusError, DamagedFile, UsageError
from bolus.serve.app import shown
from bolus.serve.outlines import MOST_RATERS
from bolus.serve.results_app import results_app
from bolus.serve.study_app import study_app
from bolus.study.raters.store import MOST_READINGS, open_study

FOLDERS = 120
REQUESTS = 8


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_results(tmp_path_factory.mktemp("good") / "results")


@pytest.fixture(scope="module")
def study(good: Path) -> tuple[Path, dict[str, str]]:
    folder = good.with_name("study")
    return folder, good_study(folder, good)


def refused_or_answered(
    kind: str, scratch: Path, make: Callable[[], FastAPI], requests: list[Asked], **more: Any
) -> bool:
    """Whether the folder was opened; nothing that is answered is a fault or tells a path."""
    try:
        app = make()
    except BolusError:
        return False
    for answer in asked(app, requests, **more):
        told = kind, str(answer.request.url), answer.status_code, answer.text[:300]
        assert answer.status_code < 500, told
        assert str(scratch) not in answer.text, told
    return True


def test_folders_in_order_are_answered_in_full(
    good: Path, study: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    own = shutil.copytree(good, tmp_path / "own")
    for answer in asked(results_app([own]), list(OF_RESULTS)):
        assert answer.status_code == 200, (answer.url, answer.text)
    desk = shutil.copytree(study[0], tmp_path / "study")
    sign_in = {"rater": "anna", "code": study[1]["anna"]}
    for answer in asked(study_app(desk), list(OF_A_STUDY), sign_in):
        assert answer.status_code == 200, (answer.url, answer.text)


def test_no_folder_of_results_makes_the_server_fail(good: Path, tmp_path: Path) -> None:
    rng = random.Random(2)
    opened = 0
    for number in range(FOLDERS):
        (tmp_path / "scratch").mkdir()
        path = tmp_path / "scratch/results"
        kind = f"{number}: {hostile_results(rng, path, good)}"
        requests = [*OF_RESULTS, *(hostile_request(rng) for _ in range(REQUESTS))]
        opened += refused_or_answered(kind, tmp_path, partial(results_app, [path]), requests)
        assert [one.name for one in path.parent.iterdir()] == ["results"], kind
        shutil.rmtree(path.parent)
    assert FOLDERS // 5 < opened < FOLDERS  # some refused at once, some answered


def test_no_folder_of_a_study_makes_the_server_fail(
    study: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    rng = random.Random(3)
    sign_in = {"rater": "anna", "code": study[1]["anna"]}
    for number in range(FOLDERS // 3):
        (tmp_path / "scratch").mkdir()
        path = tmp_path / "scratch/study"
        kind = f"{number}: {hostile_study(rng, path, study[0])}"
        requests = [*OF_A_STUDY, *(hostile_request(rng) for _ in range(REQUESTS))]
        refused_or_answered(
            kind,
            tmp_path,
            partial(study_app, path),
            requests,
            sign_in=sign_in,
        )
        assert [one.name for one in path.parent.iterdir()] == ["study"], kind
        shutil.rmtree(path.parent)


OPEN_AND_ASK = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import test_hostile_results as t
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
try:
    app = t.results_app([Path(sys.argv[2])])
    requests = [("GET", f"/api/exams/0/volumes/{k}.nii.gz", b"") for k in ("nlr/cbf", "brain")]
    for answer in t.asked(app, [*t.OF_RESULTS, *requests]):
        print(answer.status_code)
        assert answer.status_code < 500, answer.text
except t.BolusError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _bomb(path: Path) -> None:
    from hostile_results import _bomb as corrupt

    for name in ("nlr/cbf.nii.gz", "brain.nii.gz", "outlines/anna/outline.nii.gz"):
        corrupt(random.Random(0), path / name)


def _compressed(path: Path) -> None:
    from hostile_results import _compressed as corrupt

    corrupt(random.Random(1), path / "voxels.npz")


def _vast(path: Path) -> None:
    summary = json.loads((path / "summary.json").read_text())
    summary["geometry"]["shape_xyz"] = [10**6, 10**6, 10**6]
    (path / "summary.json").write_text(json.dumps(summary))


def _endless(path: Path) -> None:
    for name in ("voxels.npz", "outlines/anna/outline.nii.gz", "nlr/lesion.nii.gz"):
        (path / name).unlink()
        (path / name).symlink_to("/dev/zero")


@pytest.mark.parametrize("corrupt", [_bomb, _compressed, _vast, _endless])
def test_small_files_take_no_large_memory(
    good: Path, tmp_path: Path, corrupt: Callable[[Path], None]
) -> None:
    own = shutil.copytree(good, tmp_path / "own")
    corrupt(own)
    command = [sys.executable, "-c", OPEN_AND_ASK, str(Path(__file__).parent), str(own)]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 60
    before, *_, after = done.stdout.split()
    # libraries that are loaded on the way are most of it
    assert (int(after) - int(before)) / 1024 < 400, done.stdout


@pytest.mark.parametrize("flag", ["NaN", "Infinity", "1e999", '"x"', "[1]", "9" * 400])
@pytest.mark.parametrize("key", ["core_ml", "duration_s", "arrival_s", "confidence"])
def test_what_is_no_number_is_refused_at_the_start(
    good: Path, tmp_path: Path, key: str, flag: str
) -> None:
    own = Path(shutil.copytree(good, tmp_path / "own"))
    text = (own / "summary.json").read_text()
    before, _, after = text.partition(f'"{key}": ')
    rest = after[min(after.index(sign) for sign in ",}" if sign in after) :]
    (own / "summary.json").write_text(f'{before}"{key}": {flag}{rest}')
    with pytest.raises(DamagedFile, match=r"summary\.json is damaged"):
        results_app([own])


def test_maps_that_are_missing_or_elsewhere_are_named(good: Path, tmp_path: Path) -> None:
    from hostile_results import _other_grid

    own = Path(shutil.copytree(good, tmp_path / "own"))
    (own / "nlr/mtt.nii.gz").unlink()
    manifest = asked(results_app([own]), [("GET", "/api/exams/0", b"")])[0].json()
    assert manifest["methods"] == ["cnn"]
    (own / "cnn/ttp.nii.gz").unlink()
    with pytest.raises(DamagedFile, match="no method with all of its maps"):
        results_app([own])
    again = Path(shutil.copytree(good, tmp_path / "again"))
    _other_grid(random.Random(1), again / "cnn/tmax.nii.gz")
    with pytest.raises(DamagedFile, match=r"tmax\.nii\.gz is not on the grid of summary\.json"):
        results_app([again])


def test_no_answer_says_where_files_are(good: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(good, tmp_path / "a secret place/own"))
    (own / "voxels.npz").write_bytes(b"PK")
    (own / "outlines/anna/outline.json").write_text("{")
    (own / "outlines/ben").mkdir()
    (own / "outlines/ben/outline.nii.gz").write_bytes(b"x")
    with serving(results_app([own])) as url, httpx.Client(base_url=url) as client:
        answers = [client.get(path) for path in (
            "/", "/api/session", "/api/exams/0", "/api/exams/0/voxel/10/12/1", "/no-such",
            "/api/exams/0/outlines/anna", "/api/exams/0/outlines/ben", "/api/openapi.json",
        )]  # fmt: skip
        job = client.post("/api/exams/0/recompute", json={"method": "nlr", "aif": [1, 1, 1]})
        name = job.json()["job"]
        while (state := client.get(f"/api/jobs/{name}")).json()["state"] == "running":
            time.sleep(0.02)
    told = [answer.json()["error"] for answer in (answers[3], answers[5], answers[6], state)]
    assert "voxels.npz is damaged" in told[0]
    assert "outlines/anna/outline.json is damaged" in told[1]
    assert "outlines/ben/outline.nii.gz" in told[2]
    assert "voxels.npz is damaged" in told[3]
    for answer in [*answers, state]:
        assert "secret" not in answer.text
        assert str(tmp_path) not in answer.text


def test_a_message_keeps_names_and_loses_places() -> None:
    folder = Path("/data/mr x/out")
    for message, told in (
        ("/data/mr x/out/nlr/cbf.nii.gz is damaged", "nlr/cbf.nii.gz is damaged"),
        ("/data/mr x/out is gone", "out is gone"),
        ("no room in /var/tmp/x.part; free some", "no room in x.part; free some"),
        ("C:\\Users\\x\\out.nii is cut off", "out.nii is cut off"),
        ("nlr/cbf.nii.gz holds ml/100g, mm / s", "nlr/cbf.nii.gz holds ml/100g, mm / s"),
    ):
        assert shown(message, [folder]) == told


def test_one_folder_is_not_opened_twice(good: Path) -> None:
    with pytest.raises(UsageError, match="given twice"):
        results_app([good, good.parent / "." / good.name])


def test_raters_of_an_exam_have_a_limit(good: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(good, tmp_path / "own"))
    for number in range(MOST_RATERS - 1):
        shutil.copytree(own / "outlines/anna", own / f"outlines/r{number}")
    put = "PUT", "/api/exams/0/outlines/one-more/slices/1?revision=0&active_s=1", SLICE
    known = "PUT", "/api/exams/0/outlines/anna/slices/1?revision=3&active_s=1", SLICE
    refused, accepted = asked(results_app([own]), [put, known])
    assert (refused.status_code, accepted.status_code) == (409, 200)
    assert f"{MOST_RATERS} raters" in refused.json()["error"]
    assert not (own / "outlines/one-more").exists()


def test_readings_of_a_study_have_a_limit(
    study: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    own = Path(shutil.copytree(study[0], tmp_path / "study"))
    lines = [{"reading": f"r{n}", "images": "i0"} for n in range(MOST_READINGS + 1)]
    (own / "worklists/anna.json").write_text(json.dumps({"readings": lines}))
    with pytest.raises(DamagedFile, match=f"more than {MOST_READINGS}"):
        open_study(own)


def test_links_out_of_a_study_are_not_followed(
    study: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    own = Path(shutil.copytree(study[0], tmp_path / "study"))
    shutil.move(own / "worklists", tmp_path / "elsewhere")
    (own / "worklists").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedFile, match="leads out of its folder"):
        open_study(own)
    again = Path(shutil.copytree(study[0], tmp_path / "again"))
    shutil.rmtree(again / "readings")
    (tmp_path / "target").mkdir()
    (again / "readings").symlink_to(tmp_path / "target")
    sign_in = {"rater": "anna", "code": study[1]["anna"]}
    put = "PUT", "/api/readings/r0001/outline/slices/1?revision=0&active_s=1", SLICE
    answer = asked(study_app(again), [put], sign_in)[1]
    assert answer.status_code == 409
    assert "is a link" in answer.json()["error"]
    assert list((tmp_path / "target").iterdir()) == []
