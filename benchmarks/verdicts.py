"""Whether the quality checks predict error: one cohort for each fault, graded by its own check.

In each cohort of simulated exams one parameter goes from harmless to hopeless and all else is a
typical stroke exam.  Exams that a check passes must have smaller errors than the others.
``--development`` prints exams of other seeds than those published, to choose the limits in
``bolus.quality.checks`` on.  Finished exams are kept: an interrupted run is resumed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu, spearmanr

from bolus.errors import BolusError
from bolus.metrics import dice
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe
from bolus.simulate.truth import Truth
from bolus.types import BoolArray, Exam, Geometry, Grade, Results
from plots import verdicts_figure
from simulated import Row, resumable
from tables import RESULTS, markdown, write

PUBLISHED, DEVELOPMENT = 6000, 6500
"""First seeds; each fault has its own fifty."""
SEEDS_EACH = 50
EXAMS = 16
METHOD = "bma"
ERRORS = {
    "hypoperfused": "hypoperfused volume, ml",
    "core": "core volume, ml",
    "overlap": "1 - Dice of hypoperfused",
    "tmax": "Tmax, s",
    "cbf": "CBF, ml/100g/min",
}
LEADING = "tmax"
"""The error that grades are tested against, independent of the exam's lesion."""
LEADING_FOR = {"coverage": "hypoperfused"}
"""A thin slab's maps are as good as any; it misses volume."""

Cut = tuple[int, int]


class Fault(NamedTuple):
    """The parameter that varies, with its value for ``share`` 0 (harmless) to 1 (hopeless)."""

    about: str
    recipe: Callable[[Recipe, float], Recipe]


def _between(low: float, high: float, share: float) -> float:
    """Evenly spaced in the logarithm."""
    return float(low * (high / low) ** share)


FAULTS: dict[str, Fault] = {
    "motion": Fault(
        "the head moves by 0-15 mm", lambda usual, x: replace(usual, motion_mm=15.0 * x**2)
    ),
    "truncation": Fault(
        "the scan ends after 65-20 s",
        lambda usual, x: replace(usual, frames=round((65 - 45 * x) / usual.dt_s)),
    ),
    "bolus": Fault(
        "the bolus peaks at 400-30 HU",
        lambda usual, x: replace(usual, peak_hu=_between(400, 30, x)),
    ),
    "noise": Fault(
        "tube load of 300-10 mAs (6-33 HU)",
        lambda usual, x: replace(usual, mas=_between(300, 10, x)),
    ),
    "aif": Fault(
        "4 slices of 5 mm from above the circle of Willis up to the vertex, 200-30 mAs",
        lambda usual, x: replace(usual, slices=4, bottom_mm=5 + 47 * x, mas=_between(200, 30, x)),
    ),
    "timing": Fault(
        "frames every 1-6 s",
        lambda usual, x: replace(usual, dt_s=1 + 5 * x, frames=round(60 / (1 + 5 * x)) + 1),
    ),
    "coverage": Fault(
        "of a brain of 16 slices of 5 mm, 16-1 around the middle of the lesion or next to it",
        lambda usual, x: replace(usual, slices=16, bottom_mm=-25.0),
    ),
}


@dataclass(frozen=True)
class Case:
    """One exam to make."""

    trouble: str
    seed: int
    share: float


def cases(first_seed: int, count: int) -> list[Case]:
    """Exams with all faults, from harmless to hopeless in even steps."""
    return [
        Case(name, first_seed + SEEDS_EACH * row + n, n / (count - 1))
        for row, name in enumerate(FAULTS)
        for n in range(count)
    ]


def usual_recipe(seed: int) -> Recipe:
    """A typical exam with a lesion, coarse enough to be fast."""
    rng = np.random.default_rng(seed)
    return Recipe(
        matrix=144,
        pixel_mm=1.6,
        slices=9,
        bottom_mm=float(rng.uniform(-15, 0)),
        mas=200.0,
        arrival_s=float(rng.uniform(6, 9)),
        peak_hu=float(rng.uniform(250, 350)),
        side=("left", "right")[seed % 2],
        core_ml=float(rng.uniform(10, 40)),
        penumbra_ml=float(rng.uniform(30, 90)),
    )


