"""Agreement of outlines equals what other packages say of the same masks.

The product takes ICC from pingouin, kappa from scikit-learn, Pearson from SciPy; here SimpleITK
and statsmodels say what they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from statsmodels.api import graphics
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.inter_rater import cohens_kappa

from bolus.study.agreement.bootstrap import mean_of, resample
from bolus.study.agreement.concordance import (
    bland_altman,
    icc,
    icc_statistic,
    lin,
    lin_statistic,
    pearson,
    pearson_statistic,
)
from bolus.study.agreement.eligibility import TRIALS, defuse3, extend, kappa, kappa_statistic
from bolus.study.agreement.outlines import agreement, outline_pair
from bolus.study.agreement.overlap import hd95, overlap
from bolus.types import Geometry

SPACINGS = ((1.0, 1.0, 1.0), (5.0, 0.45, 0.45), (8.0, 0.9, 1.7))


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Geometry:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[3, 3] = 1
    return Geometry(shape, affine)


def blob(seed: int, shape: tuple[int, int, int] = (9, 30, 34)) -> np.ndarray:
    """A ragged mask that stays off the ends of the volume, as SimpleITK's contour needs."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), (1, 3, 3))
    mask = noise > noise.std()
    inner = np.zeros(shape, bool)
    inner[1:-1, 1:-1, 1:-3] = True
    return mask & inner


def itk_image(mask: np.ndarray, geometry: Geometry) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(geometry.spacing_mm[::-1])
    return image


def itk_hd95(first: np.ndarray, second: np.ndarray, geometry: Geometry) -> float:
    contours = [SimpleITK.LabelContour(itk_image(m, geometry), False) for m in (first, second)]
    far = []
    for here, there in (contours, contours[::-1]):
        distance = SimpleITK.SignedMaurerDistanceMap(
            there, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )
        values = np.abs(SimpleITK.GetArrayFromImage(distance))
        far.append(np.percentile(values[SimpleITK.GetArrayFromImage(here) > 0], 95))
    return float(max(far))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
