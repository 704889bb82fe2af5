"""User-supplied data: a folder of exams, and a folder with the results of `bolus run` for them.

::

    EXAMS/head-1/, EXAMS/head-2.zip, EXAMS/sub-03_ses-1.nii.gz, EXAMS/anna/first/ ...
    RESULTS/head-1/summary.json, RESULTS/head-1/nlr/cbf.nii.gz ...

Exams and results are matched by name; a summary computed from another series than that
of its exam is a finding.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bolus.acquire.nifti_exam import is_nifti
from bolus.acquire.own_results import SUMMARY, is_result_folder
from bolus.dataset.case import FoundCase, entries
from bolus.dataset.index import MAP_NAMES
from bolus.files.output_folder import MAX_SUMMARY_BYTES
from bolus.files.regular_file import read_regular
from bolus.types import CNN, Finding, Grade

LAYOUT = "bolus-run"
LOOKED_FOR = "exams and results of `bolus run` by the same names (with --maps RESULTS)"
PREFERRED = ("nlr", "bma")
"""Method whose maps are used, if there are several: nlr matches UniToBrain's own maps."""
NEVER = CNN
"""Maps of a network are not used for training."""
EXAM_ENDINGS = ("", ".zip", ".nii.gz", ".nii")


def find(exams: Path, results: Path) -> list[FoundCase]:
    """Every exam, with its maps if there are results of the same name."""
    made = {folder.relative_to(results): folder for folder in _result_folders(results)}
    found = [_case(exams, name, folder) for name, folder in made.items()]
    parents = {name.parts[0] for name in made}
    for path in entries(exams):
        if path in (results, *results.parents) or is_result_folder(path):
            continue
        if is_exam(path) and _stem(path) not in parents:
            found.append(FoundCase(_stem(path), patient_of(Path(_stem(path))), path))
    return found


def _result_folders(results: Path) -> list[Path]:
    """Results directly in the folder, or one level below."""
    folders = [path for path in entries(results) if path.is_dir()]
    deeper = [
        p for f in folders if not is_result_folder(f) for p in entries(f) if is_result_folder(p)
    ]
    return [folder for folder in folders if is_result_folder(folder)] + deeper


def is_exam(path: Path) -> bool:
    """Whether an entry of a folder of exams can be an exam."""
    return path.is_dir() or is_nifti(path) or path.suffix.lower() == ".zip"


def _stem(path: Path) -> str:
    name = path.name
    if path.is_dir():
        return name
    return name[: -len(next(e for e in EXAM_ENDINGS[1:] if name.lower().endswith(e)))]


def patient_of(name: Path) -> str:
    """The first folder, without session where it is named as BIDS does."""
    return re.sub(r"^(sub-[A-Za-z0-9]+)_.*", r"\1", name.parts[0])


def _case(exams: Path, name: Path, folder: Path) -> FoundCase:
    places = [exams / f"{name.as_posix()}{ending}" for ending in EXAM_ENDINGS]
    summary: dict[str, Any] = json.loads(read_regular(folder / SUMMARY, MAX_SUMMARY_BYTES))
    maps, findings = _maps(folder)
    if _at(summary, "verdict", "grade") == "fail":
        message = "`bolus run` judged the results not reliable."
        findings.append(Finding("results-not-reliable", Grade.FAIL, message))
    return FoundCase(
        name=name.as_posix(),
        patient=patient_of(name),
        exam=next((place for place in places if place.exists()), places[0]),
        maps=maps,
        findings=tuple(findings),
        series=str(_at(summary, "dicom_identity", "SeriesInstanceUID") or ""),
    )


def _at(fields: object, *keys: str) -> object:
    for key in keys:
        fields = fields.get(key) if isinstance(fields, dict) else None
    return fields


def _maps(folder: Path) -> tuple[dict[str, Path], list[Finding]]:
    methods = [path.name for path in entries(folder) if (path / "cbf.nii.gz").is_file()]
    usable = [m for m in PREFERRED if m in methods]
    usable += [m for m in methods if m not in usable and m != NEVER]
    if not usable:
        return {}, []
    paths = {name: folder / usable[0] / f"{name}.nii.gz" for name in MAP_NAMES}
    findings = []
    if usable[0] != PREFERRED[0]:
        message = f"The maps were made by {usable[0]}, not by {PREFERRED[0]}."
        findings.append(Finding("maps-method", Grade.NOTE, message))
    return {name: path for name, path in paths.items() if path.is_file()}, findings
