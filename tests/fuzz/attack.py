"""One hostile input: where it lies, and what may come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Allowed(Enum):
    """What reading a hostile input may end in; a named error that fits is always allowed but for
    `SAME`."""

    SAME = "the content as it was"
    NOTICED = "an error, a finding, or the content as it was"
    ANYTHING = "an error, or any exam that is one: what was changed has no checksum"


@dataclass(frozen=True)
class Attack:
    """One hostile input."""

    path: Path
    """What `read_exam` is given."""
    allowed: Allowed
    what: str
    """What was done, for whoever looks at a failure."""
    source: str = "dicom"
    """Of the untouched exam: "dicom" or "nifti"."""
    as_nobody: bool = False
    """Whether to be read by a user who may not open everything."""
    meanwhile: Callable[[], None] | None = None
    """What happens to the files while they are read."""
