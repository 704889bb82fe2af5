"""Inspection of all cases of a data set, in parallel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bolus.dataset.case import FoundCase, inspect_case
from bolus.dataset.index import Index
from bolus.errors import UsageError
from bolus.workers import spread

Progress = Callable[[int, int], None]


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
