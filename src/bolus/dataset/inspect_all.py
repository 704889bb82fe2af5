"""Inspection of all cases of a data set, in parallel."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from bolus.dataset.case import FoundCase, inspect_case
from bolus.dataset.index import Index
from bolus.errors import UsageError

Task = TypeVar("Task")
Done = TypeVar("Done")
Progress = Callable[[int, int], None]
MOST_PROCESSES = 8
"""More only wait for the disk."""
CASES_EACH = 12
"""With fewer cases a process isn't worth its start-up time."""


def inspect_cases(
    root: Path,
    layout: str,
    cases: Sequence[FoundCase],
    progress: Progress | None,
    processes: int | None,
) -> Index:
    """Open the headers of all cases; the index is the same for any number of processes.

    Raises
    ------
    UsageError
        If two cases have the same name.
    """
    twice = [name for name, n in Counter(case.name for case in cases).items() if n > 1]
    if twice:
        raise UsageError(f"{root}: {len(twice)} cases have the same name, {twice[0]} for example")
    seen = []
    work = partial(inspect_case, root=root)
    for case in spread(work, sorted(cases, key=lambda case: case.name), processes):
        seen.append(case)
        if progress:
            progress(len(seen), len(cases))
    return Index(root=root, layout=layout, cases=tuple(seen))


def spread(
    work: Callable[[Task], Done], tasks: Sequence[Task], processes: int | None
) -> Iterator[Done]:
    """The results in the order of the tasks.

    A separate process takes a second to load its libraries, and a program that uses several must
    guard its main module, so one is the default everywhere except on the command line.
    """
    count = processes_for(len(tasks)) if processes is None else processes
    if count < 2:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, tasks)


def processes_for(cases: int) -> int:
    """A sensible number of processes."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, MOST_PROCESSES, cases // CASES_EACH))
