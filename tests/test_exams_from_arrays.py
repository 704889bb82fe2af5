"""Exams that users build from arrays, of phantoms or animals: what fits runs, the rest is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bolus


@pytest.fixture(scope="module")
def exam(small: tuple[bolus.Exam, object]) -> bolus.Exam:
    return small[0]


@pytest.fixture(scope="module")
def of_read(exam: bolus.Exam) -> bolus.Results:
    return bolus.run(exam, "bsvd")


def built(exam: bolus.Exam, **changed: object) -> bolus.Exam:
    parts = {
        "frames": exam.frames,
        "times_s": exam.times_s,
        "geometry": bolus.Geometry(list(exam.geometry.shape), exam.geometry.affine.tolist()),
        "scanner": bolus.Scanner("phantom"),
    }
    return bolus.Exam(**(parts | changed))  # type: ignore[arg-type]


def test_arrays_of_any_kind_give_the_maps_of_the_exam(
    exam: bolus.Exam, of_read: bolus.Results
) -> None:
    """Times from any origin, whole numbers, another order in memory, a list of findings."""
    late = built(exam, times_s=exam.times_s + 1024.0)
    found = bolus.run(late, "bsvd")
    np.testing.assert_allclose(found["bsvd"].cbf, of_read["bsvd"].cbf, atol=1e-3)
    np.testing.assert_allclose(found["bsvd"].ttp, of_read["bsvd"].ttp, atol=1e-3)
    np.testing.assert_allclose(found.times_s, of_read.times_s, atol=1e-9)
    stepwise = bolus.preprocess(late).curves
    np.testing.assert_allclose(stepwise.times_s, exam.times_s, atol=1e-9)
    note = bolus.Finding("phantom", bolus.Grade.NOTE, "A phantom.")
    whole = np.asfortranarray(np.round(exam.frames).astype(np.int16))
    found = bolus.run(built(exam, frames=whole, findings=[note]), "bsvd")
    close = np.abs(found["bsvd"].cbf - of_read["bsvd"].cbf)
    assert np.percentile(close[found.tissue.parenchyma], 95) < 3.0
    assert note in found.findings


AFFINE = np.diag([8.0, 1.75, 1.75, 1.0])


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda e: {"frames": e.frames[0]}, bolus.UsageError, r"give \(T, Z, Y, X\)"),
        (lambda e: {"frames": "here"}, bolus.UsageError, "frames are of type"),
        (lambda e: {"frames": e.frames[:, :-1]}, bolus.UsageError, "geometry has the shape"),
        (lambda e: {"geometry": None}, bolus.UsageError, "a bolus.Geometry"),
        (lambda e: {"geometry": bolus.Geometry(e.geometry.shape, np.eye(3))}, bolus.UsageError,
         "give 4 x 4"),
        (lambda e: {"geometry": bolus.Geometry(e.geometry.shape, "none")}, bolus.UsageError,
         "values of the affine"),
        (lambda e: {"geometry": bolus.Geometry(None, AFFINE)}, bolus.UsageError, "shape"),
        (lambda e: {"frames": e.frames[:, :0]}, bolus.UsageError, r"give \(T, Z, Y, X\)"),
        (lambda e: {"geometry": bolus.Geometry(e.geometry.shape, AFFINE * np.nan)},
         bolus.BadGeometry, "non-finite"),
        (lambda e: {"times_s": e.times_s[:, 0]}, bolus.UsageError, "repeat the time of each frame"),
        (lambda e: {"times_s": e.times_s.T}, bolus.UsageError, r"need \(T, Z\)"),
        (lambda e: {"times_s": e.times_s[::-1]}, bolus.MissingTiming, "don't increase"),
        (lambda e: {"times_s": e.times_s * np.nan}, bolus.MissingTiming, "not a number"),
        (lambda e: {"times_s": e.times_s * 1000}, bolus.MissingTiming, "another unit than seconds"),
        (lambda e: {"frames": e.frames[:7], "times_s": e.times_s[:7]}, bolus.TooFewFrames,
         "7 frames; at least 8"),
        (lambda e: {"frames": np.where(e.frames > 1000, np.nan, e.frames)},
         bolus.ImplausibleValues, "NaN or infinity"),
        (lambda e: {"findings": "none"}, bolus.UsageError, "a tuple of bolus.Finding"),
        (lambda e: {"findings": ("late",)}, bolus.UsageError, "a tuple of bolus.Finding"),
        (lambda e: {"scanner": None}, bolus.UsageError, "a bolus.Scanner"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_exam_are_one_clear_error(
    exam: bolus.Exam, change: object, error: type[bolus.BolusError], said: str
) -> None:
    wrong = built(exam, **change(exam))  # type: ignore[operator]
    for step in (bolus.preprocess, bolus.run):
        with pytest.raises(error, match=said):
            step(wrong)  # type: ignore[operator]


def test_each_step_says_what_it_takes(exam: bolus.Exam) -> None:
    with pytest.raises(bolus.UsageError, match=r"give an Exam, .* not str"):
        bolus.preprocess("exam.zip")  # type: ignore[arg-type]
    for step in (bolus.find_arteries, bolus.predict):
        with pytest.raises(bolus.UsageError, match=r"bolus.preprocess\(exam\) returns, not Exam"):
            step(exam)  # type: ignore[operator]
    with pytest.raises(bolus.UsageError, match=r"bolus.preprocess\(exam\) returns, not Exam"):
        bolus.deconvolve(exam, np.ones(3))  # type: ignore[arg-type]


def test_an_exam_in_memory_is_not_changed(exam: bolus.Exam) -> None:
    given = built(exam, times_s=exam.times_s + 5.0)
    before = replace(given, times_s=given.times_s.copy())
    bolus.preprocess(given)
    assert given == before
