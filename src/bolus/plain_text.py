"""Text from outside, made safe for terminals, reports and files; and what all of them must say."""

from __future__ import annotations

RESEARCH_USE = "Research use, not for diagnosis"
"""In every report, page, picture and file of results."""
LONGEST_TEXT = 64
"""Characters kept of a text in an exam, which may have any length (DICOM's LO has 64)."""


def printable(text: str) -> str:
    """The text with a question mark for each unprintable character.

    Escape codes would control the terminal, direction marks reorder words, and lone
    surrogates can't be written to a file.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def one_line(text: str) -> str:
    """Likewise, with multi-line messages of libraries on one line."""
    return printable(" ".join(line.strip() for line in text.splitlines()))


def short(text: str) -> str:
    """Likewise, truncated where it is longer than any legitimate text."""
    return printable(text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "...")
