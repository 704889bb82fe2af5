"""Every file below a folder, and every folder that could not be opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_DEPTH = 64
"""Exports nest patient, study, series and image; copies of copies nest deeper."""
CLOSED, DEEP = "closed-folder", "deep-folder"


def walk(root: Path, skip: Callable[[Path], bool]) -> Iterator[tuple[Path, list[str] | str]]:
    """Folders with the names of their files, sorted, or with the reason why they were not entered.

    Links are followed, but no folder is entered twice.

    Parameters
    ----------
    skip
        Whether to skip a folder with everything below it.

    Yields
    ------
    folder : Path
    names : list of str, or `CLOSED` (it may not be opened), or `DEEP` (below `MAX_DEPTH`)
    """
    waiting = [(root, 0)]
    entered: set[tuple[int, int]] = set()
    while waiting:
        folder, depth = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered or skip(folder):
                continue
            entered.add((status.st_dev, status.st_ino))
            if depth > MAX_DEPTH:
                yield folder, DEEP
                continue
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            yield folder, CLOSED
            continue
        below = [entry.name for entry in entries if _is_folder(entry)]
        folders = set(below)
        yield folder, [entry.name for entry in entries if entry.name not in folders]
        waiting += [(folder / name, depth + 1) for name in reversed(below)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link
        return False
