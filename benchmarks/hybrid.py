"""Every method on the hybrid example exam (real skull, simulated perfusion) against its truth.

The exam was simulated by code outside this project; no parameter was fitted to its truth.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from bolus.acquire.exam import read_exam
from bolus.metrics import dice, mean_absolute_error, pearson
from bolus.options import METHOD_NAMES, Choices
from bolus.pipeline import analyse, run_exam
from bolus.preprocessing import Stages
from bolus.study.dose.add_noise import with_noise
from bolus.study.dose.subsample import subsampled
from bolus.types import MAP_UNITS, Results
from tables import markdown, write

EXAMS = Path(__file__).parents[2] / "shared" / "exams"
EXAM, TRUTH = EXAMS / "hybrid-mca.zip", EXAMS / "hybrid-mca-truth.zip"
BEFORE = Path(__file__).parent / "hybrid_main_job.json"
"""The same exam before preparation, arteries and estimators were improved."""
MAPS = tuple(MAP_UNITS)
LESS_METHODS = ("cnn", "bma")


def read_truth(path: Path = TRUTH) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Truth maps as (z, y, x) in the exam's LPS order, and truth.json."""
    maps = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".nii.gz"):
                image = nib.Nifti1Image.from_bytes(gunzip(archive.read(name)))
                # stored RAS: flip x and y to the exam's L and P
                data = np.asarray(image.dataobj)[::-1, ::-1].transpose(2, 1, 0)
                maps[Path(name).name.removesuffix(".nii.gz")] = data
            elif name.endswith("truth.json"):
                facts = json.loads(archive.read(name))
    return maps, facts


def gunzip(data: bytes) -> bytes:
    """The uncompressed bytes."""
    import gzip

    return gzip.GzipFile(fileobj=io.BytesIO(data)).read()


def lesion_cells(results: Results, method: str, truth: dict[str, np.ndarray]) -> list[str]:
    """Volume and Dice of hypoperfused tissue and core."""
    lesion = results.methods[method].lesion
    hypo, core = truth["hypo"] > 0, truth["core"] > 0
    ml = results.geometry.voxel_ml
    return [
        f"{lesion.hypoperfused_ml:.1f} ({lesion.hypoperfused_ml / (hypo.sum() * ml) - 1:+.0%})",
        f"{dice(lesion.labels > 0, hypo):.2f}",
        f"{lesion.core_ml:.1f} ({lesion.core_ml - core.sum() * ml:+.1f} ml)",
        f"{dice(lesion.labels == 2, core):.2f}",
    ]


def map_cells(results: Results, method: str, truth: dict[str, np.ndarray]) -> list[str]:
    """r and MAE of each map over the valid voxels that were analysed."""
    maps = results.methods[method].maps
    where = (truth["valid"] > 0) & (maps.mtt > 0)
    cells = []
    for name in MAPS:
        found, true = getattr(maps, name)[where], truth[name][where]
        cells.append(f"{pearson(found, true):.2f} / {mean_absolute_error(found, true):.2f}")
    return cells


def less_table(truth: dict[str, np.ndarray]) -> str:
    """The network with fewer frames and a lower dose, next to `bma` with all and with as few."""
    whole = read_exam(EXAM)
    exams = {
        "all frames, full dose": whole,
        "every third frame": subsampled(whole, range(0, len(whole.frames), 3)),
        "quarter dose": with_noise(whole, 0.25, seed=1),
    }
    lines = []
    for name, exam in exams.items():
        results = analyse(exam, Choices(methods=LESS_METHODS), Stages())
        for method in LESS_METHODS:
            hypoperfused, overlap, core, core_overlap = lesion_cells(results, method, truth)
            lines.append([name, method, *map_cells(results, method, truth)[:4],
                          hypoperfused, overlap, core, core_overlap])  # fmt: skip
    header = ["exam", "method", "CBF", "CBV", "MTT", "Tmax",
              "hypoperfused ml", "Dice", "core ml", "Dice"]  # fmt: skip
    return markdown(header, lines)


