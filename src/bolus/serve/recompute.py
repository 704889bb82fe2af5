"""Maps recomputed with another artery or vein, by the functions of `bolus run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bolus.anatomy.baseline import Baseline
from bolus.arteries.reselect import reselect_arteries
from bolus.deconvolution.methods import METHODS, deconvolve
from bolus.lesion.measure import measure_lesion
from bolus.lesion.presets import PRESET_NAMES
from bolus.publish.summary import summary
from bolus.publish.write import method_volumes
from bolus.quality.checks import vessel_check
from bolus.quality.verdict import WORDS
from bolus.serve.errors import Refused, missing
from bolus.serve.manifest import has_arteries
from bolus.serve.open_results import Exam, VolumeFile
from bolus.types import (
    Arteries,
    Grade,
    MethodResult,
    Motion,
    Results,
    Scanner,
    Tissue,
    Vessel,
    Voxel,
)

OF_VESSELS = ("aif", "vof")


def check_request(exam: Exam, method: str, aif: Voxel | None, vof: Voxel | None) -> None:
    """Refuse impossible requests before a job begins."""
    if method not in exam.methods:
        raise missing("method")
    if method not in METHODS:
        raise Refused(422, f"{method} needs no artery, so another one changes nothing")
    if exam.folder is None:
        raise Refused(409, "these maps are recomputed ones; go back to the maps of the run")
    if exam.summary["methods"][method]["lesion"]["preset"] not in PRESET_NAMES:
        raise Refused(409, "the run's preset is not one of this version's; run the exam again")
    if not exam.has_curves or not has_arteries(exam):
        raise Refused(409, "the run stored no vessel curves; run it again with this version")
    if aif is None and vof is None:
        raise Refused(422, "give another voxel for aif or vof")


def recompute_maps(
    exam: Exam, name: str, method: str, aif: Voxel | None, vof: Voxel | None
) -> Exam:
    """The exam with maps of one method by another artery or vein; in memory.

    Raises
    ------
    UsageError
        If a voxel lies outside the brain or not in a vessel.
    NoPerfusion
        If there is no bolus in the curves.
    """
    voxels = exam.voxels
    curves = replace(voxels.curves, tissue_hu=voxels.curves.tissue_hu.astype(np.float32))
    image = np.asarray(exam.volume("baseline"), np.float32)
    tissue = Tissue(image, voxels.brain, voxels.csf, voxels.vessel)
    geometry = voxels.geometry
    near = voxels.near_vessels
    if near is None:
        raise Refused(409, "the run stored no vessel curves; run it again with this version")
    frames = np.ones(geometry.shape[0], np.int64)
    arteries = reselect_arteries(
        near,
        _former(exam),
        Baseline(image, curves.arrival_s, frames),
        tissue,
        curves.times_s,
        curves.grid_s,
        geometry,
        aif=aif,
        vof=vof,
    )
    maps = deconvolve(method, curves, arteries.input_hu)
    preset = exam.summary["methods"][method]["lesion"]["preset"]
    result = MethodResult(maps, measure_lesion(maps, tissue, geometry, preset))
    by = f"bolus {method}, arteries by hand"
    files = {
        f"{method}/{key}": VolumeFile(f"{method}/{key}", content, exam.geometry)
        for key, content in method_volumes(geometry, result, by).items()
    }
    images = {key: file for key, file in exam.files.items() if "/" not in key}
    moved = [
        f"{kind} at {','.join(map(str, voxel))}"
        for kind, voxel in (("AIF", aif), ("VOF", vof)) if voxel
    ]  # fmt: skip
    return Exam(
        id=name,
        name=", ".join([exam.name, method, *moved]),
        summary=_summary(exam.summary, _results(exam, curves.grid_s, tissue, arteries, result)),
        geometry=exam.geometry,
        files=files | images,
        folder=None,
        curves_from=exam.curves_from,
        columns={
            "time_s": curves.grid_s.tolist(),
            "aif_hu": arteries.aif.curve_hu.tolist(),
            "aif_scaled_hu": arteries.input_hu.tolist(),
            "vof_hu": arteries.vof.curve_hu.tolist(),
        },
        opened=exam.opened,
        volumes=exam.volumes,
    )


def _former(exam: Exam) -> Arteries:
    """Where the run's own vessels are."""
    found = exam.summary["arteries"]
    vessels = [
        Vessel(
            curve_hu=np.zeros(0),
            voxels=np.array(found[kind]["voxels_xyz"], np.int64)[:, ::-1],
            confidence=float(found[kind]["confidence"] or 0.0),
            manual=bool(found[kind]["manual"]),
        )
        for kind in OF_VESSELS
    ]
    return Arteries(vessels[0], vessels[1], scale=1.0)


def _results(
    exam: Exam,
    grid_s: np.ndarray,
    tissue: Tissue,
    arteries: Arteries,
    result: MethodResult,
) -> Results:
    """The changes, in the form from which a summary is written."""
    nothing = np.zeros((0, 3))
    still = Motion(nothing, nothing, np.zeros(0), np.zeros(0), np.zeros(0, bool))
    return Results(
        geometry=exam.voxels.geometry,
        scanner=Scanner(""),
        dicom_identity={},
        times_s=exam.voxels.curves.times_s,
        grid_s=grid_s,
        arrival_s=exam.voxels.curves.arrival_s,
        motion=still,
        tissue=tissue,
        peak_hu=np.zeros(0, np.float32),
        arteries=arteries,
        methods={result.maps.method: result},
        checks=tuple(vessel_check(kind, arteries) for kind in OF_VESSELS),
        findings=(*arteries.findings, *result.lesion.findings),
        parameters={},
        timings_s={},
        versions={},
    )


def _summary(former: Mapping[str, Any], results: Results) -> dict[str, Any]:
    """The run's summary with the changes."""
    made = summary(results, [])
    checks = [c for c in former["checks"] if c["name"] not in OF_VESSELS] + made["checks"]
    known = {finding["code"] for finding in made["findings"]}
    kept = [
        finding for finding in former["findings"]
        if finding["code"] not in known and not finding["code"].startswith(OF_VESSELS)
    ]  # fmt: skip
    findings = kept + made["findings"]
    grades = {grade.name.lower(): grade for grade in Grade}
    bad = [one for one in checks + findings if grades[one["grade"]] > Grade.NOTE]
    worst = max((grades[one["grade"]] for one in bad), default=Grade.NOTE)
    bad.sort(key=lambda one: -grades[one["grade"]])
    return {
        **former,
        "methods": made["methods"],
        "agreement": [],
        "arteries": made["arteries"],
        "checks": checks,
        "findings": findings,
        "verdict": {
            "grade": worst.name.lower(),
            "text": WORDS[worst],
            "reasons": list(dict.fromkeys(one["message"] for one in bad)),
        },
    }
