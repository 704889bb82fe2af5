"""A simulated patient in UniToBrain's form: raw, registered, filtered, and maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus.align.register import correct_motion
from bolus.anatomy.baseline import Baseline
from bolus.arteries.find import find_arteries
from bolus.curves.denoise import SliceTimes, denoise_curves
from bolus.deconvolution.methods import deconvolve
from bolus.preprocessing import Preprocessed, Stages, preprocess_still
from bolus.simulate.case import scan
from bolus.simulate.distributed import patient_of, write_maps, write_processed, write_raw
from bolus.simulate.priors import clinical_case
from bolus.simulate.recipe import Recipe, generator
from bolus.simulate.truth import write_truth
from bolus.types import Curves, Exam, Float32Array, Maps, Tissue

FIELD_OF_VIEW_MM = 250.0
SHUTTLE_SHARE = 0.1
"""One of eleven inspected patients has the second protocol."""
CINE_MAS, SHUTTLE_MAS = 100.0, 200.0
"""200 mA x 0.5 s and 500 mA x 0.4 s, at 80 kVp."""
LOWER_MM = 12.0
"""A slab of 8 cm begins lower than one of 4 to 6 cm, to end below the vertex like it."""


@dataclass(frozen=True)
class Folders:
    """Where the series of a patient go."""

    truth: Path
    raw: Path
    registered: Path
    filtered: Path
    maps: Path


def protocol_case(seed: int, matrix: int) -> Recipe:
    """A clinical case under one of the data set's two protocols.

    Cine: 8 slices of 5 mm at once, 89 frames at 0.5 s.  Shuttle: 16 slices of 5 mm, 18 frames at
    2.81 s, the upper half of the slices half an interval later.
    """
    case = replace(
        clinical_case(seed),
        matrix=matrix,
        pixel_mm=FIELD_OF_VIEW_MM / matrix,
        slice_mm=5.0,
        noise_frequency_per_mm=Recipe.noise_frequency_per_mm,
    )
    if generator(seed, "protocol").uniform() >= SHUTTLE_SHARE:
        return replace(case, timing="volume", slices=8, frames=89, dt_s=0.5, mas=CINE_MAS)
    return replace(
        case, timing="shuttle", slices=16, frames=18, dt_s=2.81, mas=SHUTTLE_MAS,
        bottom_mm=case.bottom_mm - LOWER_MM,
    )  # fmt: skip


def write_patient(folders: Folders, seed: int, matrix: int) -> None:
    """Simulate a patient and write all series.

    The maps are nlr's as `bolus run --method nlr` makes them from the raw series, of the same
    curves that the filtered series holds.  A frame that can't be registered is in the raw series
    only.

    Raises
    ------
    NoPerfusion
        There is no bolus, brain or artery in the exam.
    """
    exam, truth = scan(seed, protocol_case(seed, matrix))
    patient = patient_of(exam, folders.raw.name)
    write_truth(truth, folders.truth)
    write_raw(exam, folders.raw, patient)
    exam, motion = correct_motion(exam)
    write_processed(exam, folders.registered, patient, "Registered")
    exam, maps = filter_and_map(preprocess_still(exam, motion, Stages()))
    write_processed(exam, folders.filtered, patient, "Filtered")
    write_maps(maps, exam, folders.maps, patient)


def filter_and_map(ready: Preprocessed) -> tuple[Exam, Maps]:
    """The exam with its perfused voxels filtered, and the maps of these."""
    exam, baseline, tissue, curves = ready.exam, ready.baseline, ready.tissue, ready.curves
    moved_mm = ready.motion.largest_mm
    arteries = find_arteries(exam, baseline, tissue, ready.grid_s, moved_mm=moved_mm)
    level = _filtered_level(exam, baseline, ready.measured, tissue)
    frames = exam.frames.copy()
    for t, frame in enumerate(frames):
        frame[curves.voxels] = level + curves.tissue_hu[:, t]
    return replace(exam, frames=frames), deconvolve("nlr", curves, arteries.input_hu)


def _filtered_level(exam: Exam, baseline: Baseline, curves: Curves, tissue: Tissue) -> Float32Array:
    """(V,) HU before the bolus, filtered with 3 mm and 20 HU as the curves are."""
    level = baseline.image[curves.voxels]
    constant = denoise_curves(
        np.repeat(level[:, None], len(exam.frames), axis=1),
        curves.voxels,
        exam.geometry,
        SliceTimes(curves.times_s, curves.grid_s, curves.weight),
        guide=curves.tissue_hu,
        guide_noise_hu=curves.noise_hu,
        among=tissue.parenchyma,
    )
    return np.ascontiguousarray(constant[:, 0])
