"""Voxels per second of every method, as a ratio to a limit measured in the same run.

The limit is one float32 matrix product from 45 samples to 90: what any linear deconvolution must
at least do.  Peak memory and stage times of the demo are measured on whole processes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bolus.deconvolve import METHODS, deconvolve
from bolus.simulate.kudo import blood_hu, residue_curve
from bolus.types import Curves
from tables import markdown, write

SLAB = (16, 133, 133)
VOXELS = 16 * 133 * 133
"""About the parenchyma of a 256 x 256 x 16 head."""
SAMPLES = 45
REPEATS = 3


def brain() -> tuple[Curves, np.ndarray]:
    """Curves of a noisy brain, 45 samples at 1 s."""
    rng = np.random.default_rng(1)
    time_s = np.arange(0.0, SAMPLES, 1.0)
    kinds = np.stack([
        3.0 / 70 / m * residue_curve("exponential", m, time_s - d)
        for m in (3.5, 5.0, 8.0, 12.0)
        for d in (0.0, 1.5, 4.0, 7.0)
    ])  # fmt: skip
    tissue = kinds[rng.integers(0, len(kinds), VOXELS)] + rng.normal(0, 1, (VOXELS, SAMPLES))
    voxels = np.ones(SLAB, bool)
    curves = Curves(
        time_s=time_s,
        tissue_hu=tissue.astype(np.float32),
        times_s=np.repeat(time_s[:, None], len(voxels), axis=1),
        weight=np.ones(SAMPLES),
        voxels=voxels,
        noise_hu=1.0,
        arrival_s=12.0,
        spacing_mm=(5.0, 1.0, 1.0),
    )
    return curves, blood_hu(time_s)


def best_seconds(job: Callable[[], object]) -> float:
    """Shortest of a few runs, after one that is not counted."""
    job()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return min(times)


def method_rows() -> list[list[str]]:
    """Voxels per second and the ratio to the limit."""
    curves, input_hu = brain()
    product = np.ones((SAMPLES, 2 * SAMPLES), np.float32)
    limit = VOXELS / best_seconds(lambda: curves.tissue_hu @ product)
    rows = [["one matrix product (the limit)", f"{limit:,.0f}", "1"]]
    for method in METHODS:
        speed = VOXELS / best_seconds(lambda m=method: deconvolve(m, curves, input_hu))
        rows.append([method, f"{speed:,.0f}", f"{speed / limit:.3f}"])
    return rows


def demo_rows() -> list[list[str]]:
    """Stage times of ``bolus demo`` in a process of its own, and that process's peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        start = time.perf_counter()
        command = [sys.executable, "-m", "bolus", "demo", str(out), "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        total = time.perf_counter() - start
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        timings = json.loads((out / "results" / "summary.json").read_text())["timings_s"]
    rows = [[name, f"{seconds:.1f} s"] for name, seconds in timings.items()]
    return [*rows, ["whole command", f"{total:.1f} s"], ["peak memory", f"{peak_mb:.0f} MB"]]


def main() -> None:
    """Write ``results/speed.md``."""
    parts = [
        f"Deconvolution of {VOXELS:,} voxels x {SAMPLES} samples on {os.cpu_count()} cores, "
        "maps included:",
        markdown(["method", "voxels/s", "ratio to the limit"], method_rows()),
        "`bolus demo`, from nothing to the report:",
        markdown(["stage", "time"], demo_rows()),
    ]
    write("speed", "Speed", parts)


if __name__ == "__main__":
    sys.exit(main())
