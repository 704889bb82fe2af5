"""One exam of the dose study: read it, subsample it, add noise, analyse it, compare."""

from __future__ import annotations

import hashlib
import time
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bolus.acquire.exam import read_exam
from bolus.dataset.index import Case
from bolus.dataset.maps import read_truth
from bolus.deconvolution.methods import METHODS
from bolus.errors import BolusError
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.study.dose.add_noise import Noise, measure_noise, stated_sd_hu, with_noise
from bolus.study.dose.score import MAPS, Reference, Row, reference_of, score
from bolus.study.dose.subsample import start_s, subsampled
from bolus.types import CNN, Exam, Float32Array, Float64Array, Grade, Results

COMMON_STAGES = ("align", "segment", "curves", "denoise")
"""Stages of `bolus.pipeline` that all methods share: a failure there concerns all of them."""
ARTERIES = "arteries"
"""The stage that only deconvolution needs."""


@dataclass(frozen=True)
class Subject:
    """Location of an exam and its truth, and the reference if it has none."""

    name: str
    exam: Path
    truth: Path | None
    reference: str
    """Method whose maps of the complete exam replace the truth."""
    preset: str
    model: Path | None = None
    """A user-supplied network."""


@dataclass(frozen=True)
class ExamFacts:
    """What the study needs to know about an exam before it begins."""

    digest: str
    """Of the exam and the reference."""
    times_s: Float64Array
    """(T, Z)"""
    shape: tuple[int, int, int]
    exposure_mas: float | None
    is_truth: bool
    noise_hu: float | None
    """Measured SD in the brain; None where no noise is to be added."""


@dataclass(frozen=True)
class Refusal:
    """Why there are no maps."""

    outcome: str
    """``refused`` by the program's own judgement, or a ``fault`` of the program."""
    stage: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """Results of the methods for one condition of one exam."""

    scores: dict[str, Row]
    """By method."""
    refusals: dict[str, Refusal]
    grades: dict[str, str]
    """By method: verdict of the quality checks, NOTE, WARNING or FAIL."""
    cpu_s: float


def exam_facts(subject: Subject, noisy: bool) -> ExamFacts | Refusal:
    """Read an exam and its reference; ``noisy``: whether its noise is needed."""
    try:
        exam, reference = _read(subject)
        noise = _noise(subject) if noisy else None
    except BolusError as error:
        return Refusal("refused", "read", _without_path(str(error), subject))
    return ExamFacts(
        digest=_digest(exam, reference),
        times_s=exam.times_s,
        shape=exam.geometry.shape,
        exposure_mas=exam.scanner.exposure_mas,
        is_truth=reference.is_truth,
        noise_hu=noise.brain_sd_hu if noise else None,
    )


def run_condition(
    subject: Subject, dose: float, kept: tuple[int, ...], methods: tuple[str, ...], seed: int
) -> Outcome:
    """Analyse the exam at a fraction of its dose with some of its frames, and score all methods."""
    began = time.process_time()
    exam, reference = _read(subject)
    thin = subsampled(_dosed(subject, dose, seed), kept)
    results, refusals = analyse_or_refuse(thin, methods, subject.preset, subject.model)
    start = start_s(exam.times_s, kept)
    scores = {m: score(r.methods[m], r.tissue, reference, start) for m, r in results.items()}
    grades = {m: grade_of(r, m).name for m, r in results.items()}
    for empty in [m for m, row in scores.items() if row["covered"] == 0]:
        refusals[empty] = Refusal("refused", empty, "no voxel of the reference is mapped")
        del scores[empty], grades[empty]
    return Outcome(scores, refusals, grades, time.process_time() - began)


def grade_of(results: Results, method: str) -> Grade:
    """The verdict without what only concerns other methods, whose findings begin with their name:
    a method's row must not depend on which others it was run with."""
    others = tuple(f"{name}: " for name in results.methods if name != method)
    grades = [f.grade for f in results.findings if not f.message.startswith(others)]
    return max(grades + [check.grade for check in results.checks], default=Grade.NOTE)