def test_dice_volumes_and_hd95_are_those_of_simpleitk(
    seed: int, spacing: tuple[float, float, float]
) -> None:
    first, second = blob(seed), blob(seed + 100) | np.roll(blob(seed), 2, axis=2)
    geometry = grid(first.shape, spacing)
    found = overlap(first, second, geometry)
    measures = SimpleITK.LabelOverlapMeasuresImageFilter()
    measures.Execute(itk_image(first, geometry), itk_image(second, geometry))
    assert found.dice == pytest.approx(measures.GetDiceCoefficient(1), abs=1e-12)
    shapes = SimpleITK.LabelShapeStatisticsImageFilter()
    for mask, ml in ((first, found.first_ml), (second, found.second_ml)):
        shapes.Execute(itk_image(mask, geometry))
        assert ml == pytest.approx(shapes.GetPhysicalSize(1) / 1000)
    assert found.hd95_mm == pytest.approx(itk_hd95(first, second, geometry), rel=1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_two_lesions_of_one_voxel_are_as_far_apart_as_their_centres(
    spacing: tuple[float, float, float],
) -> None:
    first, second = np.zeros((2, 6, 7, 8), bool)
    first[1, 2, 2], second[3, 5, 4] = True, True
    geometry = grid(first.shape, spacing)
    apart = float(np.linalg.norm(np.array([2, 3, 2]) * spacing))
    found = overlap(first, second, geometry)
    assert found.dice == 0
    assert found.hd95_mm == pytest.approx(apart)
    assert found.hd95_mm == pytest.approx(itk_hd95(first, second, geometry), rel=1e-5)
    assert overlap(first, first, geometry).hd95_mm == 0


def test_the_distance_on_a_sheared_grid_is_that_of_the_patient() -> None:
    first, second = np.zeros((2, 4, 5, 5), bool)
    first[1, 2, 2] = second[2, 2, 2] = True
    affine = grid(first.shape, (5.0, 1.0, 1.0)).affine.copy()
    affine[1, 0] = 2.0  # a tilted gantry moves each slice by 2 mm
    assert hd95(first, second, Geometry(first.shape, affine)) == pytest.approx(np.hypot(5, 2))


def test_empty_outlines_follow_the_convention() -> None:
    empty, full = np.zeros((4, 5, 5), bool), np.ones((4, 5, 5), bool)
    geometry = grid(empty.shape, (5, 1, 1))
    both, one = overlap(empty, empty, geometry), overlap(empty, full, geometry)
    assert (both.dice, both.hd95_mm, both.relative_percent) == (1, None, 0)
    assert (one.dice, one.hd95_mm, one.relative_percent) == (0, None, 200)


def test_missing_distances_are_counted_and_left_out() -> None:
    labels = np.zeros((4, 9, 9), np.uint8)
    drawn = labels.copy()
    drawn[1, 3:6, 3:6] = 2
    geometry = grid(labels.shape, (5, 1, 1))
    pairs = [
        outline_pair("a", labels, labels, geometry),
        outline_pair("b", labels, drawn, geometry),
        outline_pair("c", drawn, np.roll(drawn, 1, axis=2), geometry),
    ]
    core = agreement(pairs, 0).regions[0]
    assert (core.pairs, core.both_empty, core.one_empty) == (3, 1, 1)
    assert core.hd95_mm.value == pytest.approx(1)
    assert core.dice.value == pytest.approx((1 + 0 + 2 / 3) / 3)


masks = arrays.arrays(bool, (3, 6, 5))


@given(masks, masks, st.sampled_from(SPACINGS))
def test_overlap_is_symmetric_and_within_its_range(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    geometry = grid(first.shape, spacing)
    one, two = overlap(first, second, geometry), overlap(second, first, geometry)
    assert one.dice == two.dice
    assert one.hd95_mm == two.hd95_mm
    assert one.difference_ml == -two.difference_ml
    assert one.relative_percent == pytest.approx(-two.relative_percent)
    assert 0 <= one.dice <= 1
    assert abs(one.relative_percent) <= 200 + 1e-9
    size = np.linalg.norm(np.array(first.shape) * spacing)
    assert one.hd95_mm is None or 0 <= one.hd95_mm < size


@given(masks, masks)
def test_turning_and_mirroring_both_outlines_changes_nothing(
    first: np.ndarray, second: np.ndarray
) -> None:
    geometry = grid(first.shape, (5.0, 1.0, 1.0))
    one = overlap(first, second, geometry)
    two = overlap(first[::-1, :, ::-1], second[::-1, :, ::-1], geometry)
    assert (one.dice, one.first_ml) == (two.dice, two.first_ml)
    assert one.hd95_mm == pytest.approx(two.hd95_mm) if one.hd95_mm else one == two


@given(masks, masks, st.floats(0.2, 8))
def test_distances_grow_with_the_voxels(
    first: np.ndarray, second: np.ndarray, factor: float
) -> None:
    small = hd95(first, second, grid(first.shape, (5.0, 1.0, 1.0)))
    large = hd95(first, second, grid(first.shape, (5.0 * factor, factor, factor)))
    assert (small is None) == (large is None)
    assert large == pytest.approx(small * factor if small is not None else None)


def volumes(seed: int, n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.gamma(2, 20, n)
    return first, np.maximum(0, 1.1 * first + rng.normal(3, 6, n))


def statsmodels_icc(first: np.ndarray, second: np.ndarray) -> float:
    """Shrout & Fleiss' ICC(2,1) from statsmodels' two-way table."""
    n = first.size
    long = pd.DataFrame({
        "v": np.concatenate([first, second]), "e": np.tile(np.arange(n), 2),
        "r": np.repeat([0, 1], n),
    })  # fmt: skip
    table = anova_lm(ols("v ~ C(e) + C(r)", long).fit())
    exams, raters, error = table["mean_sq"]
    return float((exams - error) / (exams + error + 2 * (raters - error) / n))


@pytest.mark.parametrize("seed", range(5))
def test_icc_is_that_of_statsmodels(seed: int) -> None:
    first, second = volumes(seed)
    assert icc(first, second) == pytest.approx(statsmodels_icc(first, second), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_lins_coefficient_is_pearsons_times_the_bias_correction(seed: int) -> None:
    first, second = volumes(seed)
    a, b = pd.Series(first), pd.Series(second)
    scale = a.std(ddof=0) / b.std(ddof=0)
    shift = (a.mean() - b.mean()) / np.sqrt(a.std(ddof=0) * b.std(ddof=0))
    correction = 2 / (scale + 1 / scale + shift**2)
    assert lin(first, second) == pytest.approx(a.corr(b) * correction, abs=1e-12)
    assert pearson(first, second) == pytest.approx(a.corr(b), abs=1e-12)


def test_lins_coefficient_of_a_published_kind_is_known() -> None:
    # y = x + 1 over 1..5: 2 * 2 / (2 + 2 + 1)
    x = np.arange(1.0, 6)
    assert lin(x, x + 1) == pytest.approx(0.8)


@pytest.mark.parametrize("seed", range(3))
def test_bias_and_limits_are_those_statsmodels_draws(seed: int) -> None:
    from matplotlib.figure import Figure

    first, second = volumes(seed)
    axes = Figure().add_subplot()
    graphics.mean_diff_plot(second, first, ax=axes)
    # its figure divides by n, so its limits are a little closer
    drawn = sorted(line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1)
    low, bias, high = (v for v in drawn if v != 0)
    found = bland_altman(first, second)
    stretch = np.sqrt(first.size / (first.size - 1))
    assert found.bias.value == pytest.approx(bias)
    assert found.low.value == pytest.approx(bias - (bias - low) * stretch)
    assert found.high.value == pytest.approx(bias + (high - bias) * stretch)


def test_intervals_of_the_limits_hold_the_truth_19_times_of_20() -> None:
    rng = np.random.default_rng(0)
    held = {"bias": 0, "low": 0, "high": 0}
    truth = {"bias": 2.0, "low": 2 - 1.96 * 5, "high": 2 + 1.96 * 5}
    for _ in range(600):
        found = bland_altman(np.zeros(25), rng.normal(2, 5, 25))
        for name in held:
            estimate = getattr(found, name)
            held[name] += estimate.low <= truth[name] <= estimate.high
    assert all(0.92 < count / 600 < 0.98 for count in held.values()), held


def test_repeatability_is_277_within_subject_standard_deviations() -> None:
    first, second = volumes(1)
    within = np.stack([first, second]).var(axis=0, ddof=1).mean()
    expected = 1.96 * np.sqrt(2) * np.sqrt(within)
    assert bland_altman(first, second).repeatability == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.random(30) < 0.4
    second = first ^ (rng.random(30) < 0.2)
    table = [[np.sum((first == a) & (second == b)) for b in (0, 1)] for a in (0, 1)]
    assert kappa(first, second) == pytest.approx(cohens_kappa(np.array(table)).kappa)


def test_kappa_of_one_decision_for_all_is_undefined() -> None:
    assert kappa(np.ones(9, bool), np.ones(9, bool)) is None
    assert kappa(np.zeros(9, bool), np.zeros(9, bool)) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_forms_of_the_bootstrap_are_the_libraries_numbers(seed: int) -> None:
    first, second = volumes(seed)
    once = np.ones((1, first.size))
    yes, also = first < 30, second < 30
    for statistic, value in (
        (pearson_statistic(first, second), pearson(first, second)),
        (lin_statistic(first, second), lin(first, second)),
        (icc_statistic(first, second), icc(first, second)),
        (kappa_statistic(yes, also), kappa(yes, also)),
        (mean_of(first), first.mean()),
    ):
        assert statistic(once)[0] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("statistic", "plain"),
    [
        (pearson_statistic, pearson),
        (lin_statistic, lin),
        (icc_statistic, lambda a, b: statsmodels_icc(a, b)),
    ],
)
def test_a_weight_of_three_is_the_pair_three_times(
    statistic: Callable[..., Callable[[np.ndarray], np.ndarray]],
    plain: Callable[[np.ndarray, np.ndarray], float],
) -> None:
    first, second = volumes(3, 8)
    weights = np.array([3.0, 1, 0, 2, 1, 1, 0, 1])
    times = weights.astype(int)
    expected = plain(np.repeat(first, times), np.repeat(second, times))
    assert statistic(first, second)(weights[None])[0] == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), min_size=3, max_size=12))
