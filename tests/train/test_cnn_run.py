"""The recipe for all five maps, from index and split to model and card."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cnn_set import small_steps

from bolus.acquire.exam import read_exam
from bolus.dataset.index import Case, Index, write_index
from bolus.dataset.split import Split, write_split
from bolus.errors import UsageError
from bolus.infer import resolution
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.case import write_case
from bolus.simulate.exam import simulate_exam
from bolus.simulate.nifti import write_exam
from bolus.simulate.recipe import Recipe
from bolus.train.cnn.cache import prepare_cases, targets
from bolus.train.cnn.data import slices
from bolus.train.cnn.run import train
from bolus.train.prepare import TARGETS, prepare, read_prepared
from bolus.types import CNN

TINY = Recipe(
    matrix=96, pixel_mm=2.4, slices=4, slice_mm=10.0, bottom_mm=-8.0, frames=24, dt_s=2.0,
    core_ml=40.0, penumbra_ml=80.0, mas=800.0,
)  # fmt: skip
EPOCHS = 2
NAMES = ("site-1/first", "site-1/second", "site-2/first", "site-2/second")

Made = tuple[Path, Path]


def write_set(folder: Path, seeds: tuple[int, ...]) -> Made:
    """Index and split of simulated exams: learn from all but two, validate and test with these."""
    cases = []
    for name, seed in zip(NAMES, seeds, strict=False):
        exam, truth = simulate_exam(seed, TINY)
        write_case(exam, truth, folder / "set" / name, "exam.nii.gz")
        cases.append(case_of(folder / "set", name))
    return write_files(folder, tuple(cases))


def case_of(root: Path, name: str) -> Case:
    place = root / name
    return Case(
        name=name,
        patient=name,
        exam=place / "exam.nii.gz",
        maps={},
        truth=place / "truth",
        frames=TINY.frames,
        slices=TINY.slices,
        content=(hashlib.sha256((place / "exam.nii.gz").read_bytes()).hexdigest(),),
    )


def write_files(folder: Path, cases: tuple[Case, ...]) -> Made:
    index = Index(folder / "set", "nifti", cases)
    names = [case.patient for case in cases]
    split = Split(tuple(names[:-2]), (names[-2],), (names[-1],), 0, index.digest)
    write_index(index, folder / "index.json")
    write_split((split,), index, folder / "split.json")
    return folder / "index.json", folder / "split.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Index and split; the second exam has no bolus."""
    folder = tmp_path_factory.mktemp("bolus-run")
    index, split = write_set(folder, (1, 2, 3, 4))
    corrupted = folder / "set" / NAMES[1] / "exam.nii.gz"
    exam = read_exam(corrupted)
    write_exam(replace(exam, frames=np.repeat(exam.frames[:1], TINY.frames, axis=0)), corrupted)
    return index, split


@pytest.fixture(scope="module")
def run(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("run") / "run"
    with pytest.MonkeyPatch.context() as patch:
        small_steps(patch.setattr)
        train(*made, folder, seed=1, epochs=EPOCHS)
    return folder


def test_a_run_leaves_everything_there_is_to_see(run: Path) -> None:
    with (run / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row[f"{name}_mae"]) > 0 for row in rows for name in TARGETS)
    assert len(list((run / "samples").glob("epoch-*.png"))) == EPOCHS
    assert list((run / "tensorboard").iterdir())


def test_the_card_tells_of_the_exam_that_was_refused(run: Path) -> None:
    card = (run / "model-card.md").read_text(encoding="utf-8")
    wanted = (
        "Training: 2 patients, 2 exams, 1 of them refused", "Test: 1 patients, 1 exams, 0 of them",
        "2 of 2 training exams are simulated",
        "| test |", "Seed: 1", "Apache-2.0", "not for diagnosis",
    )  # fmt: skip
    for text in wanted:
        assert text in card
    assert str(run.parent) not in card


