"""Whether exams that the network can't read are flagged, and readable ones are not.

Simulated exams are corrupted in one way each, as happens in practice, and go through the
whole pipeline.  Possible outcomes: refused with an error, flagged as not reliable, a warning, or
nothing.  Finished exams are kept, so an interrupted run is resumed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from bolus.errors import BolusError
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.exam import simulate_exam
from bolus.types import Exam
from simulated import Row, clinical_recipe, resumable
from tables import markdown, write

SEEDS = range(8300, 8308)
METAL_HU, AIR_HU = 3000.0, -1000.0


def as_it_was(exam: Exam, rng: np.random.Generator) -> Exam:
    """Nothing is wrong."""
    return exam


def metal(exam: Exam, rng: np.random.Generator) -> Exam:
    """An aneurysm clip or coil of 14 mm in the middle of the slab, with its streaks.

    Streaks change a little with every turn of the tube, as they do with a moving patient.
    """
    slices, rows, columns = exam.geometry.shape
    _, row_mm, column_mm = exam.geometry.spacing_mm
    y, x = np.mgrid[:rows, :columns]
    y_mm, x_mm = (y - rows * 0.45) * row_mm, (x - columns * 0.45) * column_mm
    distance = np.hypot(y_mm, x_mm)
    angle = np.arctan2(y_mm, x_mm)
    frames = exam.frames.copy()
    head = ndimage.uniform_filter(exam.frames[0], (0, 5, 5)) > AIR_HU / 2
    for z in range(slices // 2 - 1, slices // 2 + 2):
        for frame in frames:
            turn = rng.uniform(0, 0.3)
            star = np.cos(9 * (angle + turn)) * np.exp(-distance / 60) * 250
            frame[z] += np.where(head[z], star, 0).astype(np.float32)
            frame[z][distance < 7] = METAL_HU
    return replace(exam, frames=frames)


def no_contrast(exam: Exam, rng: np.random.Generator) -> Exam:
    """The injection failed: frames from before the bolus, repeated, with their noise."""
    before = int((exam.times_s[:, 0] < 5).sum())
    chosen = rng.integers(0, max(before, 2), len(exam.frames))
    noise = rng.normal(0, 2, exam.frames.shape).astype(np.float32)
    return replace(exam, frames=exam.frames[chosen] + noise)


def wrong_organ(exam: Exam, rng: np.random.Generator) -> Exam:
    """A belly: soft tissue, a spine, and two kidneys that fill with the artery and keep filling."""
    rows, columns = exam.geometry.shape[1:]
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    body = (x / 0.95) ** 2 + (y / 0.7) ** 2 < 1
    spine = x**2 + (y - 0.45) ** 2 < 0.015
    aorta = x**2 + (y - 0.22) ** 2 < 0.004
    kidneys = ((abs(x) - 0.45) / 0.16) ** 2 + ((y - 0.25) / 0.28) ** 2 < 1
    plane = np.where(body, 45.0, AIR_HU)
    plane[spine], plane[aorta], plane[kidneys] = 400.0, 40.0, 35.0
    after = np.clip(exam.times_s[:, :, None, None] - 8.0, 0, None)
    artery = 300 * (after / 8) ** 3 * np.exp(3 - 3 * after / 8)
    kidney = 150 * (1 - np.exp(-after / 12))
    frames = plane + np.where(aorta, artery, 0) + np.where(kidneys, kidney, 0)
    frames = frames + np.where(body & ~kidneys & ~spine, 0.08 * artery, 0)
    noise = rng.normal(0, 8, frames.shape)
    return replace(exam, frames=(frames + noise * body).astype(np.float32))


def truncated(exam: Exam, rng: np.random.Generator) -> Exam:
    """The scan ended 22 s after its start, before the veins have filled."""
    kept = max(int((exam.times_s[:, 0] < 22.0).sum()), 8)
    return replace(exam, frames=exam.frames[:kept], times_s=exam.times_s[:kept])


def shuffled(exam: Exam, rng: np.random.Generator) -> Exam:
    """Frames in a wrong order."""
    return replace(exam, frames=exam.frames[rng.permutation(len(exam.frames))])


def reversed_frames(exam: Exam, rng: np.random.Generator) -> Exam:
    """The last frame first."""
    return replace(exam, frames=exam.frames[::-1].copy())


def noisy(exam: Exam, rng: np.random.Generator) -> Exam:
    """Five times the noise: 40 HU added where the head is."""
    noise = ndimage.gaussian_filter(
        rng.standard_normal(exam.frames.shape).astype(np.float32), (0, 0, 0.7, 0.7)
    )
    return replace(exam, frames=exam.frames + 40 / noise.std() * noise)


def wrong_times(exam: Exam, rng: np.random.Generator) -> Exam:
    """Times of another protocol: the intervals are a third of the true ones."""
    return replace(exam, times_s=exam.times_s / 3)


SPOILT: dict[str, Callable[[Exam, np.random.Generator], Exam]] = {
    "nothing wrong": as_it_was,
    "metal": metal,
    "no contrast": no_contrast,
    "wrong organ": wrong_organ,
    "ends after 22 s": truncated,
    "frames shuffled": shuffled,
    "frames reversed": reversed_frames,
    "noise x 5": noisy,
    "times a third": wrong_times,
}


def measure(case: tuple[int, str]) -> list[Row]:
    """The outcome of one exam corrupted in one way."""
    seed, kind = case
    exam, _ = simulate_exam(seed, clinical_recipe(seed))
    exam = SPOILT[kind](exam, np.random.default_rng(seed))
    exam = replace(exam, frames=np.rint(exam.frames))
    row: Row = {"seed": seed, "kind": kind}
    try:
        results = analyse(exam, Choices(methods=("cnn",)), Stages())
    except BolusError as error:
        return [{**row, "refused": str(error)}]
    maps = results.methods["cnn"].maps
    inside = results.tissue.parenchyma
    own = [f.grade.name for f in results.findings if f.code == "unlike-training"]
    return [{
        **row, "verdict": results.grade.name, "network": own[0] if own else "",
        "score": maps.parameters["unlike_training"],
        "relative_se": float(np.median(maps.se["cbf"][inside] / np.maximum(maps.cbf[inside], 1))),
        "tmax_se": float(np.median(maps.se["tmax"][inside])),
    }]  # fmt: skip


def main() -> None:
    """Write ``results/unlike.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exams", type=int, default=len(SEEDS))
    asked = parser.parse_args()
    cases = [(seed, kind) for kind in SPOILT for seed in SEEDS[: asked.exams]]
    rows = resumable("unlike", measure, cases)
    lines = []
    for kind in SPOILT:
        found = [row for row in rows if row["kind"] == kind]
        drawn = [row for row in found if "refused" not in row]

        def counted(key: str, value: str, drawn: list[Row] = drawn) -> str:
            return str(sum(row[key] == value for row in drawn))

        lines.append([
            kind, str(len(found)), str(len(found) - len(drawn)),
            counted("network", "FAIL"), counted("network", "WARNING"),
            counted("verdict", "FAIL"), counted("verdict", "WARNING"), counted("verdict", "NOTE"),
            *(f"{np.median([row[key] for row in drawn]):.2f}" if drawn else ""
              for key in ("score", "relative_se", "tmax_se")),
        ])  # fmt: skip
    header = [
        "exam", "exams", "refused", "network: not reliable", "network: warning",
        "verdict: not reliable", "verdict: with care", "verdict: passed",
        "score (1 is the limit)", "SE of CBF over CBF", "SE of Tmax, s",
    ]  # fmt: skip
    write("unlike", "Exams that the network can't read", [
        f"{asked.exams} simulated exams (seeds {SEEDS[0]}-{SEEDS[asked.exams - 1]}, a third of "
        "them moving) corrupted in one way each. The network's own finding compares an exam with "
        "those of its training; the verdict is the worst of all checks and findings, the one in "
        "the report. "
        "Standard errors are medians over the parenchyma, already widened by the score.",
        markdown(header, lines),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
