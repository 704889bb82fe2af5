"""Time of the network per 256 x 256 slice, as a ratio to PyTorch eager in the same run.

Timed on the same simulated exam: `bolus.infer.predict` as a whole (inputs, all maps and standard
errors, the comparison with the training exams), the network alone in ONNX Runtime, and the network
alone in PyTorch, on the same inputs and threads.  PyTorch's network has the same architecture; its
weights don't change its speed.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

import numba
import numpy as np
import torch

from bolus.infer.features import Sampled, blood, level_reference, slice_inputs
from bolus.infer.gather import sampled
from bolus.infer.model import MULTIPLE, load_model
from bolus.infer.predict import predict
from bolus.preprocessing import preprocess
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import DEMO
from bolus.train.cnn.network import PerfusionNet
from tables import markdown, write

SEED = 77_001
RECIPE = replace(DEMO, matrix=256, slices=8)
REPEATS = 7


def an_exam() -> Sampled:
    """Curves of a simulated exam of 256 x 256 pixels, as given to the network."""
    exam, _ = simulate_exam(SEED, RECIPE)
    ready = preprocess(exam)
    return sampled(ready.exam, ready.tissue, ready.measured, ready.curves, motion=ready.motion)


def seconds(jobs: list[Callable[[], object]]) -> list[list[float]]:
    """Times of each job; jobs alternate, so that other load affects all equally."""
    found: list[list[float]] = [[] for _ in jobs]
    for job in jobs:
        job()
    for _ in range(REPEATS):
        for times, job in zip(found, jobs, strict=True):
            start = time.perf_counter()
            job()
            times.append(time.perf_counter() - start)
    return found


def cut_to_brain(exam: Sampled) -> Sampled:
    """As `predict` does it."""
    rows, columns = (np.flatnonzero(exam.voxels.any(axis=a)) for a in ((0, 2), (0, 1)))
    box = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return replace(exam, voxels=exam.voxels[box], vessel=exam.vessel[box])


def batch_of(pixels: np.ndarray, context: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """One slice as PyTorch takes it."""
    padding = [(0, 0), *((0, -n % MULTIPLE) for n in pixels.shape[1:])]
    return torch.from_numpy(np.pad(pixels, padding)[None]), torch.from_numpy(context[None])


def jobs_on(exam: Sampled) -> tuple[dict[str, Callable[[], object]], int]:
    """What is timed, PyTorch last, and the number of slices."""
    model, cut = load_model(), cut_to_brain(exam)
    slab, level = blood(cut), level_reference(cut)
    filled = [z for z, mask in enumerate(cut.voxels) if mask.any()]
    inputs = [slice_inputs(cut, z, slab, level) for z in filled]
    torch.set_num_threads(numba.get_num_threads())
    net, batches = PerfusionNet().eval(), [batch_of(*one) for one in inputs]

    @torch.no_grad()
    def eager() -> None:
        for batch in batches:
            net(*batch)

    return {
        "`predict`: inputs, network, maps, standard errors, check": lambda: predict(exam, model),
        "inputs alone": lambda: [slice_inputs(cut, z, slab, level) for z in filled],
        "network alone, ONNX Runtime": lambda: [model.run(*one) for one in inputs],
        "network alone, PyTorch eager": eager,
    }, len(filled)


def main() -> None:
    """Write ``results/network_speed.md``."""
    exam = an_exam()
    jobs, slices = jobs_on(exam)
    times = [[1000 * t / slices for t in found] for found in seconds(list(jobs.values()))]
    base = statistics.median(times[-1])
    table = []
    for name, own in zip(jobs, times, strict=True):
        middle = statistics.median(own)
        cells = [f"{middle:.0f}", f"{min(own):.0f}-{max(own):.0f}", f"{middle / base:.2f}"]
        table.append([name, *cells])
    shape = cut_to_brain(exam).voxels.shape
    note = (
        f"One exam of 256 x 256 pixels, {slices} slices, {len(exam.times_s)} frames; the brain's "
        f"box is {shape[2]} x {shape[1]}. {numba.get_num_threads()} threads; median and range of "
        f"{REPEATS} runs in turn. Load of the machine at the end: {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores (above the number of threads: other processes were running). "
        f"onnxruntime {version('onnxruntime')}, torch {version('torch').split('+')[0]}."
    )
    header = ["what", "ms per slice", "range", "ratio to PyTorch eager"]
    write("network_speed", "Speed of the network", [note, markdown(header, table)])


if __name__ == "__main__":
    sys.exit(main())
