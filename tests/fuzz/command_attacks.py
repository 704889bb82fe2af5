"""Unintended command lines: the `bolus` command with odd arguments, in a separate process.

Every input ends before anything is computed, or on an exam in which no perfusion is found.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import NamedTuple

from apart import apart
from oracle import NOTED, REFUSED, SAME, Fault
from untouched import named_files, write

ARGUMENTS = (
    "", " ", "-", "--", "-1", "\udcff", "\x1b[2J", "a\nb", "x" * 300, "x" * 5000,
    "/".join(["y" * 200] * 30), "~nobody/x", "/", ".", "..", "/dev/null", "/dev/zero",
    "/proc/self/mem",
    "/dev/stdin", "NaN", "1e999", "1,2,3", "1,2", "-1,2,3", "9,9,9", "9" * 400 + ",1,1",
    "\u0663,1,1",
    "1.2.3", "7", "07", "7 ", "*", "%s", "--help", "@x", "[x]", "[/red]", "{x}", "\u202ex",
)  # fmt: skip
"""No NUL, and of the lone surrogates those that stand for bytes: no program is given others."""
LOOP, FILE, GOOD, FULL = "loop", "file", "good", "full"
MOST_LINES = 30
"""A usage error is shown in a box."""
KNOWN_CODES = (0, 2, 3, 4, 5, 6)
"""1 is a fault of bolus itself."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: bytes
    err: bytes


def hostile_command(rng: random.Random, folder: Path) -> str:
    """Run one command; an outcome as those of `oracle.judge`."""
    write(folder / "exam", named_files())
    (folder / LOOP).symlink_to(LOOP)
    (folder / FILE).write_text("somebody's work")
    write(folder / FULL, {"somebody's.txt": b"work"})
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    arguments = _arguments(rng, folder)
    ended = run(arguments)
    _check(ended, arguments)
    for path, changed in before.items():
        if path.is_file() and path.lstat().st_mtime_ns != changed:
            raise Fault(f"{arguments!r}: changed {path.name}")
    new = set(folder.rglob("*")) - before.keys()
    if ended.code and any(path.is_file() for path in new):
        raise Fault(f"{arguments!r}: failed and left {sorted(map(str, new))[:5]}")
    if ended.code:
        return REFUSED
    return NOTED if b"warning" in ended.out else SAME


def _arguments(rng: random.Random, folder: Path) -> list[str]:
    def path() -> str:
        own = [str(folder / name) for name in (LOOP, FILE, FULL, GOOD, f"{LOOP}/x", f"{FILE}/x")]
        return rng.choice((rng.choice(own), rng.choice(ARGUMENTS)))

    exam = rng.choice((str(folder / "exam"), path()))
    if exam == "/":  # whatever this computer holds
        exam = "."
    if rng.random() < 0.4:
        options = [
            [], ["--json"], ["--series", rng.choice(ARGUMENTS)], [rng.choice(ARGUMENTS)],
            ["--json", "--series", "7"], [f"--series={rng.choice(ARGUMENTS)}"],
        ]  # fmt: skip
        return ["info", exam, *rng.choice(options)]
    command = rng.choice(("run", "run", "run", "run", rng.choice(ARGUMENTS), "dataset", "compare"))
    arguments = [command, exam]
    if rng.random() < 0.9:
        arguments += rng.choice((["-o", path()], [f"--out={path()}"], ["-o"]))
    for _ in range(rng.choice((0, 0, 1, 2))):
        arguments += rng.choice((
            ["--aif", rng.choice(ARGUMENTS)], ["--vof", rng.choice(ARGUMENTS)],
            ["--series", rng.choice(ARGUMENTS)], ["-m", "cnn", "--model", path()],
            ["-m", rng.choice(ARGUMENTS)], ["--preset", rng.choice(ARGUMENTS)], ["-q"],
            ["--model", path()], [rng.choice(ARGUMENTS)],
        ))  # fmt: skip
    return arguments


def run(arguments: list[str]) -> Ended:
    """What the command does with arguments, in a forked process."""

    def main() -> int:
        from bolus.cli import main

        sys.argv = ["bolus", *arguments]
        # as a pipe or a file gets it: a strict encoding
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        try:
            main()
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        return 0

    return Ended(*apart(main))


def _check(ended: Ended, arguments: list[str]) -> None:
    text = ended.err.decode("utf-8", "replace")
    if ended.code not in KNOWN_CODES:
        raise Fault(f"{arguments!r}: exit code {ended.code}: {text[-1500:]}")
    for word in ("Traceback", 'File "'):
        if word in text:
            raise Fault(f"{arguments!r}: {text[-1500:]}")
    if ended.code and not (text.strip() or ended.out.strip()):
        raise Fault(f"{arguments!r}: exit code {ended.code} without a word")
    shown = text.replace("\n", "") + ended.out.decode("utf-8", "replace").replace("\n", "")
    if not shown.isprintable():
        raise Fault(f"{arguments!r}: prints what is not printable: {shown[:500]!r}")
    if ended.code and text.count("\n") > MOST_LINES + sum(map(len, arguments)) // 40:
        raise Fault(f"{arguments!r}: {text.count(chr(10))} lines of error")


def warm() -> None:
    """Import what the command needs, once for all forked processes."""
    import bolus.cli
    import bolus.pipeline
    import bolus.publish.write

    assert bolus.cli.main
    assert os.name == "posix"
