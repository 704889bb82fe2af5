"""One tool in a separate process: ``python -m peers.child ADAPTER FOLDER``.

Reads every case of the folder, writes ``FOLDER/ADAPTER/METHOD/CASE.npz`` for each method: the maps,
the rows they belong to and the seconds they took; or the error in their place.
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

SEED = 1
WARM_UP_VOXELS = 200
REPEATS = 3
ENOUGH_S = 20.0
"""The case whose speed is shown is run up to `REPEATS` times, but not again after this long."""
TIMED = "brain"


def subset(case: Mapping[str, np.ndarray], limit: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The case of `limit` voxels drawn at random (0: all), and which ones."""
    voxels = len(case["curves"])
    rows = np.arange(voxels)
    if 0 < limit < voxels:
        rows = np.sort(np.random.default_rng(SEED).permutation(voxels)[:limit])
    return {**case, "curves": case["curves"][rows].astype(float)}, rows


def timed(
    job: Callable[[], dict[str, np.ndarray]], repeats: int
) -> tuple[dict[str, np.ndarray], float]:
    """The job's result and its shortest run time, s."""
    taken: list[float] = []
    while not taken or (len(taken) < repeats and sum(taken) < ENOUGH_S):
        start = time.perf_counter()
        found = job()
        taken.append(time.perf_counter() - start)
    return found, min(taken)


def run(adapter: str, folder: Path) -> None:
    """Every method of the tool on every case; a method that fails is not run again."""
    tool = importlib.import_module(f"peers.adapters.{adapter}")
    for method, limit in tool.METHODS.items():
        out = folder / adapter / method
        out.mkdir(parents=True)
        try:
            for path in sorted(folder.glob("*.npz")):
                np.savez(out / path.name, **measured(tool, method, limit, path))
        except Exception as error:
            np.savez(out / path.name, error=explained(error))


def measured(tool: ModuleType, method: str, limit: int, path: Path) -> dict[str, np.ndarray]:
    """Maps of one case, their rows and the time they took."""
    case, rows = subset(dict(np.load(path)), limit)
    repeats = 1
    if path.stem == TIMED:
        # imports, compilation and first use of memory are not counted
        tool.maps(method, subset(case, WARM_UP_VOXELS)[0])
        repeats = REPEATS
    found, seconds = timed(lambda: tool.maps(method, case), repeats)
    return {**found, "rows": rows, "seconds": np.array(seconds)}


def explained(error: Exception) -> str:
    """Reason for a tool without numbers, for the table."""
    if isinstance(error, ImportError):
        return f"not run: {error}"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run(sys.argv[1], Path(sys.argv[2]))
