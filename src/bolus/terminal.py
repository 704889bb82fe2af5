"""Progress on the terminal: a spinner where a person looks on, plain lines in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from bolus.pipeline import Progress


@contextmanager
def stage_printer(quiet: bool) -> Iterator[Progress]:
    """A progress function for `bolus.pipeline.run_exam`; prints to standard error."""
    if quiet:
        yield lambda stage, seconds: None
        return
    console = Console(stderr=True, highlight=False)
    with console.status("") as status:

        def show(stage: str, seconds: float | None) -> None:
            if seconds is None:
                status.update(stage)
            else:
                console.print(f"{stage:18s} {seconds:6.1f} s")

        yield show
