"""Several exams at once, in processes that a user starts himself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import multiprocessing, sys
import numpy as np
import bolus

times_s = np.arange(0.0, 60.0, 1.5)
since = np.maximum(times_s - 10, 0)
aif = 300 * since**3 * np.exp(-since / 1.5)
tissue = np.array([0.04, 0.02])[:, None] * np.interp(times_s - 4, times_s, aif)

def flow(number):
    return float(bolus.deconvolve(tissue, aif, "bsvd", times_s=times_s).cbf[0])

if __name__ == "__main__":
    mine = flow(0) if sys.argv[2] == "after" else None
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        theirs = pool.map(flow, [1])[0]
    assert mine is None or mine == theirs
    print("computed")
"""


def batch(folder: Path, start: str, when: str) -> subprocess.CompletedProcess[str]:
    script = folder / "batch.py"
    script.write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, "-P", script, start, when], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(("start", "when"), [("spawn", "after"), ("fork", "before")])
def test_workers_compute_what_their_parent_computes(tmp_path: Path, start: str, when: str) -> None:
    if start == "fork" and sys.platform != "linux":
        pytest.skip("processes are not forked here")
    done = batch(tmp_path, start, when)
    assert done.stdout == "computed\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP is that of Linux")
def test_a_process_forked_after_a_computation_says_how_to_start_it_instead_of_hanging(
    tmp_path: Path,
) -> None:
    done = batch(tmp_path, "fork", "after")
    assert done.returncode == 1
    assert "UsageError" in done.stderr
    assert "multiprocessing.get_context('spawn')" in done.stderr
