"""How large the standard errors of ``bma`` must be, and whether they are right on other exams.

A standard error made from noise and ignorance of the residue function misses what smoothing and
an imperfect arterial input do.  This script finds the relative error to add to each map so that
68 % of the errors in the voxels of one half of the exams are within one standard error, and shows
the share in the other half.  The numbers it finds stand in ``bolus.deconvolve.bma.UNMODELLED``.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy.optimize import brentq

from bolus.deconvolve.bma import UNMODELLED
from bolus.pipeline import Choices, Stages, analyse
from bolus.simulate import simulate_exam
from calibrate import recipe
from tables import markdown, write

FIT_SEEDS, CHECK_SEEDS = range(9100, 9106), range(9200, 9206)
ONE_SD = 0.683


def voxels(seed: int) -> dict[str, np.ndarray]:
    """Per map (3, V): what was found, its error, and the variance without the relative part."""
    exam, truth = simulate_exam(seed, recipe(seed))
    results = analyse(exam, Choices(methods=("bma",), preset="rapid"), Stages())
    maps = results.methods["bma"].maps
    where = truth.valid & results.tissue.parenchyma & (maps.mtt > 0)
    rows = {}
    for name, part in UNMODELLED.items():
        found = getattr(maps, name)[where]
        variance = np.maximum(maps.se[name][where] ** 2 - (part * found) ** 2, 0)
        rows[name] = np.stack([found, found - getattr(truth, name)[where], variance])
    return rows


def share(rows: np.ndarray, part: float) -> float:
    """Share of errors within one standard error that has ``part`` of the value added."""
    found, error, variance = rows
    return float((np.abs(error) < np.sqrt(variance + (part * found) ** 2)).mean())


def main() -> None:
    """Write ``results/standard_errors.md``."""
    with ProcessPoolExecutor(2) as pool:
        fit = list(pool.map(voxels, FIT_SEEDS))
        check = list(pool.map(voxels, CHECK_SEEDS))
    table = []
    for name, used in UNMODELLED.items():
        rows = np.concatenate([exam[name] for exam in fit], axis=1)
        best = 0.0
        if share(rows, 0.0) < ONE_SD:
            best = brentq(lambda part, r=rows: share(r, part) - ONE_SD, 0.0, 2.0, xtol=1e-3)
        others = [share(exam[name], used) for exam in check]
        table.append([
            name.upper(), f"{best:.3f}", f"{used:.3f}", f"{share(rows, 0.0):.2f}",
            f"{np.mean(others):.2f}", f"{min(others):.2f}-{max(others):.2f}",
        ])  # fmt: skip
    header = [
        "map", "relative error found", "in use", "share within 1 SE without it (fit)",
        "share with it (other exams, mean)", "range over exams",
    ]  # fmt: skip
    note = (
        f"Simulated exams, seeds {FIT_SEEDS[0]}-{FIT_SEEDS[-1]} to fit and "
        f"{CHECK_SEEDS[0]}-{CHECK_SEEDS[-1]} to check; valid parenchyma, {ONE_SD:.1%} expected."
    )
    write("standard_errors", "Standard errors of bma", [note, markdown(header, table)])


if __name__ == "__main__":
    sys.exit(main())
