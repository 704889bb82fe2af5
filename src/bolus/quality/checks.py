"""Reliability of an exam: one check for each common fault of a CT perfusion exam.

Limits come from the literature where it has them, and from the development exams of
``benchmarks/verdicts.py`` where errors begin elsewhere; their performance on other exams is in
its published table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bolus.arteries.findings import CLOCK_REMEDY
from bolus.types import Arteries, Check, Curves, Exam, Finding, Float64Array, Grade, Motion

GAP_WARNING_S = 4.0
"""A longer gap within the bolus loses its peak."""
INTERVAL_WARNING_S = 3.0
"""At 2 s volumes are still correct (Diagnostics 2021;11:1121); at 3 s CBF is off by about 10 %."""
LONGEST_EVEN_S = 100.0
"""First-pass scans last 40 to 90 s (60 to 70 s recommended, PMC5134896); what goes on for longer,
to measure permeability, has fewer frames then.  A clock twice as fast makes 117 s of 58."""
SPARSER = 1.5
"""Late frames come less often by this factor at least."""
DURATION_WARNING_S = 50.0
DURATION_FAIL_S = 35.0
"""48 s scans cut off the ischaemic curve in 67 % of patients (PLOS ONE 2015, 0119409)."""
COVERAGE_WARNING_MM = 40.0
COVERAGE_FAIL_MM = 15.0
MOTION_WARNING_MM = 1.0
MOTION_FAIL_MM = 7.0
"""After motion of up to 6.9 mm volumes erred by 3-11 ml, from 7.5 mm on by 65 ml and more: chosen
by benchmarks/verdicts.py."""
DROPPED_FAIL = 0.20
"""Share of frames that may be dropped."""
CNR_WARNING = 6.0
CNR_FAIL = 3.0
"""Peak of the mean tissue curve over the residual noise in one voxel.  Tmax errs by 0.4 s at 13
and 0.6 s at 8, 0.9 s at 5 and 1.6 s at 2.4: chosen by benchmarks/verdicts.py."""
AIF_PEAK_WARNING_HU = 100.0
AIF_PEAK_FAIL_HU = 60.0
"""Of the scaled input; 93 clinical venous peaks span 61-397 HU (5th-95th percentile).  Lesions were
found down to 65 HU and lost at 54 HU: chosen by benchmarks/verdicts.py."""
AIF_PEAK_LIMIT_HU = 1500.0
"""Undiluted, 5 ml/s of contrast in 100 ml/s of blood make some 20 mg of iodine per ml, 800 HU at
80 kV; beyond this limit it is not blood."""
TISSUE_PEAK_LIMIT_HU = 100.0
"""Of the slab's mean: brain holds 2 to 5 % of blood and enhances by 5 to 30 HU."""
BASELINE_WARNING_S = 4.0
TAIL_WARNING = 0.39
TAIL_FAIL = 0.65
"""VOF at the end over its peak: median at the optimal scan end (PMC5134896), and the 95th
percentile of 93 clinical veins."""
CONFIDENCE_WARNING = 0.5
CONFIDENCE_FAIL = 0.2


@dataclass(frozen=True)
class _Limit:
    warning: float
    fail: float
    rising: bool
    """True where large values are bad."""

    def grade(self, value: float) -> Grade:
        sign = 1 if self.rising else -1
        if sign * value > sign * self.fail:
            return Grade.FAIL
        return Grade.WARNING if sign * value > sign * self.warning else Grade.NOTE


def judge(
    exam: Exam, motion: Motion, curves: Curves, arteries: Arteries | None
) -> tuple[Check, ...]:
    """Run every check.

    Parameters
    ----------
    exam : the exam after motion correction (dropped frames are gone).
    motion : motion of the exam as acquired.
    curves : the tissue's curves.
    arteries : AIF and VOF with the findings of their search; None if there are none, and then no
        check of the bolus.
    """
    of_exam = (_timing(exam), _coverage(exam), _motion(exam, motion), _noise(curves))
    if arteries is None:
        return of_exam
    return (
        *of_exam,
        _bolus(curves, arteries),
        _truncation(exam, arteries),
        vessel_check("aif", arteries),
        vessel_check("vof", arteries),
    )