def rim_text(results: Results, truth: dict[str, np.ndarray], method: str) -> str:
    """False positives of a method's hypoperfused tissue."""
    ml = results.geometry.voxel_ml
    drawn = results.methods[method].lesion.labels > 0
    hypo, valid, painted = (truth[name] > 0 for name in ("hypo", "valid", "painted"))
    besides = drawn & ~hypo
    parts = (
        (besides & valid & painted, "in the oligaemic rim"),
        (besides & valid & ~painted, "in healthy tissue"),
        (besides & ~valid, "in voxels with some CSF or vessel"),
    )
    told = ", ".join(f"{where.sum() * ml:.1f} ml {text}" for where, text in parts)
    dice_valid = dice(drawn & valid, hypo)
    return (
        f"`{method}` has false positives of {told}; it misses {(hypo & ~drawn).sum() * ml:.1f} ml. "
        f"Dice in valid voxels {dice_valid:.2f}."
    )


def aif_text(results: Results, truth: dict[str, np.ndarray], facts: dict[str, Any]) -> str:
    """Where the input was taken and how its area compares with the truth's."""
    time_s, input_hu = results.grid_s, results.arteries.input_hu
    true = np.interp(time_s, facts["curves"]["t"], facts["curves"]["aif"])
    ratio = input_hu.sum() / true.sum()
    fraction = truth["vessel_fraction"][tuple(results.arteries.aif.voxels.T)].mean()
    return (
        f"Arterial input: {len(results.arteries.aif.voxels)} voxels with a mean blood fraction of "
        f"{fraction:.2f}; its area after scaling by the VOF is {ratio - 1:+.1%} off the truth."
    )


def side_by_side(before: dict[str, list[str]], now: list[list[str]]) -> list[list[str]]:
    """Each cell of a table before and now."""
    return [
        [name, *(f"{old} → {new}" for old, new in zip(before[name], cells, strict=True))]
        for name, *cells in now
        if name in before
    ]


def main() -> None:
    """Write ``results/hybrid.md``."""
    if not EXAM.exists():
        sys.exit(f"the example exam is missing: {EXAM.name}")
    truth, facts = read_truth()
    lesions = []
    for preset in ("rapid", "calibrated"):
        results = run_exam(EXAM, Choices(methods=METHOD_NAMES, preset=preset))
        lesions += [[m, preset, *lesion_cells(results, m, truth)] for m in METHOD_NAMES]
    maps = [[m, *map_cells(results, m, truth)] for m in METHOD_NAMES]
    before = json.loads(BEFORE.read_text())
    calibrated = [[row[0], *row[2:]] for row in lesions if row[1] == "calibrated"]
    ml = results.geometry.voxel_ml
    note = (
        "One exam with a real skull and simulated perfusion, noise of 6 HU: accuracy on a "
        "simulated exam; no real 4D patient exam was available. Truth: hypoperfused "
        f"{(truth['hypo'] > 0).sum() * ml:.1f} ml, core {(truth['core'] > 0).sum() * ml:.1f} ml. "
        "The calibrated thresholds were chosen on other exams (calibration.md)."
    )
    write(
        "hybrid",
        "Hybrid example exam",
        [
            note,
            aif_text(results, truth, facts),
            markdown(
                ["method", "preset", "hypoperfused ml", "Dice", "core ml", "Dice"],
                lesions,
            ),
            "r / MAE in valid voxels (brain without CSF and vessels):",
            markdown(
                ["method", "CBF (ml/100g/min)", "CBV (ml/100g)", "MTT (s)", "Tmax (s)", "TTP (s)"],
                maps,
            ),
            "## False-positive hypoperfused tissue",
            "\n\n".join(rim_text(results, truth, method) for method in LESS_METHODS),
            "## Fewer frames, lower dose",
            "r / MAE, calibrated thresholds; the added noise has the texture of the exam's own.",
            less_table(truth),
            f"## Side by side with the main job's first table ({before['bolus']})",
            markdown(
                ["method, calibrated", "hypoperfused ml", "Dice", "core ml", "Dice"],
                side_by_side(before["lesions"], calibrated),
            ),
            markdown(
                ["method, r / MAE", "CBF", "CBV", "MTT", "Tmax", "TTP"],
                side_by_side(before["maps"], maps),
            ),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
