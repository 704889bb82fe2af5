"""A dose study finds what was simulated, goes on after a kill, and counts what is refused."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cyclopts import App

import bolus.study
from bolus.cli.study import study as study_app
from bolus.dataset.index import Case, Index, write_index
from bolus.errors import NoPerfusion, UsageError
from bolus.infer.model import load_model
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.nifti import write_exam
from bolus.simulate.truth import Truth, write_truth
from bolus.study.dose import exam as analysed_exam
from bolus.study.dose.exam import Refusal, analyse_or_refuse, grade_of
from bolus.study.dose.plan import DosePlan
from bolus.study.dose.rows import Study
from bolus.study.dose.run import run_dose_study
from bolus.train.cnn.export import onnx_bytes, with_card
from bolus.train.cnn.network import PerfusionNet
from bolus.types import Exam, Finding, Grade

PLAN = DosePlan(methods=("bsvd",), frames=(10,), every=(2,), phases=1, doses=(1, 0.25))
ANALYSES = 2 * 3
"""Two doses of the whole exam, 10 frames and every second frame."""
RESULTS = ("dose.csv", "dose.md", "dose.png", "settings.json")


@pytest.fixture(scope="module")
def cohort(small: tuple[Exam, Truth], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One simulated exam, one file that is none."""
    folder = tmp_path_factory.mktemp("cohort")
    exam, truth = small
    one, two = folder / "case-1", folder / "case-2"
    for case in (one, two):
        case.mkdir()
        write_truth(truth, case / "truth")
    write_exam(exam, one / "exam.nii.gz")
    (two / "exam.nii.gz").write_bytes(b"no exam")
    return folder


