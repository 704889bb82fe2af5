"""Sign-in codes: made at random, shown once, kept as salted hashes only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Any

from bolus.study.raters.store import Study, read_json

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without characters that are easily confused."""
GROUPS, LENGTH = 3, 4
"""A code has 12 letters: 59 bits."""
SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def new_codes(raters: Sequence[str]) -> dict[str, str]:
    """A code for each rater, "k3fp-9xwm-a2bc"; not from the study's seed, which is no secret."""
    return {
        rater: "-".join(
            "".join(secrets.choice(LETTERS) for _ in range(LENGTH)) for _ in range(GROUPS)
        )
        for rater in raters
    }


def hashed(code: str) -> dict[str, str]:
    """What the study keeps of a code."""
    salt = secrets.token_bytes(16)
    return {"salt": salt.hex(), "hash": _digest(code, salt).hex()}


def signed_in(study: Study, rater: str, code: str) -> bool:
    """Whether ``code`` is the rater's; False for an unknown rater.

    Raises
    ------
    DamagedFile
        ``raters.json`` can't be read.
    """
    kept: Any = read_json(study.folder, study.folder / "raters.json").get("raters")
    known = isinstance(kept, dict) and rater in study.raters
    one: Any = kept.get(rater) if known else None
    try:
        salt, expected = bytes.fromhex(one["salt"]), bytes.fromhex(one["hash"])
    except (TypeError, KeyError, ValueError):
        return False
    return hmac.compare_digest(_digest(code, salt), expected)


def _digest(code: str, salt: bytes) -> bytes:
    return hashlib.scrypt(code.strip().lower().encode(), salt=salt, dklen=32, **SCRYPT)
