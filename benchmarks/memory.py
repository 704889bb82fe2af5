"""Peak memory of whole runs against the estimate made before an exam is read.

An exam is refused where the estimate (`bolus.acquire.memory`) exceeds the available memory: too
low an estimate lets a run fail halfway, too high an estimate refuses exams needlessly.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bolus.acquire.memory import peak_bytes
from bolus.simulate.dicom import write_dicom
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Recipe
from bolus.workers import processes
from speed import LARGE, LARGE_METHODS, timed
from tables import markdown, write

USUAL = Recipe(matrix=256, pixel_mm=0.9, slices=8, frames=60, dt_s=1.0, timing="volume")
MANY_SLICES = Recipe(matrix=256, pixel_mm=0.9, slices=32, frames=45, dt_s=1.5, timing="volume")
SEED = 5


def write_exam(recipe: Recipe, folder: Path) -> None:
    """Simulate an exam and write it as DICOM."""
    write_dicom(simulate_exam(SEED, recipe)[0], folder)


def rows(recipe: Recipe, folder: Path) -> list[list[str]]:
    """One exam by each of some methods."""
    with processes(1) as pool:  # a run begins with the peak memory of the process that starts it
        pool.submit(write_exam, recipe, folder / "exam").result()
    estimate_mb = peak_bytes(recipe.slices * recipe.frames * recipe.matrix**2 * 4) / 1e6
    name = f"{recipe.matrix} x {recipe.matrix} x {recipe.slices} x {recipe.frames}"
    made = []
    for method in LARGE_METHODS:
        _, peak_mb = timed("run", str(folder / "exam"), "-o", str(folder / method), "-m", method)
        ratio = f"{estimate_mb / peak_mb:.2f}"
        made.append([name, method, f"{peak_mb:,.0f}", f"{estimate_mb:,.0f}", ratio])
    return made


def main() -> None:
    """Write ``results/memory.md``."""
    table = []
    for recipe in (USUAL, MANY_SLICES, LARGE):
        with tempfile.TemporaryDirectory() as folder:
            table += rows(recipe, Path(folder))
    header = ["exam", "method", "peak, MB", "estimate, MB", "estimate / peak"]
    write(
        "memory", "Memory", ["Whole runs from DICOM files to the report:", markdown(header, table)]
    )


if __name__ == "__main__":
    sys.exit(main())
