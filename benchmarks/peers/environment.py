"""The virtual environment of the other tools, separate from that of bolus."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / ".venv-peers"
REQUIREMENTS = HERE / "requirements.txt"
WITHOUT_DEPENDENCIES = ("mia_processes",)
"""Their declared dependencies are those of a desktop application; the numerics need none of it."""
CANDIDATES = ("python3.13", "python3.12", "python3.14")
"""osipy requires Python 3.12; without it, its rows say so."""


def interpreter() -> str:
    """The Python to make the environment with: $PEERS_PYTHON, a newer one, or the one running."""
    for name in filter(None, (os.environ.get("PEERS_PYTHON"), *CANDIDATES)):
        path = shutil.which(name)
        # a launcher may exist without its version
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return sys.executable


def requirements() -> list[str]:
    """The pinned requirements, one a line."""
    lines = [line.strip() for line in REQUIREMENTS.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def make_environment() -> Path:
    """Make the environment unless it is there and newer than its requirements.

    Returns
    -------
    The environment's Python.  A package that can't be installed is left out: whoever needs it
    fails at its import, and its row in the table says so.
    """
    python = FOLDER / "bin" / "python"
    stamp = FOLDER / "installed"
    if stamp.exists() and stamp.stat().st_mtime >= REQUIREMENTS.stat().st_mtime:
        return python
    subprocess.run([interpreter(), "-m", "venv", "--clear", FOLDER], check=True)
    for requirement in requirements():
        command = [python, "-m", "pip", "install", "--quiet", "--constraint", REQUIREMENTS]
        if requirement.startswith(WITHOUT_DEPENDENCIES):
            command.append("--no-deps")
        if subprocess.run([*command, requirement]).returncode:
            print(f"{requirement} can't be installed here", file=sys.stderr)
    (FOLDER / ".gitignore").write_text("*\n")
    stamp.touch()
    return python
