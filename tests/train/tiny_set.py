"""A data set of tiny exams whose map follows from their frames, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bolus.dataset.index import Case, Index, write_index
from bolus.dataset.split import Split, write_split
from bolus.simulate.nifti import write_exam, write_image
from bolus.train.gava2021.data import Slices
from bolus.types import Exam, Geometry, Scanner

MATRIX, SLICES, FRAMES = 48, 2, 12
WIDTH = 2
"""Channels of the smallest network."""


def slices(count: int = 2, size: int = 32, frames: int = 5, seed: int = 0) -> Slices:
    """Slices with a disc of brain that brightens as its map says."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    brain = np.broadcast_to(np.hypot(y, x) < 0.4 * size, (count, size, size)).copy()
    turn = rng.uniform(0, 6, (count, 1, 1))
    share = (0.5 + 0.5 * np.sin(x / 3 + turn) * np.cos(y / 4)) * brain
    course = np.sin(np.linspace(0, 3, frames))[:, None, None]
    inputs = 100 * brain[:, None] + 80 * share[:, None] * course
    return Slices(
        inputs=inputs.astype(np.uint8),
        target=(200 * share).astype(np.uint8),
        brain=brain,
        truth=np.zeros_like(brain, np.uint8),
        valid=np.zeros_like(brain),
        cases=("one",) * count,
        digest="tiny",
    )


def write_tiny_set(folder: Path, frames: tuple[int, ...] = (FRAMES,) * 4) -> tuple[Path, Path]:
    """Write exams, maps, truth, index and split; two to learn from, then validation and test.

    Returns
    -------
    Paths of the index and of the split.
    """
    root = folder / "set"
    cases = tuple(_case(root / f"case-{i}", i, count) for i, count in enumerate(frames))
    index = Index(root, "nifti", cases)
    names = [case.patient for case in cases]
    split = Split(tuple(names[:-2]), (names[-2],), (names[-1],), 0, index.digest)
    write_index(index, folder / "index.json")
    write_split((split,), index, folder / "split.json")
    return folder / "index.json", folder / "split.json"


def _case(folder: Path, number: int, frames: int) -> Case:
    rng = np.random.default_rng(number)
    folder.mkdir(parents=True)
    (folder / "truth").mkdir()
    geometry = Geometry((SLICES, MATRIX, MATRIX), np.diag([5.0, 4.0, 4.0, 1.0])[[2, 1, 0, 3]])
    z, y, x = np.mgrid[:SLICES, :MATRIX, :MATRIX]
    brain = np.hypot(y - MATRIX / 2, x - MATRIX / 2) < 0.4 * MATRIX
    cbf = np.where(brain, 25 + 20 * np.sin(x / 5 + number + z), 0).astype(np.float32)
    course = np.sin(np.linspace(0, 3, frames))[:, None, None, None]
    noise = rng.normal(0, 2, (frames, *brain.shape))
    hu = np.where(brain, 35 + 0.5 * cbf * course + noise, -1000.0).astype(np.float32)
    times = np.repeat(np.arange(frames)[:, None] * 0.5, SLICES, axis=1)
    write_exam(Exam(hu, times, geometry, Scanner("nifti")), folder / "exam.nii.gz")
    write_image(cbf * np.float32(0.9), geometry, folder / "cbf.nii.gz")
    for name in ("cbf", "cbv", "mtt", "ttp", "tmax", "delay"):
        write_image(cbf, geometry, folder / "truth" / f"{name}.nii.gz")
    for name in ("valid", "hypo", "core", "brain"):
        write_image(brain.astype(np.uint8), geometry, folder / "truth" / f"{name}.nii.gz")
    return Case(
        name=folder.name,
        patient=folder.name,
        exam=folder / "exam.nii.gz",
        maps={"cbf": folder / "cbf.nii.gz"},
        truth=folder / "truth",
        frames=frames,
        slices=SLICES,
    )
