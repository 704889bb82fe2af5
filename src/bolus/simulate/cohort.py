"""Many simulated exams in one folder, made by several processes, resumable at any time.

No library that computes is imported here, so that a worker process can set its number of threads
before they are loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from bolus import __version__
from bolus.code_digest import ANALYSIS, digest_of_code
from bolus.errors import OutputError, UsageError
from bolus.files.atomic import write_whole
from bolus.workers import as_they_finish, processes

DESCRIPTION = "cohort.json"
SCHEMA = "bolus-cohort/1"
PARTS = ".case-*.part", ".MOL-*.part"
"""Hidden folders of incomplete cases, as left by a killed process."""

Progress = Callable[[str, float | None], None]
"""Called with the current activity and None, and with a case's name and its seconds when done."""


@dataclass(frozen=True)
class Cohort:
    """What defines a cohort, apart from its number of cases."""

    seed: int
    layout: str
    matrix: int
    """Rows and columns; 0 where each case has its own."""
    version: str
    code: str
    """Digest of the modules that determine the files."""


def simulate_cohort(
    folder: Path,
    cases: int,
    seed: int,
    layout: str = "nifti",
    *,
    matrix: int | None = None,
    workers: int | None = None,
    progress: Progress = lambda *_: None,
) -> int:
    """Create the missing cases of a cohort; each appears completely or not at all.

    A case depends on the cohort's seed and its own number only: the same bytes for any number
    of cases and workers and however often the work was interrupted.

    Parameters
    ----------
    folder : created if absent; may hold part of the same cohort, which stays unchanged.
    cases : total number in the cohort; numbers start at 0.
    seed : 0 or more.
    layout : a key of `bolus.simulate.layouts.LAYOUTS`.
    matrix : rows and columns, for the layouts that leave them open.
    workers : processes with one thread each, one case in memory each; one per core by default.

    Returns
    -------
    int
        Number of cases made now.

    Raises
    ------
    UsageError
        The arguments are invalid, or the brain atlas isn't installed.
    OutputError
        The folder holds something else, or can't be written.
    """
    from bolus.simulate.layouts import layout_for

    chosen, matrix = layout_for(layout, cases, matrix)
    if seed < 0:
        raise UsageError(f"--seed is {seed}; give 0 or more")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers is {workers}; give 1 or more")
    folder = folder.absolute()
    try:
        _claim(
            folder,
            Cohort(seed, layout, matrix, __version__, digest_of_code((*ANALYSIS, "simulate"))),
        )
        _tidy(folder)
        missing = [n for n in range(cases) if not (folder / chosen.names(n)[-1]).exists()]
        done = cases - len(missing)
        progress(f"{done} of {cases} cases", None)
        for name, seconds in _made(folder, missing, seed, layout, matrix, workers):
            done += 1
            progress(name, seconds)
            progress(f"{done} of {cases} cases", None)
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {error.strerror}.") from error
    return len(missing)


def _claim(folder: Path, cohort: Cohort) -> None:
    """Write the cohort's description into a new folder, or compare it with the one there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DESCRIPTION
    if path.exists():
        _compare(path, cohort)
        return
    # what a kill left of a description is no stranger
    strangers = sorted(p.name for p in folder.iterdir() if not p.match(f".{DESCRIPTION}.*part"))
    if strangers:
        raise OutputError(
            f"{folder} holds other things ({strangers[0]}); give the cohort a new folder"
        )
    text = json.dumps({"schema": SCHEMA, **asdict(cohort)}, indent=1)
    write_whole(path, (text + "\n").encode())


def _compare(path: Path, cohort: Cohort) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(f"{path} is damaged; give the cohort a new folder") from error
    wanted = {"schema": SCHEMA, **asdict(cohort)}
    for key, value in wanted.items():
        there = found.get(key) if isinstance(found, dict) else None
        if there != value:
            raise OutputError(
                f"{path.parent} holds a cohort with {key} {there}, not {value}; give this one a "
                "new folder"
            )


def _tidy(folder: Path) -> None:
    """Remove unfinished cases left by a killed process or an error."""
    for pattern in PARTS:
        for part in folder.glob(pattern):
            shutil.rmtree(part)


def _made(
    folder: Path, numbers: list[int], seed: int, layout: str, matrix: int, workers: int | None
) -> Iterator[tuple[str, float]]:
    """Name and seconds of each case as it is done."""
    if not numbers:
        return
    work = partial(_make, folder=folder, seed=seed, layout=layout, matrix=matrix)
    try:
        with processes(min(workers or _cores(), len(numbers))) as pool:
            for _, done in as_they_finish(pool, work, numbers):
                yield done
    except BaseException:
        _tidy(folder)
        raise


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make(number: int, folder: Path, seed: int, layout: str, matrix: int) -> tuple[str, float]:
    """Make one case; runs in a worker."""
    from bolus.simulate.case import appearing
    from bolus.simulate.layouts import LAYOUTS

    start = time.perf_counter()
    chosen = LAYOUTS[layout]
    names = chosen.names(number)
    with appearing(folder, names) as part:
        chosen.write(part, seed, number, matrix)
    return f"case {number}", time.perf_counter() - start
