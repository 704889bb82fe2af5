"""Every check passes a good exam, and its grade never gets better as its trouble gets worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.arteries.findings import CLOCK_REMEDY
from bolus.quality import checks as quality_checks
from bolus.quality.checks import judge
from bolus.types import (
    Arteries,
    Check,
    Curves,
    Exam,
    Finding,
    Geometry,
    Grade,
    Motion,
    Scanner,
    Vessel,
)

FRAMES, SLICES = 45, 10


def an_exam(slices: int = SLICES, dt_s: float = 1.5, frames: int = FRAMES) -> Exam:
    """Slices of 5 mm; the pixels don't matter."""
    times = np.arange(frames)[:, None] * dt_s + np.zeros(slices)
    geometry = Geometry((slices, 2, 2), np.diag([1.0, 1.0, 1.0, 1.0])[:, [2, 1, 0, 3]])
    geometry.affine[2, 0] = 5.0
    pixels = np.zeros((frames, slices, 2, 2), np.float32)
    return Exam(pixels, times, geometry, Scanner("dicom"))


def a_motion(largest_mm: float = 0.0, dropped: int = 0) -> Motion:
    """One frame of motion, in the middle; the last ``dropped`` frames are gone."""
    displacement = np.zeros(FRAMES)
    displacement[FRAMES // 2] = largest_mm
    kept = np.arange(FRAMES) < FRAMES - dropped
    none = np.zeros((FRAMES, 3))
    return Motion(none, none, displacement, np.zeros(FRAMES), kept)


def bolus_curve(peak_hu: float = 300.0, end: float = 0.1) -> np.ndarray:
    """(N,) a bolus that ends at a share of its peak."""
    grid = np.arange(FRAMES) * 1.5
    rise = np.exp(-(((grid - 20) / 6) ** 2))
    return peak_hu * np.maximum(rise, np.where(grid > 20, end, 0))


def some_curves(noise_hu: float = 0.5, arrival_s: float = 8.0) -> Curves:
    """Tissue that enhances by 10 HU."""
    grid = np.arange(FRAMES) * 1.5
    return Curves(
        grid_s=grid,
        tissue_hu=np.tile(bolus_curve(10.0), (40, 1)).astype(np.float32),
        times_s=np.repeat(grid[:, None], SLICES, axis=1),
        weight=np.ones(FRAMES),
        voxels=np.ones((SLICES, 2, 2), bool),
        noise_hu=noise_hu,
        arrival_s=arrival_s,
        spacing_mm=(5.0, 1.0, 1.0),
    )


def some_arteries(
    peak_hu: float = 300.0, end: float = 0.1, confidence: float = 1.0, findings=()
) -> Arteries:
    """AIF and VOF of the same shape."""
    vessel = Vessel(bolus_curve(peak_hu, end), np.zeros((3, 3), int), confidence)
    return Arteries(vessel, vessel, 1.0, findings)


def check_of(name: str, **changes: object) -> Check:
    """The check called ``name`` of a good exam with these changes."""
    parts: dict[str, object] = {
        "exam": an_exam(), "motion": a_motion(), "curves": some_curves(),
        "arteries": some_arteries(),
    } | changes  # fmt: skip
    return next(c for c in judge(**parts) if c.name == name)  # type: ignore[arg-type]


NAMES = ("timing", "coverage", "motion", "noise", "bolus", "truncation", "aif", "vof")


@pytest.mark.parametrize("name", NAMES)
def test_a_good_exam_passes(name: str) -> None:
    check = check_of(name)
    assert check.grade == Grade.NOTE
    assert check.remedy == ""


FAULTS = {
    "timing": lambda x: {"exam": an_exam(dt_s=1 + 7 * x)},
    "coverage": lambda x: {"exam": an_exam(slices=round(12 - 11 * x))},
    "motion": lambda x: {"motion": a_motion(largest_mm=15 * x)},
    "noise": lambda x: {"curves": some_curves(noise_hu=0.4 + 12 * x)},
    "bolus": lambda x: {"arteries": some_arteries(peak_hu=400 - 380 * x)},
    "truncation": lambda x: {"arteries": some_arteries(end=x)},
    "aif": lambda x: {"arteries": some_arteries(confidence=1 - x)},
    "vof": lambda x: {"arteries": some_arteries(confidence=1 - x)},
}


@pytest.mark.parametrize("name", NAMES)
@given(shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_more_trouble_never_earns_a_better_grade(name: str, shares: tuple[float, float]) -> None:
    less, more = (check_of(name, **FAULTS[name](x)) for x in sorted(shares))
    assert less.grade <= more.grade


@pytest.mark.parametrize("name", NAMES)
def test_the_worst_is_not_passed_and_says_what_to_do(name: str) -> None:
    check = check_of(name, **FAULTS[name](1.0))
    assert check.grade == Grade.FAIL
    assert check.remedy


@pytest.mark.parametrize(("name", "value"), [("motion", 3.25), ("bolus", 217.0), ("aif", 0.75)])
def test_the_value_is_what_was_measured(name: str, value: float) -> None:
    changes = {
        "motion": {"motion": a_motion(largest_mm=3.25)},
        "bolus": {"arteries": some_arteries(peak_hu=217.0 / bolus_curve(1.0).max())},
        "aif": {"arteries": some_arteries(confidence=0.75)},
    }
    assert check_of(name, **changes[name]).value == pytest.approx(value)


def test_dropped_frames_are_not_the_motion_that_is_left() -> None:
    motion = a_motion()
    displacement = motion.displacement_mm.copy()
    displacement[-1] = 14.0
    kept = motion.kept.copy()
    kept[-1] = False
    check = check_of("motion", motion=replace(motion, displacement_mm=displacement, kept=kept))
    assert check.value == 0.0
    assert check.grade == Grade.WARNING
    assert "1 frame" in check.message


def test_too_many_dropped_frames_fail_whatever_the_rest_does() -> None:
    assert check_of("motion", motion=a_motion(dropped=FRAMES // 4)).grade == Grade.FAIL


def test_a_short_scan_is_not_passed_even_if_the_vein_is_empty_again() -> None:
    exam = an_exam(frames=round(quality_checks.DURATION_FAIL_S / 1.5) - 2)
    assert check_of("truncation", exam=exam).grade == Grade.FAIL


def test_a_vein_that_still_rises_at_the_end_fails() -> None:
    rising = np.linspace(0, 300, FRAMES)
    arteries = some_arteries()
    late = replace(arteries, vof=replace(arteries.vof, curve_hu=rising))
    assert check_of("truncation", arteries=late).grade == Grade.FAIL


def test_a_bolus_without_baseline_is_warned_of() -> None:
    assert check_of("bolus", curves=some_curves(arrival_s=1.0)).grade == Grade.WARNING


def test_assumed_times_are_warned_of() -> None:
    assumed = Finding("timing-assumed", Grade.WARNING, "frames every 1.5 s assumed")
    assert check_of("timing", exam=replace(an_exam(), findings=(assumed,))).grade == Grade.WARNING


def two_rates(early_s: float, late_s: float, frames: int = 40) -> Exam:
    """Half of the frames at one rate, half at the other."""
    steps = np.repeat([early_s, late_s], frames // 2)
    exam = an_exam(frames=frames)
    return replace(exam, times_s=(steps.cumsum() - early_s)[:, None] + np.zeros(SLICES))


def test_frames_at_an_even_rate_for_two_minutes_come_from_a_wrong_clock() -> None:
    check = check_of("timing", exam=an_exam(dt_s=3.0, frames=40))
    assert check.grade == Grade.FAIL
    assert "span 117 s" in check.message
    assert "twice as long" in check.message
    assert "--interval S or --times FILE" in check.remedy
    assert check_of("timing", exam=an_exam(dt_s=2.2, frames=42)).grade == Grade.NOTE  # 90 s


def test_a_long_scan_with_sparse_late_frames_has_a_permeability_phase() -> None:
    assert check_of("timing", exam=two_rates(1.5, 6.0)).grade == Grade.WARNING  # the gaps
    assert check_of("timing", exam=two_rates(1.8, 2.9, 44)).grade == Grade.NOTE  # 103 s
    assert check_of("timing", exam=two_rates(3.0, 3.2)).grade == Grade.FAIL


def test_a_long_scan_whose_times_the_user_gave_is_as_long_as_that() -> None:
    given = Finding("times-given", Grade.NOTE, "The times were given.")
    exam = replace(an_exam(dt_s=3.0, frames=40), findings=(given,))
    assert check_of("timing", exam=exam).grade == Grade.NOTE


def test_motion_that_could_not_be_measured_is_not_none() -> None:
    unknown = Finding("motion-not-assessed", Grade.WARNING, "No skull was found.", "Check it.")
    check = check_of("motion", exam=replace(an_exam(), findings=(unknown,)))
    assert check.grade == Grade.WARNING
    assert "No skull" in check.message
    assert "moved by up to 0.0" not in check.message


def test_a_bolus_that_no_heart_makes_names_the_clock() -> None:
    impossible = Finding("aif-wide", Grade.FAIL, "It is 31 s wide.", CLOCK_REMEDY)
    check = check_of("aif", arteries=some_arteries(findings=(impossible,)))
    assert check.grade == Grade.FAIL
    assert check.remedy == CLOCK_REMEDY


@pytest.mark.parametrize("grade", list(Grade))
def test_what_the_search_found_counts_for_its_vessel_alone(grade: Grade) -> None:
    arteries = some_arteries(findings=(Finding("aif-late", grade, "The artery fills late."),))
    assert check_of("aif", arteries=arteries).grade == grade
    assert check_of("vof", arteries=arteries).grade == Grade.NOTE


def test_without_vessels_only_the_exam_itself_is_judged() -> None:
    names = [check.name for check in judge(an_exam(), a_motion(), some_curves(), None)]
    assert names == ["timing", "coverage", "motion", "noise"]


def test_blood_and_tissue_that_enhance_beyond_any_iodine_fail() -> None:
    bright = check_of("bolus", arteries=some_arteries(peak_hu=1600.0))
    assert bright.grade == Grade.FAIL
    assert "No blood" in bright.message
    assert check_of("bolus", arteries=some_arteries(peak_hu=1400.0)).grade == Grade.NOTE
    curves = some_curves()
    hot = replace(curves, tissue_hu=curves.tissue_hu * 11)
    assert check_of("noise", curves=hot).grade == Grade.FAIL
    assert "No brain" in check_of("noise", curves=hot).message
