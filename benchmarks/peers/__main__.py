"""``python -m peers``: every tool on the same curves, in one run; writes results/peers.md."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from peers.cases import Case, all_cases
from peers.environment import make_environment
from peers.report import Results, details, overview, update_page, why
from tables import write

ADAPTERS = ("bolus", "osipy", "dcmri", "mia_processes", "pypet")

NOTE = """\
Every tool gets the same curves and the same arterial input, interpolated to 1 s: the Kudo phantom \
(8 HU, a frame every 2 s, smoothed by 2.5 pixels, outer pixels of tiles left out; \
`benchmarks/kudo.py`), and tiles of tissue reached from 3 s before to 3 s after the artery. Errors \
are averages over box, exponential and linear residues; MAE in ml/100g/min, ml/100g and s. The \
voxels per second are those of a brain of {voxels:,} voxels x {samples} samples on {cores} cores, \
shortest of up to three runs, each tool in a separate process; load of the machine before: \
{load:.1f}. Accuracy on a simulated phantom."""

DEFINITIONS = """\
The definitions of the maps differ between the tools:

* Tmax. Truth is the centre of the residue function, delay + MTT/2. `nlr` and `bma` of bolus and \
boxNLR of PyPeT estimate that; all others take the time of the largest sample of the residue \
function (mia_processes half an interval later, PyPeT in whole seconds), which regularisation \
brings between delay and centre. The last column of each table measures them against the delay.
* Scale. osipy: CBV x 0.73/1.04, CBF x 1/1.04, its own constants, so its CBF is larger by 1.37 \
than CBV/MTT. PyPeT: 0.73/1.05 (boxNLR: none). dcmri and mia_processes have no kappa/rho; they \
are given bolus's 0.733/1.05, which the phantom's truth holds too.
* dcmri stops at the residue function: CBF is its maximum, CBV its area, MTT their ratio.
* mia_processes is an MR tool: its brick is given the curves as concentrations and the true frame \
interval (it overrides it by 1.677 s), and its normalisation of the mean CBV to 5 is off.
* PyPeT fits a gamma-variate to its AIF; here it is given the AIF itself. Its CBV lacks the frame \
interval and is right at 1 s only.
* Regularisation as each tool has it by default (dcmri has none by default: two usual tolerances).
* Slow methods get a random part of the voxels, shown in the tables; their speed is measured on it.
* bolus gets what its pipeline passes to an estimator: the samples at their own times, which the \
others get interpolated to 1 s, and the voxels' positions (`bma` uses their neighbours)."""


def collect(folder: Path, adapter: str, problem: str) -> Results:
    """Output of a child process, by tool and method; `problem` stands for what is missing."""
    tool = importlib.import_module(f"peers.adapters.{adapter}")
    results: Results = {}
    for method in tool.METHODS:
        files = sorted((folder / adapter / method).glob("*.npz"))
        found = {path.stem: dict(np.load(path)) for path in files}
        if len(found) < len(list(folder.glob("*.npz"))) and not why(found):
            found["rest"] = {"error": np.array(problem or "no result")}
        results[tool.NAME, method] = found
    return results


def run_child(python: Path, adapter: str, folder: Path) -> str:
    """Run one tool in its own process; returns its last error line if it fails."""
    place = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [python, "-m", "peers.child", adapter, folder]
    done = subprocess.run(command, env=place, stderr=subprocess.PIPE, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr else ""


def measure(cases: list[Case], adapters: tuple[str, ...] = ADAPTERS) -> Results:
    """Every tool on every case, one after the other."""
    peers_python = make_environment()
    results: Results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in cases:
            np.savez(folder / f"{case.name}.npz", **case.arrays())
        for adapter in adapters:
            python = Path(sys.executable) if adapter == "bolus" else peers_python
            problem = run_child(python, adapter, folder)
            results.update(collect(folder, adapter, problem))
    return results


def main() -> None:
    """Write ``results/peers.md`` and the table in docs/accuracy.md."""
    load = os.getloadavg()[0]
    cases = list(all_cases())
    results = measure(cases)
    brain = cases[-1].curves
    table = overview(results, cases)
    voxels, samples = int(brain.voxels.sum()), brain.grid_s.size
    note = NOTE.format(voxels=voxels, samples=samples, cores=os.cpu_count(), load=load)
    parts = [note, table, DEFINITIONS]
    for case in cases:
        if case.name.startswith("kudo"):
            parts += [f"## {case.name[5:]} residue: r / MAE / slope", details(results, case)]
    write("peers", "bolus and other open software", parts)
    update_page(table)


if __name__ == "__main__":
    main()