def _timing(exam: Exam) -> Check:
    steps = np.diff(exam.times_s, axis=0)
    gap, interval = float(steps.max()), float(np.median(steps))
    assumed = any(f.code.startswith("timing-assumed") for f in exam.findings)
    grade = Grade.WARNING if gap > GAP_WARNING_S or interval > INTERVAL_WARNING_S else Grade.NOTE
    text = f"Frames every {interval:.2g} s, largest gap {gap:.2g} s (limit {GAP_WARNING_S:g} s)."
    if assumed:
        grade = Grade.WARNING
        text += " The times are assumed, not read."
    remedy = "" if grade == Grade.NOTE else "Transit times are less certain than usual."
    duration = float(np.median(exam.times_s[-1] - exam.times_s[0]))
    given = any(f.code == "times-given" for f in exam.findings)
    if duration > LONGEST_EVEN_S and not _sparser(steps) and not given:
        grade = Grade.FAIL
        text += (
            f" At this rate they span {duration:.0f} s, no first-pass scan lasts over "
            f"{LONGEST_EVEN_S:g} s: the times may be twice as long as they were."
        )
        remedy = CLOCK_REMEDY
    return Check("timing", grade, gap, "s", text, remedy)


def _sparser(steps: Float64Array) -> bool:
    """Whether the scan's second half has fewer frames per second, as a permeability phase has."""
    middle = np.searchsorted(steps.mean(axis=1).cumsum(), steps.mean(axis=1).sum() / 2)
    early, late = steps[: middle + 1], steps[middle + 1 :]
    return bool(late.size and np.median(late) >= SPARSER * np.median(early))


def _coverage(exam: Exam) -> Check:
    extent = exam.geometry.shape[0] * exam.geometry.spacing_mm[0]
    grade = _Limit(COVERAGE_WARNING_MM - 0.5, COVERAGE_FAIL_MM, rising=False).grade(extent)
    text = f"The slab covers {extent:.0f} mm (at least {COVERAGE_WARNING_MM:g} mm expected)."
    remedy = "" if grade == Grade.NOTE else "Volumes refer to the slab only."
    return Check("coverage", grade, extent, "mm", text, remedy)


def _motion(exam: Exam, motion: Motion) -> Check:
    worst = motion.largest_mm
    unknown = [f for f in exam.findings if f.code == "motion-not-assessed"]
    if unknown:
        return Check("motion", Grade.WARNING, worst, "mm", unknown[0].message, unknown[0].remedy)
    dropped = int((~motion.kept).sum())
    share = dropped / motion.kept.size
    grade = _Limit(MOTION_WARNING_MM, MOTION_FAIL_MM, rising=True).grade(worst)
    if share > DROPPED_FAIL:
        grade = Grade.FAIL
    elif dropped:
        grade = max(grade, Grade.WARNING)
    text = f"The head moved by up to {worst:.1f} mm"
    text += f"; {dropped} frames could not be aligned and were dropped." if dropped else "."
    remedy = (
        "" if grade == Grade.NOTE else "Inspect the motion plot; edges of maps may be artefacts."
    )
    return Check("motion", grade, worst, "mm", text, remedy)


