"""The UniToBrain data set as distributed (doi:10.21227/x8ea-vh16): sibling folders per patient.

::

    MOL-002/                                     raw
    MOL-002_Registered/
    MOL-002_Registered_Filtered_3mm_20HU/        input of the published network
    MOL-002_Registered_Filtered_3mm_20HU_Maps/NLR_CBF/NLR_CBF00001.dcm ...

Files (``*Maps*.txt`` are said to occur) are skipped.  The names of the exams that the authors
excluded as "SLG" could not be verified; any ``SLG`` followed by digits is taken as one.  `bolus
simulate --layout unitobrain` adds ``MOL-002_Truth``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from bolus.dataset.case import FoundCase, entries
from bolus.dataset.simulated import true_maps
from bolus.types import Finding, Grade

LOOKED_FOR = "sibling folders MOL-001, MOL-001_Registered..., MOL-001_..._Maps (UniToBrain)"
FOLDER = re.compile(r"(?P<patient>MOL-\d{3}|SLG[-_]?\d+)(?P<kind>_\w+)?")
FILTERED = re.compile(r"_Registered_Filtered_(?!\w*_Maps$)\w+")
MAP_FOLDERS = {
    "cbf": "NLR_CBF",
    "cbv": "NLR_CBV",
    "mtt": "NLR_MTT",
    "ttp": "NLR_TTP",
    "delay": "NLR_Delay",
}
PROTOCOLS = {89: 8, 18: 16}
"""Slices by frames: cine of 4 cm, shuttle of 8 cm."""
EXCLUDED = frozenset({"MOL-001", "MOL-060", "MOL-061", "MOL-062", "MOL-063"})
"""Excluded in the authors' code; MOL-001 is a shuttle exam, no reason is given for the others."""


def find(root: Path) -> list[FoundCase]:
    """Patients of the data set; none if it isn't this one."""
    folders: dict[str, dict[str, Path]] = defaultdict(dict)
    for folder in entries(root):
        match = FOLDER.fullmatch(folder.name)
        if match and folder.is_dir():
            folders[match["patient"]][match["kind"] or ""] = folder
    return [_patient(patient, own) for patient, own in folders.items()]


def _patient(patient: str, folders: dict[str, Path]) -> FoundCase:
    findings = []
    filtered = sorted(kind for kind in folders if FILTERED.fullmatch(kind))
    chosen = next((k for k in (*filtered[:1], "_Registered", "") if k in folders), "")
    truth = folders.get("_Truth")
    if not filtered:
        message = "There is no filtered series, which the published network needs as its input."
        findings.append(Finding("not-filtered", Grade.WARNING, message))
    if truth is None and (patient in EXCLUDED or not patient.startswith("MOL")):
        message = "The data set's authors excluded this exam."
        findings.append(Finding("excluded-by-authors", Grade.NOTE, message))
    maps = _maps(folders)
    missing = [name.upper() for name in MAP_FOLDERS if name not in maps]
    if maps and missing:
        message = f"There is no map of {', '.join(missing)}."
        findings.append(Finding("maps-incomplete", Grade.WARNING, message))
    return FoundCase(
        name=patient,
        patient=patient,
        exam=folders.get(chosen, _missing(folders, patient)),
        maps=maps or (true_maps(truth) if truth else {}),
        truth=truth,
        raw=folders.get("") if chosen else None,
        findings=tuple(findings),
        protocols=PROTOCOLS,
    )


def _missing(folders: dict[str, Path], patient: str) -> Path:
    """Where the raw exam should be, for a patient with maps only."""
    return next(iter(folders.values())).with_name(patient)


def _maps(folders: dict[str, Path]) -> dict[str, Path]:
    kinds = sorted(kind for kind in folders if kind.endswith("_Maps"))
    if not kinds:
        return {}
    paths = {name: folders[kinds[0]] / folder for name, folder in MAP_FOLDERS.items()}
    return {name: path for name, path in paths.items() if path.is_dir()}
