"""Text that others wrote, fit for terminals, reports and files."""

from __future__ import annotations

LONGEST_TEXT = 64
"""Signs of a text that an exam brings, of which any number may be there (DICOM's LO has 64)."""


def printable(text: str) -> str:
    """The text with a question mark for each sign that is none.

    Escape codes would command the terminal, marks of direction turn words around, and lone
    surrogates can be written to no file.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def one_line(text: str) -> str:
    """Likewise, with the lines of libraries' messages in one."""
    return printable(" ".join(line.strip() for line in text.splitlines()))


def short(text: str) -> str:
    """Likewise, the text's beginning only where it is longer than any that is meant."""
    return printable(text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "...")
