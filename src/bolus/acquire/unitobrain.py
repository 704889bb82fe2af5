"""Peculiarities of the exams of the UniToBrain data set (doi:10.21227/x8ea-vh16).

Patient folders are called ``MOL-002``; ``_Registered`` and ``_Registered_Filtered_3mm_20HU`` lie
next to them.  Raw cine files give the true time in GE's private tag only; registered ones carry the
time of the frame, shifted by an hour.  Reading them needs no special code except a fallback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bolus.acquire.dicom.headers import Slice
from bolus.errors import NotCT
from bolus.types import Finding, Grade

PATIENT_FOLDER = re.compile(r"MOL-\d{3}(_Registered(_Filtered_\w+?)?)?(?P<maps>_Maps)?")
PROTOCOLS_US = {89: 500_000, 18: 2_810_000}
"""Interval by number of frames: the two protocols of the data set, cine and shuttle."""


def is_unitobrain(path: Path) -> bool:
    """Whether the path is (or is inside) a patient folder of the data set."""
    return any(PATIENT_FOLDER.fullmatch(Path(part).stem) for part in path.absolute().parts)


def refuse_maps(path: Path) -> None:
    """Refuse a folder of the data set's perfusion maps: they are stored as CT images.

    Raises
    ------
    NotCT
    """
    parts = path.absolute().parts
    if any((match := PATIENT_FOLDER.fullmatch(part)) and match["maps"] for part in parts):
        raise NotCT(f"{path}: holds perfusion maps; name the folder without _Maps.")


def protocol_step_us(slices: Sequence[Slice]) -> int | None:
    """Interval between frames by the data set's protocols, where all time tags are missing."""
    depths = {s.position for s in slices}
    return PROTOCOLS_US.get(len(slices) // max(1, len(depths)))


def notes(path: Path) -> list[Finding]:
    """What the reader must know about processed exams of the data set."""
    if "_Registered" not in str(path):
        return []
    filtered = " and filtered" if "_Filtered" in str(path) else ""
    message = f"The exam was already registered{filtered} by the data set's authors."
    return [Finding("already-registered", Grade.NOTE, message)]
