"""The complete analysis, in the order of a paper's Methods section."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bolus.acquire.exam import read_exam
from bolus.align.register import correct_motion
from bolus.arteries.find import find_arteries
from bolus.arteries.reselect import near_vessels
from bolus.curves.denoise import RANGE_HU, SIGMA_MM
from bolus.deconvolution.methods import deconvolve
from bolus.errors import ImplausibleValues, NoPerfusion
from bolus.infer.gather import sampled
from bolus.infer.model import Model
from bolus.infer.predict import predict
from bolus.lesion.measure import measure_lesion
from bolus.options import Choices
from bolus.preprocessing import Preprocessed, Stages, preprocess_still
from bolus.quality.checks import judge
from bolus.types import (
    CNN,
    Arteries,
    Curves,
    Exam,
    Finding,
    Float32Array,
    Float64Array,
    Grade,
    Lesion,
    Maps,
    MethodResult,
    Motion,
    Results,
)

LIBRARIES = ("bolus", "numpy", "scipy", "numba", "onnxruntime", "pydicom", "nibabel")


def run_exam(path: Path, choices: Choices, stages: Stages | None = None) -> Results:
    """From the files of one exam to maps, lesions and verdicts.

    Parameters
    ----------
    path : folder or zip of DICOM, 4D NIfTI, or UniToBrain patient folder.
    choices : methods, thresholds, arteries chosen by hand.
    stages : keeps the time of each stage.

    Raises
    ------
    BolusError
        One of the tree in `bolus.errors`.
    """
    choices.check()
    model = choices.network()
    stages = stages or Stages()
    with stages("read"):
        exam = read_exam(path, series=choices.series, given=choices.given)
    times_s = exam.times_s
    with stages("align"):
        # the uncorrected frames are not kept: they are the largest array
        exam, motion = correct_motion(exam)
    try:
        return _analyse_still(exam, motion, times_s, choices, model, stages)
    except (NoPerfusion, ImplausibleValues) as error:  # late errors don't know the path
        raise type(error)(f"{path}: {error}") from error


def analyse(exam: Exam, choices: Choices, stages: Stages) -> Results:
    """From an exam in memory to maps, lesions and verdicts; the same errors as `run_exam`."""
    model = choices.network()
    with stages("align"):
        still, motion = correct_motion(exam)
    return _analyse_still(still, motion, exam.times_s, choices, model, stages)


def _analyse_still(
    exam: Exam,
    motion: Motion,
    times_s: Float64Array,
    choices: Choices,
    model: Model | None,
    stages: Stages,
) -> Results:
    """``exam`` is free of motion; ``times_s`` are those of all frames, dropped ones included."""
    ready = preprocess_still(exam, motion, stages)
    baseline, tissue, curves = ready.baseline, ready.tissue, ready.curves
    with stages("arteries"):
        arteries, findings = _arteries(ready, choices)
        near = None
        if arteries is not None:
            near = near_vessels(exam, baseline, tissue, arteries, motion.largest_mm)
    maps: dict[str, Maps] = {}
    for method in choices.methods:
        if model is not None and method == CNN:
            with stages(_stage(method)):
                seen = sampled(exam, tissue, ready.measured, curves, motion=motion)
                prediction = predict(seen, model)
                maps[method] = prediction.maps
                findings += prediction.findings
        elif arteries is not None:
            with stages(_stage(method)):
                maps[method] = deconvolve(method, curves, arteries.input_hu)
    with stages("lesion"):
        lesions = {m: measure_lesion(maps[m], tissue, exam.geometry, choices.preset) for m in maps}
        checks = judge(exam, motion, curves, arteries)
    findings = [*exam.findings, *baseline.findings, *findings]
    for lesion in lesions.values():
        findings.extend(lesion.findings)
    return Results(
        geometry=exam.geometry,
        scanner=exam.scanner,
        dicom_identity=exam.dicom_identity,
        times_s=times_s,
        grid_s=ready.grid_s,
        arrival_s=curves.arrival_s,
        motion=motion,
        tissue=tissue,
        peak_hu=_peak(curves),
        arteries=arteries,
        methods={m: MethodResult(maps[m], lesions[m]) for m in maps},
        checks=checks,
        # findings on the exam are found again by every method
        findings=tuple(dict.fromkeys(findings)),
        parameters=_parameters(curves, maps, lesions),
        timings_s=stages.seconds,
        versions={"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        curves=curves,
        near_vessels=near,
        series=exam.series,
    )


def _arteries(ready: Preprocessed, choices: Choices) -> tuple[Arteries | None, list[Finding]]:
    """AIF and VOF with their findings; None where there are none and no method needs them."""
    try:
        arteries = find_arteries(
            ready.exam,
            ready.baseline,
            ready.tissue,
            ready.grid_s,
            aif_voxel=choices.aif,
            vof_voxel=choices.vof,
            moved_mm=ready.motion.largest_mm,
        )
    except NoPerfusion as error:
        if set(choices.methods) != {CNN}:
            raise
        text = f"No arterial input was found; {CNN} needs none. ({error})"
        return None, [Finding("no-arterial-input", Grade.WARNING, text)]
    return arteries, list(arteries.findings)


def _peak(curves: Curves) -> Float32Array:
    """Maximum enhancement over time, HU, 0 where nothing is perfused."""
    peak = np.zeros(curves.voxels.shape, np.float32)
    peak[curves.voxels] = np.maximum(curves.tissue_hu.max(axis=1), 0)
    return peak


def _parameters(
    curves: Curves, maps: dict[str, Maps], lesions: dict[str, Lesion]
) -> dict[str, dict[str, float | int | str | None]]:
    return {
        "denoise": {"sigma_mm": SIGMA_MM, "range_hu": RANGE_HU},
        "curves": {
            "grid_s": curves.dt_s,
            "samples": curves.grid_s.size,
            "frames": len(curves.times_s),
            "noise_hu": curves.noise_hu,
        },
        **{_stage(name): dict(m.parameters) for name, m in maps.items()},
        **{f"lesion {name}": _rules(lesion) for name, lesion in lesions.items()},
    }


def _stage(method: str) -> str:
    return f"{'predict' if method == CNN else 'deconvolve'} {method}"


def _rules(lesion: Lesion) -> dict[str, float | int | str | None]:
    return {
        "preset": lesion.preset,
        "core": lesion.core_rule,
        "hypoperfused": lesion.hypoperfused_rule,
        "source": lesion.rule_source,
    }