def test_coefficients_are_symmetric_and_within_their_range(
    pairs: list[tuple[float, float]],
) -> None:
    first, second = (np.round(column, 3) for column in np.array(pairs).T)
    for of in (pearson, lin):
        one, two = of(first, second), of(second, first)
        assert (one is None) == (two is None)
        if one is not None and two is not None:
            assert one == pytest.approx(two, abs=1e-9)
            assert -1 - 1e-9 <= one <= 1 + 1e-9
    r, ccc = pearson(first, second), lin(first, second)
    if r is not None and ccc is not None:
        assert abs(ccc) <= abs(r) + 1e-9  # disagreement can only lower it


@given(st.floats(-50, 50), st.floats(0.1, 10))
def test_concordance_does_not_know_the_unit(shift: float, scale: float) -> None:
    first, second = volumes(2)
    one, two = lin(first, second), lin(scale * first + shift, scale * second + shift)
    assert one == pytest.approx(two, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 12.5])
def test_volumes_that_do_not_vary_have_no_coefficients(value: float) -> None:
    same = np.full(6, value)
    assert (pearson(same, same), lin(same, same), icc(same, same)) == (None, None, None)


def test_equal_outlines_agree_perfectly() -> None:
    first, _ = volumes(4)
    assert icc(first, first) == pytest.approx(1)
    assert lin(first, first) == pytest.approx(1)
    limits = bland_altman(first, first)
    assert (limits.bias.value, limits.low.value, limits.repeatability) == (0, 0, 0)


