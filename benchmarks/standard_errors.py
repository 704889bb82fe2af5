"""Calibration of the standard errors of ``bma``, and its validation on other exams.

A standard error from noise and the unknown residue function misses the effects of smoothing, of
an imperfect arterial input, and of the correlation between neighbours.  For each map this script
finds, on one half of the exams, the factor on the standard error (where it is too large) or the
relative error to add (where it is too small) so that 68 % of the errors are within one standard
error, and shows the share in the other half.  The resulting numbers are in
``bolus.deconvolution.bma.POSTERIOR_SHARE`` and ``UNMODELLED``.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy.optimize import brentq

from bolus.deconvolution.bma import POSTERIOR_SHARE, UNMODELLED
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.exam import simulate_exam
from simulated import clinical_recipe, one_thread_each
from tables import markdown, write

FIT_SEEDS, CHECK_SEEDS = range(9100, 9124), range(9200, 9212)
ONE_SD = 0.683


def voxels(seed: int) -> dict[str, np.ndarray]:
    """Per map (3, V): what was found, its error, and the variance without the relative part."""
    exam, truth = simulate_exam(seed, clinical_recipe(seed))
    results = analyse(exam, Choices(methods=("bma",), preset="rapid"), Stages())
    maps = results.methods["bma"].maps
    where = truth.valid & results.tissue.parenchyma & (maps.mtt > 0)
    rows = {}
    for name, part in UNMODELLED.items():
        found = getattr(maps, name)[where]
        variance = np.maximum(maps.se[name][where] ** 2 - (part * found) ** 2, 0)
        variance /= POSTERIOR_SHARE[name] ** 2
        rows[name] = np.stack([found, found - getattr(truth, name)[where], variance])
    return rows


def share(rows: np.ndarray, factor: float, part: float) -> float:
    """Share of errors within ``factor`` posterior SD and ``part`` of the value."""
    found, error, variance = rows
    expected = np.sqrt(factor**2 * variance + (part * found) ** 2)
    return float((np.abs(error) < expected).mean())


def fitted(exams: list[np.ndarray]) -> tuple[float, float]:
    """Factor and relative part for a mean share over exams of 68 %; one of them has no effect."""

    def off(factor: float, part: float) -> float:
        return float(np.mean([share(rows, factor, part) for rows in exams])) - ONE_SD

    if off(1.0, 0.0) > 0:
        return brentq(lambda factor: off(factor, 0.0), 0.05, 1.0, xtol=1e-3), 0.0
    return 1.0, brentq(lambda part: off(1.0, part), 0.0, 2.0, xtol=1e-3)


def main() -> None:
    """Write ``results/standard_errors.md``."""
    one_thread_each()
    with ProcessPoolExecutor(2) as pool:
        fit = list(pool.map(voxels, FIT_SEEDS))
        check = list(pool.map(voxels, CHECK_SEEDS))
    table = []
    for name in UNMODELLED:
        used = POSTERIOR_SHARE[name], UNMODELLED[name]
        factor, part = fitted([exam[name] for exam in fit])
        plain = np.mean([share(exam[name], 1.0, 0.0) for exam in fit])
        others = [share(exam[name], *used) for exam in check]
        table.append([
            name.upper(), f"{plain:.2f}", f"{factor:.2f}, {part:.3f}",
            f"{used[0]:.2f}, {used[1]:.3f}",
            f"{np.mean(others):.2f} ± {np.std(others, ddof=1):.2f}",
            f"{min(others):.2f}-{max(others):.2f}",
        ])  # fmt: skip
    header = [
        "map", "share within the posterior's SD (fit)", "factor and relative part found", "in use",
        "share within 1 SE (other exams, mean ± SD)", "range over exams",
    ]  # fmt: skip
    note = (
        f"Simulated exams, seeds {FIT_SEEDS[0]}-{FIT_SEEDS[-1]} to fit and "
        f"{CHECK_SEEDS[0]}-{CHECK_SEEDS[-1]} to check; valid parenchyma, {ONE_SD:.1%} expected."
    )
    write("standard_errors", "Standard errors of bma", [note, markdown(header, table)])


if __name__ == "__main__":
    sys.exit(main())
