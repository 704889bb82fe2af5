"""Shared parts of studies on simulated exams: clinical recipes, and resumable results.

Seeds in use: 6000-6349 verdicts (published) and 6500-6849 (their limits), 7000-7059 arteries,
8000-8049 the cohort, 8200-8205 and 8644-8687 the network (8100-8143, 8400-8543 and 8600-8643 once),
8300-8307 corrupted exams (9310-9325 while their score was developed), 9000-9099 thresholds,
9100-9299 standard errors, 9300-9849 bone that resembles blood, 10000-10039 the reading study.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bolus import code_digest
from bolus.code_digest import ANALYSIS, LESIONS
from bolus.simulate.noise import SD_AT_1_MAS
from bolus.simulate.recipe import Recipe
from bolus.workers import as_they_finish, processes

CACHE = Path(__file__).parent / ".cache"
FIELD_OF_VIEW_MM = 230.0
HEALTHY_SHARE, NO_CORE_SHARE = 0.1, 0.1
TIMINGS = ("volume", "cine", "shuttle")

Row = dict[str, Any]


def clinical_recipe(seed: int) -> Recipe:
    """A protocol, bolus, lesion and head pose as in clinical practice; every third head moves.

    Noise is 5-10 HU in the brain's centre; the width of the bolus and the mixture of residue
    functions in each voxel are drawn by the simulator (`bolus.simulate.bolus`, ``perfusion``).
    """
    rng = np.random.default_rng(seed)
    matrix = int(rng.choice([192, 256]))
    dt_s = float(rng.uniform(1.0, 2.0))
    kind, core_ml = float(rng.uniform()), float(rng.uniform(0, 60))
    motion_mm = float(rng.uniform(1, 8))
    return Recipe(
        matrix=matrix,
        pixel_mm=FIELD_OF_VIEW_MM / matrix,
        slices=int(rng.integers(10, 13)),
        bottom_mm=float(rng.uniform(-22, 5)),
        frames=int(np.ceil(rng.uniform(50, 66) / dt_s)),
        dt_s=dt_s,
        timing=TIMINGS[seed // 3 % 3],  # type: ignore[arg-type]
        mas=(SD_AT_1_MAS / float(rng.uniform(5, 10))) ** 2,
        arrival_s=float(rng.uniform(5, 11)),
        peak_hu=float(rng.uniform(150, 450)),
        side="none" if kind < HEALTHY_SHARE else ("left", "right")[int(rng.integers(2))],
        core_ml=0.0 if kind < HEALTHY_SHARE + NO_CORE_SHARE else core_ml,
        penumbra_ml=float(rng.uniform(10, 120)),
        oligaemia_ml=float(rng.uniform(10, 60)),
        motion_mm=motion_mm if seed % 3 == 0 else 0.0,
    )


def one_thread_each() -> None:
    """Restrict processes started from now on to one thread."""
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def resumable(
    name: str, study: Callable[[Any], list[Row]], cases: Sequence[Any], *, workers: int = 2
) -> list[Row]:
    """The rows of ``study(case)`` for all cases, each computed once.

    Finished cases are kept in ``.cache``, one line each, so an interrupted run is
    resumed.  The file's name holds a digest of the code: other code, other results.

    Parameters
    ----------
    study : a module's function, so that it can be sent to the worker processes.
    cases : anything with a unique ``repr``.
    workers : processes; each computes with one thread.
    """
    CACHE.mkdir(exist_ok=True)
    file = CACHE / f"{name}-{digest_of_code(name)}.jsonl"
    done = _finished(file)
    missing = [case for case in cases if repr(case) not in done]
    with processes(workers) as pool, file.open("a") as lines:
        for number, (index, rows) in enumerate(as_they_finish(pool, study, missing), 1):
            key = repr(missing[index])
            done[key] = rows
            lines.write(json.dumps({"case": key, "rows": rows}) + "\n")
            lines.flush()
            print(f"{name}: {number} of {len(missing)}", flush=True)
    return [row for case in cases for row in done[repr(case)]]


def digest_of_code(name: str) -> str:
    """Digest of what determines a result: the package without input and output, and the study."""
    here = Path(__file__)
    study = here, here.with_name(f"{name}.py")
    return code_digest.digest_of_code((*ANALYSIS, *LESIONS, "simulate"), *study)


def _finished(file: Path) -> dict[str, list[Row]]:
    """Cases by name; an incomplete last line is removed from the file."""
    if not file.exists():
        return {}
    whole = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    file.write_text("".join(whole))
    return {one["case"]: one["rows"] for one in map(json.loads, whole)}