def _noise(curves: Curves) -> Check:
    peak = float(curves.tissue_hu.mean(axis=0, dtype=np.float64).max())
    cnr = peak / max(curves.noise_hu, 1e-6)
    grade = _Limit(CNR_WARNING, CNR_FAIL, rising=False).grade(cnr)
    text = (
        f"Tissue enhances by {peak:.1f} HU on average, noise after filtering is "
        f"{curves.noise_hu:.2g} HU: ratio {cnr:.1f} (at least {CNR_WARNING:g} expected)."
    )
    remedy = (
        ""
        if grade == Grade.NOTE
        else "Small lesions and low flow can't be distinguished from noise."
    )
    if peak > TISSUE_PEAK_LIMIT_HU:
        grade = Grade.FAIL
        text += f" No brain enhances by more than {TISSUE_PEAK_LIMIT_HU:g} HU."
        remedy = "Check the rescale slope, and that this is a CT of the head."
    return Check("noise", grade, cnr, "ratio", text, remedy)


def _bolus(curves: Curves, arteries: Arteries) -> Check:
    peak = float(arteries.input_hu.max())
    grade = _Limit(AIF_PEAK_WARNING_HU, AIF_PEAK_FAIL_HU, rising=False).grade(peak)
    baseline = curves.arrival_s - float(curves.grid_s[0])
    text = (
        f"The bolus arrives {baseline:.1f} s after the first frame "
        f"and peaks at {peak:.0f} HU in blood (at least {AIF_PEAK_WARNING_HU:g} HU expected)."
    )
    if baseline < BASELINE_WARNING_S:
        grade = max(grade, Grade.WARNING)
        text += " There is hardly a baseline before it."
    if peak > AIF_PEAK_LIMIT_HU:
        grade = Grade.FAIL
        text += f" No blood enhances by more than {AIF_PEAK_LIMIT_HU:g} HU."
    remedy = "" if grade == Grade.NOTE else "Check injection and scan delay."
    return Check("bolus", grade, peak, "HU", text, remedy)


def _truncation(exam: Exam, arteries: Arteries) -> Check:
    vof = arteries.vof.curve_hu
    duration = float(exam.times_s[-1].min() - exam.times_s[0].max())
    tail = _tail(vof)
    grade = _Limit(TAIL_WARNING, TAIL_FAIL, rising=True).grade(tail)
    if int(vof.argmax()) >= vof.size - 3:
        grade = Grade.FAIL
    grade = max(grade, _Limit(DURATION_WARNING_S, DURATION_FAIL_S, rising=False).grade(duration))
    text = (
        f"The scan lasts {duration:.0f} s (60-70 s are recommended); at its end the venous curve "
        f"is at {100 * tail:.0f} % of its peak (limit {100 * TAIL_WARNING:.0f} %)."
    )
    remedy = (
        "" if grade == Grade.NOTE else "Late curves are truncated: the core may be overestimated."
    )
    return Check("truncation", grade, tail, "ratio", text, remedy)


def _tail(curve: Float64Array) -> float:
    return float(np.clip(curve[-3:].mean() / max(curve.max(), 1e-6), 0, 1))


def vessel_check(name: str, arteries: Arteries) -> Check:
    """The check of the AIF or of the VOF."""
    vessel = arteries.aif if name == "aif" else arteries.vof
    findings = [f for f in arteries.findings if f.code.startswith(name)]
    grade = _Limit(CONFIDENCE_WARNING, CONFIDENCE_FAIL, rising=False).grade(vessel.confidence)
    grade = max([grade, *(f.grade for f in findings)])
    where = "chosen by hand" if vessel.manual else "found automatically"
    text = (
        f"{name.upper()} {where} in {len(vessel.voxels)} voxels, peak "
        f"{vessel.curve_hu.max():.0f} HU, confidence {vessel.confidence:.2f}."
    )
    remedies = [f.remedy for f in findings if f.remedy == CLOCK_REMEDY]
    return Check(name, grade, vessel.confidence, "0-1", " ".join([text, *_texts(findings)]),
                 remedies[0] if remedies else _remedy(name, grade))  # fmt: skip


def _texts(findings: list[Finding]) -> list[str]:
    return [f.message for f in findings if f.grade > Grade.NOTE]


def _remedy(name: str, grade: Grade) -> str:
    return "" if grade == Grade.NOTE else f"Check its curve; choose another with --{name} x,y,z."
