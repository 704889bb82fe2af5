"""Where the network's errors are: an exam's scale, detail, late tissue, a lesion's edge.

On the validation exams of its training (``make weights``), in voxels where the truth is valid, of
brains scaled to the usual volume of blood: ``python benchmarks/error_sources.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from bolus.infer.model import load_model
from bolus.simulate.priors import clinical_case
from bolus.train.cnn.data import slices
from bolus.train.prepare import TARGETS, read_prepared
from bolus.types import MAP_UNITS, BoolArray, Float32Array
from tables import markdown, write
from weights import FOLDER, VALIDATION, WEIGHTS, prepared

EVERY = 2
"""Of an exam's slices."""
LATE_S = 6.0
LESION_ML = 10.0
SMOOTH_MM = 10.0
"""SD of the Gaussian that separates fine from smooth errors."""
FAR_OFF = 0.1
"""Scale error above which an exam is listed."""
CBF, TMAX = TARGETS.index("cbf"), TARGETS.index("tmax")
SHOWN = ("cbf", "cbv", "mtt", "tmax")


@dataclass(frozen=True)
class Drawn:
    """An exam's valid voxels: maps, truth and standard errors (5, n), and a voxel's volume, ml."""

    seed: int
    maps: Float32Array
    truth: Float32Array
    se: Float32Array
    fine: Float32Array
    """(5, n) absolute error less its mean around each voxel."""
    voxel_ml: float

    @property
    def error(self) -> Float32Array:
        """Absolute."""
        return np.abs(self.maps - self.truth)

    @property
    def scale(self) -> Float32Array:
        """(5,) medians of map over truth."""
        return np.median(self.maps / np.maximum(self.truth, 1e-3), axis=1)

    @property
    def late(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) predicted and true."""
        return self.maps[TMAX] > LATE_S, self.truth[TMAX] > LATE_S


def draw(path: Path) -> Drawn:
    """Output of the shipped network for a prepared exam."""
    exam, model = read_prepared(path), load_model(WEIGHTS)
    factors = np.array([model.card.factors[name] for name in TARGETS], np.float32)[:, None]
    found = []
    for pixels, context, targets, weight in slices(exam, None)[::EVERY]:
        maps, spread = model.run(pixels, context)
        valid = weight >= 1
        fine = detail(maps - targets, valid, SMOOTH_MM / exam.spacing_mm[1])
        found.append((maps[:, valid], targets[:, valid], factors * spread[:, valid], fine))
    maps, truth, se, fine = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
    voxel_ml = float(np.prod(exam.spacing_mm)) / 1000 * EVERY
    return Drawn(int(path.stem), maps, truth, se, np.abs(fine), voxel_ml)


def detail(error: Float32Array, valid: BoolArray, sd: float) -> Float32Array:
    """(5, n) of (5, Y, X): each valid pixel less the mean around it (Gaussian, SD in pixels)."""
    weight = ndimage.gaussian_filter(valid.astype(np.float32), sd)
    around = ndimage.gaussian_filter(np.where(valid, error, 0), (0, sd, sd))
    return np.asarray((error - around / np.maximum(weight, 1e-3))[:, valid])


def over(values: list[float], digits: int) -> str:
    """Mean ± SD over exams."""
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def errors(exams: list[Drawn]) -> str:
    """A line per map."""
    lesions = [one for one in exams if one.late[1].any()]
    lines = []
    for name in SHOWN:
        k, digits = TARGETS.index(name), 2 if name == "cbf" else 3
        unscaled = [np.abs(one.maps[k] / one.scale[k] - one.truth[k]).mean() for one in exams]
        lines.append(
            [
                f"{name.upper()}, {MAP_UNITS[name]}",
                over([float(one.error[k].mean()) for one in exams], digits),
                over([float(one.scale[k]) for one in exams], 3),
                over([float(value) for value in unscaled], digits),
                over([float(one.fine[k].mean()) for one in exams], digits),
                over([float(one.error[k][~one.late[1]].mean()) for one in exams], digits),
                over([float(one.error[k][one.late[1]].mean()) for one in lesions], digits),
            ]
        )
    header = [
        "map",
        "MAE",
        "scale",
        "MAE without the scale",
        "MAE of detail",
        f"MAE where Tmax < {LATE_S:g} s",
        "where it is more",
    ]
    return markdown(header, lines)


def far_off(exams: list[Drawn]) -> str:
    """The exams whose flow has the wrong scale, and whether their standard errors reflect it."""
    lines = []
    for one in sorted(exams, key=lambda one: -abs(np.log(one.scale[CBF]))):
        if abs(one.scale[CBF] - 1) > FAR_OFF:
            case = clinical_case(one.seed)
            relative = 100 * float(np.median(one.se[CBF] / one.maps[CBF]))
            within = 100 * float((one.error[CBF] < one.se[CBF]).mean())
            lines.append(
                [
                    str(one.seed),
                    f"{one.scale[CBF]:.2f}",
                    f"{case.bottom_mm:+.0f} mm",
                    f"{case.motion_mm:.1f} mm",
                    f"{case.rise_s:.1f} s",
                    f"{relative:.0f} %",
                    f"{within:.0f} %",
                ]
            )
    usual = 100 * np.mean([float(np.median(one.se[CBF] / one.maps[CBF])) for one in exams])
    text = f"Standard error over flow of all exams: {usual:.0f} % (median voxel, mean over exams)."
    header = ["exam", "scale of CBF", "lowest slice", "motion", "rise of the bolus",
              "standard error over flow", "errors within one standard error"]  # fmt: skip
    return f"{markdown(header, lines)}\n\n{text}"


def edges(exams: list[Drawn]) -> str:
    """Which voxels cross the threshold of hypoperfusion wrongly."""
    pairs = [one.late for one in exams]
    true = sum(int(is_late.sum()) for _, is_late in pairs)
    false = sum(int((drawn & ~is_late).sum()) for drawn, is_late in pairs)
    missed = sum(int((~drawn & is_late).sum()) for drawn, is_late in pairs)
    dice = [
        float(2 * (drawn & is_late).sum() / (drawn.sum() + is_late.sum()))
        for one, (drawn, is_late) in zip(exams, pairs, strict=True)
        if is_late.sum() * one.voxel_ml > LESION_ML
    ]
    return (
        f"All exams together, of the voxels with true Tmax > {LATE_S:g} s: "
        f"{100 * missed / true:.1f} % are missed, and {100 * false / true:.1f} % are false "
        f"positives; volume {100 * (false - missed) / true:+.1f} %. "
        f"Dice of the {len(dice)} lesions above {LESION_ML:g} ml: {over(dice, 3)}."
    )


def main() -> None:
    """Write ``results/error_sources.md``."""
    exams = [draw(path) for path in prepared(*VALIDATION, FOLDER / "exams")]
    parts = [
        f"{len(exams)} validation exams of the training (simulated), every other slice, valid "
        "voxels; mean ± SD over exams. The scale is the median over an exam's voxels of map over "
        "truth; without it, each exam's map is divided by its own. Detail is the error minus its "
        f"local mean around each voxel (Gaussian, SD {SMOOTH_MM:g} mm).",
        errors(exams),
        f"## Exams whose flow is off by more than {100 * FAR_OFF:g} %",
        far_off(exams),
        "## Hypoperfused tissue",
        edges(exams),
    ]
    write("error_sources", "Where the network's errors are", parts)


if __name__ == "__main__":
    main()
