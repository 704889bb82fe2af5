"""Silent or slow connections hold up nobody else."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from bolus.serve.access import Access, Receive, Scope, Send
from bolus.serve.app import guarded
from bolus.serve.connections import LOG_LINES, Connections, FewLines, most_connections
from bolus.serve.server import _bound, configured

HANDLES = 256
IDLE = 300
BODILESS = b"POST /api/exams/0/lesion HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Length: 9\r\n\r\n"
LARGE = 2**24
MOST_SAID = 100_000
"""Bytes on standard error."""


@contextmanager
def viewing(
    out: Path, said: Path, *options: str, handles: int | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], httpx.URL]]:
    """`bolus view` as its own process, whose standard error goes to a file."""

    def limited() -> None:
        if handles is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (handles, handles))

    command = [sys.executable, "-m", "bolus", "view", out, "--port", "0", *options]
    with said.open("w") as stream:
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stream, text=True, preexec_fn=limited,
            env=os.environ | environment,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            yield server, httpx.URL(server.stdout.readline().split()[-1])
        finally:
            server.kill()
            server.communicate()


@pytest.mark.parametrize(
    "sent",
    [b"", *(pytest.param(part, marks=pytest.mark.long) for part in (b"GET / HTT", BODILESS))],
)
def test_three_hundred_idle_connections_hold_up_nobody(
    out: Path, tmp_path: Path, sent: bytes
) -> None:
    said = tmp_path / "said"
    with (
        viewing(out, said, "--no-browser", handles=HANDLES) as (_, url),
        ExitStack() as idle,
    ):
        for n in range(IDLE):
            # several addresses, as several machines would have
            source = (f"127.0.0.{1 + n % 8}", 0)
            one = socket.create_connection((url.host, url.port), 5, source_address=source)
            idle.enter_context(one)
            with suppress(OSError):
                one.sendall(sent.replace(b"PORT", str(url.port).encode()))
        begin = time.monotonic()
        for path in ("/", "/api/session", "/api/exams/0", "/api/exams/0/volumes/nlr/cbf.nii.gz"):
            assert httpx.get(url.join(path), timeout=5).status_code == 200, path
        assert time.monotonic() - begin < 5
    assert said.stat().st_size < MOST_SAID


def test_requests_that_are_none_fill_no_disk(out: Path, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with viewing(out, said, "--no-browser") as (_, url):
        for _ in range(IDLE):
            with socket.create_connection((url.host, url.port), 5) as one:
                one.sendall(b"\0\1\2\r\n\r\n")
        assert httpx.get(url.join("/api/session"), timeout=5).status_code == 200
    assert said.stat().st_size < 10_000


async def reads_body(request: Request) -> int:
    return len(await request.body())


@contextmanager
def timed(**limits: float) -> Iterator[tuple[str, int]]:
    """A server with a very long answer, and with limits that a test can wait for."""
    app = FastAPI()
    app.add_api_route("/quick", lambda: {"quick": True})
    app.add_api_route("/body", reads_body, methods=["POST"])

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": bytes(LARGE)})
            return
        if scope["path"] != "/long":
            await guarded(app, Access(port=port))(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2000):
            await send({"type": "http.response.body", "body": bytes(2**16), "more_body": True})

    sock = _bound("127.0.0.1", 0)
    port = sock.getsockname()[1]
    connections = Connections(**limits)  # type: ignore[arg-type]
    server = uvicorn.Server(configured(whole, connections))
    sock.listen()
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    try:
        yield "127.0.0.1", port
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


def closed_within(one: socket.socket, seconds: float) -> float:
    """How long the other side holds a connection on which nothing more is said."""
    one.settimeout(seconds)
    begin = time.monotonic()
    with suppress(ConnectionError):
        while one.recv(2**16):
            pass
    return time.monotonic() - begin


@pytest.mark.parametrize(
    ("limit", "sent"),
    [
        ({"headers_s": 1.0}, b""),
        ({"headers_s": 1.0}, b"GET /quick HTTP/1.1\r\nHost: "),
        ({"headers_s": 1.0}, b"GET /quick HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\nGET"),
        ({"body_s": 1.0}, b"POST /body HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n"
                          b"Content-Length: 9\r\n\r\nslow"),
    ],
)  # fmt: skip
def test_who_says_nothing_more_is_left(limit: dict[str, float], sent: bytes) -> None:
    with timed(**limit) as place, socket.create_connection(place, 5) as one:
        one.sendall(sent.replace(b"PORT", str(place[1]).encode()))
        assert closed_within(one, 10) < 4


def test_single_bytes_do_not_buy_time() -> None:
    with timed(headers_s=1.0) as place, socket.create_connection(place, 5) as one:
        one.sendall(b"GET /quick HTTP/1.1\r\nX: ")
        begin = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - begin < 10:
                one.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - begin < 4


def test_who_reads_no_answer_is_left() -> None:
    with timed(answer_s=1.0) as place, socket.create_connection(place, 5) as one:
        one.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2.5)
        assert closed_within(one, 10) < 4


def test_who_reads_an_answer_slowly_gets_all_of_it() -> None:
    with timed(headers_s=0.5) as place, socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
        one.connect(place)
        one.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(2.0)
        one.settimeout(20)
        seen = 0
        while part := one.recv(2**20):
            seen += len(part)
        assert seen > LARGE


def test_where_there_are_too_many_the_longest_idle_goes() -> None:
    with timed(most=4, most_of_one=3) as place, ExitStack() as stack:

        def connected(host: str) -> socket.socket:
            one = socket.create_connection(place, 5, source_address=(host, 0))
            stack.enter_context(one)
            time.sleep(0.1)  # their order is what this is about
            return one

        def is_open(one: socket.socket) -> bool:
            one.settimeout(0.3)
            try:
                return one.recv(1) != b""
            except TimeoutError:
                return True
            except ConnectionError:
                return False

        others = [connected("127.0.0.2")]
        mine = [connected("127.0.0.3") for _ in range(4)]
        # the fourth of one address closes the first of that address
        assert [is_open(one) for one in mine] == [False, True, True, True]
        assert is_open(others[0])
        # the fifth of all closes the first of all
        connected("127.0.0.4")
        assert [is_open(one) for one in (*others, *mine[1:])] == [False, True, True, True]


def test_limits_follow_the_handles_that_there_are() -> None:
    assert most_connections(None) == most_connections(2**20) == 256
    assert most_connections(HANDLES) == 128
    assert most_connections(64) == 4


def test_of_many_messages_few_are_written() -> None:
    few = FewLines(lines=LOG_LINES, seconds=0.5)
    record = logging.LogRecord("asyncio", logging.ERROR, "x", 1, "message", (), None)
    assert sum(few.filter(logging.makeLogRecord(vars(record))) for _ in range(500)) == LOG_LINES
    time.sleep(0.6)
    assert few.filter(record)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_server_ends_soon_and_without_a_traceback(
    out: Path, tmp_path: Path, number: signal.Signals
) -> None:
    said = tmp_path / "said"
    with viewing(out, said, "--no-browser") as (server, url):
        assert httpx.get(url.join("/api/session")).status_code == 200
        # a page that is open, and work that goes on
        with socket.create_connection((url.host, url.port), 5):
            asked = {"method": "nlr", "aif": [62, 35, 0]}
            httpx.post(url.join("/api/exams/0/recompute"), json=asked, timeout=60)
            begin = time.monotonic()
            server.send_signal(number)
            assert server.wait(timeout=30) in (130, -number)
            assert time.monotonic() - begin < 8
    assert "Traceback" not in said.read_text()


BROWSER = """#!/bin/sh
echo "$@" > {folder}/arguments
case "$1" in file://*)
  cp "${{1#file://}}" {folder}/page
  stat -c %a "${{1#file://}}" "$(dirname "${{1#file://}}")" > {folder}/mode.part
  mv {folder}/mode.part {folder}/mode
esac
"""


def browser(folder: Path) -> str:
    """A command that notes how it was called, and what it was given."""
    command = folder / "browser"
    command.write_text(BROWSER.format(folder=folder))
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return f"{command} %s"


def written(path: Path) -> str:
    end = time.monotonic() + 20
    while not path.exists() or not path.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    return path.read_text()


def test_no_command_line_holds_the_token(out: Path, tmp_path: Path) -> None:
    options = "--host", "0.0.0.0"
    with viewing(out, tmp_path / "said", *options, BROWSER=browser(tmp_path)) as (server, url):
        token = url.params["token"]
        mode = written(tmp_path / "mode").split()
        arguments = (tmp_path / "arguments").read_text().strip()
        assert token not in arguments
        assert arguments.startswith("file:///")
        assert mode == ["600", "700"]
        # what the browser reads leads to the page, and the page lets it in
        page = (tmp_path / "page").read_text()
        target = page.partition('content="0;url=')[2].partition('"')[0]
        assert target == str(url)
        from_file = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        with httpx.Client() as client:
            opened = client.get(target, headers=from_file)
            assert opened.status_code == 200
            assert client.get(url.join("/api/session")).status_code == 200
        server.terminate()
        server.wait(timeout=20)
        left = Path(arguments.removeprefix("file://"))
        assert not left.exists()
        assert not left.parent.exists()


def test_without_a_token_the_browser_gets_the_address_itself(out: Path, tmp_path: Path) -> None:
    with viewing(out, tmp_path / "said", BROWSER=browser(tmp_path)) as (_, url):
        assert written(tmp_path / "arguments").strip() == str(url)
