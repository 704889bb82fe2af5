"""Whether a folder is unchanged since it was opened.

Results that are run again, replaced, moved or deleted while a page shows them would mix one exam's
images with another's numbers, and put strokes where nobody drew them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bolus.errors import BolusError
from bolus.serve.errors import Refused

CHANGED = (
    "{} changed on the disk after they were opened here, or are no longer there; "
    "start bolus view again, then load the page again"
)
Look = tuple[int, int] | None
"""A file's modification time, ns, and size; no inode number, which some file systems reuse."""


@dataclass(frozen=True)
class Opened:
    """What the files of a folder looked like when they were opened."""

    what: str
    """For the sentence: "these results"."""
    seen: tuple[tuple[Path, Look], ...]

    def check(self) -> None:
        """Refuse (409) if anything has changed."""
        if any(_look(path) != look for path, look in self.seen):
            raise Refused(409, CHANGED.format(self.what))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Refuse the enclosed work unless the files are unchanged before and after it."""
        self.check()
        try:
            yield
        except (BolusError, Refused, OSError):
            self.check()  # that is why it failed
            raise
        self.check()


def opened(what: str, files: Iterable[Path]) -> Opened:
    """Record the current state of files; missing ones must stay missing."""
    return Opened(what, tuple((path, _look(path)) for path in files))


def _look(path: Path) -> Look:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size
