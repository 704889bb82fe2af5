"""The output folder: results appear in it whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bolus.errors import OutputError

SCHEMA_NAME = "bolus-summary/"
"""What the schema of every version of ``summary.json`` begins with."""

LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""Files that file managers leave behind; they are nobody's work."""


def check_output(out: Path) -> None:
    """Refuse an output folder that can't be written or that holds something else than results.

    Called before any computing, so that nobody waits for results that can't be kept.

    Parameters
    ----------
    out : Path
        The folder that the results shall appear in.  It may be missing, empty, or hold former
        results, which are then replaced as a whole.

    Raises
    ------
    OutputError
        The folder is a file, holds files that bolus didn't write, or can't be created.
    """
    out = _absolute(out)
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, not a folder; choose another place with -o")
    parent = next(folder for folder in out.parents if folder.exists())
    if not parent.is_dir():
        raise OutputError(f"{parent} is a file, so {out} can't be made in it; choose another -o")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write in {parent}; choose another place with -o")
    if out.is_dir():
        _check_former_results(out)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give a hidden folder beside ``out`` that takes the place of ``out`` if all goes well.

    Raises
    ------
    OutputError
        Whatever the file system refuses: a full disk, missing permissions.  ``out`` is then as
        it was and nothing new is left.
    """
    out = _absolute(out)
    new_parents = _missing_parents(out)
    stage = out.parent / f".{out.name}.new-{uuid.uuid4().hex[:8]}"
    try:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            stage.mkdir()
            yield stage
            _flush(stage)
            _swap(stage, out)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            _remove_empty(new_parents)
            raise
    except OSError as error:
        raise OutputError(_explain(error, out)) from error


def _absolute(out: Path) -> Path:
    return Path(out).expanduser().resolve()


def _missing_parents(out: Path) -> list[Path]:
    """Folders above ``out`` that don't exist yet, the nearest first."""
    missing = []
    for parent in out.parents:
        if parent.exists():
            break
        missing.append(parent)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # somebody else uses it by now, or it was never made
            return


def _check_former_results(out: Path) -> None:
    """Everything in the folder must be listed in the ``summary.json`` of a former run."""
    try:
        found = {p.relative_to(out).as_posix() for p in out.rglob("*") if not p.is_dir()}
    except OSError as error:
        raise OutputError(_explain(error, out)) from error
    foreign = sorted(f for f in found - _former_files(out) if Path(f).name not in LITTER)
    if foreign:
        raise OutputError(
            f"{out} holds files that are not results of bolus (such as {foreign[0]}) and is left "
            "alone; choose another folder with -o, or move these files away"
        )


def _former_files(out: Path) -> set[str]:
    try:
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        if not str(summary["schema"]).startswith(SCHEMA_NAME):
            return set()
        return {str(name) for name in summary["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _flush(folder: Path) -> None:
    """Put everything on the disk before the rename, so that a power cut leaves no empty files."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir() and os.name == "nt":  # Windows can't flush folders
            continue
        handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _swap(stage: Path, out: Path) -> None:
    """Rename the old results aside, the new ones in, then delete the old ones."""
    if not out.exists():
        stage.rename(out)
        return
    aside = out.parent / f".{out.name}.old-{uuid.uuid4().hex[:8]}"
    out.rename(aside)
    try:
        stage.rename(out)
    except BaseException:
        aside.rename(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _explain(error: OSError, out: Path) -> str:
    where = error.filename or out
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {out} is full; free some space or choose another place with -o"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write {where}; choose another place with -o"
    return f"{where} can't be written ({error.strerror or error}); choose another place with -o"