def analyse_or_refuse(
    exam: Exam, methods: tuple[str, ...], preset: str, model: Path | None = None
) -> tuple[dict[str, Results], dict[str, Refusal]]:
    """The results of the methods, and the reasons why others have none."""
    stage = ""

    def note(name: str, seconds: float | None) -> None:
        nonlocal stage
        stage = name if seconds is None else stage

    try:
        own = model if CNN in methods else None
        choices = Choices(methods=methods, preset=preset, model=own)
        results = analyse(exam, choices, Stages(note))
        return dict.fromkeys(methods, results), {}
    except Exception as error:  # a study must survive a fault, and report it
        known = isinstance(error, BolusError)
        kind, text = type(error).__name__, str(error)
        refusal = Refusal("refused" if known else "fault", stage, f"{kind}: {text}")
    if stage in COMMON_STAGES or len(methods) == 1:
        return {}, dict.fromkeys(methods, refusal)
    lost = dict.fromkeys((m for m in methods if stage == ARTERIES and m in METHODS), refusal)
    done: dict[str, Results] = {}
    for method in methods:
        if method not in lost:
            found, refused = analyse_or_refuse(exam, (method,), preset, model)
            done, lost = done | found, lost | refused
    return done, lost


def expected_noise_hu(about: ExamFacts) -> float | None:
    """The SD expected for the stated tube load, HU."""
    return None if about.exposure_mas is None else stated_sd_hu(about.exposure_mas)


# an exam is read, and its noise added, once for all its conditions that follow each other


@lru_cache(maxsize=1)
def _read(subject: Subject) -> tuple[Exam, Reference]:
    exam = read_exam(subject.exam)
    if subject.truth is not None:
        return exam, _truth(subject, exam)
    methods = (subject.reference,)
    results, refusals = analyse_or_refuse(exam, methods, subject.preset, subject.model)
    for refusal in refusals.values():
        raise BolusError(f"the whole exam has no reference ({refusal.stage}: {refusal.reason})")
    whole = results[subject.reference]
    return exam, reference_of(
        whole.methods[subject.reference], whole.tissue, exam.geometry.voxel_ml
    )


@lru_cache(maxsize=1)
def _noise(subject: Subject) -> Noise:
    return measure_noise(_read(subject)[0])


@lru_cache(maxsize=1)
def _dosed(subject: Subject, dose: float, seed: int) -> Exam:
    exam, _ = _read(subject)
    if dose == 1:
        return exam
    # exams of one study get different noise, whatever their order
    own_seed = (seed << 32) + zlib.crc32(subject.name.encode())
    return with_noise(exam, dose, own_seed, _noise(subject))


def _truth(subject: Subject, exam: Exam) -> Reference:
    case = Case(subject.name, subject.name, subject.exam, {}, subject.truth, 0, 0)
    truth = read_truth(case, geometry=exam.geometry)
    return Reference(
        maps={name: np.asarray(truth[name], np.float32) for name in MAPS},
        valid=np.asarray(truth["valid"], bool),
        core=np.asarray(truth["core"], bool),
        hypoperfused=np.asarray(truth["hypo"], bool),
        voxel_ml=exam.geometry.voxel_ml,
        is_truth=True,
    )


def _digest(exam: Exam, reference: Reference) -> str:
    parts: list[Float32Array | Float64Array] = [exam.frames, exam.times_s, exam.geometry.affine]
    parts += [reference.maps[name] for name in MAPS]
    total = hashlib.sha256()
    for part in parts:
        total.update(np.ascontiguousarray(part).tobytes())
    for mask in (reference.valid, reference.core, reference.hypoperfused):
        total.update(np.packbits(mask).tobytes())
    return total.hexdigest()[:16]


def _without_path(message: str, subject: Subject) -> str:
    """Paths on this machine are private."""
    return message.replace(str(subject.exam), subject.name)
