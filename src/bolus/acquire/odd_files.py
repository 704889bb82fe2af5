"""Files of an exam that can't be used: how many, why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bolus.acquire.walk import CLOSED, DEEP
from bolus.types import Finding, Grade

_WHAT = {
    "dangling-link": ("files are broken links", "Copy the files themselves."),
    "not-a-file": ("files are not regular files", ""),
    "nested-zip": (
        "files are archives (zip, tar) inside the exam and were not opened",
        "Unpack them first.",
    ),
    "unsafe-name": (
        "files have names that point outside the archive and were not read",
        "Pack it again.",
    ),
    CLOSED: (
        "folders can't be opened; images in them are missing",
        "Obtain permission to read them, or have the exam copied by somebody with permission.",
    ),
    DEEP: (
        "folders or files lie too deep and were not read; images in them are missing",
        "Name a folder further down.",
    ),
}
"""By code: what of them, and what to do."""


def odd_findings(odd: Mapping[str, Sequence[str]]) -> tuple[Finding, ...]:
    """How many files can't be used; never their names, which may identify patients."""
    return tuple(
        Finding(code, Grade.WARNING, f"{len(names)} {_WHAT[code][0]}.", _WHAT[code][1])
        for code, names in sorted(odd.items())
    )


def odd_reasons(odd: Mapping[str, Sequence[str]]) -> str:
    """Why nothing is left, each reason with its remedy, to be added to a message."""
    return "".join(
        f" {len(names)} {_WHAT[code][0]}, the first is {names[0]}. {_WHAT[code][1]}".rstrip()
        for code, names in sorted(odd.items())
    )
