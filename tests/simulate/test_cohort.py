"""A cohort is the same whoever made it, in one go or in many, and never holds half a case."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from bolus.acquire.exam import read_exam
from bolus.cli.simulate import LayoutName, simulate
from bolus.errors import OutputError, UsageError
from bolus.simulate.case import scan
from bolus.simulate.cohort import simulate_cohort
from bolus.simulate.layouts import LAYOUTS
from bolus.simulate.priors import case_seed, clinical_case
from bolus.workers import processes

SEED = 3454
"""Its first three cases are small, of three timings, and one moves."""


def _digests(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "three"
    assert simulate_cohort(folder, 3, SEED, workers=1) == 3
    return folder


@pytest.mark.parametrize("number", range(3))
def test_the_exam_on_disk_is_exactly_what_was_simulated(cohort: Path, number: int) -> None:
    seed = case_seed(SEED, number)
    exam, truth = scan(seed, clinical_case(seed))
    case = cohort / f"case-{number:05d}"
    read = read_exam(case / "exam.nii.gz")
    assert np.array_equal(read.frames, exam.frames)
    assert np.array_equal(read.times_s, exam.times_s)
    assert read.geometry.affine == pytest.approx(exam.geometry.affine, abs=1e-4)
    assert (read.scanner.manufacturer, read.scanner.kvp) == ("SYNTHETIC", 80.0)
    told = json.loads((case / "truth" / "truth.json").read_text())
    assert told["seed"] == truth.seed
    assert told["hypo_ml"] == pytest.approx(truth.hypo_ml, abs=1e-3)


def test_exams_are_in_whole_units_as_scanners_write_them() -> None:
    exam, _ = scan(4, clinical_case(case_seed(SEED, 0)))
    assert np.array_equal(exam.frames, np.rint(exam.frames))
    microseconds = exam.times_s * 1e6
    assert microseconds == pytest.approx(np.rint(microseconds), abs=1e-3)


def test_dicom_holds_the_same_exam(cohort: Path, tmp_path: Path) -> None:
    LAYOUTS["dicom"].write(tmp_path, SEED, 1, 0)
    read = read_exam(tmp_path / "case-00001" / "exam")
    same = read_exam(cohort / "case-00001" / "exam.nii.gz")
    assert np.array_equal(read.frames, same.frames)
    assert read.times_s == pytest.approx(same.times_s, abs=1e-9)
    assert _digests(tmp_path / "case-00001" / "truth") == _digests(cohort / "case-00001" / "truth")


def test_a_grown_cohort_has_the_same_bytes_and_keeps_its_cases(
    cohort: Path, tmp_path: Path
) -> None:
    folder = _with_one_case(cohort, tmp_path / "grown")
    first = folder / "case-00000" / "exam.nii.gz"
    before = first.stat().st_mtime_ns
    assert simulate_cohort(folder, 3, SEED, workers=2) == 2
    assert first.stat().st_mtime_ns == before
    assert _digests(folder) == _digests(cohort)
    assert simulate_cohort(folder, 2, SEED) == 0


def _with_one_case(cohort: Path, folder: Path) -> Path:
    """The cohort as it was after its first case."""
    shutil.copytree(cohort / "case-00000", folder / "case-00000")
    shutil.copy(cohort / "cohort.json", folder)
    return folder


def _start(folder: Path) -> subprocess.Popen[str]:
    code = (
        "import signal, sys, pathlib\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from bolus.simulate.cohort import simulate_cohort\n"
        "try:\n"
        f"    simulate_cohort(pathlib.Path({str(folder)!r}), 3, {SEED}, workers=1)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)


def _wait_until_alone(group: int) -> None:
    """Workers of a killed process end by themselves."""
    for _ in range(3000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError("a worker outlives its parent")


def test_a_kill_leaves_no_half_case_and_the_next_run_resumes(cohort: Path, tmp_path: Path) -> None:
    folder = _with_one_case(cohort, tmp_path / "killed")
    process = _start(folder)
    # inside the second case, while its files are being written
    _wait_for(folder / ".case-00001.part" / "case-00001" / "exam.nii.gz", process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    _wait_until_alone(process.pid)
    whole = _digests(cohort)
    for name, digest in _digests(folder).items():
        assert name.startswith(".") or digest == whole[name]
    assert not (folder / "case-00001").exists()
    assert simulate_cohort(folder, 3, SEED, workers=1) == 2
    assert _digests(folder) == whole


def test_an_interruption_ends_quietly_and_leaves_whole_cases(cohort: Path, tmp_path: Path) -> None:
    folder = _with_one_case(cohort, tmp_path / "interrupted")
    process = _start(folder)
    _wait_for(folder / ".case-00001.part", process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate()[1] == ""
    assert process.returncode == 130
    _wait_until_alone(process.pid)
    found = _digests(folder)
    assert set(found.items()) <= set(_digests(cohort).items())
    assert "case-00000/exam.nii.gz" in found


def test_workers_compute_with_one_thread() -> None:
    with processes(1) as pool:
        for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
            assert pool.submit(os.getenv, variable).result() == "1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": SEED + 1}, "seed"),
        ({"layout": "dicom"}, "layout"),
        ({"version": "0.0.1"}, "version"),
        ({"code": "0" * 12}, "code"),
    ],
)
def test_another_cohort_is_never_mixed_in(
    cohort: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    description = json.loads((cohort / "cohort.json").read_text()) | change
    (tmp_path / "cohort.json").write_text(json.dumps(description))
    with pytest.raises(OutputError, match=f"holds a cohort with {words}"):
        simulate_cohort(tmp_path, 1, SEED)
    assert [p.name for p in tmp_path.iterdir()] == ["cohort.json"]


def test_other_things_and_damaged_descriptions_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        simulate_cohort(tmp_path, 1, SEED)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "cohort.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        simulate_cohort(tmp_path, 1, SEED)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cases": 0}, "--cases is 0"),
        ({"cases": 100_001}, "1 to 100000"),
        ({"cases": 1001, "layout": "unitobrain"}, "1 to 1000"),
        ({"seed": -1}, "--seed is -1"),
        ({"layout": "magic"}, "choose from nifti, dicom, unitobrain"),
        ({"workers": 0}, "--workers is 0"),
        ({"matrix": 128}, "unitobrain only"),
        ({"matrix": 100, "layout": "unitobrain"}, "64 to 1024 in steps of 16"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, int], words: str
) -> None:
    arguments = {"cases": 1, "seed": SEED} | wrong
    with pytest.raises(UsageError, match=words):
        simulate_cohort(tmp_path / "cohort", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "cohort").exists()


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        simulate_cohort(tmp_path / "file" / "cohort", 1, SEED)


def test_a_full_disk_is_an_error_of_the_output_and_leaves_nothing_half(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    code = (
        "import resource, sys, pathlib\n"
        "from bolus.simulate.cohort import simulate_cohort\n"
        "from bolus.errors import OutputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))\n"
        "try:\n"
        f"    simulate_cohort(pathlib.Path({str(tmp_path)!r}), 1, {SEED}, workers=1)\n"
        "except OutputError as error:\n"
        "    sys.exit(str(error))\n"
    )
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "can't be written (File too large)" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["cohort.json"]


def test_importing_the_cohort_loads_nothing_that_computes() -> None:
    """A worker sets its number of threads after this import and before all others."""
    code = "import sys, bolus.simulate.cohort; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_knows_the_layouts_and_tells_what_it_made(
    cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get_args(LayoutName) == tuple(LAYOUTS)
    simulate(cohort, cases=3, seed=SEED)
    assert capsys.readouterr().out == f"3 cases in {cohort}, 0 of them new\n"
    simulate(cohort, cases=2, seed=SEED, quiet=True)
    assert capsys.readouterr() == ("", "")