@pytest.fixture(scope="module")
def ran(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    out = tmp_path_factory.mktemp("study") / "out"
    return out, run_dose_study(cohort, out, PLAN, workers=2)


def log_of(out: Path) -> Path:
    (log,) = out.glob("*.jsonl")
    return log


def test_every_condition_of_every_exam_has_a_row(ran: tuple[Path, Study]) -> None:
    out, study = ran
    assert all((out / name).stat().st_size for name in RESULTS)
    done = [row for row in study.rows if row["outcome"] == "done"]
    assert [(r["rule"], r["frames"], r["dose"]) for r in done] == [
        (rule, frames, dose)
        for dose in (1, 0.25)
        for rule, frames in (("full", 32), ("frames", 10), ("every", 16))
    ]
    assert all(row["hypoperfused_dice"] > 0.5 and row["covered"] > 0.8 for row in done)
    assert done[0]["relative_dose"] == 1
    assert done[-1]["relative_dose"] == pytest.approx(0.125)
    assert done[0]["tmax_r"] > done[3]["tmax_r"]  # a quarter of the dose costs accuracy


def test_an_exam_that_cannot_be_read_is_counted(ran: tuple[Path, Study], cohort: Path) -> None:
    out, study = ran
    (lost,) = [row for row in study.rows if row["outcome"] != "done"]
    assert (lost["case"], lost["outcome"], lost["stage"]) == ("case-2", "refused", "read")
    text = (out / "dose.md").read_text()
    assert "2 exams, 1 of them readable" in text
    assert "starting at the first frame" in text
    everything = text + (out / "dose.csv").read_text() + (out / "settings.json").read_text()
    assert str(cohort.parent) not in everything


def test_what_the_scanner_made_is_studied_not_what_a_filter_left(
    cohort: Path, tmp_path: Path
) -> None:
    """A filter that saw all frames has put some of each into those that are kept."""
    raw, filtered = (cohort / name / "exam.nii.gz" for name in ("case-1", "case-2"))
    truth = cohort / "case-1" / "truth"
    case = Case("case-1", "case-1", filtered, {}, truth, 32, 6, raw=raw)
    write_index(Index(cohort, "unitobrain", (case,)), tmp_path / "index.json")
    plan = replace(PLAN, frames=(), every=(), doses=(1,))
    study = run_dose_study(tmp_path / "index.json", tmp_path / "out", plan, workers=1)
    assert [row["outcome"] for row in study.rows] == ["done"]


def test_a_killed_study_goes_on_to_the_same_bytes(
    ran: tuple[Path, Study], cohort: Path, tmp_path: Path
) -> None:
    log = log_of(ran[0])
    lines = log.read_text().splitlines(keepends=True)
    assert len(lines) == ANALYSES
    # as a kill leaves it: one analysis missing, another one half written
    (tmp_path / log.name).write_text("".join(lines[:-2]) + lines[-2][:40])
    run_dose_study(cohort, tmp_path, PLAN, workers=1)
    again = (tmp_path / log.name).read_text().splitlines()
    assert [json.loads(line)["kept"] for line in again[: ANALYSES - 2]] == [
        json.loads(line)["kept"] for line in lines[: ANALYSES - 2]
    ]
    assert len(again) == ANALYSES
    for name in RESULTS:
        assert (tmp_path / name).read_bytes() == (ran[0] / name).read_bytes()


def test_two_frames_make_no_maps(cohort: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, methods=("bma",), frames=(2,), every=(), doses=(1,))
    study = run_dose_study(cohort, tmp_path, plan, cases=1, workers=1)
    (row,) = [row for row in study.rows if row.get("rule") == "frames"]
    assert row["outcome"] == "refused"
    assert "no bolus can be followed" in row["reason"]
    assert "core_error_ml" not in row


def test_a_methods_verdict_is_not_that_of_those_it_was_run_with(small: tuple[Exam, Truth]) -> None:
    results = analyse(small[0], Choices(methods=("bsvd",)), Stages())
    far = Finding("unlike-training", Grade.FAIL, "cnn: this exam is far unlike the others.")
    late = Finding("motion-gap", Grade.WARNING, "Dropped frames leave 9 s.")
    both = replace(
        results,
        methods={**results.methods, "cnn": results.methods["bsvd"]},
        findings=(far, late),
        checks=(),
    )
    assert grade_of(both, "cnn") == Grade.FAIL
    assert grade_of(both, "bsvd") == Grade.WARNING
    assert grade_of(replace(both, findings=()), "bsvd") == Grade.NOTE


def test_another_seed_or_preset_keeps_its_own_log() -> None:
    from bolus.study.dose.log import log_name

    names = {log_name(p) for p in (PLAN, replace(PLAN, seed=1), replace(PLAN, preset="rapid"))}
    assert len(names) == 3
    assert log_name(replace(PLAN, methods=("bma",), frames=(5,))) == log_name(PLAN)


def test_a_fault_of_one_method_leaves_the_others(
    small: tuple[Exam, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    def analyse(exam: Exam, choices: object, stages: object) -> str:
        stages.progress("deconvolve nlr", None)  # type: ignore[attr-defined]
        if "nlr" in choices.methods:  # type: ignore[attr-defined]
            raise ZeroDivisionError("by nothing")
        return "results"

    monkeypatch.setattr(analysed_exam, "analyse", analyse)
    done, lost = analyse_or_refuse(small[0], ("nlr", "bsvd"), "calibrated")
    assert done == {"bsvd": "results"}
    assert lost == {"nlr": Refusal("fault", "deconvolve nlr", "ZeroDivisionError: by nothing")}


def test_what_fails_before_the_methods_fails_for_all(
    small: tuple[Exam, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def analyse(exam: Exam, choices: object, stages: object) -> str:
        calls.append(choices)
        stages.progress("segment", None)  # type: ignore[attr-defined]
        raise NoPerfusion("no bolus found")

    monkeypatch.setattr(analysed_exam, "analyse", analyse)
    done, lost = analyse_or_refuse(small[0], ("nlr", "bsvd"), "calibrated")
    refusal = Refusal("refused", "segment", "NoPerfusion: no bolus found")
    assert (done, lost, len(calls)) == ({}, {"nlr": refusal, "bsvd": refusal}, 1)


def test_a_network_needs_no_artery(
    small: tuple[Exam, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    def analyse(exam: Exam, choices: object, stages: object) -> str:
        stages.progress("arteries", None)  # type: ignore[attr-defined]
        if choices.methods != ("cnn",):  # type: ignore[attr-defined]
            raise NoPerfusion("no artery found")
        return "results"

    monkeypatch.setattr(analysed_exam, "analyse", analyse)
    done, lost = analyse_or_refuse(small[0], ("nlr", "cnn", "bsvd"), "calibrated")
    assert done == {"cnn": "results"}
    refusal = Refusal("refused", "arteries", "NoPerfusion: no artery found")
    assert lost == {"nlr": refusal, "bsvd": refusal}


def test_a_user_supplied_network_is_studied_and_named(
    cohort: Path, tmp_path: Path, model: Path
) -> None:
    plan = DosePlan(methods=("cnn",), frames=(10,), phases=1)
    built_in = run_dose_study(cohort, tmp_path / "out", plan, workers=1)
    own = run_dose_study(cohort, tmp_path / "out", replace(plan, model=model), workers=1)
    assert own.settings["model"] == {
        "name": "newborn",
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
    }
    assert str(tmp_path) not in (tmp_path / "out" / "settings.json").read_text()
    # what the built-in network made is not taken for its own
    errors = [{row["cbf_mae"] for row in s.rows if "rule" in row} for s in (built_in, own)]
    assert errors[0].isdisjoint(errors[1])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network that has learnt nothing, with the built-in one's card."""
    torch.manual_seed(1)
    path = tmp_path / "own.onnx"
    card = replace(load_model().card, name="newborn")
    path.write_bytes(with_card(onnx_bytes(PerfusionNet().eval()), card))
    return path


@pytest.mark.parametrize(
    "plan",
    [
        DosePlan(methods=("wishful",)), DosePlan(methods=()), DosePlan(frames=(1,)),
        DosePlan(every=(0,)), DosePlan(doses=(0.0,)), DosePlan(doses=(2.0,)), DosePlan(phases=0),
        DosePlan(reference="truth"), DosePlan(preset="generous"), DosePlan(seed=-1),
        DosePlan(model=Path("own.onnx")),
    ],
)  # fmt: skip
def test_impossible_plans_are_refused_before_anything_is_read(plan: DosePlan) -> None:
    with pytest.raises(UsageError):
        run_dose_study(Path("nowhere"), Path("nothing"), plan)
    assert not Path("nothing").exists()


def test_the_command_line_takes_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(cohort: Path, out: Path, plan: DosePlan, **rest: object) -> Study:
        asked.append(plan)
        return Study(plan, (), {})

    monkeypatch.setattr("bolus.study.dose.run.run_dose_study", run)
    app = App()
    app.command(study_app)
    words = ("study dose cohort -o out -m nlr -m bma --frames 10 5 --every 2 --dose 1 0.25 "
             "--phases all --seed 3")  # fmt: skip
    app(words.split(), exit_on_error=False, result_action="return_value")
    assert asked == [
        DosePlan(methods=("nlr", "bma"), frames=(10, 5), every=(2,), doses=(1.0, 0.25), seed=3)
    ]


def test_a_study_knows_nothing_of_the_simulator() -> None:
    folder = Path(bolus.study.__file__).parent
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("bolus.simulate") for name in names), file.name
    code = (
        "import sys, bolus.study.dose.run; "
        "print([m for m in sys.modules if m.startswith('bolus.simulate')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
