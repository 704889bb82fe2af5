"""UIDs that identify an exam in its hospital, and their substitutes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

REMOVED = {"PatientIdentityRemoved": "YES"}
"""DICOM's attribute (0012,0062): marks an identity of which the UIDs are substitutes."""
ROOT = "2.25."
"""Of UIDs made from 128 bits (DICOM PS3.5 B.2), here of a hash."""


def substitute_uids(uids: str) -> str:
    """Substitutes for these UIDs (several separated by a backslash): constant per exam, in no PACS.

    A hash: whoever has the exam can verify it, but nobody can recover the UID from it.
    """
    return "\\".join(_hashed(uid) for uid in uids.split("\\") if uid)


def deidentified(identity: Mapping[str, str]) -> dict[str, str]:
    """Substitutes for all UIDs of an exam; those of results that have them already stay."""
    if is_deidentified(identity):
        return dict(identity)
    return {tag: substitute_uids(uids) for tag, uids in identity.items()} | REMOVED


def is_deidentified(identity: Mapping[str, str]) -> bool:
    """Whether its UIDs are substitutes."""
    return REMOVED.items() <= identity.items()


def _hashed(uid: str) -> str:
    return ROOT + str(int.from_bytes(hashlib.sha256(uid.encode()).digest()[:16], "big"))
