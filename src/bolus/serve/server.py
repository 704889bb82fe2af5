"""From the command to a running server."""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from bolus.errors import NoReadableFiles, UsageError
from bolus.plain_text import RESEARCH_USE
from bolus.serve.access import LOOPBACK, Access, App
from bolus.serve.app import guarded
from bolus.serve.connections import (
    ACCEPTED_AT_ONCE,
    Connections,
    FewLines,
    handle_limit,
    most_connections,
)

FIRST_PORT = 8765
"""Tried first, so that a page left open finds the server again."""
LONGEST_HEADERS = 32 * 2**10
"""Bytes of a request's line and headers."""
LOGGERS = ("asyncio", "uvicorn.error", "nibabel.global")
PASSED_S = 30.0
"""How long the browser may take to read the file with the address."""


def listen(folders: Sequence[Path], *, host: str, port: int | None, browser: bool) -> None:
    """Serve results or a reading study until interrupted.

    Parameters
    ----------
    folders : results of `bolus run`, or one reading study.
    host : address to listen on; every other than loopback needs a token, which is made here.
    port : None for `FIRST_PORT`, or any free one where that is taken; 0 for any free one.
    browser : whether to open the page.

    Raises
    ------
    UsageError
        The address can't be used.
    NoReadableFiles, DamagedFile
        A folder holds neither.
    """
    sock = _bound(host, port)
    access = Access(
        host=host,
        port=sock.getsockname()[1],
        token=None if host in LOOPBACK else secrets.token_urlsafe(24),
    )
    app = _app(folders)
    server = uvicorn.Server(configured(guarded(app, access)))
    address = _address(access)
    sock.listen(ACCEPTED_AT_ONCE)  # from now on requests wait instead of failing
    lines = [f"bolus view  {address}"]
    if access.token is not None:
        lines.append("Anyone with this address can see the results and draw on them.")
    lines.append(f"{RESEARCH_USE}. Ctrl-C ends it.")
    # at once: the caller may read the address and close the pipe
    print("\n".join(lines), flush=True)
    ended = threading.Event()
    opening = threading.Thread(target=_open, args=(address, access, ended), daemon=True)
    if browser:
        opening.start()
    with _signals_end(server):
        try:
            server.run(sockets=[sock])
        finally:
            ended.set()
            if browser:
                opening.join(2.0)


def configured(app: App, connections: Connections | None = None) -> uvicorn.Config:
    """How the server runs: with limits on connections, headers and messages."""
    connections = connections or Connections(most_connections(handle_limit()))
    config = uvicorn.Config(
        cast(Any, connections.app(app)),
        # uvicorn accepts any protocol factory; h11's is the one that limits headers
        http=cast(Any, connections.protocol(H11Protocol)),
        h11_max_incomplete_event_size=LONGEST_HEADERS,
        backlog=ACCEPTED_AT_ONCE,
        timeout_keep_alive=5,
        proxy_headers=False,  # a client could claim to be another
        log_level="warning",
        access_log=False,  # addresses name raters
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    few = FewLines()
    for name in LOGGERS:
        logging.getLogger(name).addFilter(few)
    return config


@contextmanager
def _signals_end(server: uvicorn.Server) -> Iterator[None]:
    """Clean up before a signal ends the process, also when the terminal is closed."""
    numbers = [signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # by nohup
        numbers.append(signal.SIGHUP)
    caught: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former or signal.SIG_DFL)
    if caught:
        signal.raise_signal(caught[0])


def _open(address: str, access: Access, ended: threading.Event) -> None:
    """Open the page; a token is passed in a file of this account, since every account of the
    computer can read the command lines of processes."""
    if access.token is None:
        webbrowser.open(address)
        return
    with tempfile.TemporaryDirectory(prefix="bolus-", ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "open.html"
        page.touch(0o600)
        page.write_text(
            '<!doctype html><meta charset="utf-8"><title>bolus view</title>'
            f'<meta http-equiv="refresh" content="0;url={escape(address)}">'
        )
        webbrowser.open(page.as_uri())
        ended.wait(PASSED_S)


def _app(folders: Sequence[Path]) -> FastAPI:
    from bolus.serve.results_app import results_app

    if any((folder / "study.json").is_file() for folder in folders):
        if len(folders) > 1:
            raise UsageError("a reading study is viewed alone; give its folder and no other")
        from bolus.serve.study_app import study_app

        return study_app(folders[0])
    if not folders:
        raise NoReadableFiles("give the folder of results, or of a reading study")
    return results_app(folders)


def _bound(host: str, port: int | None) -> socket.socket:
    """A socket on the requested port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    attempts = [FIRST_PORT, 0] if port is None else [port]
    for attempt in attempts:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, attempt))
        except (OSError, OverflowError) as error:
            sock.close()
            last: Exception = error
            continue
        return sock
    reason = getattr(last, "strerror", None) or last
    raise UsageError(f"{host} port {attempts[-1]} can't be listened on ({reason}); give another")


def _address(access: Access) -> str:
    host = "127.0.0.1" if access.host in ("0.0.0.0", "::") else access.host
    host = f"[{host}]" if ":" in host else host
    token = "" if access.token is None else f"?token={access.token}"
    return f"http://{host}:{access.port}/{token}"
