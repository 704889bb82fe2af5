"""What each dependency weighs: a new environment, bolus installed into it, MB by distribution.

``python benchmarks/install_size.py`` measures the core, ``... demo`` (or another extra) the core
and that extra.  One MB is 1,000,000 bytes of files, each file counted once.  Bytecode is counted
apart: pip writes it for every module, ``pip --no-compile`` and uv leave it to Python, which writes
it for those modules that are imported.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tables import markdown

ROOT = Path(__file__).parents[1]
MB = 1e6


def new_environment(folder: Path) -> Path:
    """Make a virtual environment that holds pip alone; its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def install(python: Path, *arguments: str, root: Path = ROOT) -> None:
    """``pip install`` with the versions that bolus is tested with, in the folder of its source."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
    subprocess.run([*command, *arguments], check=True, cwd=root)


def size_mb(folder: Path) -> float:
    """Size of all files of a folder, MB; links aren't followed."""
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file()) / MB


def sizes_mb(environment: Path) -> list[tuple[str, float, float]]:
    """Name and version, MB of files and MB of bytecode of each distribution, largest first."""
    (packages,) = environment.glob("[Ll]ib/**/site-packages")
    measured = []
    for one in distributions(path=[str(packages)]):
        files = _existing(one)
        bytecode = sum(f.stat().st_size for f in files if f.suffix == ".pyc") / MB
        total = sum(f.stat().st_size for f in files) / MB
        measured.append((f"{one.metadata['Name']} {one.version}", total - bytecode, bytecode))
    return sorted(measured, key=lambda row: -row[1] - row[2])


def _existing(one: Distribution) -> set[Path]:
    named = (Path(str(one.locate_file(f))) for f in one.files or ())
    return {f for f in named if f.is_file()}


def table(measured: Sequence[tuple[str, float, float]], least_mb: float = 1.0) -> str:
    """A Markdown table; what weighs less than ``least_mb`` is one row."""
    large = [row for row in measured if row[1] + row[2] >= least_mb]
    small = measured[len(large) :]
    rows = [
        *large,
        (f"{len(small)} smaller ones", sum(r[1] for r in small), sum(r[2] for r in small)),
        ("all", sum(r[1] for r in measured), sum(r[2] for r in measured)),
    ]
    return markdown(
        ["distribution", "files, MB", "bytecode by pip, MB"],
        [[name, f"{files:.1f}", f"{bytecode:.1f}"] for name, files, bytecode in rows],
    )


def main() -> None:
    """Measure the core, or the core with the extras that are named."""
    extras = f"[{','.join(sys.argv[1:])}]" if sys.argv[1:] else ""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        install(new_environment(environment), f".{extras}")
        print(table(sizes_mb(environment)))


if __name__ == "__main__":
    main()
