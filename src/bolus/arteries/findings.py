"""Quality of a chosen AIF or VOF: a score, and findings against clinical curves."""

from __future__ import annotations

from bolus.arteries.curve_features import Shape
from bolus.types import Finding, Grade

# Limits from 93 clinical AIF/VOF pairs (RAPID's, ISLES 2018): a feature scores 1 up to
# about the third quartile and 0 where no such curve was seen; linear between.
GOOD_BAD = {
    "width_s": (15.0, 28.0),
    "rise_s": (11.0, 20.0),
    "tail": (0.4, 0.9),
    "misfit": (0.06, 0.25),
}
VOF_GOOD_BAD = {"width_s": (18.0, 35.0), "tail": (0.5, 1.0), "misfit": (0.08, 0.3)}
USELESS_PEAK_HU = 15.0
WEAK_PEAK_HU = 25.0
MAX_WIDTH_S = 20.0
MAX_RISE_S = 13.0
MAX_LATE_S = 4.0
MAX_TAIL = 0.4
MAX_MISFIT = 0.1
AREA_RATIO = (0.08, 1.15)
VOF_LAG_S = (2.0, 15.0)
SURE = 0.3


def aif_findings(
    marks: Shape, misfit: float, late_s: float, ratio: float, confidence: float
) -> list[Finding]:
    """Findings on an AIF; ``ratio`` is its area as a share of the VOF's."""
    peak, width = float(marks.peak_hu), float(marks.width_s)
    rise, tail = float(marks.peak_s - marks.arrival_s), float(marks.tail)
    limit = USELESS_PEAK_HU if peak < USELESS_PEAK_HU else WEAK_PEAK_HU
    low, high = AREA_RATIO
    checks = (
        ("aif-weak", peak < WEAK_PEAK_HU, f"peaks at only {peak:.0f} HU (limit {limit:.0f} HU)"),
        ("aif-wide", width > MAX_WIDTH_S, f"is {width:.0f} s wide (limit {MAX_WIDTH_S:.0f} s)"),
        ("aif-late", late_s > MAX_LATE_S, f"rises {late_s:.1f} s after the earliest vessels"),
        ("aif-slow", rise > MAX_RISE_S, f"rises for {rise:.0f} s (limit {MAX_RISE_S:.0f} s)"),
        ("aif-tail", tail > MAX_TAIL, f"still has {100 * tail:.0f} % of its peak at the end"),
        ("aif-shape", misfit > MAX_MISFIT, f"differs {100 * misfit:.0f} % from a bolus's shape"),
        (
            "aif-area",
            not low <= ratio <= high,
            f"has {ratio:.2f} of the venous area (limits {low} to {high})",
        ),
        ("aif-uncertain", confidence < SURE, f"has a confidence of only {confidence:.2f}"),
    )
    remedy = (
        "Check the curve and its location; choose another artery with aif=(x, y, z) "
        "(--aif x,y,z on the command line)."
    )
    return [
        Finding(code, _grade(code, peak), f"The arterial input {text}.", remedy)
        for code, true, text in checks
        if true
    ]


def vof_findings(lag_s: float, found: bool, confidence: float) -> list[Finding]:
    """Findings on a VOF that peaks ``lag_s`` after the AIF."""
    remedy = (
        "Choose a large sinus with vof=(x, y, z) (--vof x,y,z on the command line) if the slab has "
        "one."
    )
    findings = []
    if not found:
        findings.append(
            Finding(
                "vof-missing",
                Grade.WARNING,
                "No vein was found; the arterial input is scaled by the largest vessel's area, "
                "so absolute CBF and CBV may be too high.",
                remedy,
            )
        )
    elif lag_s < 0:
        text = f"The venous curve peaks {-lag_s:.1f} s before the arterial one."
        findings.append(Finding("vof-before-aif", Grade.WARNING, text, remedy))
    elif not VOF_LAG_S[0] <= lag_s <= VOF_LAG_S[1]:
        text = (
            f"The venous curve peaks {lag_s:.1f} s after the arterial one (limits "
            f"{VOF_LAG_S[0]:.0f} to {VOF_LAG_S[1]:.0f} s)."
        )
        findings.append(Finding("vof-lag", Grade.WARNING, text, remedy))
    if found and confidence < SURE:
        text = f"The venous curve has a confidence of only {confidence:.2f}."
        findings.append(Finding("vof-uncertain", Grade.WARNING, text, remedy))
    return findings


def _grade(code: str, peak_hu: float) -> Grade:
    useless = code == "aif-uncertain" or (code == "aif-weak" and peak_hu < USELESS_PEAK_HU)
    return Grade.FAIL if useless else Grade.WARNING


def ramp(value: float, good: float, bad: float) -> float:
    """1 at ``good`` and better, 0 at ``bad`` and worse, linear between."""
    return float(min(max((value - bad) / (good - bad), 0.0), 1.0))
