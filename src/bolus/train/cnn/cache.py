"""Prepared exams on disk: each exam of a data set goes through the pipeline once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from bolus.acquire.exam import read_exam
from bolus.dataset.index import Case, Index
from bolus.dataset.maps import read_maps, read_truth
from bolus.errors import BolusError, UsageError
from bolus.train.prepare import TARGETS, prepare, write_prepared
from bolus.types import BoolArray, Float32Array, Geometry
from bolus.workers import as_they_finish, processes

NEEDED = ("cbf", "cbv", "mtt")
"""And Tmax or delay; the peak's time can be read off the curves."""

Say = Callable[[str], None]


def prepare_cases(
    cases: Sequence[Case], index: Index, folder: Path, say: Say
) -> tuple[list[Path], list[str]]:
    """Prepare every case in ``folder``, each once; an interrupted run is resumed.

    Returns
    -------
    paths : of the prepared cases, in their order
    refused : one line for each case that the pipeline refuses, as in `bolus run`

    Raises
    ------
    UsageError
        No case is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / file_name(case) for case in cases]
    missing = [(case, index, path) for case, path in zip(cases, paths, strict=True)
               if not path.exists() and not _refusal(path).exists()]  # fmt: skip
    if missing:
        with processes(os.cpu_count() or 1) as pool:
            for number, (_, name) in enumerate(as_they_finish(pool, _prepare, missing), 1):
                say(f"prepared {number} of {len(missing)}: {name}")
    refused = [_refusal(path).read_text("utf-8") for path in paths if _refusal(path).exists()]
    kept = [path for path in paths if path.exists()]
    if cases and not kept:
        raise UsageError(f"no exam is usable for training; the first: {refused[0]}")
    return kept, refused


def file_name(case: Case) -> str:
    """Of the prepared case: names of cases can have folders in them."""
    return f"{quote(case.name, safe=' ')}.npz"


def _refusal(path: Path) -> Path:
    return path.with_suffix(".refused.txt")


def _prepare(task: tuple[Case, Index, Path]) -> str:
    case, index, path = task
    try:
        exam = read_exam(case.exam)
        maps, valid = targets(case, index, exam.geometry)
        write_prepared(prepare(exam, maps, valid), path)
    except BolusError as error:
        _refusal(path).write_text(f"{case.name}: {error}", "utf-8")
        return f"{case.name} refused"
    return case.name


def targets(
    case: Case, index: Index, geometry: Geometry
) -> tuple[dict[str, Float32Array], BoolArray]:
    """Training targets of a case: its truth where it has one, else its maps.

    Returns
    -------
    maps : (Z, Y, X) float32 by name, `bolus.train.prepare.TARGETS`; TTP where there is one
    valid : (Z, Y, X) where they are valid; of maps without truth, wherever there is a transit time

    Raises
    ------
    UsageError
        A map is missing.
    """
    if case.truth is not None:
        truth = read_truth(case, geometry=geometry)
        return {name: truth[name].astype(np.float32) for name in TARGETS}, truth["valid"] > 0
    maps = read_maps(case, index, geometry=geometry)
    absent = [name for name in NEEDED if name not in maps]
    if absent or not {"tmax", "delay"} & set(maps):
        raise UsageError(f"{case.name} has no {', '.join(absent) or 'Tmax or delay'} map")
    if "tmax" not in maps:
        # for the model fits Tmax is the centre of the residue function
        maps["tmax"] = (maps["delay"] + maps["mtt"] / 2).astype(np.float32)
    known = [name for name in TARGETS if name in maps]
    whole = np.all([np.isfinite(maps[name]) for name in known], axis=0)
    found = {name: np.where(whole, maps[name], 0).astype(np.float32) for name in known}
    return found, whole & (maps["mtt"] > 0)
