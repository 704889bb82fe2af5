"""Files that appear whole, and are on the disk, or not at all."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bolus.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden name beside ``path`` to write to; what is there afterwards becomes ``path``.

    Its content is on the disk by then.  The folder must be there: one that was moved away is not
    made again.  If anything fails, nothing is left and a former ``path`` stays.

    Raises
    ------
    OutputError
        The file system refuses.
    """
    part = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        try:
            yield part
            flush(part)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"{path} can't be written: {error.strerror or error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as `whole_file` does.

    Raises
    ------
    OutputError
        The file system refuses.
    """
    with whole_file(path) as part:
        part.write_bytes(content)


def keep(path: Path, content: bytes) -> None:
    """As `write_whole`; the disk has the file's name, too, when this returns."""
    write_whole(path, content)
    flush_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file if there is one.

    Raises
    ------
    OutputError
        The file system refuses.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} can't be removed: {error.strerror or error}") from error


def flush(path: Path) -> None:
    """Put a file's content, or a folder's names, on the disk; Windows can't do it for folders.

    Raises
    ------
    OSError
        The file system refuses.
    """
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_folder(folder: Path) -> None:
    """As `flush`; OutputError where the file system refuses."""
    try:
        flush(folder)
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {error.strerror or error}") from error


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """The bytes of a JSON file: same content, same bytes."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
