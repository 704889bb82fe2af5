"""The shipped network against every deconvolution, on held-out simulated exams.

The exams come from `simulated.clinical_recipe`, not from the priors the network was trained on
(`bolus.simulate.priors`), with separate seeds.  Each is measured at full dose, at a quarter of
it and with every third frame.  A second set of exams differs from the training distribution in one
respect each: residue functions, bolus, noise, anatomy, lesion.  Finished exams are kept, so an
interrupted run is resumed: ``python benchmarks/network.py [--exams N]``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from bolus.errors import BolusError
from bolus.metrics import mean_absolute_error, pearson
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe
from bolus.simulate.truth import Truth
from bolus.study.dose.subsample import start_s, subsampled
from bolus.types import Exam, Maps
from cohort import compare
from simulated import Row, clinical_recipe, resumable
from tables import markdown, write

SEEDS = range(8644, 8688)
SHIFT_SEEDS = range(8200, 8206)
DECONVOLUTIONS = ("bma", "nlr", "osvd", "bsvd", "ssvd", "tikhonov")
FULL, THIRD, QUARTER = "full dose", "every third frame", "quarter dose"
GAPS = "a random third of the frames missing"
SHIFTS: dict[str, dict[str, Any]] = {
    "as in training": {},
    "box residue functions only": {"residue_shares": (1.0, 0.0, 0.0, 0.0, 0.0)},
    "exponential residue functions only": {"residue_shares": (0.0, 0.0, 1.0, 0.0, 0.0)},
    "bolus twice as wide": {"rise_s": 16.0, "bolus_shape": 3.0},
    "narrow bolus": {"rise_s": 4.5, "bolus_shape": 5.0},
    "noise of a sharp kernel": {"noise_frequency_per_mm": 0.45},
    "noise of a soft kernel": {"noise_frequency_per_mm": 0.08},
    "flow halved in the whole head": {"flow": 0.5},
    "transit time prolonged by half in the whole head": {"transit": 1.5},
    "dispersed collaterals": {"collateral_dispersion": 0.8},
    "head nodded by 20 degrees, missing bone flap": {
        "tilt_deg": (20.0, 0.0, 0.0), "craniectomy": "right"},
    "both sides affected": {"side": "both"},
    GAPS: {},
}  # fmt: skip
FLAGS = ("unlike-training", "blood-volume")
"""Findings of the network on unusual exams."""
MEASURES = (
    ("CBF MAE, ml/100g/min", "cbf_mae", ".2f"),
    ("CBV MAE, ml/100g", "cbv_mae", ".3f"),
    ("MTT MAE, s", "mtt_mae", ".2f"),
    ("Tmax MAE, s", "tmax_mae", ".2f"),
    ("TTP MAE, s", "ttp_mae", ".2f"),
    ("core Dice", "core_dice_valid", ".3f"),
    ("hypoperfused Dice", "hypoperfused_dice_valid", ".3f"),
)
LESION_ML = 10.0
"""Overlap is required for lesions above this."""
ONE_SE = 0.68


def measure(case: tuple[int, str]) -> list[Row]:
    """One row per method of one exam in one condition."""
    seed, condition = case
    recipe = clinical_recipe(seed)
    if condition == QUARTER:
        recipe = replace(recipe, mas=recipe.mas / 4)
    elif condition in SHIFTS:
        recipe = replace(recipe, **SHIFTS[condition])
    methods = ("cnn", *(DECONVOLUTIONS if condition == FULL else DECONVOLUTIONS[:1]))
    return _rows(seed, condition, recipe, methods)


def _rows(seed: int, condition: str, recipe: Recipe, methods: tuple[str, ...]) -> list[Row]:
    exam, truth = simulate_exam(seed, recipe)
    count = len(exam.frames)
    kept = np.arange(0, count, 3 if condition == THIRD else 1)
    if condition == GAPS:
        lost = np.random.default_rng(seed).choice(count, count // 3, replace=False)
        kept = np.setdiff1d(kept, lost)
    # TTP counts from the first frame that is left
    start = start_s(exam.times_s, kept.tolist())
    exam = subsampled(exam, kept.tolist())
    about: Row = {
        "seed": seed, "condition": condition, "core_ml": truth.core_ml,
        "hypoperfused_ml": truth.hypo_ml,
    }  # fmt: skip
    try:
        results = analyse(_rounded(exam), Choices(methods=methods), Stages())
    except BolusError as error:
        return [{**about, "method": name, "refused": str(error)} for name in methods]
    unlike = [f.grade.name for f in results.findings if f.code in FLAGS]
    return [
        {
            **about, "method": name, "unlike": max(unlike, default="") if name == "cnn" else "",
            **compare(result, results.tissue, truth),
            "ttp_mae": ttp_mae(result.maps, start, truth.valid & results.tissue.parenchyma, truth),
        }
        for name, result in results.methods.items()
    ]  # fmt: skip


def ttp_mae(maps: Maps, start_s: float, where: np.ndarray, truth: Truth) -> float:
    """Of an exam whose first frame was measured at ``start_s``."""
    there = where & (maps.mtt > 0)
    return mean_absolute_error((maps.ttp + start_s)[there], truth.ttp[there])


def _rounded(exam: Exam) -> Exam:
    return replace(exam, frames=np.rint(exam.frames))


def mean_of(rows: list[Row], key: str) -> np.ndarray:
    """(n,) numbers of the exams that have them; overlaps of lesions above `LESION_ML` only."""
    lesion = key.split("_")[0] + "_ml" if "dice" in key else None
    return np.array([r[key] for r in rows if key in r and (not lesion or r[lesion] > LESION_ML)])


def line(name: str, rows: list[Row]) -> list[str]:
    """Mean ± SD of every measure over the exams, and the accuracy of the volumes."""
    cells = [name, str(len([r for r in rows if "refused" not in r]))]
    for _, key, pattern in MEASURES:
        found = mean_of(rows, key)
        cells.append(f"{found.mean():{pattern}} ± {found.std():{pattern}}" if found.size else "")
    for part in ("core", "hypoperfused"):
        true, error = (np.array([r[f"{part}{k}"] for r in rows if "refused" not in r])
                       for k in ("_ml", "_error_ml"))  # fmt: skip
        r = pearson(true, true + error) if len(true) > 2 else np.nan
        cells.append(f"{r:.3f}; {error.mean():+.1f} ± {error.std():.1f} ml")
    return cells


HEADER = ["method", "exams", *(name for name, _, _ in MEASURES),
          "core volume: r; error", "hypoperfused volume: r; error"]  # fmt: skip


def group(rows: list[Row], method: str, condition: str) -> list[Row]:
    """The rows of one method in one condition."""
    return [r for r in rows if r["method"] == method and r["condition"] == condition]


def medians(rows: list[Row]) -> str:
    """Median errors, robust to exams on which a method fails."""
    lines = []
    for method in ("cnn", *DECONVOLUTIONS):
        found = group(rows, method, FULL)
        cells = [f"{np.median(mean_of(found, key)):{pattern}}" for _, key, pattern in MEASURES]
        lines.append([method, *cells])
    return markdown(["method", *(name for name, _, _ in MEASURES)], lines)


def targets(rows: list[Row]) -> str:
    """Targets and results."""

    def error(method: str, condition: str, name: str) -> float:
        return float(mean_of(group(rows, method, condition), f"{name}_mae").mean())

    lines = []
    for name, share in (("cbf", 0.5), ("mtt", 0.5), ("tmax", 1.0)):
        best = min(DECONVOLUTIONS, key=lambda m: error(m, FULL, name))
        limit = error(best, FULL, name)
        for condition in (FULL, THIRD, QUARTER):
            allowed = share if condition == FULL else 1.0
            ratio = error("cnn", condition, name) / limit
            lines.append([
                f"{name.upper()} MAE, {condition}", f"<= {allowed:g} x {best} at full dose",
                f"{ratio:.2f}", "yes" if ratio <= allowed else "**no**",
            ])  # fmt: skip
    for part, limit in (("core", 0.85), ("hypoperfused", 0.95)):
        dice = mean_of(group(rows, "cnn", FULL), f"{part}_dice_valid").mean()
        lines.append([f"{part} Dice", f">= {limit}", f"{dice:.3f}",
                      "yes" if dice >= limit else "**no**"])  # fmt: skip
        found = [r for r in group(rows, "cnn", FULL) if "refused" not in r]
        true = np.array([r[f"{part}_ml"] for r in found])
        r = pearson(true, true + [row[f"{part}_error_ml"] for row in found])
        lines.append([f"{part} volume, Pearson r", ">= 0.99", f"{r:.3f}",
                      "yes" if r >= 0.99 else "**no**"])  # fmt: skip
    return markdown(["measure", "target", "reached", ""], lines)


def calibration(rows: list[Row]) -> str:
    """Share of errors within one standard error, and who is flagged."""
    lines = []
    for condition in (FULL, THIRD, QUARTER, *SHIFTS):
        found = group(rows, "cnn", condition)
        shares = [mean_of(found, f"{name}_within") for name in ("cbf", "cbv", "mtt", "tmax")]
        flagged = sum(bool(r.get("unlike")) for r in found)
        refused = sum("refused" in r for r in found)
        lines.append([condition, *(f"{s.mean():.2f} ± {s.std():.2f}" if s.size else ""
                      for s in shares), f"{flagged} of {len(found)}", str(refused)])  # fmt: skip
    return markdown(["exams", "CBF", "CBV", "MTT", "Tmax", "flagged", "refused"],
                    lines)  # fmt: skip


def main() -> None:
    """Write ``results/network.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exams", type=int, default=len(SEEDS))
    parser.add_argument("--shifts", type=int, default=len(SHIFT_SEEDS), help="exams of each shift")
    parser.add_argument("--workers", type=int, default=2, help="processes, 1 GB each")
    asked = parser.parse_args()
    cases = [(s, c) for s in SEEDS[: asked.exams] for c in (FULL, THIRD, QUARTER)]
    cases += [(s, c) for s in SHIFT_SEEDS[: asked.shifts] for c in SHIFTS]
    rows = resumable("network", measure, cases, workers=asked.workers)
    parts = [
        f"{asked.exams} exams of the recipe of `cohort.md` with separate seeds "
        f"({SEEDS[0]}-{SEEDS[asked.exams - 1]}), a third of them moving; mean ± SD over exams, in "
        "voxels where the truth is valid. Accuracy on simulated exams; no real 4D exam was "
        "available.",
        "## Targets and results", targets(rows),
    ]  # fmt: skip
    for condition in (FULL, THIRD, QUARTER):
        methods = [m for m in ("cnn", *DECONVOLUTIONS) if group(rows, m, condition)]
        lines = [line(m, group(rows, m, condition)) for m in methods]
        parts += [f"## {condition.capitalize()}", markdown(HEADER, lines)]
        if condition == FULL:
            parts += ["Medians over the exams:", medians(rows)]
    lines = [line(f"{c}: {m}", group(rows, m, c)) for c in SHIFTS for m in ("cnn", "bma")]
    parts += [
        "## Exams unlike those of the training", f"{asked.shifts} exams each, the same heads, "
        f"seeds {SHIFT_SEEDS[0]}-{SHIFT_SEEDS[asked.shifts - 1]}.", markdown(HEADER, lines),
        "## Standard errors of the network", f"Share of voxels whose error is within one standard "
        f"error; {ONE_SE:g} if they are calibrated. Flagged: unlike the training, or with little "
        "blood in the whole brain.", calibration(rows),
    ]  # fmt: skip
    write("network", "The network against deconvolution", parts)


if __name__ == "__main__":
    main()
