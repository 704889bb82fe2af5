"""The output folder: results appear in it whole or not at all."""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bolus import __version__
from bolus.errors import DamagedFile, OutputError
from bolus.files.atomic import flush
from bolus.files.folder_lock import LOCK, in_use, is_in_use, locked
from bolus.files.regular_file import read_regular
from bolus.plain_text import short

SCHEMA_NAME = "bolus-summary/"
"""What the schema of every version of ``summary.json`` begins with."""
SCHEMA = SCHEMA_NAME + "1"
"""Of the ``summary.json`` that this version writes and reads.  Increased when a key changes its
meaning or is removed, not for new keys."""

LITTER = {".DS_Store", "Thumbs.db", "desktop.ini", LOCK}
"""Files left behind by file managers and killed processes; they hold no work."""

MAX_SUMMARY_BYTES = 16 * 2**20
"""Some hundred kB, most of it the curves of candidate arteries."""

OUTLINES = "outlines"
"""Folder of what raters drew with `bolus view`: the one part no run can reproduce."""

HIDDEN = re.compile(r"\..*\.(new|old)-(\d+-)?[0-9a-f]{8}")
"""Names of the folders in which results wait until they are complete, also of former versions."""


def check_output(out: Path) -> None:
    """Refuse an output folder that can't be written or that holds something else than results.

    Called before any computation, so that nobody waits for results that can't be saved.

    Parameters
    ----------
    out : Path
        The folder for the results.  It may be missing, empty, a mount point, or
        hold former results, which are then replaced as a whole.

    Raises
    ------
    OutputError
        The folder is a file, holds files that bolus didn't write or outlines that somebody drew,
        or can't be created.
    """
    try:
        _check(_absolute(out))
    except OSError as error:
        raise OutputError(_explain(error, out)) from error


def _check(out: Path) -> None:
    if out == out.parent:
        raise OutputError(f"{out} is the root of the file system; choose a folder in it")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, not a folder; choose another place")
    nearest = next(folder for folder in (out, *out.parents) if folder.exists())
    if not nearest.is_dir():
        raise OutputError(f"{nearest} is a file, so {out} can't be made in it; choose another one")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write in {nearest}; choose another place")
    if out.is_dir():
        _check_outlines(out)
        _check_former_results(out)


def _check_outlines(out: Path) -> None:
    if any(path.is_file() for path in (out / OUTLINES).rglob("*")):
        raise OutputError(
            f"{out} holds outlines that were drawn on its maps ({OUTLINES}/) and is left alone; "
            "choose another folder, or move the outlines away"
        )


