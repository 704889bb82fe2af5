"""Text that others wrote, fit for terminals, reports and files."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with a question mark for each sign that is none.

    Escape codes would command the terminal, marks of direction turn words around, and lone
    surrogates can be written to no file.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "?" for sign in text)
