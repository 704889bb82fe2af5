"""What the benchmark scripts share: measures of error and Markdown tables."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"


def pearson(found: np.ndarray, truth: np.ndarray) -> float:
    """Correlation coefficient."""
    return float(np.corrcoef(found, truth)[0, 1])


def mae(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute error, in the maps' unit."""
    return float(np.abs(found - truth).mean())


def slope(found: np.ndarray, truth: np.ndarray) -> float:
    """Least-squares slope of the result over the truth."""
    return float(np.polyfit(truth, found, 1)[0])


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks; 1 for two empty ones."""
    total = int(a.sum() + b.sum())
    return 1.0 if total == 0 else 2 * float((a & b).sum()) / total


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
