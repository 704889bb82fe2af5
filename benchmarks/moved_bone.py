"""Benefit for the network of the motion-artefact mask, which keeps moving bone out of the blood.

Exams of `simulated.clinical_recipe` that moved by more than 5 mm, with all and with every third
frame, mapped by the shipped network twice: with the masked blood, and with every voxel of the
vessel mask as blood: ``python benchmarks/moved_bone.py``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bolus.errors import BolusError
from bolus.infer.model import load_model
from bolus.infer.predict import predict
from bolus.simulate.exam import simulate_exam
from bolus.study.dose.subsample import subsampled
from bolus.train.prepare import TARGETS, prepare
from simulated import Row, clinical_recipe, resumable
from tables import markdown, write
from weights import WEIGHTS

SEEDS = range(9600, 9850)
"""Others (9300-9599) were used to choose the limits."""
MOVED_MM = 5.0
EVERY = {"all frames": 1, "every third frame": 3}
CBF = TARGETS.index("cbf")


def measure(seed: int) -> list[Row]:
    """One row per number of frames: errors of flow with and without the limits."""
    exam, truth = simulate_exam(seed, clinical_recipe(seed))
    maps = {name: getattr(truth, name) for name in TARGETS}
    model, rows = load_model(WEIGHTS), []
    for frames, every in EVERY.items():
        row: Row = {"seed": seed, "frames": frames}
        some = subsampled(exam, range(0, len(exam.frames), every))
        try:
            seen = prepare(some, maps, truth.valid)
        except BolusError as error:
            rows.append({**row, "refused": str(error)})
            continue
        every_vessel = replace(seen, clear=np.ones_like(seen.clear))
        for name, one in (("limits", seen), ("without", every_vessel)):
            apart = np.abs(predict(one, model).maps.cbf - one.targets[CBF])
            row[name] = float(apart[one.valid].mean())
        rows.append(row)
    return rows


def main() -> None:
    """Write ``results/moved_bone.md``."""
    cases = [seed for seed in SEEDS if clinical_recipe(seed).motion_mm > MOVED_MM]
    rows = resumable("moved_bone", measure, cases)
    lines = []
    for frames in EVERY:
        kind = [row for row in rows if row["frames"] == frames]
        for name, text in (("without", "every vessel"), ("limits", "clear of moving bone")):
            found = np.array([row[name] for row in kind if name in row])
            lines.append(
                [
                    frames,
                    text,
                    f"{found.size} of {len(kind)}",
                    f"{found.mean():.2f} ± {found.std():.2f}",
                    f"{np.median(found):.2f}",
                    f"{np.sort(found)[-3]:.1f}, {np.sort(found)[-2]:.1f}, {found.max():.1f}",
                ]
            )
    header = ["frames", "used as blood", "exams", "CBF MAE, ml/100g/min", "median", "three worst"]
    parts = [
        f"{len(cases)} simulated exams of the recipe of `cohort.md` that moved by more than "
        f"{MOVED_MM:g} mm (seeds {SEEDS.start}-{SEEDS.stop - 1}); mean ± SD over exams, in voxels "
        "where the truth is valid.",
        markdown(header, lines),
    ]
    write("moved_bone", "The motion-artefact mask of the network's blood", parts)


if __name__ == "__main__":
    main()
