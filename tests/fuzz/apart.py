"""A function in a forked process, perhaps as another user, and everything it printed."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable

NOBODY = 65534


def apart(function: Callable[[], int], *, as_nobody: bool = False) -> tuple[int, bytes, bytes]:
    """Exit code (what the function gives; 1 for an exception, -N for signal N), output and error.

    ``as_nobody`` makes it a user without rights, where this process may choose.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                if as_nobody and os.getuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                code = function()
            except BaseException:
                os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
                code = 1
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return os.waitstatus_to_exitcode(status), out.read(), err.read()
