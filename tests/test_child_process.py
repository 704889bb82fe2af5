"""A child costs its parent one error, whatever it does, and doesn't outlive it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bolus.child_process import Child, ChildEnded

ECHO = """
import os
from bolus.child_process import serve
def answer(request, data):
    os.write(1, b"printed"), os.write(2, b"complained")
    return {"said": request["say"]}, data[::-1]
serve(answer, 2**31)
"""
ENDLESS = """
from bolus.child_process import serve
def answer(request, data):
    while True: pass
serve(answer, 2**31)
"""
GREEDY = """
from bolus.child_process import serve
serve(lambda request, data: ({}, bytes(2**32)), 2**31)
"""
LIAR = """
import sys
sys.stdin.buffer.readline()
sys.stdout.write(LINE); sys.stdout.flush()
sys.stdin.buffer.read()
"""

Start = Callable[[str], Child]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a child with this code."""
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)

    def started(code: str) -> Child:
        (tmp_path / "a_child.py").write_text(code)
        return Child("a_child")

    return started


def is_there(process: int) -> bool:
    """Whether it runs, or has ended and nobody has asked how."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def is_busy(process: int) -> bool:
    """Whether it runs; in a container nobody may ask how an orphan ended."""
    try:
        about = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return about.rpartition(")")[2].split()[0] != "Z"


def test_bytes_come_back_and_nothing_that_is_printed_gets_anywhere(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    child = start(ECHO)
    for said in ("ä\n", "more"):
        answer, body = child.ask({"say": said}, b"ab", b"c", seconds=30, most_bytes=3)
        assert (answer["said"], body) == (said, b"cba")
    child.close()
    assert not is_there(child.pid)
    assert capfd.readouterr() == ("", "")


def test_more_bytes_than_expected_are_not_read(start: Start) -> None:
    with pytest.raises(ChildEnded, match="crashed"):
        start(ECHO).ask({"say": ""}, b"abc", seconds=30, most_bytes=2)


def test_a_child_that_takes_too_long_is_ended(start: Start) -> None:
    child = start(ENDLESS)
    with pytest.raises(ChildEnded, match=r"longer than 1\.5 s"):
        child.ask({}, seconds=1.5, most_bytes=0)
    assert not is_there(child.pid)
    with pytest.raises(ChildEnded):
        child.ask({}, seconds=1, most_bytes=0)


def test_too_much_memory_is_an_error_of_the_child(start: Start) -> None:
    answer, body = start(GREEDY).ask({}, seconds=30, most_bytes=2**33)
    assert (answer["error"].split(":")[0], body) == ("MemoryError", b"")


@pytest.mark.parametrize(
    "line",
    [
        "", "[]\n", "{}\n", '{"bytes": -1}\n', '{"bytes": 9}\n', '{"bytes": 1e9}\n', "[" * 10**5,
        "x" * 2_000_000,
    ],
    ids=["nothing", "list", "no size", "negative", "too large", "fraction", "nested", "no end"],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_crash(line: str, start: Start) -> None:
    child = start(
        LIAR.replace("LINE", repr(line) if len(line) < 99 else f"{line[0]!r} * {len(line)}")
    )
    with pytest.raises(ChildEnded):
        child.ask({}, seconds=3, most_bytes=8)
    assert not is_there(child.pid)


@pytest.mark.skipif(not Path("/proc").exists(), reason="no /proc on this system")
def test_a_busy_child_does_not_outlive_a_parent_that_was_killed(
    start: Start, tmp_path: Path
) -> None:
    start(ENDLESS).close()
    code = "import bolus.child_process as c; k = c.Child('a_child'); print(k.pid, flush=True)"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{code}; k.ask({{}}, seconds=1, most_bytes=0)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        time.sleep(0.5)  # the request is on its way
        parent.kill()
    assert is_busy(orphan)
    until = time.monotonic() + 10
    while is_busy(orphan) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_busy(orphan)
