"""Simulated raters draw what their thresholds say, as hands do, and see what raters see."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest
from reading_study import GRID, SHAPE, lesion, write_outline, write_results
from scipy import ndimage

import bolus.study
from bolus.errors import UsageError
from bolus.metrics import dice
from bolus.study.agreement.overlap import hd95
from bolus.study.raters.make import create
from bolus.study.raters.pairs import comparisons, gather
from bolus.study.raters.readings import read_outline, reading_state
from bolus.study.raters.report import write_report
from bolus.study.raters.simulated import (
    HAND_SD_MM,
    Habits,
    Seen,
    by_thresholds,
    draw,
    habits,
    read_images,
    simulate_readings,
)
from bolus.study.raters.store import Study, open_study

EXAMS, REPEATS = 3, 2
ALL = 2 * EXAMS + REPEATS
"""Readings of each rater."""
EXACT = Habits(tmax_above_s=6.0, relative_cbf_below=0.30, border_mm=0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    exams = [write_results(folder / f"exam-{n}", n) for n in range(EXAMS)]
    create(folder / "study", exams, ("nlr", "cnn"), ("rater-1", "rater-2"), repeats=REPEATS, seed=2)
    return folder / "study"


@pytest.fixture(scope="module")
def read(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    study = open_study(Path(shutil.copytree(made, tmp_path_factory.mktemp("read") / "study")))
    simulate_readings(study, 9)
    return study


def test_thresholds_alone_find_the_lesion(made: Path) -> None:
    study = open_study(made)
    for one in study.worklist("rater-1"):
        seen = read_images(study.images_of("rater-1", one.reading))
        hypoperfused, core = by_thresholds(seen, EXACT)
        known = [lesion(n, larger) for n in range(EXAMS) for larger in (1, 1.03)]
        assert max(dice(hypoperfused, true) for _, _, true in known) > 0.95
        assert max(dice(core, true) for _, true, _ in known) > 0.95


def test_volumes_are_near_those_of_the_thresholds(made: Path) -> None:
    """A hand's noise has no bias: over readings, volumes stay within a few per cent."""
    study = open_study(made)
    ratios = []
    for number, one in enumerate(study.worklist("rater-1")):
        seen = read_images(study.images_of("rater-1", one.reading))
        plain, _ = by_thresholds(seen, EXACT)
        drawn = draw(seen, EXACT, np.random.default_rng(number))
        ratios.append((drawn > 0).sum() / plain.sum())
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)
    assert all(0.8 < ratio < 1.2 for ratio in ratios)


def test_the_border_moves_by_a_few_mm_and_not_as_dust(made: Path) -> None:
    study = open_study(made)
    seen = read_images(study.images_of("rater-2", "r0001"))
    plain, _ = by_thresholds(seen, EXACT)
    drawn = draw(seen, EXACT, np.random.default_rng(1)) > 0
    assert 0 < hd95(plain, drawn, GRID) < 4 * HAND_SD_MM + GRID.spacing_mm[1]
    changed = drawn != plain
    assert not (changed & ~ndimage.binary_dilation(plain, iterations=3)).any()
    _, parts = ndimage.label(drawn)
    _, before = ndimage.label(plain)
    assert parts <= before + 1


def test_a_rater_who_draws_outside_draws_more(made: Path) -> None:
    seen = read_images(open_study(made).images_of("rater-1", "r0001"))
    sizes = [
        int((draw(seen, Habits(6.0, 0.3, mm), np.random.default_rng(4)) > 0).sum())
        for mm in (-4, 0, 4)
    ]
    assert sizes[0] < sizes[1] < sizes[2]


def test_core_lies_in_the_hypoperfused_tissue_and_all_in_the_brain(read: Study) -> None:
    for rater in read.raters:
        for one in read.worklist(rater):
            labels = read_outline(read, rater, one.reading)
            assert labels is not None
            tissue = read_images(read.images_of(rater, one.reading)).tissue
            assert not (labels[~tissue] > 0).any()
            assert set(np.unique(labels)) == {0, 1, 2}


