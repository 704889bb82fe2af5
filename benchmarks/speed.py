"""Voxels per second of every method, as a ratio to a limit measured in the same run.

The limit is one float32 matrix product from 45 samples to 90: the minimum work of any linear
deconvolution.  Times and peak memory of the demo and of a large exam are those of whole processes.
The growth of cost with voxels and samples is plotted, and quantified by the exponent of the fitted
power law, 1 where twice as much takes twice as long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bolus.deconvolution.methods import METHODS, deconvolve
from bolus.simulate.dicom import write_dicom
from bolus.simulate.exam import simulate_exam
from bolus.simulate.kudo import blood_hu, residue_curve
from bolus.simulate.recipe import Recipe
from bolus.timegrid import common_grid
from bolus.types import Curves
from bolus.workers import processes
from tables import RESULTS, markdown, write

SLICES = 16
PLANE = 133 * 133
VOXELS = SLICES * PLANE
"""About the parenchyma of a 256 x 256 x 16 head."""
SAMPLES = 45
INTERVAL_S = 1.0
REPEATS = 3
MANY_SLICES = (3, 6, 12, 24, 45)
MANY_SAMPLES = (20, 30, 45, 60, 90, 120)
CURVE_SLICES, CURVE_DURATION_S = 6, 60.0
"""The heads with more or fewer samples: slices and length of the scan."""
LARGE = Recipe(matrix=512, pixel_mm=0.45, slices=8, frames=89, dt_s=0.5, timing="volume")
LARGE_METHODS = ("bma", "nlr", "cnn")


def brain(
    slices: int = SLICES, samples: int = SAMPLES, interval_s: float = INTERVAL_S
) -> tuple[Curves, np.ndarray]:
    """Curves of a noisy brain, and the input on the grid that an exam would have."""
    rng = np.random.default_rng(1)
    time_s = np.arange(samples) * interval_s
    grid = common_grid(time_s[:, None])
    count = slices * PLANE
    kinds = np.stack([
        3.0 / 70 / m * residue_curve("exponential", m, time_s - d)
        for m in (3.5, 5.0, 8.0, 12.0)
        for d in (0.0, 1.5, 4.0, 7.0)
    ])  # fmt: skip
    tissue = kinds[rng.integers(0, len(kinds), count)] + rng.normal(0, 1, (count, samples))
    voxels = np.ones((slices, 133, 133), bool)
    curves = Curves(
        grid_s=grid,
        tissue_hu=tissue.astype(np.float32),
        times_s=np.repeat(time_s[:, None], len(voxels), axis=1),
        weight=np.ones(samples),
        voxels=voxels,
        noise_hu=1.0,
        arrival_s=12.0,
        spacing_mm=(5.0, 1.0, 1.0),
    )
    return curves, blood_hu(grid)


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


def growth() -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each method for `MANY_SLICES` at 45 samples and for `MANY_SAMPLES`."""
    by_voxels: dict[str, list[float]] = {method: [] for method in METHODS}
    by_samples: dict[str, list[float]] = {method: [] for method in METHODS}
    cases = [(by_voxels, (n, SAMPLES, INTERVAL_S)) for n in MANY_SLICES]
    cases += [(by_samples, (CURVE_SLICES, n, CURVE_DURATION_S / n)) for n in MANY_SAMPLES]
    for seconds, case in cases:
        curves, input_hu = brain(*case)
        for method in METHODS:
            job = partial(deconvolve, method, curves, input_hu)
            seconds[method].append(best_seconds(job))
    return by_voxels, by_samples


def growth_rows(seconds: dict[str, list[float]], sizes: Sequence[int]) -> list[list[str]]:
    """Seconds of each method at each size, and the exponent of the power law through them."""
    return [
        [method, *(f"{s:.2f}" for s in own), f"{np.polyfit(np.log(sizes), np.log(own), 1)[0]:.2f}"]
        for method, own in seconds.items()
    ]


