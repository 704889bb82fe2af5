"""Images with damaged pixels count as missing: a few cost their frames, many cost the exam."""

from __future__ import annotations

from collections.abc import Sequence

from bolus.acquire.dicom.groups import Group
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.pixels import Damaged, check_encoding, identity
from bolus.acquire.dicom.timing import most_lost
from bolus.errors import DamagedFile
from bolus.types import Finding, Grade


def without_damaged(
    slices: Sequence[Slice], known: Damaged
) -> tuple[list[Slice], list[DamagedFile]]:
    """Images that can be decoded, and what is wrong with the others, in the order of their names.

    Parameters
    ----------
    known
        Images that failed to decode.

    Raises
    ------
    DamagedFile
        The first one, if any slice loses more of its images than frames may be lost.
    """
    problems = {identity(s): error for s in slices if (error := _problem(s, known))}
    lost = [problems[key] for key in sorted(problems)]
    if lost:
        by_slice = Group(tuple(s for s in slices if identity(s) in problems)).places
        if max(by_slice.values()) > most_lost(Group(tuple(slices)).frames):
            raise lost[0]
    return [s for s in slices if identity(s) not in problems], lost


def _problem(image: Slice, known: Damaged) -> DamagedFile | None:
    if identity(image) in known:
        return known[identity(image)]
    try:
        check_encoding(image)
    except DamagedFile as error:
        return error
    return None


def damage_findings(lost: Sequence[DamagedFile]) -> list[Finding]:
    """How many images were left out, without their names, which may identify patients."""
    if not lost:
        return []
    return [
        Finding(
            "images-damaged",
            Grade.WARNING,
            f"{len(lost)} images have damaged pixels and were left out.",
            "Export or copy the exam again.",
        )
    ]
