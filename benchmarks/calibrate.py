"""Choose, for each method, the thresholds that give the volumes of true Tmax > 6 s and CBF < 30 %.

Simulated clinical exams (`simulated.clinical_recipe`: a third of the heads move, a tenth is
healthy) go through the whole pipeline.  The Tmax threshold of a method is the one with the smallest
mean absolute error of the hypoperfused volume; then the relative CBF threshold likewise for the
core.  These seeds are used nowhere else.  The result is package data:
``src/bolus/lesion/calibration.json``.  The network has none: its maps are on the true scale.  With
e.g. ``--method bsvd`` only that method's thresholds are chosen again, and the others stay.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bolus import __version__
from bolus.lesion import presets
from bolus.lesion.measure import Levels, outline, smooth_levels
from bolus.lesion.midline import left_side
from bolus.options import Choices
from bolus.pipeline import METHODS, analyse
from bolus.preprocessing import Stages
from bolus.simulate.exam import simulate_exam
from simulated import clinical_recipe, one_thread_each
from tables import markdown, write

SEEDS = range(9000, 9024)
TMAX_S = np.round(np.arange(4.0, 9.01, 0.1), 2)
RELATIVE_CBF = np.round(np.arange(0.10, 0.801, 0.02), 2)
TARGET = Path(presets.__file__).parent / presets.CALIBRATION_FILE


@dataclass(frozen=True)
class Case:
    """One analysed exam: the data needed to choose thresholds."""

    truth_ml: tuple[float, float]
    """Hypoperfused, core."""
    levels: dict[str, Levels]
    left: np.ndarray
    voxel_ml: float

    def volumes(self, method: str, tmax_s: float, relative_cbf: float) -> tuple[float, float]:
        """Hypoperfused and core volume by trial thresholds, ml."""
        rule = presets.Preset("relative CBF", relative_cbf, "Tmax", tmax_s, "trial")
        found = outline(self.levels[method], self.left, rule, self.voxel_ml)
        return found.hypoperfused.sum() * self.voxel_ml, found.core.sum() * self.voxel_ml


def make_case(seed: int, methods: Sequence[str]) -> Case:
    """Simulate one exam and analyse it with the pipeline."""
    exam, truth = simulate_exam(seed, clinical_recipe(seed))
    choices = Choices(methods=tuple(methods), preset="rapid")
    results = analyse(exam, choices, Stages())
    geometry, ml = exam.geometry, exam.geometry.voxel_ml
    levels = {
        name: smooth_levels(result.maps, results.tissue, geometry)
        for name, result in results.methods.items()
    }
    left = left_side(results.tissue.brain, geometry)
    truth_ml = float(truth.hypo.sum() * ml), float(truth.core.sum() * ml)
    return Case(truth_ml, levels, left, ml)


def errors(cases: list[Case], method: str, tmax_s: float, relative_cbf: float) -> np.ndarray:
    """(cases, 2) found minus true hypoperfused and core volume, ml."""
    found = [case.volumes(method, tmax_s, relative_cbf) for case in cases]
    return np.array(found) - [case.truth_ml for case in cases]


def best_thresholds(cases: list[Case], method: str) -> tuple[float, float]:
    """Tmax (s) and relative CBF with the smallest mean absolute volume errors."""
    by_tmax = [np.abs(errors(cases, method, t, 0.0)[:, 0]).mean() for t in TMAX_S]
    tmax_s = float(TMAX_S[int(np.argmin(by_tmax))])
    by_cbf = [np.abs(errors(cases, method, tmax_s, c)[:, 1]).mean() for c in RELATIVE_CBF]
    return tmax_s, float(RELATIVE_CBF[int(np.argmin(by_cbf))])


def spread(values: np.ndarray) -> str:
    """Mean and SD."""
    return f"{values.mean():+.1f} +/- {values.std(ddof=1):.1f}"


def main() -> None:
    """Write the package's ``calibration.json`` and a table in ``results``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", action="append", choices=tuple(METHODS), metavar="NAME")
    methods = tuple(parser.parse_args().method or METHODS)
    one_thread_each()
    with ProcessPoolExecutor(2) as pool:
        cases = list(pool.map(partial(make_case, methods=methods), SEEDS))
    table, rows = dict(presets.calibration()["methods"]), []
    for method in methods:
        tmax_s, relative_cbf = best_thresholds(cases, method)
        table[method] = {"tmax_s": tmax_s, "relative_cbf": relative_cbf}
        own, usual = errors(cases, method, tmax_s, relative_cbf), errors(cases, method, 6.0, 0.30)
        rows.append(
            [method, f"{tmax_s:.1f}", f"{relative_cbf:.2f}"]
            + [spread(e[:, k]) for k in (0, 1) for e in (usual, own)]
        )
    facts = {"bolus": __version__, "exams": len(cases), "first_seed": SEEDS[0], "methods": table}
    TARGET.write_text(json.dumps(facts, indent=2) + "\n")
    truth = np.array([case.truth_ml for case in cases])
    note = (
        f"{len(cases)} simulated exams, seeds {SEEDS[0]}-{SEEDS[-1]}; true hypoperfused volume "
        f"{truth[:, 0].min():.0f}-{truth[:, 0].max():.0f} ml, core {truth[:, 1].min():.0f}-"
        f"{truth[:, 1].max():.0f} ml. Errors are measured minus true volume in ml, mean +/- SD, "
        "on the exams used to choose the thresholds."
    )
    header = [
        "method", "Tmax > s", "CBF <", "hypoperfused error at 6 s", "calibrated",
        "core error at 0.30", "calibrated",
    ]  # fmt: skip
    name = "calibration" if methods == tuple(METHODS) else f"calibration_{'_'.join(methods)}"
    write(name, "Thresholds of each method", [note, markdown(header, rows)])


if __name__ == "__main__":
    sys.exit(main())