def study(case: Case) -> list[Row]:
    """Grade and value of the fault's check, and the exam's errors."""
    recipe = FAULTS[case.trouble].recipe(usual_recipe(case.seed), case.share)
    exam, truth = simulate_exam(case.seed, recipe)
    cut = (0, recipe.slices)
    if case.trouble == "coverage":
        cut = _slab(truth, case)
        exam = cropped(exam, cut)
    row: Row = {"trouble": case.trouble, "seed": case.seed, "share": case.share}
    try:
        results = analyse(exam, Choices(methods=(METHOD,)), Stages())
    except BolusError as error:
        return [{**row, "refused": str(error)}]
    grades = {check.name: check.grade.name for check in results.checks}
    check = next(check for check in results.checks if check.name == case.trouble)
    lesion = results.methods[METHOD].lesion
    return [{
        **row,
        "grade": check.grade.name,
        "value": check.value,
        "unit": check.unit,
        "grades": grades,
        "lower_bound": lesion.hypoperfused_lower_bound,
        **errors(results, truth, cut),
    }]  # fmt: skip


def errors(results: Results, truth: Truth, cut: Cut) -> Row:
    """Errors of volumes (against the whole lesion), overlap and maps (in the slices measured)."""
    maps, lesion = results.methods[METHOD].maps, results.methods[METHOD].lesion
    seen, ml = slice(*cut), truth.geometry.voxel_ml
    where: BoolArray = truth.valid[seen] & results.tissue.parenchyma & (maps.mtt > 0)
    if not where.any():
        return {"refused": "no map"}
    return {
        "hypoperfused": abs(float((lesion.labels > 0).sum()) * ml - truth.hypo_ml),
        "core": abs(float((lesion.labels == 2).sum()) * ml - truth.core_ml),
        "overlap": 1 - dice(lesion.labels > 0, truth.hypo[seen]),
        "tmax": float(np.abs(maps.tmax - truth.tmax[seen])[where].mean()),
        "cbf": float(np.abs(maps.cbf - truth.cbf[seen])[where].mean()),
    }


def _slab(truth: Truth, case: Case) -> Cut:
    """Slices (first, end) of a slab that gets thinner, around the lesion or slightly off it."""
    depth = truth.hypo.shape[0]
    count = max(1, round(depth - (depth - 1) * case.share))
    rng = np.random.default_rng(case.seed)
    weight = truth.hypo.sum(axis=(1, 2)) + 1e-9
    middle = float((np.arange(depth) * weight).sum() / weight.sum()) + float(rng.uniform(-2, 2))
    first = int(np.clip(round(middle - count / 2), 0, depth - count))
    return first, first + count


def cropped(exam: Exam, cut: Cut) -> Exam:
    """The exam as a thinner slab would have measured it."""
    first, end = cut
    affine = exam.geometry.affine.copy()
    affine[:, 3] += first * affine[:, 0]
    _, rows, columns = exam.geometry.shape
    return replace(
        exam,
        frames=exam.frames[:, first:end],
        times_s=exam.times_s[:, first:end] - exam.times_s[:, first:end].min(),
        geometry=Geometry((end - first, rows, columns), affine),
    )


GRADES = {"NOTE": "passed", "WARNING": "warned", "FAIL": "failed"}


def by_grade(rows: list[Row]) -> list[list[str]]:
    """Lines of a table: number and median errors of the exams of each grade."""
    lines = []
    for grade, word in GRADES.items():
        chosen = [row for row in rows if row.get("grade") == grade and "tmax" in row]
        if chosen:
            found = [f"{np.median([row[key] for row in chosen]):.2f}" for key in ERRORS]
            lines.append([word, str(len(chosen)), *found])
    refused = sum("refused" in row for row in rows)
    return [*lines, *([["refused", str(refused)] + [""] * len(ERRORS)] if refused else [])]


