"""``bolus view``: look at results, outline, read a study, in the browser."""

from __future__ import annotations

from pathlib import Path

from bolus.errors import UsageError


def view(
    *folders: Path,
    port: int | None = None,
    host: str = "127.0.0.1",
    browser: bool = True,
) -> None:
    """View results in the browser, outline lesions, or read a study.

    The server answers on this computer only. Needs `pip install 'bolus[view]'`.

    Parameters
    ----------
    folders
        One or more folders with results of `bolus run`, or one reading study.
    port
        Port to listen on; by default 8765, or another where that is taken.
    host
        Address to listen on. Any other than this computer's own loopback is reached from the
        network; the page then needs the token in the address that is printed.
    browser
        Open the page.
    """
    try:
        from bolus.serve.server import listen
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("fastapi", "uvicorn", "starlette"):
            raise
        raise UsageError("bolus view needs FastAPI; run `pip install 'bolus[view]'`") from error
    if not folders:
        raise UsageError("give the folder of results, or of a reading study: bolus view OUT")
    listen(folders, host=host, port=port, browser=browser)
