"""From a command to a server that answers."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from bolus.errors import NoReadableFiles, UsageError
from bolus.serve.app import guarded
from bolus.serve.guard import LOOPBACK, Access

FIRST_PORT = 8765
"""Tried first, so that a page that is left open finds the server again."""


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
    server = uvicorn.Server(
        uvicorn.Config(
            guarded(app, access),
            log_level="warning",
            access_log=False,  # addresses name raters
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
    )
    address = _address(access)
    sock.listen(128)  # from now on requests wait instead of failing
    lines = [f"bolus view  {address}"]
    if access.token is not None:
        lines.append("Anybody with this address can see the results and draw on them.")
    lines.append("Research use, not for diagnosis. Ctrl-C ends it.")
    # at once: who started it may read the address and close the pipe
    print("\n".join(lines), flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    server.run(sockets=[sock])


def _app(folders: Sequence[Path]) -> FastAPI:
    from bolus.serve.results import results_app

    if any((folder / "study.json").is_file() for folder in folders):
        if len(folders) > 1:
            raise UsageError("a reading study is viewed alone; give its folder and no other")
        from bolus.serve.readings import study_app

        return study_app(folders[0])
    if not folders:
        raise NoReadableFiles("give the folder of results, or of a reading study")
    return results_app(folders)


def _bound(host: str, port: int | None) -> socket.socket:
    """A socket on the port asked for."""
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
