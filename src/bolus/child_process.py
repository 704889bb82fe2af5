"""A child process for work that may crash, hang or exhaust memory, and its parent's side.

A request is one line of JSON and some bytes on the child's standard input, an answer the same on
its standard output.  The parent limits the child's time, the child its own memory: any
failure costs one process and ends in one `ChildEnded`.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

LONGEST_LINE = 1_000_000
"""Bytes; a child that writes more without an end of line is broken."""
ENVIRONMENT = {
    # a thread pool per child, and a heap per thread, would use up its address space
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}

Head = dict[str, Any]


class ChildEnded(Exception):
    """The child crashed, was ended, or didn't answer in time; the message says which."""


class Child:
    """A running child; it ends with `close`, with this object, or with the program."""

    def __init__(self, module: str) -> None:
        """Start ``module``, whose `main` calls `serve`."""
        self._process = subprocess.Popen(
            # -P: a module in the user's folder must not be imported instead of ours
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ENVIRONMENT},
        )
        self._one_at_a_time = threading.Lock()
        self.close = weakref.finalize(self, _end, self._process)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def kill(self) -> None:
        """End the process from outside; the next request finds it dead."""
        self._process.kill()

    def ask(
        self, request: Mapping[str, Any], *data: bytes, seconds: float, most_bytes: int
    ) -> tuple[Head, bytes]:
        """Send a request with its bytes and wait for the answer.

        Parameters
        ----------
        seconds : after these the child is killed.
        most_bytes : that the answer may bring besides its line.

        Raises
        ------
        ChildEnded
            There was no answer; the child is closed.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            self.kill()

        head = {**request, "bytes": sum(map(len, data)), "seconds": seconds}
        with self._one_at_a_time:
            watchdog = threading.Timer(seconds, end)
            watchdog.start()
            try:
                return self._exchange([json.dumps(head).encode() + b"\n", *data], most_bytes)
            except (OSError, ValueError, RecursionError) as error:
                self.close()
                raise ChildEnded(
                    f"it took longer than {seconds:g} s" if late.is_set() else "it crashed"
                ) from error
            except BaseException:
                # interrupted between a request and its answer
                self.close()
                raise
            finally:
                watchdog.cancel()
                # until its thread has ended it keeps this object, and so the process, alive
                watchdog.join()

    def _exchange(self, parts: list[bytes], most_bytes: int) -> tuple[Head, bytes]:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        for part in parts:
            to.write(part)
        to.flush()
        answer = json.loads(back.readline(LONGEST_LINE))
        size = answer.get("bytes") if isinstance(answer, dict) else None
        if not isinstance(size, int) or not 0 <= size <= most_bytes:
            raise ValueError("no answer")
        body = back.read(size)
        if len(body) < size:
            raise ValueError("an answer without its end")
        return answer, body


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with suppress(OSError):  # what was left to send to a dead child
            pipe.close()


def serve(answer: Callable[[Head, bytes], tuple[Head, bytes]], most_memory_bytes: int) -> None:
    """Answer requests until standard input ends: the child's side.

    Parameters
    ----------
    answer : from a request's line and bytes to an answer's; what it raises becomes the entry
        ``error`` of the answer.
    most_memory_bytes : of address space; where the system has no such limit, only the time limit
        applies.
    """
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    # what a library prints must not get between the answers
    os.dup2(2, 1)
    _limit(most_memory_bytes)
    warnings.simplefilter("ignore")
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["bytes"])
        _alarm(request["seconds"] + 1)
        try:
            head, body = answer(request, data)
        except BaseException as error:  # a panic of a Rust library is no Exception
            head, body = {"error": f"{type(error).__name__}: {str(error)[:200]}"}, b""
        _alarm(0)
        answers.write(json.dumps({**head, "bytes": len(body)}).encode() + b"\n" + body)
        answers.flush()


def _limit(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    for kind, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0)):
        _, allowed = resource.getrlimit(kind)
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        with suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(kind, (most, most))


def _alarm(seconds: float) -> None:
    """End this process after a time limit even if the parent was killed; 0 cancels the limit."""
    if hasattr(signal, "alarm"):
        signal.alarm(math.ceil(seconds))
