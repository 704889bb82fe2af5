"""A dose study whose numbers are known because they were made up."""

from __future__ import annotations

from bolus.study.dose.log import Line, versions
from bolus.study.dose.plan import DosePlan
from bolus.study.dose.rows import Study
from bolus.study.dose.score import MAPS

PLAN = DosePlan(methods=("nlr", "bma"), frames=(18, 10, 5), every=(2,), doses=(1, 0.25))
EXAMS = ("one", "two", "three")
TOTAL = 36
CONDITIONS = (
    ("full", 1, (0,), 36), ("frames", 18, (0, 1), 18), ("frames", 10, (0, 1, 2), 10),
    ("frames", 5, (0, 3), 5), ("every", 2, (0, 1), 18),
)  # fmt: skip


def row(
    exam: int, method: str, rule: str, value: int, phase: int, frames: int, dose: float
) -> Line:
    """The error of a map is 1 + the exam's number, + phase / 10, and more with fewer frames."""
    line: Line = {
        "case": EXAMS[exam], "method": method, "rule": rule, "value": value, "phase": phase,
        "dose": dose, "frames": frames, "frames_of": TOTAL, "interval_s": 54 / frames,
        "relative_dose": frames / TOTAL * dose, "total_mas": None, "reference": "truth",
    }  # fmt: skip
    if method == "nlr" and frames == 5:
        return {**line, "outcome": "refused", "stage": "align", "grade": "",
                "reason": f"NoPerfusion: no bolus | in {EXAMS[exam]}"}  # fmt: skip
    grade = "FAIL" if (exam, frames) == (0, 5) else "NOTE"
    error = 1.0 + exam + phase / 10 + 0.2 * (TOTAL / frames - 1) / dose
    error *= 2 if method == "nlr" else 1
    line |= {"outcome": "done", "stage": "", "reason": "", "grade": grade, "covered": 0.97}
    for name in MAPS:
        line |= {f"{name}_mae": error, f"{name}_bias": -error / 2, f"{name}_r": 1 / (1 + error)}
    for part, true_ml in (("core", (5.0, 20.0, 60.0)[exam]), ("hypoperfused", 90.0 + exam)):
        line |= {
            f"{part}_dice": 1 / (1 + error / 10), f"{part}_ml": true_ml - error,
            f"{part}_true_ml": true_ml, f"{part}_error_ml": -error,
        }  # fmt: skip
    return line


def made_up(kinds: tuple[str, str, str] = ("truth", "truth", "truth")) -> Study:
    rows = [
        row(exam, method, rule, value, phase, frames, dose)
        for exam in range(3)
        for dose in PLAN.all_doses
        for rule, value, phases, frames in CONDITIONS
        for phase in phases
        for method in PLAN.methods
    ]
    exams = {name: {"digest": "", "reference": kind, "noise_hu": 7.0 + i}
             for i, (name, kind) in enumerate(zip(EXAMS, kinds, strict=True))}  # fmt: skip
    settings = {"exams": exams, "versions": versions()}
    return Study(PLAN, tuple(rows), settings)
