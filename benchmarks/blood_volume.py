"""How well the slab's vessels predict the blood volume of the whole brain.

A brain with little blood is scaled to the usual volume for the network, which
`bolus.infer.features.log_volume` estimates.  Here the estimate is compared with the truth on
simulated exams whose brains have 0.4 to 1.5 times the usual flow and 0.75 to 1.6 times the usual
transit time, and its parameters are refitted: ``python benchmarks/blood_volume.py``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from bolus.errors import BolusError
from bolus.infer.features import (
    FALLING_POWERS,
    LEAST_FALLING,
    LEAST_TISSUE,
    LOG_VOLUME,
    MEDIAN,
    VOLUMES_ML,
    blood,
)
from bolus.simulate.case import scan
from bolus.simulate.priors import case_seed, clinical_case
from bolus.train.prepare import TARGETS, prepare
from bolus.types import Float64Array
from simulated import Row, resumable
from tables import markdown, write

COHORT, CASES = 3, 160
FLOW, TRANSIT = (0.4, 1.5), (0.75, 1.6)
USUAL_CBV = 2.57
"""ml/100g: median over voxels, then over the 1000 exams to which the numbers in use were fitted."""
OUTLIER = 0.1
"""Errors of the logarithm above this are down-weighted: heads that moved."""
USED = [VOLUMES_ML.index(ml) for ml in FALLING_POWERS]


def measure(seed: int) -> list[Row]:
    """Logarithms of an exam's true blood volume, tissue over blood, and falling brightness."""
    rng = np.random.default_rng(seed)
    flow, transit = (float(np.exp(rng.uniform(*np.log(limits)))) for limits in (FLOW, TRANSIT))
    recipe = replace(clinical_case(seed), flow=flow, transit=transit)
    scanned, truth = scan(seed, recipe)
    try:
        exam = prepare(scanned, {name: getattr(truth, name) for name in TARGETS}, truth.valid)
    except BolusError as error:
        return [{"refused": str(error)}]
    slab = blood(exam)
    known = exam.valid & (exam.targets[TARGETS.index("mtt")] > 0)
    volume = np.median(exam.targets[TARGETS.index("cbv")][known]) / USUAL_CBV
    tissue = max(slab.tissue[MEDIAN] * slab.volume, LEAST_TISSUE)
    falling = np.maximum(slab.falling[USED], LEAST_FALLING)
    return [{
        "moved": recipe.motion_mm > 0,
        "terms": [float(v) for v in np.log([volume, tissue, *falling])],
    }]  # fmt: skip


def fitted(terms: Float64Array) -> Float64Array:
    """Constant and powers with the smallest errors, outliers down-weighted."""
    factors = np.column_stack([np.ones(len(terms)), terms[:, 2:]])
    wanted = terms[:, 0] - terms[:, 1]
    start = np.zeros(factors.shape[1])
    found = least_squares(
        lambda x: factors @ x - wanted, start, loss="soft_l1", f_scale=OUTLIER
    )  # fmt: skip
    return np.asarray(found.x, np.float64)


def main() -> None:
    """Write ``results/blood_volume.md``."""
    seeds = [case_seed(COHORT, number) for number in range(CASES)]
    rows = [row for row in resumable("blood_volume", measure, seeds) if "terms" in row]
    moved = np.array([row["moved"] for row in rows])
    terms = np.array([row["terms"] for row in rows])
    used = np.array([LOG_VOLUME, *FALLING_POWERS.values()])
    told = terms[:, 1] + used[0] + terms[:, 2:] @ used[1:]
    lines = []
    for name, some in (("still heads", ~moved), ("moving heads", moved), ("all", moved | True)):
        off = np.exp(np.abs(told - terms[:, 0])[some]) - 1
        cells = [f"{100 * q:.0f} %" for q in np.quantile(off, (0.5, 0.75, 0.9, 0.95))]
        lines.append([name, str(some.sum()), *cells])
    numbers = [
        [name, f"{one:.2f}", f"{other:.2f}"]
        for name, one, other in zip(
            ("constant", *(f"power of {ml:g} ml" for ml in FALLING_POWERS)), fitted(terms), used,
            strict=True,
        )
    ]  # fmt: skip
    low, high = np.exp(np.quantile(terms[:, 0], (0.05, 0.95)))
    write("blood_volume", "The brain's blood volume from the slab's vessels", [
        f"Simulated exams of cohort {COHORT}, whose true volume of blood is {low:.2f} to "
        f"{high:.2f} times the usual (5 to 95 %): error of the estimate by which brains with "
        "little blood are scaled for the network.",
        markdown(["exams", "number", "median error", "75 % below", "90 % below", "95 % below"],
                 lines),
        "## Parameters", "Those in use were fitted in the same way to 1000 other exams.",
        markdown(["", "fitted to these exams", "in use"], numbers),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