def verdict(name: str, rows: list[Row]) -> list[str]:
    """Correlation of a check's value and its grade with the leading error."""
    leading = LEADING_FOR.get(name, LEADING)
    rows = [row for row in rows if leading in row]
    found = np.array([row[leading] for row in rows])
    passed = np.array([row["grade"] == Grade.NOTE.name for row in rows])
    values = np.array([row["value"] for row in rows])
    rho = float(spearmanr(values, found).statistic) if np.ptp(values) > 0 else 0.0
    cells = [name, FAULTS[name].about, ERRORS[leading], f"{rho:+.2f}"]
    graded = {grade: found[[row["grade"] == grade for row in rows]] for grade in GRADES}
    for grade in GRADES:
        cells.append(f"{np.median(graded[grade]):.2f}" if graded[grade].size else "")
    failed = np.array([row["grade"] == Grade.FAIL.name for row in rows])
    return [*cells, _greater(found, ~passed), _greater(found, failed)]


def _greater(found: np.ndarray, worse: BoolArray) -> str:
    """p value for the marked errors being greater than the others, and its significance."""
    if worse.all() or not worse.any():
        return "no exams"
    p = float(mannwhitneyu(found[~worse], found[worse], alternative="less").pvalue)
    return f"{p:.1g}" if p < 0.05 else f"**{p:.1g}**"


def slab_edge(rows: list[Row]) -> str:
    """Value of the mark "the lesion reaches the slab's edge"."""
    lines = []
    for marked in (False, True):
        errors_ml = [r["hypoperfused"] for r in rows if r.get("lower_bound") == marked]
        if errors_ml:
            word = "marked as lower bound" if marked else "not marked"
            lines.append([word, str(len(errors_ml)), f"{np.median(errors_ml):.1f}"])
    return markdown(["hypoperfused volume", "exams", "median error, ml"], lines)


def main() -> None:
    """Write ``results/verdicts.md`` and ``verdicts.png``; development only prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--development", action="store_true", help="other seeds; for limits")
    parser.add_argument("--exams", type=int, default=EXAMS, help="number for each fault")
    parser.add_argument("--workers", type=int, default=2, help="processes, 1 GB each")
    asked = parser.parse_args()
    first_seed = DEVELOPMENT if asked.development else PUBLISHED
    rows = resumable("verdicts", study, cases(first_seed, asked.exams), workers=asked.workers)
    of = {name: [row for row in rows if row["trouble"] == name] for name in FAULTS}
    if asked.development:
        for row in rows:
            numbers = [f"{key} {row[key]:.2f}" for key in ("value", *ERRORS) if key in row]
            print(row["trouble"], f"{row['share']:.2f}", row.get("grade"), *numbers,
                  row.get("refused", ""))  # fmt: skip
        return
    summary = [verdict(name, found) for name, found in of.items()]
    header = [
        "check", "what varies", "error", "Spearman of value and error", "median, passed", "warned",
        "failed", "p, passed against the rest", "p, failed against the rest",
    ]  # fmt: skip
    parts = [_note(rows, first_seed, asked.exams), markdown(header, summary)]
    for name, found in of.items():
        table = markdown(["grade", "exams", *ERRORS.values()], by_grade(found))
        parts += [f"## {name}: {FAULTS[name].about}", table]
    parts += [slab_edge(of["coverage"]), "![Error over what each check measures](verdicts.png)"]
    write("verdicts", "Performance of the quality checks", parts)
    shown = {n: [r for r in found if LEADING in r] for n, found in of.items()}
    keys = {name: LEADING_FOR.get(name, LEADING) for name in of}
    verdicts_figure(shown, keys, ERRORS, RESULTS / "verdicts.png")


def _note(rows: list[Row], first_seed: int, exams: int) -> str:
    refused = [row for row in rows if "refused" in row]
    text = (
        f"{exams} simulated exams per check, seeds from {first_seed} on; limits are from the "
        "literature, or were chosen on other exams with earlier versions of filter and "
        f"estimator (seeds about 7000-7600 and 6900-6922). Method {METHOD}. Every exam has a "
        "lesion and one fault, "
        "from harmless to hopeless. Errors of volumes are against the whole lesion, those of maps "
        "are means of the absolute error in valid parenchyma; tables show the median exam."
    )
    reasons = sorted({f"{row['trouble']}: {row['refused']}" for row in refused})
    return text + (f" Refused by the program: {'; '.join(reasons)}." if reasons else "")


if __name__ == "__main__":
    main()
