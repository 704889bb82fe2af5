"""The child process that tries hostile inputs: ``python -m attempt``.

Its parent gives it the name of a kind, a seed and a number, and gets an outcome or a failure in
words.  Whatever an input does to this process, the parent counts it and starts another one.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_attacks import warm
from kinds import KINDS
from oracle import Fault
from untouched import as_read

from bolus.child_process import Head, serve

MAX_MEMORY_BYTES = 4 * 2**30
PATIENCE = 40
"""Looks, 50 ms apart, whether an input left files open."""


def main() -> None:
    """Answer requests until standard input ends."""
    serve(answer, MAX_MEMORY_BYTES)


def answer(request: Head, _: bytes) -> tuple[Head, bytes]:
    """Try one input; its outcome, how long it took and how much memory."""
    warnings.resetwarnings()
    # a warning on the user's terminal counts as a failure, as does everything else there
    warnings.simplefilter("default")
    as_read("dicom"), as_read("nifti")
    warm()
    rng = random.Random(f"{request['kind']} {request['seed']} {request['number']}")
    _forget_peak()
    found: dict[str, Any] = {}
    start = time.perf_counter()
    try:
        found["outcome"] = guarded(lambda folder: KINDS[request["kind"]].attempt(rng, folder))
    except BaseException:  # nothing of what went wrong may be missed
        found["failure"] = traceback.format_exc()[-6000:]
    found["seconds"] = time.perf_counter() - start
    found["mib"] = _peak_mib()
    return found, b""


def guarded(attempt: Callable[[Path], str]) -> str:
    """Try an input in a folder that is removed after; nothing beside it may change.

    Raises
    ------
    Fault
        Something was written elsewhere, printed as an error, or left open.
    """
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    before, where = os.environ.get("TMPDIR"), Path.cwd()
    try:
        for name in ("input", "tmp", "here"):
            (top / name).mkdir()
            (top / name).chmod(0o777)
        os.environ["TMPDIR"] = tempfile.tempdir = str(top / "tmp")
        os.chdir(top / "here")
        with open(top / "stderr", "w+b") as said:  # noqa: PTH123
            opened = _open_files()
            kept = os.dup(2)
            os.dup2(said.fileno(), 2)
            try:
                outcome = attempt(top / "input")
            finally:
                os.dup2(kept, 2)
                os.close(kept)
            for _ in range(PATIENCE):
                if _open_files() <= opened:
                    break
                gc.collect()  # a server's files are held until its threads end
                time.sleep(0.05)
            if left := _open_files() - opened:
                raise Fault(f"{left} files were left open")
            said.seek(0)
            if words := said.read():
                raise Fault(f"printed as an error: {words.decode('utf-8', 'replace')[-3000:]}")
        expected = {"input", "tmp", "here", "stderr"}
        others = [str(p) for n in ("tmp", "here") for p in (top / n).iterdir()]
        others += [str(p) for p in top.iterdir() if p.name not in expected]
        if others:
            raise Fault(f"left behind: {others}")
        return outcome
    finally:
        os.chdir(where)
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
        _open_again(top)
        shutil.rmtree(top, ignore_errors=True)


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.exists() else 0  # noqa: PTH208


def _open_again(top: Path) -> None:
    """Closed folders can't be removed by everybody."""
    for folder, below, _ in os.walk(top):
        for name in below:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755)


def _forget_peak() -> None:
    """Linux restarts the count of a process's peak memory."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    """Largest memory of this process since `_forget_peak`, or of any of its children ever."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    status = Path("/proc/self/status")
    own = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return max(children, int(own[0].split()[1]) / 1024)


if __name__ == "__main__":
    main()
