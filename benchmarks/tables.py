"""What the benchmark scripts share: a slope and Markdown tables."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"


def slope(found: np.ndarray, truth: np.ndarray) -> float:
    """Least-squares slope of the result over the truth."""
    return float(np.polyfit(truth, found, 1)[0])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(name: str, title: str, parts: Sequence[str]) -> None:
    """Print the result and save it as ``results/<name>.md``."""
    machine = f"Python {platform.python_version()}, numpy {version('numpy')}, {platform.machine()}"
    text = "\n\n".join([f"# {title}", *parts, f"bolus {version('bolus')}, {machine}."]) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    print(text)
