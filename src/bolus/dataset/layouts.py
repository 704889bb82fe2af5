"""``index_folder``: recognise the layout of a data set and index it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bolus.dataset import isles, results, simulated, unitobrain
from bolus.dataset.case import FoundCase, entries
from bolus.dataset.index import Index
from bolus.dataset.inspect_all import Progress, inspect_cases
from bolus.errors import NoReadableFiles, UsageError

LAYOUTS: dict[str, tuple[Callable[[Path], list[FoundCase]], str]] = {
    "unitobrain": (unitobrain.find, unitobrain.LOOKED_FOR),
    "bolus-simulate": (simulated.find, simulated.LOOKED_FOR),
    "isles2018": (isles.find_2018, isles.LOOKED_FOR_2018),
    "isles2024": (isles.find_2024, isles.LOOKED_FOR_2024),
}
"""By name: the function that finds a layout's cases (none for other layouts), and its pattern."""


def index_folder(
    folder: Path,
    *,
    maps: Path | None = None,
    progress: Progress | None = None,
    processes: int | None = 1,
) -> Index:
    """Index a data set: recognise its layout, inspect every exam and compare its maps with it.

    Reads headers, and the pixels of the first frame to find duplicates.

    Parameters
    ----------
    folder
        The data set, or a folder around it.
    maps
        Results of `bolus run` named like the exams in ``folder``, for user-supplied data.
    progress
        Called with the number of cases done and of all.
    processes
        Number of processes, None for a sensible number; the index is the same.

    Raises
    ------
    NoReadableFiles
        If a folder is missing, empty or of no known layout.
    UsageError
        If two layouts are mixed in the folder.
    """
    for path in (folder, maps):
        if path is not None and not path.is_dir():
            raise NoReadableFiles(f"{path}: there is no such folder; check the spelling.")
    if maps is not None:
        return _index_results(folder, maps, progress, processes)
    root = folder.resolve()
    recognised = _recognise(root)
    if not recognised:
        # archives often have one more folder around everything
        around = [p for p in entries(root) if p.is_dir() and _recognise(p)]
        if len(around) == 1:
            root, recognised = around[0], _recognise(around[0])
    if not recognised:
        raise _refusal(folder)
    if len(recognised) > 1:
        raise UsageError(f"{folder}: mixes the layouts {' and '.join(recognised)}; separate them")
    ((layout, cases),) = recognised.items()
    return inspect_cases(root, layout, cases, progress, processes)


def _recognise(root: Path) -> dict[str, list[FoundCase]]:
    found = {layout: find(root) for layout, (find, _) in LAYOUTS.items()}
    return {layout: cases for layout, cases in found.items() if cases}


def _index_results(
    exams: Path, made: Path, progress: Progress | None, processes: int | None
) -> Index:
    exams, made = exams.resolve(), made.resolve()
    cases = results.find(exams, made)
    if not any(case.maps for case in cases):
        raise NoReadableFiles(
            f"{made}: holds no results of `bolus run` (looked for NAME/summary.json with maps)."
        )
    root = Path(os.path.commonpath([exams, made]))
    return inspect_cases(root, results.LAYOUT, cases, progress, processes)


def _refusal(folder: Path) -> NoReadableFiles:
    known = {layout: looked_for for layout, (_, looked_for) in LAYOUTS.items()}
    known[results.LAYOUT] = results.LOOKED_FOR
    looked_for = "".join(f"\n  {name}: {what}" for name, what in known.items())
    inside = [path.name + "/" * path.is_dir() for path in entries(folder)]
    shown = ", ".join(inside[:4]) + ("..." if len(inside) > 4 else "")
    there = f"it holds {len(inside)} entries: {shown}" if inside else "it is empty"
    return NoReadableFiles(
        f"{folder}: is not a data set of a known layout ({there}). Looked for{looked_for}"
    )
