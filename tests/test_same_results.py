"""What a run writes and says is what it was before the code got its present layout: maps, lesions,
curves and pictures to the byte, sentences to their numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from same_results import (
    BEFORE,
    JOBS,
    ROOT,
    both,
    code_of,
    compared,
    differences,
    has,
    without_seconds,
    without_words,
    written,
)


@pytest.fixture(scope="module")
def folders(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """What today's code and that of `BEFORE` made of the same exam."""
    if not has(BEFORE):
        pytest.skip(f"the history here doesn't reach back to commit {BEFORE[:7]}")
    assert pytestconfig.cache is not None
    # kept from one test run to the next, with its compiled kernels: 30 s
    before = code_of(BEFORE, pytestconfig.cache.mkdir("same-results"))
    return both(before, ROOT / "src", tmp_path_factory.mktemp("same"))


@pytest.mark.parametrize("job", [job for job, (command, *_) in JOBS.items() if command == "run"])
def test_files_are_the_same_bytes_but_for_words(folders: tuple[Path, Path], job: str) -> None:
    before, now = (folder / job for folder in folders)
    worse, reworded = differences(before, now)
    assert worse == []
    assert set(reworded) <= {"report.html", "summary.json"}
    if not job.startswith("no-"):
        assert {"report.html", "summary.json", "curves.csv", "nlr/cbf.nii.gz"} <= {*written(now)}


@pytest.mark.parametrize("job", JOBS)
def test_output_and_exit_codes_are_the_same_but_for_words(
    folders: tuple[Path, Path], job: str
) -> None:
    before, now = (
        json.loads(written(folder / f"{job} said")["said.json"].decode()) for folder in folders
    )
    assert without_words(now) == without_words(before)
    assert (now["exit"] == 0) is not job.startswith("no-")
    assert now["stdout"] or "--quiet" in JOBS[job] or now["exit"]


def test_of_seconds_only_the_numbers_are_left_out() -> None:
    summary = b'{"core_ml": 1.5, "timings_s": {"read": 0.25, "total": 4.5e-05}, "hir": 0.5}'
    cut = without_seconds("summary.json", summary)
    assert cut == b'{"core_ml": 1.5, "timings_s": {"read": 0, "total": 0}, "hir": 0.5}'
    table = b"<table><tr><td>1.25</td></tr></table>"
    times = b'<table><tr><td>1.25</td></tr><tr class="total"><td>2.5</td></tr></table>'
    cut = without_seconds("report.html", table + times + table)
    assert cut == table + times.replace(b"1.25", b"0").replace(b"2.5", b"0") + table
    said = b'{"stdout": "core 1.5 s\\n",\n "stderr": "read    0.2 s\\nalign 12.4 s\\n"}'
    cut = without_seconds("said.json", said)
    assert cut == b'{"stdout": "core 1.5 s\\n",\n "stderr": "read 0 s\\nalign 0 s\\n"}'
    assert without_seconds("curves.csv", b"1.5") == b"1.5"


def test_of_sentences_only_the_words_are_left_out() -> None:
    one = b'{"code": "short-scan", "message": "It lasts 40.5 s, below 45 s", "value": 40.5}'
    assert compared("summary.json", one) == compared(
        "summary.json", one.replace(b"It lasts", b"The scan takes")
    )
    for other in (b"41.5", b"40.50"):
        changed = one.replace(b"40.5 s", other + b" s")
        assert compared("summary.json", one) != compared("summary.json", changed)
    for name in (b"short-scan", b"message", b'"value": 40.5'):
        changed = one.replace(name, b'"value": 40' if b":" in name else b"other")
        assert compared("summary.json", one) != compared("summary.json", changed)
    page = b'<p>core 1.5 ml</p><img src="data:image/png;base64,AAAA">'
    assert compared("report.html", page) == compared(
        "report.html", page.replace(b"core", b"infarct core")
    )
    for old, new in ((b"1.5", b"1.6"), (b"AAAA", b"AAAB"), (b"p>", b"b>")):
        assert compared("report.html", page) != compared("report.html", page.replace(old, new))
