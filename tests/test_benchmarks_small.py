"""What the studies in ``benchmarks`` stand on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cohort
import simulated
import verdicts
from bolus.simulate.noise import noise_sd
from bolus.types import Exam, Geometry, Scanner
from simulated import Row, clinical_recipe, resumable


def count_call(case: tuple[str, int]) -> list[Row]:
    """A study that leaves a mark each time it runs."""
    folder, number = case
    with (Path(folder) / "calls").open("a") as calls:
        calls.write(f"{number}\n")
    return [{"number": number}]


def fail_at_two(case: tuple[str, int]) -> list[Row]:
    """A study with a bug."""
    if case[1] == 2:
        raise RuntimeError("a bug")
    return count_call(case)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results of this test alone."""
    monkeypatch.setattr(simulated, "CACHE", tmp_path / "cache")
    return tmp_path


def calls(folder: Path) -> list[int]:
    return sorted(map(int, (folder / "calls").read_text().split()))


def test_a_study_that_was_killed_goes_on_where_it_was(cache: Path) -> None:
    cases = [(str(cache), number) for number in range(3)]
    resumable("cohort", count_call, cases[:2], workers=1)
    (file,) = (cache / "cache").iterdir()
    file.write_text(file.read_text() + '{"case": "cut off by the ki')
    rows = resumable("cohort", count_call, cases, workers=1)
    assert rows == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert calls(cache) == [0, 1, 2]
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 3


def test_a_bug_is_not_hidden_and_costs_no_finished_exam(cache: Path) -> None:
    cases = [(str(cache), number) for number in range(4)]
    with pytest.raises(RuntimeError, match="a bug"):
        resumable("cohort", fail_at_two, cases, workers=1)
    (file,) = (cache / "cache").iterdir()
    assert [json.loads(line)["rows"] for line in file.read_text().splitlines()] == [
        [{"number": 0}], [{"number": 1}],
    ]  # fmt: skip


def test_results_are_kept_for_the_same_code_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quality").mkdir()
    limits = tmp_path / "quality" / "checks.py"
    for file in (limits, tmp_path / "types.py", tmp_path / "pipeline.py"):
        file.write_text("LIMIT = 1\n")
    monkeypatch.setattr(simulated.code_digest.bolus, "__file__", str(tmp_path / "__init__.py"))
    before = simulated.digest_of_code("cohort")
    assert simulated.digest_of_code("cohort") == before
    assert simulated.digest_of_code("verdicts") != before
    limits.write_text("LIMIT = 2\n")
    assert simulated.digest_of_code("cohort") != before


@given(st.integers(0, 10_000))
def test_clinical_recipes_keep_what_the_study_says(seed: int) -> None:
    recipe = clinical_recipe(seed)
    assert 5 <= noise_sd(recipe.mas) <= 10
    assert (recipe.motion_mm > 0) == (seed % 3 == 0)
    assert recipe.motion_mm <= 8
    assert 50 <= recipe.frames * recipe.dt_s <= 68
    assert recipe.core_ml <= 60


def test_timings_and_motion_are_crossed() -> None:
    kinds = {(r.timing, r.motion_mm > 0) for r in map(clinical_recipe, range(9))}
    assert len(kinds) == 6


def test_limits_of_agreement_hold_95_percent_of_a_normal_distribution() -> None:
    errors = np.random.default_rng(1).normal(2.0, 5.0, 20_000)
    low, high = cohort.agreement(errors)
    assert ((errors > low) & (errors < high)).mean() == pytest.approx(0.95, abs=0.005)


def test_overlap_is_asked_for_on_large_lesions_only() -> None:
    measure = next(m for m in cohort.MEASURES if m.key == "core_dice")
    rows = [
        {"core_dice": 0.9, "core_ml": 10.5},
        {"core_dice": 0.1, "core_ml": 9.5},
        {"core_ml": 50},
    ]
    assert cohort.values(rows, measure).tolist() == [0.9]


def test_a_thinner_slab_keeps_its_place_and_times() -> None:
    times_s = np.arange(4)[:, None] * 1.5 + np.arange(6) * 0.1
    affine = np.diag([0.9, 0.9, 5.0, 1.0])[:, [2, 1, 0, 3]]
    frames = np.arange(4 * 6 * 2 * 2, dtype=np.float32).reshape(4, 6, 2, 2)
    exam = Exam(frames, times_s, Geometry((6, 2, 2), affine), Scanner("dicom"))
    thin = verdicts.cropped(exam, (2, 5))
    assert thin.geometry.shape == (3, 2, 2)
    np.testing.assert_allclose(thin.geometry.affine @ [0, 0, 0, 1], affine @ [2, 0, 0, 1])
    np.testing.assert_array_equal(thin.frames, frames[:, 2:5])
    np.testing.assert_allclose(thin.times_s, times_s[:, 2:5] - 0.2)


def test_each_fault_goes_from_harmless_to_hopeless_on_its_own_seeds() -> None:
    made = verdicts.cases(6000, 5)
    assert len({case.seed for case in made}) == len(made)
    for name in verdicts.FAULTS:
        assert [c.share for c in made if c.trouble == name] == [0, 0.25, 0.5, 0.75, 1]
