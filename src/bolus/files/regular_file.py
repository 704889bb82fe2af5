"""Files from outside, opened so that none of them can block or exhaust memory.

A name may be that of a pipe, which blocks until somebody writes, or of a device that never ends,
and it may become one between two looks at it: what was opened is what is asked.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises
    ------
    OSError
        It can't be opened, or is a folder, a pipe, a socket or a device.
    """
    try:
        handle = os.open(path, _FLAGS)
    except ValueError as error:  # no file can have a NUL or a lone surrogate in its name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file of at most ``most_bytes``.

    Raises
    ------
    OSError
        As `open_regular`, or it is larger.
    """
    with open_regular(path) as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes} bytes", str(path))
    return content
