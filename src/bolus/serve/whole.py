"""Files that are complete on the disk when a call returns."""

from __future__ import annotations

import os
from pathlib import Path

from bolus.errors import OutputError
from bolus.study.raters.store import write_whole


def keep(path: Path, content: bytes) -> None:
    """Write a file whole; the disk has it and its name when this returns.

    Raises
    ------
    OutputError
        The file system refuses.
    """
    write_whole(path, content)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Put a folder's names on the disk, which Windows can't."""
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {error.strerror or error}") from error