def test_the_model_draws_an_exam(made: Made, run: Path) -> None:
    exam = read_exam(made[0].parent / "set" / NAMES[3] / "exam.nii.gz")
    choices = Choices(methods=(CNN,), model=run / "model.onnx")
    maps = analyse(exam, choices, Stages()).methods[CNN].maps
    assert np.isfinite(maps.cbf).all()
    assert (maps.cbf > 0).sum() > 1000


def test_a_finished_run_is_left_as_it_is(made: Made, run: Path) -> None:
    names = ("best.pt", "history.csv", "model.onnx", "model-card.md")
    before = [(run / name).read_bytes() for name in names]
    with pytest.MonkeyPatch.context() as patch:
        small_steps(patch.setattr)
        train(*made, run, seed=1, epochs=EPOCHS)
    assert before == [(run / name).read_bytes() for name in names]


def test_exams_prepared_for_one_data_set_are_never_learnt_from_for_another(
    made: Made, run: Path, tmp_path: Path
) -> None:
    """Cases of two cohorts have the same names."""
    other = write_set(tmp_path, (5, 6, 7, 8))
    prepared = {path: path.read_bytes() for path in (run / "prepared").iterdir()}
    with pytest.raises(UsageError, match="another data"):
        train(*other, run, seed=1, epochs=EPOCHS)
    assert prepared == {path: path.read_bytes() for path in (run / "prepared").iterdir()}


def test_a_folder_with_other_files_is_left_alone(made: Made, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="other files"):
        train(*made, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_fine_pixels_are_learnt_from_as_they_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """UniToBrain's pixels are finer than those that the network sees in use."""
    exam, truth = simulate_exam(9, TINY)
    maps = {name: getattr(truth, name) for name in TARGETS}
    fine = prepare(exam, maps, truth.valid)
    monkeypatch.setattr(resolution, "FINEST_MM", 4.0)
    learnt = prepare(exam, maps, truth.valid)
    assert learnt.spacing_mm == (10.0, 4.8, 4.8)
    assert len(learnt.curves_hu) < 0.35 * len(fine.curves_hu)
    cbf, transit = TARGETS.index("cbf"), TARGETS.index("mtt")
    for name in (cbf, transit):
        mean = fine.targets[name][fine.valid].mean()
        assert learnt.targets[name][learnt.valid].mean() == pytest.approx(mean, rel=0.03)
    found = next(iter(slices(learnt, None)))[1]
    assert found[-4] == pytest.approx(np.log(4.8))  # the pixel's size, as in use


def test_without_a_map_of_it_the_peak_is_where_the_curve_has_it(made: Made, tmp_path: Path) -> None:
    """ISLES has CBF, CBV, MTT and Tmax, in cases below a folder of their own."""
    root = made[0].parent / "set"
    truth = root / NAMES[0] / "truth"
    maps = {name: truth / f"{name}.nii.gz" for name in ("cbf", "cbv", "mtt", "tmax")}
    isles = replace(case_of(root, NAMES[0]), truth=None, maps=maps)
    with_truth = case_of(root, NAMES[0])
    index = Index(root, "isles2018", (isles,))
    (found,), refused = prepare_cases([isles], index, tmp_path / "isles", lambda _: None)
    (known,), _ = prepare_cases([with_truth], index, tmp_path / "known", lambda _: None)
    assert not refused
    ours, theirs = read_prepared(found), read_prepared(known)
    at = ours.valid & theirs.valid & ours.voxels
    assert at.sum() > 1000
    np.testing.assert_array_equal(ours.targets[:4, at], theirs.targets[:4, at])
    late = np.abs(ours.targets[4, at] - theirs.targets[4, at])
    assert np.median(late) < 1.0  # half of the frames' distance
    exam = read_exam(isles.exam)
    assert "ttp" not in targets(isles, index, exam.geometry)[0]
    without = replace(isles, maps={name: maps[name] for name in ("cbf", "cbv", "mtt")})
    with pytest.raises(UsageError, match="no Tmax or delay map"):
        targets(without, index, exam.geometry)
