"""A digest of the code that determines a result, to detect outdated stored results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import bolus

ANALYSIS = ("align", "anatomy", "arteries", "curves", "deconvolution")
"""Folders of the package that determine the maps of deconvolution."""
LESIONS = ("infer", "lesion", "quality")
"""And those that determine the network's maps, lesions and verdicts."""
ALWAYS = ("types.py", "metrics.py", "pipeline.py", "preprocessing.py", "timegrid.py")
"""Further modules that affect every result."""
DATA = frozenset({".py", ".json", ".onnx"})


def digest_of_code(folders: Iterable[str], *others: Path) -> str:
    """Twelve hexadecimal digits of the SHA-256 of modules and their data.

    Parameters
    ----------
    folders : of the package, with all that lies below.
    others : files outside of them.
    """
    package = Path(bolus.__file__).parent
    files = [package / name for name in ALWAYS if (package / name).exists()]
    files += [f for name in folders for f in sorted((package / name).rglob("*"))]
    files += others
    total = hashlib.sha256()
    for file in files:
        if file.suffix in DATA and "__pycache__" not in file.parts:
            total.update(file.read_bytes())
    return total.hexdigest()[:12]
