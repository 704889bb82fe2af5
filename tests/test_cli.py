"""The command as a user meets it: a process with arguments, output and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from alone import alone, possible
from bolus import __version__
from bolus.cli import MethodName, PresetName
from bolus.lesion.presets import PRESET_NAMES
from bolus.options import METHOD_NAMES
from bolus.publish.identity import substitute_uids
from bolus.simulate.dicom import write_dicom
from bolus.simulate.truth import Truth
from bolus.types import Exam


def bolus(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "bolus", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def exam_zip(small: tuple[Exam, Truth], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "exam.zip"
    write_dicom(small[0], path)
    return path


@pytest.fixture(scope="module")
def ran(exam_zip: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = exam_zip.parent / "out"
    return out, bolus("run", exam_zip, "-o", out, "--method", "nlr", "--method", "bsvd")


def test_the_names_on_the_command_line_are_those_that_exist() -> None:
    assert get_args(MethodName) == METHOD_NAMES
    assert get_args(PresetName) == PRESET_NAMES


def test_version_and_help_do_not_wait_for_heavy_imports() -> None:
    heavy = "numba", "scipy", "matplotlib", "pydicom", "numpy", "onnxruntime"
    code = f"import sys, bolus.cli; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
    assert bolus("--version").stdout.strip() == __version__


def test_a_run_leaves_all_that_is_promised(
    ran: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = ran
    assert done.returncode == 0, done.stderr
    maps = {
        f"{m}/{n}.nii.gz"
        for m in ("nlr", "bsvd")
        for n in ("cbf", "cbv", "mtt", "tmax", "ttp", "lesion")
    } | {"nlr/delay.nii.gz"}
    maps |= {f"bsvd-minus-nlr/{n}.nii.gz" for n in ("cbf", "cbv", "mtt", "tmax", "ttp")}
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    images = {f"{n}.nii.gz" for n in ("baseline", "brain", "maximum")}
    assert files == maps | images | {"curves.csv", "report.html", "summary.json", "voxels.npz"}
    assert "Research use, not for diagnosis." in done.stdout
    summary = json.loads((out / "summary.json").read_text())
    assert f"core {summary['methods']['nlr']['lesion']['core_ml']:.1f} ml" in done.stdout


def test_a_pipe_gets_plain_lines_and_quiet_gets_none(
    ran: tuple[Path, subprocess.CompletedProcess[str]], exam_zip: Path, tmp_path: Path
) -> None:
    assert "\x1b" not in ran[1].stderr
    assert "read" in ran[1].stderr
    assert "deconvolve nlr" in ran[1].stderr
    silent = bolus("run", exam_zip, "-o", tmp_path / "out", "--quiet")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")


def test_the_network_runs_from_the_command_line(exam_zip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = bolus("run", exam_zip, "-o", out, "--method", "cnn")
    assert done.returncode == 0, done.stderr
    assert "predict cnn" in done.stderr
    assert (out / "cnn" / "cbf_se.nii.gz").exists()
    about = json.loads((out / "summary.json").read_text())["methods"]["cnn"]["parameters"]
    assert len(about["sha256"]) == 64


def test_deidentified_results_hold_no_uid_of_the_exam(exam_zip: Path, tmp_path: Path) -> None:
    plain = _run_with(exam_zip, tmp_path / "plain") / "summary.json"
    uids = json.loads(plain.read_text())["dicom_identity"]
    assert set(uids) == {"StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"}
    out = _run_with(exam_zip, tmp_path / "hashed", "--deidentified")
    for path in out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(uid.encode() in content for uid in uids.values()), path.name
    hashed = json.loads((out / "summary.json").read_text())["dicom_identity"]
    assert hashed == {tag: substitute_uids(uid) for tag, uid in uids.items()}
    assert all(len(uid) <= 64 and uid.startswith("2.25.") for uid in hashed.values())


def _run_with(exam: Path, out: Path, *options: str) -> Path:
    done = bolus("run", exam, "-o", out, "-m", "bsvd", "-q", *options)
    assert done.returncode == 0, done.stderr
    return out


def test_info_tells_what_is_there_in_words_and_as_json(exam_zip: Path) -> None:
    told = bolus("info", exam_zip)
    assert told.returncode == 0, told.stderr
    assert "6 slices of 128 x 128" in told.stdout
    assert "frames       32" in told.stdout
    facts = json.loads(bolus("info", exam_zip, "--json").stdout)
    assert (facts["frames"], facts["geometry"]["slices"], facts["usable"]) == (32, 6, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "nowhere", "-o", "{out}"], 3, "nowhere"),
        (["run", "{exam}"], 2, "out"),
        (["run", "{exam}", "-o", "{out}", "--method", "magic"], 2, "magic"),
        (
            ["run", "{exam}", "-o", "{out}", "--method", "bsvd", "--preset", "mistar"],
            2,
            "choose from nlr, bma, cnn",
        ),
        (["run", "{exam}", "-o", "{out}", "--model", "my.onnx"], 2, "--method cnn"),
        (["run", "{exam}", "-o", "{out}", "-m", "cnn", "--model", "my.onnx"], 2, "my.onnx"),
        (["run", "{exam}", "-o", "{out}", "-m", "cnn", "--model", "{exam}"], 4, "network"),
        (["run", "{exam}", "-o", "{out}", "--aif", "1,2"], 2, "x,y,z"),
        (["run", "{exam}", "-o", "{out}", "--aif", "999,0,0"], 2, "aif"),
        (["run", "{exam}", "-o", "{out}", "--aif", "²,1,1"], 2, "x,y,z"),
        (["run", "{exam}", "-o", ""], 2, "--out"),
        (["run", "{exam}", "-o", "{exam}"], 6, "exam.zip"),
        (["info", "nowhere"], 3, "nowhere"),
        (["dance"], 2, "dance"),
    ],
)
def test_each_kind_of_failure_has_its_exit_code_and_writes_nothing(
    arguments: list[str], code: int, words: str, exam_zip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    before = exam_zip.read_bytes()
    failed = bolus(*(a.format(out=out, exam=exam_zip) for a in arguments))
    assert failed.returncode == code, failed.stderr
    assert words in failed.stderr + failed.stdout
    assert "Traceback" not in failed.stderr
    assert list(tmp_path.iterdir()) == []
    assert exam_zip.read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [("\x1b[2J",), ("info", "x", "y\u202e"), ("run", "x", "-o", "y", "--\x1b]0;z\x07")]
)
def test_wrong_usage_is_reported_in_one_line_that_commands_no_terminal(
    arguments: tuple[str, ...],
) -> None:
    failed = bolus(*arguments)
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr.startswith("bolus: ")
    assert failed.stderr.removesuffix("\n").isprintable()


def test_a_failing_run_leaves_former_results_as_they_were(
    ran: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    out = ran[0]
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "scan.dcm").write_bytes(b"not an image" * 100)
    assert bolus("run", tmp_path / "broken", "-o", out).returncode == 3
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_a_folder_with_other_things_is_never_overwritten(exam_zip: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused = bolus("run", exam_zip, "-o", tmp_path)
    assert refused.returncode == 6
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_demo_finds_what_it_simulated(tmp_path: Path) -> None:
    out, home = tmp_path / "demo", tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "TMPDIR": str(home)}
    command = [sys.executable, "-P", "-m", "bolus", "demo", str(out)]
    if possible():  # without a network, and no other permission needed
        done = alone(command, tmp_path / "asked", env=environment, timeout=300)
        assert (tmp_path / "asked").read_text() == ""
    else:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=300, check=False
        )
    assert done.returncode == 0, done.stderr
    assert {p.name for p in home.iterdir()} <= {".cache", ".config"}
    assert "simulate" in done.stderr
    assert {p.name for p in out.iterdir()} == {"exam.zip", "truth", "results"}
    truth = json.loads((out / "truth" / "truth.json").read_text())
    methods = json.loads((out / "results" / "summary.json").read_text())["methods"]
    assert list(methods) == ["nlr", "cnn"]
    for method in methods.values():
        found = method["lesion"]
        assert found["hypoperfused_ml"] == pytest.approx(truth["hypo_ml"], rel=0.25)
        assert found["core_ml"] == pytest.approx(truth["core_ml"], abs=15)
    told = done.stdout.splitlines()
    assert [line.split()[0] for line in told[:2]] == ["nlr", "cnn"]
    assert any(line.startswith(f"truth     core {truth['core_ml']:.1f} ml") for line in told)


def test_a_demo_never_overwrites_other_things(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused = bolus("demo", tmp_path)
    assert refused.returncode == 6
    assert "thesis.txt" in refused.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_nothing(
    exam_zip: Path, tmp_path: Path, how: signal.Signals
) -> None:
    command = [sys.executable, "-P", "-m", "bolus", "run", str(exam_zip), "-o", str(tmp_path / "o")]
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert job.stderr is not None
    line = job.stderr.readline()  # the first stage is done, the work goes on
    assert line.startswith("read")
    job.send_signal(how)
    _, rest = job.communicate(timeout=60)
    assert job.returncode == 130
    assert "nothing half-written is left" in rest
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_is_no_error(exam_zip: Path) -> None:
    command = f"{sys.executable} -P -m bolus info {exam_zip} --json | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_kernels_find_a_cache_where_nothing_else_is_writable(tmp_path: Path) -> None:
    code = (
        "import os; os.access = lambda *a, **k: False\n"
        "import bolus; print(os.environ['NUMBA_CACHE_DIR'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    shown = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment
    )
    folder = Path(shown.stdout.strip())
    assert "bolus-kernels-" in folder.name, shown.stderr
    assert not folder.exists()  # gone with its process