@contextmanager
def staged(out: Path, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Give a hidden folder whose content becomes that of ``out`` if all goes well.

    A missing ``out`` is made by one rename.  A folder that exists stays the same folder, because
    it may be a mount point or the current directory of somebody's shell: the content is moved in.

    Parameters
    ----------
    check
        Raises OutputError where something else lies in ``out`` by the time all is complete.

    Raises
    ------
    OutputError
        Whatever the file system refuses: a full disk, missing permissions.  ``out`` is then as
        it was and nothing new is left.
    """
    out = _absolute(out)
    new_parents = _missing_parents(out)
    inside = out.is_dir()
    stage = _hidden(out, "new") if inside else out.parent / _hidden(out, "new").name
    try:
        try:
            _remove_abandoned(out)
            out.parent.mkdir(parents=True, exist_ok=True)
            stage.mkdir()
            with in_use(stage):
                yield stage
                _flush(stage)
                if inside:
                    with locked(out):  # no drawing may begin on results that are being replaced
                        _check_outlines(out)
                        if check is not None:
                            check(out)  # a file may have been added in the meantime
                        _move_in(stage, out)
                else:
                    stage.rename(out)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            _remove_empty(new_parents)
            raise
    except OSError as error:
        raise OutputError(_explain(error, out)) from error


def _hidden(out: Path, kind: str) -> Path:
    """A new name in ``out`` for what is not complete."""
    return out / f".{out.name}.{kind}-{uuid.uuid4().hex[:8]}"


def _is_hidden(path: Path) -> bool:
    return HIDDEN.fullmatch(path.name) is not None


def _abandoned(path: Path) -> bool:
    """A hidden folder whose process was killed and could not clean up."""
    return _is_hidden(path) and not is_in_use(path)


def _remove_abandoned(out: Path) -> None:
    """Remove what killed runs left beside ``out``; what they left inside, `_move_in` replaces."""
    for path in out.parent.glob(f".{glob.escape(out.name)}.new-*"):
        if _abandoned(path):
            shutil.rmtree(path, ignore_errors=True)


def _absolute(out: Path) -> Path:
    try:
        return Path(out).expanduser().resolve()
    except (RuntimeError, ValueError) as error:  # links in a circle, no home; a NUL in the name
        raise OutputError(f"{out} can't hold results ({error}); choose another place") from error


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
    """Every file must be listed in the ``summary.json`` of a former run, finished or killed."""
    hidden = [path for path in out.iterdir() if _is_hidden(path)]
    ours = _listed_files(out).union(*map(_listed_files, hidden))
    for path in out.rglob("*"):
        name = path.relative_to(out)
        if (path.is_dir() and not path.is_symlink()) or out / name.parts[0] in hidden:
            continue
        if name.as_posix() not in ours and name.name not in LITTER:
            raise OutputError(
                f"{out} holds files that are not results of bolus (such as {name}) and is left "
                "alone; choose another folder, or move these files away"
            )


def _listed_files(folder: Path) -> set[str]:
    try:
        summary = json.loads(read_regular(folder / "summary.json", MAX_SUMMARY_BYTES))
        if not str(summary["schema"]).startswith(SCHEMA_NAME):
            return set()
        return {str(name) for name in summary["files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()


def check_schema(summary: Any, path: Path) -> None:
    """Refuse a ``summary.json`` that only another version of bolus understands.

    Raises
    ------
    DamagedFile
        Its schema has a higher number.
    ValueError, KeyError, TypeError
        It is no summary of bolus.
    """
    schema = str(summary["schema"])
    if schema == SCHEMA:
        return
    number = schema.removeprefix(SCHEMA_NAME)
    if number == schema or not (number.isascii() and number.isdigit()):
        raise ValueError("another schema")
    wrote = short(str(summary["versions"]["bolus"]))
    raise DamagedFile(
        f"{path} has the schema {short(schema)} of bolus {wrote}, but bolus {__version__} reads "
        f"{SCHEMA} only; open it with bolus {wrote}, or run the exam again"
    )


def _flush(folder: Path) -> None:
    """Put everything on the disk before the rename, so that a power cut leaves no empty files."""
    for path in [*folder.rglob("*"), folder]:
        flush(path)


def _move_in(stage: Path, out: Path) -> None:
    """Move old results aside, the new ones in, ``summary.json`` last, then delete the old ones."""
    aside = _hidden(out, "old")
    old = [path for path in out.iterdir() if _is_replaced(path, stage)]
    new = sorted(stage.iterdir(), key=lambda path: (path.name == "summary.json", path.name))
    aside.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for path, folder in [*((path, aside) for path in old), *((path, out) for path in new)]:
            path.rename(folder / path.name)
            moved.append((path, folder / path.name))
        stage.rmdir()
    except BaseException:
        for source, target in reversed(moved):
            target.rename(source)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _is_replaced(path: Path, stage: Path) -> bool:
    """Former results and what killed runs left; an empty folder such as lost+found stays."""
    if path.name == LOCK:
        return False
    if _is_hidden(path):
        return path != stage and _abandoned(path)
    if path.is_symlink() or not path.is_dir():
        return True
    return (stage / path.name).exists() or any(not p.is_dir() for p in path.rglob("*"))


def _explain(error: OSError, out: Path) -> str:
    where = error.filename or out
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {out} is full; free some space or choose another place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write {where}; choose another place"
    return f"{where} can't be written ({error.strerror or error}); choose another place"
