"""Refusals by the server."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """An answer other than success: one sentence for the user, and data for programs."""

    def __init__(self, status: int, sentence: str, **beside: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.content = {"error": sentence, **beside}


def missing(what: str) -> Refused:
    """404."""
    return Refused(404, f"there is no such {what}")
