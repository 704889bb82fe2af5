"""Small made-up results of `bolus run` with a lesion on the patient's left, for reading studies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bolus.files.folder_lock import locked
from bolus.study.raters.readings import store_outline
from bolus.study.raters.store import Study
from bolus.types import Geometry
from bolus.volumes import nifti_bytes

SHAPE = (6, 56, 48)
SPACING_MM = (8.0, 3.5, 3.5)
AFFINE = np.array([
    [0, 0, SPACING_MM[2], -82],
    [0, SPACING_MM[1], 0, -96],
    [SPACING_MM[0], 0, 0, 10],
    [0, 0, 0, 1],
])  # fmt: skip
GRID = Geometry(SHAPE, AFFINE)


def lesion(seed: int, larger: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Brain, core and hypoperfused tissue, (Z, Y, X) bool."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(SHAPE)
    brain = ((y - 28) / 24) ** 2 + ((x - 24) / 19) ** 2 < 1
    centre = rng.uniform([2, 24, 31], [3.5, 32, 33])
    size = rng.uniform(16, 30) * larger
    mm = np.sqrt(
        sum(((a - c) * s) ** 2 for a, c, s in zip((z, y, x), centre, SPACING_MM, strict=True))
    )
    return brain, brain & (mm < 0.6 * size), brain & (mm < size)


def write_results(folder: Path, seed: int, methods: tuple[str, ...] = ("nlr", "cnn")) -> Path:
    """A folder as `bolus run` leaves it, as far as a reading study looks into it."""
    for number, method in enumerate(methods):
        rng = np.random.default_rng([seed, number])
        brain, core, hypoperfused = lesion(seed, 1 + 0.03 * number)
        cbf = np.where(core, 10, np.where(hypoperfused, 30, 60)) + rng.normal(0, 3, SHAPE)
        tmax = np.where(core, 10, np.where(hypoperfused, 8, 3)) + rng.normal(0, 0.5, SHAPE)
        mtt = np.where(hypoperfused, 9.0, 4.5)
        maps = {"cbf": cbf, "cbv": cbf * mtt / 60, "mtt": mtt, "tmax": tmax, "ttp": tmax + 5}
        (folder / method).mkdir(parents=True)
        for name, values in maps.items():
            inside = np.where(brain, np.maximum(values, 0.1), 0).astype(np.float32)
            content = nifti_bytes(inside, GRID, f"{name}, bolus {method}")
            (folder / method / f"{name}.nii.gz").write_bytes(content)
        labels = np.where(core, 2, np.where(hypoperfused, 1, 0)).astype(np.uint8)
        content = nifti_bytes(labels, GRID, f"1 penumbra 2 core, bolus {method}")
        (folder / method / "lesion.nii.gz").write_bytes(content)
    for name, inside_hu in (("baseline", 36.0), ("maximum", 45.0)):
        values = np.where(brain, inside_hu, 0).astype(np.float32)
        (folder / f"{name}.nii.gz").write_bytes(nifti_bytes(values, GRID, name))
    brain_bytes = nifti_bytes(brain.astype(np.uint8), GRID, "brain mask")
    (folder / "brain.nii.gz").write_bytes(brain_bytes)
    summary = {"schema": "bolus-summary/1", "methods": {m: {} for m in methods}}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def write_outline(
    study: Study,
    rater: str,
    reading: str,
    labels: NDArray[np.uint8],
    *,
    active_s: float,
    done: bool,
) -> int:
    """`store_outline` under the lock that it asks for."""
    with locked(study.folder):
        return store_outline(study, rater, reading, labels, active_s=active_s, done=done)
