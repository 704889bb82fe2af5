"""The server: the parts shared by sessions for viewing results and for reading a study."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from bolus import __version__
from bolus.errors import BolusError, OutputError
from bolus.plain_text import RESEARCH_USE
from bolus.serve.access import Access, App, Guard
from bolus.serve.colours import colour_tables
from bolus.serve.errors import Refused
from bolus.serve.open_results import VolumeFile

STATIC = Path(__file__).with_name("static")
PLACE = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:[/\\][^\s/\\:;,]+)*[/\\](?=[^\s/\\])")
"""What leads to a file from the root of a file system."""
NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI would send requests, which name raters, to any collector configured on the computer;
versions that send nothing ignore the setting."""
NO_PAGE = (
    "<!doctype html><title>bolus</title><p>The page is not part of this installation; "
    f"the interface answers under /api. {RESEARCH_USE}."
)


def new_app(folders: Sequence[Path]) -> FastAPI:
    """An application with only the answers common to all sessions.

    Parameters
    ----------
    folders : what the session shows; no answer reveals their location.
    """
    app = FastAPI(
        title="bolus view",
        version=__version__,
        description=RESEARCH_USE,
        docs_url=None,  # its page would be loaded from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        telemetry=NO_TELEMETRY,
    )
    app.state.folders = [path for one in folders for path in {one, one.absolute(), one.resolve()}]
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(BolusError, _bolus_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _fault)

    @app.get("/api/colours")
    def colours() -> dict[str, list[list[int]]]:
        return colour_tables()

    return app


def guarded(app: FastAPI, access: Access, static: Path = STATIC) -> App:
    """``app`` with its page, restricted to authorised users."""
    # Windows may define another type in its registry, and browsers run no script of another type
    mimetypes.add_type("text/javascript", ".js")
    mimetypes.add_type("text/css", ".css")
    if (static / "index.html").is_file():
        app.mount("/", StaticFiles(directory=static, html=True))
    else:
        app.get("/", include_in_schema=False)(lambda: HTMLResponse(NO_PAGE))
    return Guard(app, access)


def volume_response(file: VolumeFile, request: Request) -> Response:
    """The bytes of a volume, or 304 where the browser has them.

    Browsers ask each time: the next session may have another exam under the same address.
    """
    headers = {"ETag": f'"{file.tag}"', "Cache-Control": "private, no-cache"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.read(), media_type="application/gzip", headers=headers)


async def body_bytes(request: Request) -> bytes:
    """The body as it came."""
    return await request.body()


def shown(message: str, folders: Sequence[Path]) -> str:
    """A message without the paths of files on this computer: only their names."""
    for folder in sorted(map(str, folders), key=len, reverse=True):
        if folder != ".":
            message = message.replace(f"{folder}{os.sep}", "").replace(folder, Path(folder).name)
    return PLACE.sub("", message)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse(error.content, error.status)


def _bolus_error(request: Request, error: Exception) -> Response:
    # a failed write may succeed later: the page keeps the data and tries again
    status = 409 if isinstance(error, OutputError) else 400
    return JSONResponse({"error": shown(str(error), request.app.state.folders)}, status)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    where = ".".join(str(part) for part in found[0].get("loc", ())) if found else ""
    return JSONResponse({"error": f"{where or 'the request'} is not valid"}, 422)


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


def _fault(_: Request, error: Exception) -> Response:
    return JSONResponse(
        {"error": "an internal error of bolus; its terminal window shows details"}, 500
    )
