"""One writer at a time in a folder, among threads and processes alike.

The operating system's lock on a file of the folder: it ends with the process that holds it, however
that process ends.  The file is removed with the lock; one that a killed process left is taken over.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bolus.errors import OutputError

LOCK = ".bolus-lock"
PATIENCE_S = 10.0
"""A stroke is written in well under a second: a longer lock holder has been stopped."""
_PAUSE_S = 0.005
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Busy(OutputError):
    """Another process is writing in the folder and does not end."""


@contextmanager
def locked(folder: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Be the only one who writes in ``folder``.

    Raises
    ------
    Busy
        Another process has held the lock for ``patience_s``.
    OutputError
        The folder is gone or can't be written, or its file system knows no locks.
    """
    path = folder / LOCK
    handle = _taken(path, time.monotonic() + patience_s)
    try:
        yield
    finally:
        # while it is still held: whoever waits for this file sees that it is gone, and makes a new
        # one; Windows can't remove what others have open
        with suppress(OSError):
            if _is_at(handle, path):
                path.unlink()
        os.close(handle)


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Let other processes see by `is_in_use` that this one works in a folder; it may be renamed."""
    handle = None
    with suppress(OSError):  # Windows opens no folders, some network file systems lock none
        handle = os.open(folder, os.O_RDONLY)
        _lock(handle)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def is_in_use(folder: Path) -> bool:
    """Whether a living process, in whatever container, works in a folder, or nobody can tell."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return True
    try:
        return not _lock(handle)
    except OSError:
        return True
    finally:
        os.close(handle)


def _taken(path: Path, until: float) -> int:
    while True:
        handle = _opened(path)
        try:
            if _lock(handle) and _is_at(handle, path):
                return handle
        except OSError as error:
            os.close(handle)
            raise OutputError(
                f"{path.parent.name} is on a file system without locks ({error.strerror}), so two "
                "readers could overwrite each other; move it to another"
            ) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if time.monotonic() > until:
            raise Busy(f"another process is writing in {path.parent.name}; try again in a moment")
        time.sleep(_PAUSE_S)


def _opened(path: Path) -> int:
    try:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        except PermissionError:  # another account's, in a folder that both may write
            handle = os.open(path, os.O_RDONLY | _FLAGS)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        raise OSError(errno.EINVAL, "its lock is no file")
    except OSError as error:
        raise OutputError(
            f"{path.parent.name} can't be written: {error.strerror or error}"
        ) from error


def _is_at(handle: int, path: Path) -> bool:
    """Whether the locked file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True

else:
    import fcntl

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True
