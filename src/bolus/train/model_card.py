"""The model card of a trained network: architecture, data and accuracy."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bolus import __version__
from bolus.files.atomic import write_whole
from bolus.plain_text import RESEARCH_USE

CARD = "model-card.md"
LICENCE = "Apache-2.0"
USE = f"{RESEARCH_USE}."
LIBRARIES = ("numpy", "torch", "onnx", "onnxruntime", "scipy", "pydicom")


@dataclass(frozen=True)
class Results:
    """A table of the card."""

    title: str
    rows: Sequence[Mapping[str, object]]
    """All with the same keys, the table's head."""
    note: str = ""


@dataclass(frozen=True)
class Card:
    """Facts about a run; values are shown as they are."""

    title: str
    purpose: str
    facts: Mapping[str, Mapping[str, object]]
    """Section to name to value, in the order in which they are shown."""
    results: Sequence[Results]
    limits: Sequence[str]


def write_card(card: Card, folder: Path) -> None:
    """Write ``model-card.md``; licence, use and library versions are added."""
    lines = [f"# {card.title}", "", card.purpose, "", f"**{USE}** Weights: {LICENCE}."]
    for title, facts in (*card.facts.items(), ("Environment", environment())):
        lines += ["", f"## {title}", ""]
        lines += [f"- {name}: {_shown(value)}" for name, value in facts.items()]
    for table in card.results:
        lines += ["", f"## {table.title}", "", *_table(table.rows)]
        lines += ["", table.note] if table.note else []
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in card.limits), ""]
    write_whole(folder / CARD, "\n".join(lines).encode())


def environment() -> dict[str, str]:
    """Versions of everything that affects numbers; nothing that identifies the machine."""
    found = {"bolus": __version__, "Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    head = list(rows[0])
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(_shown(row[name]) for name in head) for row in rows]
    return [f"| {line} |" for line in lines]


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
