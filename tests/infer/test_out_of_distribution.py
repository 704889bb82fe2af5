"""Exams like those learnt from pass, others don't, and the further away the worse."""

from __future__ import annotations

import numpy as np
import pytest

from bolus.infer.features import CONTEXT, GRID_S, PIXEL_CHANNELS, smoother
from bolus.infer.out_of_distribution import (
    FAIL,
    GROUP_NAMES,
    Description,
    SliceSample,
    describe,
    distance_finding,
    fit,
    lasting_uncertainty,
    scores,
)
from bolus.types import Grade

SIZE = 12
TISSUE = "tissue's curves"


def exams(count: int, seed: int, shift: float = 0.0) -> list[Description]:
    """Correlated numbers, in each group the same kind."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(SIZE, SIZE))
    return [
        {name: mixing @ rng.normal(size=SIZE) + shift for name in GROUP_NAMES} for _ in range(count)
    ]


@pytest.fixture(scope="module")
def usual():  # type: ignore[no-untyped-def]
    return fit(exams(400, 1), exams(200, 2))


def worst(usual, exam: Description) -> float:  # type: ignore[no-untyped-def]
    return max(scores(usual, exam).values())


def test_new_exams_of_the_same_kind_pass(usual) -> None:  # type: ignore[no-untyped-def]
    flagged = sum(worst(usual, exam) > 1 for exam in exams(300, 3))
    assert flagged <= 0.1 * 300  # 1 % of each of the five groups
    assert all(worst(usual, exam) < FAIL for exam in exams(300, 3))


def test_the_further_from_the_usual_the_higher_the_score(usual) -> None:  # type: ignore[no-untyped-def]
    rising = [worst(usual, exams(1, 4, shift)[0]) for shift in (0.0, 10.0, 30.0, 100.0)]
    assert rising == sorted(rising)
    assert rising[-1] > FAIL


def test_numbers_that_never_go_together_are_unlike(usual) -> None:  # type: ignore[no-untyped-def]
    """Each number is usual by itself; only their combination is not."""
    exam = exams(1, 5)[0]
    drawn = np.stack([e[GROUP_NAMES[0]] for e in exams(SIZE, 6)])
    exam[GROUP_NAMES[0]] = np.diag(drawn)
    assert scores(usual, exam)[GROUP_NAMES[0]] > 1.3


def test_one_absurd_number_is_enough(usual) -> None:  # type: ignore[no-untyped-def]
    exam = exams(1, 7)[0]
    exam[TISSUE] = exam[TISSUE].copy()
    exam[TISSUE][3] = 1e9
    scored = scores(usual, exam)
    assert max(scored, key=lambda name: scored[name]) == TISSUE
    assert scored[TISSUE] > 1


@pytest.mark.parametrize(
    ("score", "grade"), [(0.99, None), (1.5, Grade.WARNING), (FAIL + 0.1, Grade.FAIL)]
)
def test_the_score_decides_on_the_grade(score: float, grade: Grade | None) -> None:
    finding = distance_finding({"vessels' curves": score, "tissue's curves": 0.5})
    assert (finding.grade if finding else None) == grade
    if finding:
        assert "vessels' curves" in finding.message
        assert f"{score:.1f} times" in finding.message


def a_slice(seed: int, scale: float = 1.0) -> SliceSample:
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, scale, (PIXEL_CHANNELS, 300)).astype(np.float32)
    pixels[-1] = rng.uniform(size=300) < 0.05
    spread = rng.uniform(1, 2, (5, 300)).astype(np.float32)
    return SliceSample(pixels, rng.normal(size=CONTEXT).astype(np.float32), spread)


def test_a_description_does_not_depend_on_the_order_of_slices_and_voxels() -> None:
    slices = [a_slice(seed) for seed in range(4)]
    order = np.random.default_rng(9).permutation(300)
    mixed = [
        SliceSample(one.pixels[:, order], one.context, one.spread[:, order])
        for one in reversed(slices)
    ]
    for name, numbers in describe(slices).items():
        np.testing.assert_allclose(describe(mixed)[name], numbers, atol=1e-6)


def test_large_vessels_do_not_describe_the_tissue() -> None:
    one = a_slice(1)
    louder = one.pixels.copy()
    louder[:-1, one.pixels[-1] == 1] = 50
    other = SliceSample(louder, one.context, one.spread)
    np.testing.assert_array_equal(describe([one])[TISSUE], describe([other])[TISSUE])


def unknown(times_s: np.ndarray) -> np.ndarray:
    """What is unknown of each moment of the grid after frames at these times, s after the bolus."""
    return smoother(times_s, np.ones(times_s.size), 3.0, 0.0)[1]


def test_frames_missing_in_between_are_no_early_end() -> None:
    frames = np.arange(-6, 50, 1.5)
    gap = frames[(frames < 12) | (frames > 24)]
    short = frames[frames < 12]
    whole = lasting_uncertainty(unknown(frames))
    assert np.ptp(unknown(gap) - unknown(frames)) > 0.5
    np.testing.assert_allclose(lasting_uncertainty(unknown(gap)), whole, atol=0.05)
    later = GRID_S > 24
    assert (lasting_uncertainty(unknown(short))[later] > whole[later] + 0.5).all()
