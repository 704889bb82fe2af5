"""The CT perfusion data sets of the ISLES challenges of 2018 and 2024.

ISLES 2018, as public loaders of it read it (the export of SMIR)::

    TRAINING/case_1/SMIR.Brain.XX.O.CT_4DPWI.345561/SMIR.Brain.XX.O.CT_4DPWI.345561.nii
    TRAINING/case_1/SMIR.Brain.XX.O.CT_CBF.345563/...    also CT_CBV, CT_MTT, CT_Tmax, CT, OT

ISLES 2024, as in the README of the challenge (``rawdata``, ``sub-strokecase0001``, ``ses-0001``)
and in the distributed archive (``raw_data``, ``sub-stroke0001``, ``ses-01``; a folder ``train``
around all)::

    raw_data/sub-stroke0001/ses-01/sub-stroke0001_ses-01_ctp.nii.gz
    raw_data/sub-stroke0001/ses-01/perfusion-maps/sub-stroke0001_ses-01_cbf.nii.gz ...
    derivatives/sub-stroke0001/ses-01/sub-stroke0001_ses-01_space-ncct_ctp.nii.gz
    derivatives/sub-stroke0001/ses-01/perfusion-maps/sub-stroke0001_ses-01_space-ncct_cbf.nii.gz ...

Names and folders were verified on public code and documents; the files themselves could not be
verified: the units of the maps (assumed to be those of other software: ml/100g/min, ml/100g, s),
where the times of the frames are, and which cases of 2018 are slabs of the same patient.
"""

from __future__ import annotations

import re
from pathlib import Path

from bolus.dataset.case import FoundCase, entries
from bolus.types import Finding, Grade

LOOKED_FOR_2018 = "case_1/SMIR.Brain.XX.O.CT_4DPWI.*/*.nii, also below TRAINING (ISLES 2018)"
LOOKED_FOR_2024 = (
    "raw_data (or rawdata) and derivatives with sub-stroke*/ses-*/*_ctp.nii.gz (ISLES 2024)"
)
KIND_2018 = re.compile(r"SMIR\..*\.O\.(?P<kind>CT_4DPWI|CT_CBF|CT_CBV|CT_MTT|CT_Tmax)\.\d+\.nii")
MAPS_2018 = {"CT_CBF": "cbf", "CT_CBV": "cbv", "CT_MTT": "mtt", "CT_Tmax": "tmax"}
MAPS_2024 = ("cbf", "cbv", "mtt", "tmax")
SEVERAL_SLABS = Finding(
    "patients-unknown",
    Grade.WARNING,
    "Cases of ISLES 2018 can be two slabs of one patient, and the data do not show which: a "
    "split by case may have one patient on two sides.",
    "Split by your own list of patients, or use these data for testing only.",
)


def find_2018(root: Path) -> list[FoundCase]:
    """Cases of ISLES 2018; none if it isn't this data set."""
    parts = [root, *(p for p in entries(root) if p.name.upper() in ("TRAINING", "TESTING"))]
    folders = [f for part in parts if part.is_dir() for f in entries(part) if _is_case(f)]
    return [case for folder in folders if (case := _case_2018(folder, root))]


def _is_case(folder: Path) -> bool:
    return bool(re.fullmatch(r"case_\d+", folder.name)) and folder.is_dir()


def _case_2018(folder: Path, root: Path) -> FoundCase | None:
    files = {}
    for path in sorted([*folder.glob("*.nii"), *folder.glob("*/*.nii")]):
        match = KIND_2018.fullmatch(path.name)
        if match:
            files[match["kind"]] = path
    if "CT_4DPWI" not in files:
        return None
    name = folder.relative_to(root).as_posix()
    return FoundCase(
        name=name,
        patient=name,
        exam=files["CT_4DPWI"],
        maps={ours: files[kind] for kind, ours in MAPS_2018.items() if kind in files},
        findings=(SEVERAL_SLABS,),
    )


def find_2024(root: Path) -> list[FoundCase]:
    """Cases of ISLES 2024; none if it isn't this data set."""
    raw = next((root / name for name in ("raw_data", "rawdata") if (root / name).is_dir()), None)
    derived = root / "derivatives"
    sessions = {
        (subject.name, session.name)
        for part in (raw, derived)
        if part is not None and part.is_dir()
        for subject in part.glob("sub-stroke*")
        for session in subject.glob("ses-*")
    }
    found = []
    for subject, session in sorted(sessions):
        native = _pair(raw / subject / session, "") if raw else (None, {})
        in_ncct = _pair(derived / subject / session, "_space-ncct")
        exam, maps = native if native[0] and (native[1] or not in_ncct[0]) else in_ncct
        if exam:
            found.append(FoundCase(f"{subject}_{session}", subject, exam, maps))
    return found


def _pair(session: Path, space: str) -> tuple[Path | None, dict[str, Path]]:
    """The exam and the maps of one space."""
    maps = {name: _only(session, f"{space}_{name}.nii.gz") for name in MAPS_2024}
    exam = _only(session, f"{space}_ctp.nii.gz")
    return exam, {name: path for name, path in maps.items() if path}


def _only(session: Path, ending: str) -> Path | None:
    """The file whose name is that of subject and session with this ending."""
    name = f"{session.parent.name}_{session.name}{ending}"
    places = (session, *sorted(p for p in session.glob("*") if p.is_dir()))
    return next((place / name for place in places if (place / name).is_file()), None)