def test_raters_differ_more_than_the_readings_of_one() -> None:
    own = [habits(1, "anna", f"r{n}") for n in range(60)]
    others = [habits(1, f"rater-{n}", "r1") for n in range(60)]
    spread = [np.std([h.tmax_above_s for h in side]) for side in (own, others)]
    assert 0 < spread[0] < 0.7 * spread[1]
    assert len({h.border_mm for h in own}) == 1
    assert len({h.border_mm for h in others}) == 60


def test_raters_agree_with_each_other_and_with_themselves_but_not_fully(read: Study) -> None:
    for one in comparisons(gather(read)):
        if one.kind in ("raters", "repeat"):
            for pair in one.agreement.pairs:
                assert 0.7 < pair.regions["hypoperfused"].dice < 1


def test_the_same_seed_draws_the_same_outlines_and_report(
    read: Study, made: Path, tmp_path: Path
) -> None:
    again = open_study(Path(shutil.copytree(made, tmp_path / "study")))
    assert simulate_readings(again, 9) == {"rater-1": ALL, "rater-2": ALL}
    for path in sorted(read.folder.rglob("outline.nii.gz")):
        assert (again.folder / path.relative_to(read.folder)).read_bytes() == path.read_bytes()
    for study, name in ((read, "one"), (again, "two")):
        write_report(study, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "maps.png" in files
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_another_seed_draws_other_outlines(read: Study, made: Path, tmp_path: Path) -> None:
    other = open_study(Path(shutil.copytree(made, tmp_path / "study")))
    simulate_readings(other, 10)
    one, two = (read_outline(study, "rater-1", "r0001") for study in (read, other))
    assert (one != two).any()


def test_neither_truth_nor_key_is_needed(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    (folder / "key.json").unlink()
    (folder / "raters.json").unlink()
    assert simulate_readings(open_study(folder), 9)["rater-1"] == ALL


def test_readings_that_a_person_began_are_left_alone(made: Path, tmp_path: Path) -> None:
    study = open_study(Path(shutil.copytree(made, tmp_path / "study")))
    mine = np.zeros(SHAPE, np.uint8)
    mine[2, 20:25, 30:35] = 1
    write_outline(study, "rater-1", "r0005", mine, active_s=30, done=False)
    assert simulate_readings(study, 9) == {"rater-1": ALL - 1, "rater-2": ALL}
    assert (read_outline(study, "rater-1", "r0005") == mine).all()
    assert not reading_state(study, "rater-1", "r0005").simulated
    assert simulate_readings(study, 9) == {"rater-1": 0, "rater-2": 0}


def test_simulated_raters_are_called_that_everywhere(read: Study, tmp_path: Path) -> None:
    state = reading_state(read, "rater-1", "r0001")
    assert state.simulated
    assert "simulated rater" in state.software
    assert state.active_s == 0
    write_report(read, tmp_path / "report")
    for name in ("report.html", "agreement.tex", "eligibility.tex", "readings.csv",
                 "agreement.csv", "eligibility.csv", "pairs.csv"):  # fmt: skip
        assert "imulated" in (tmp_path / "report" / name).read_text(), name


def test_a_healthy_brain_gets_no_outline() -> None:
    brain = lesion(0)[0]
    flat = np.where(brain, 50, 0).astype(np.float32)
    late = np.where(brain, 2, 0).astype(np.float32)
    labels = draw(Seen(flat, late, brain, GRID), EXACT, np.random.default_rng(0))
    assert not labels.any()


def test_a_seed_is_0_or_more(made: Path) -> None:
    with pytest.raises(UsageError, match="--seed"):
        simulate_readings(open_study(made), -1)


def test_studies_never_import_the_simulator() -> None:
    for path in Path(bolus.study.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("bolus.simulate") for name in names), path