def test_intervals_of_a_mean_are_about_those_of_students_t() -> None:
    values = np.random.default_rng(5).normal(10, 2, 60)
    samples = resample(list(range(60)), seed=1)
    found = samples.interval(values.mean(), mean_of(values))
    half = 1.96 * values.std(ddof=1) / np.sqrt(60)
    assert found.low == pytest.approx(values.mean() - half, abs=0.1)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1)


def test_pairs_of_one_exam_are_drawn_together() -> None:
    weights = resample(["a", "b", "a", "c", "b", "c"], seed=3).weights
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights.sum(axis=1) == 6).all()


def test_the_same_seed_draws_the_same_samples() -> None:
    exams = list("abcdefg")
    assert (resample(exams, 8).weights == resample(exams, 8).weights).all()
    assert (resample(exams, 8).weights != resample(exams, 9).weights).any()


def test_one_exam_has_no_interval() -> None:
    found = resample(["a", "a"], 0).interval(1.0, mean_of(np.ones(2)))
    assert (found.value, found.low, found.high) == (1.0, None, None)


@pytest.mark.parametrize(
    ("core_ml", "hypoperfused_ml", "expected"),
    [
        (20, 60, (True, True)),
        (69.9, 130, (True, True)),
        (70, 300, (False, False)),  # core too large
        (0, 15, (True, True)),  # no core: no limit of the ratio
        (0, 10, (False, False)),  # a mismatch of 10 ml is not above 10 ml
        (0, 11, (False, True)),  # between the two trials' least mismatch
        (60, 108, (True, True)),  # a ratio of 1.8 is enough
        (60, 100, (False, True)),  # a ratio of 1.7 is enough for EXTEND only
        (60, 72, (False, False)),  # a ratio of 1.2 is not above 1.2
    ],
)
def test_trials_take_whom_their_criteria_take(
    core_ml: float, hypoperfused_ml: float, expected: tuple[bool, bool]
) -> None:
    assert (defuse3(core_ml, hypoperfused_ml), extend(core_ml, hypoperfused_ml)) == expected


def test_dawn_is_judged_by_each_limit_of_the_core() -> None:
    dawn = [trial for trial in TRIALS if trial.name.startswith("DAWN")]
    assert [[t.meets(core, 100) for t in dawn] for core in (20.9, 21, 30.9, 31, 50.9, 51)] == [
        [True, True, True], [False, True, True], [False, True, True],
        [False, False, True], [False, False, True], [False, False, False],
    ]  # fmt: skip