def draw(panels: dict[str, tuple[Sequence[int], dict[str, list[float]]]], target: Path) -> None:
    """Seconds against voxels and samples, one panel each, with a line of slope 1 to compare."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, (label, (sizes, seconds)) in zip(
        figure.subplots(1, len(panels)), panels.items(), strict=True
    ):
        for method, own in seconds.items():
            axes.loglog(sizes, own, marker="o", ms=4, label=method)
        slowest = max(own[0] for own in seconds.values())
        straight = 2 * slowest * np.array(sizes) / sizes[0]
        axes.loglog(sizes, straight, ls="--", color="0.6", label="linear")
        axes.set(xlabel=label, ylabel="seconds")
        axes.set_xticks(sizes, [f"{n:,}" for n in sizes], rotation=30)
        axes.minorticks_off()
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(target, dpi=110)


def timed(*arguments: str) -> tuple[float, float]:
    """Seconds and peak memory, MB, of ``bolus`` with these arguments in a process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "bolus", *arguments, "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def stages(results: Path) -> dict[str, float]:
    """Seconds of each stage of an exam's analysis."""
    timings: dict[str, float] = json.loads((results / "summary.json").read_text())["timings_s"]
    return timings


def demo_rows(folder: Path) -> list[list[str]]:
    """Stage times of ``bolus demo``, and the whole, at first and once the kernels are compiled."""
    first, _ = timed("demo", str(folder / "first"))
    # kernels that the demo doesn't need are compiled as well
    timed("run", str(folder / "first" / "exam.zip"), "-o", str(folder / "other"))
    total, peak_mb = timed("demo", str(folder / "demo"))
    rows = [[name, f"{s:.1f} s"] for name, s in stages(folder / "demo" / "results").items()]
    return [
        *rows,
        ["whole command", f"{total:.1f} s"],
        ["whole command, the first time", f"{first:.1f} s"],
        ["peak memory", f"{peak_mb:.0f} MB"],
    ]


def write_large(folder: Path) -> None:
    """Simulate the large exam and write it as DICOM."""
    write_dicom(simulate_exam(1, LARGE)[0], folder)


def large_rows(folder: Path) -> list[list[str]]:
    """A large exam from its files to the report, by each of some methods."""
    rows = []
    with processes(1) as pool:
        pool.submit(write_large, folder / "large").result()
    for method in LARGE_METHODS:
        out = folder / method
        total, peak_mb = timed("run", str(folder / "large"), "-o", str(out), "--method", method)
        timings = stages(out)
        own = sum(s for name, s in timings.items() if name.split()[-1] == method)
        rows.append([method, f"{timings['read']:.1f}", f"{own:.1f}", f"{total:.1f}",
                     f"{peak_mb:,.0f}"])  # fmt: skip
    return rows


def main() -> None:
    """Write ``results/speed.md`` and ``speed.png``."""
    # a process begins with the peak memory of the one that starts it, so these go first
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = f"{folder}/compiled"
        demo, large = demo_rows(Path(folder)), large_rows(Path(folder))
    rows = method_rows()
    voxels = [n * PLANE for n in MANY_SLICES]
    by_voxels, by_samples = growth()
    panels = {
        f"voxels of {SAMPLES} samples": (voxels, by_voxels),
        f"samples in {CURVE_DURATION_S:g} s of {CURVE_SLICES * PLANE:,} voxels": (
            MANY_SAMPLES,
            by_samples,
        ),
    }
    RESULTS.mkdir(exist_ok=True)
    draw(panels, RESULTS / "speed.png")
    parts = [
        f"Deconvolution of {VOXELS:,} voxels x {SAMPLES} samples on {os.cpu_count()} cores, "
        "maps included:",
        markdown(["method", "voxels/s", "ratio to the limit"], rows),
        "Growth of cost: seconds, and the exponent of the power law through them (1 is linear; "
        "less where there is a fixed cost). The common grid has 1 s, or 0.5 s where frames come "
        "faster than one per second:",
        *(
            f"By {label}:\n\n"
            + markdown(["method", *(f"{n:,}" for n in sizes), "exponent"],
                       growth_rows(seconds, sizes))
            for label, (sizes, seconds) in panels.items()
        ),
        "![Seconds against voxels and samples](speed.png)",
        "`bolus demo`, from start to report:",
        markdown(["stage", "time"], demo),
        f"An exam of {LARGE.matrix} x {LARGE.matrix} x {LARGE.slices} x {LARGE.frames} "
        f"({LARGE.slices * LARGE.frames} files), from its files to the report:",
        markdown(["method", "reading, s", "the method itself, s", "whole command, s",
                  "peak memory, MB"], large),
    ]  # fmt: skip
    write("speed", "Speed", parts)


if __name__ == "__main__":
    sys.exit(main())
