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
    written,
)


@pytest.mark.long
def test_what_a_run_writes_and_says_is_what_it_was(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    if not has(BEFORE):
        pytest.skip(f"the history here doesn't reach back to commit {BEFORE[:7]}")
    assert pytestconfig.cache is not None
    # kept from one test run to the next, with its compiled kernels: 30 s
    src = code_of(BEFORE, pytestconfig.cache.mkdir("same-results"))
    before, now = both(src, ROOT / "src", tmp_path)
    worse, reworded = differences(before, now)
    assert worse == []
    assert {Path(name).name for name in reworded} <= {"report.html", "summary.json", "said.json"}
    for job, (command, *options) in JOBS.items():
        said = json.loads((now / f"{job} said" / "said.json").read_text())
        assert (said["exit"] == 0) is not job.startswith("no-"), said
        assert said["stdout"] or said["exit"] or "--quiet" in options
        if command == "run" and said["exit"] == 0:
            expected = {"report.html", "summary.json", "curves.csv", "nlr/cbf.nii.gz"}
            assert expected <= written(now / job).keys()


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
