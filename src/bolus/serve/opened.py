"""Whether a folder still holds what was opened.

Results that are run again, replaced, moved or deleted while a page shows them would mix one exam's
pictures with another's numbers, and take strokes to where nobody drew them.
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
"""A file's time of change, ns, and its size; no number of the file system, which some give anew."""


@dataclass(frozen=True)
class Opened:
    """What the files of a folder looked like when they were opened."""

    what: str
    """For the sentence: "these results"."""
    seen: tuple[tuple[Path, Look], ...]

    def check(self) -> None:
        """Refuse (409) what is no longer as it was."""
        if any(_look(path) != look for path, look in self.seen):
            raise Refused(409, CHANGED.format(self.what))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Refuse what is done meanwhile unless the files are as they were before and after it."""
        self.check()
        try:
            yield
        except (BolusError, Refused, OSError):
            self.check()  # that is why it failed
            raise
        self.check()


def opened(what: str, files: Iterable[Path]) -> Opened:
    """Remember how files look now; those that are not there must not come either."""
    return Opened(what, tuple((path, _look(path)) for path in files))


def _look(path: Path) -> Look:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size
