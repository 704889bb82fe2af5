"""Train the network that ships with bolus from scratch: ``make weights``.

1000 training exams of the simulated cohort 1, 24 validation exams of cohort 99; then the recipe
`bolus` with seed 1.  Everything finished is kept, so an interrupted run is resumed; results of
other code are not used.  ``results/weights.md``, the network's card, documents the training.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from bolus.code_digest import ANALYSIS, digest_of_code
from bolus.errors import BolusError
from bolus.infer.metadata import Fact
from bolus.simulate.case import scan
from bolus.simulate.priors import case_seed, clinical_case
from bolus.train.cnn.export import LICENCE, export
from bolus.train.cnn.run import LIMITS, PURPOSE, SIMULATED
from bolus.train.cnn.task import EPOCHS, PATIENCE, STEPS_PER_EPOCH, BolusTask
from bolus.train.loop import BEST, Row, Settings, fit
from bolus.train.model_card import USE
from bolus.train.prepare import TARGETS, prepare, write_prepared
from bolus.types import MAP_UNITS
from bolus.workers import as_they_finish, processes
from tables import markdown, write

TRAINING, VALIDATION = (1, 1000), (99, 24)
"""Cohort and number of cases."""
SEED = 1
PACKAGE = Path(__file__).parents[1] / "src" / "bolus"
WEIGHTS = PACKAGE / "infer" / "weights.onnx"
CODE = (*ANALYSIS, "infer", "simulate", "train")
"""Digest of the code that determines exams and weights, besides libraries and the machine."""
CODE_DIGEST = digest_of_code(CODE, Path(__file__))
FOLDER = Path(__file__).parent / ".cache" / f"weights-{CODE_DIGEST}"


def prepared(cohort: int, cases: int, folder: Path) -> list[Path]:
    """Exams of a cohort as input of the network; those that the pipeline refuses are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{case_seed(cohort, number)}.npz" for number in range(cases)]
    missing = [path for path in paths if not path.exists()]
    if missing:
        with processes(os.cpu_count() or 1) as pool:
            for number, (_, line) in enumerate(as_they_finish(pool, prepare_case, missing), 1):
                print(f"{number} of {len(missing)}: {line}", flush=True)
    return [path for path in paths if path.exists()]


def prepare_case(path: Path) -> str:
    """Simulate the case whose seed is the file's name, and write the network's input for it."""
    seed = int(path.stem)
    exam, truth = scan(seed, clinical_case(seed))
    try:
        seen = prepare(exam, {name: getattr(truth, name) for name in TARGETS}, truth.valid)
    except BolusError as error:
        return f"{seed} refused: {error}"
    write_prepared(seen, path)
    return str(seed)


def report(rows: Sequence[Row], training: int, validation: int, weights: Path) -> None:
    """Write ``results/weights.md``: every epoch, and which one is kept."""
    kept = min(rows, key=lambda row: row["loss"])["epoch"]
    lines = [
        [
            f"{row['epoch']:.0f}{' (kept)' if row['epoch'] == kept else ''}",
            f"{row['train_loss']:.3f}",
            f"{row['loss']:.3f}",
            *(f"{row[f'{name}_mae']:.3f}" for name in TARGETS),
            f"{row['seconds']:.0f}",
        ]
        for row in rows
    ]
    units = (f"{name.upper()} MAE, {MAP_UNITS[name]}" for name in TARGETS)
    parts = [
        f"{PURPOSE} {USE} The weights' licence: {LICENCE}.",
        f"`make weights`: {training} simulated training exams of cohort {TRAINING[0]}, "
        f"{validation} validation exams of cohort {VALIDATION[0]}, recipe `bolus`, seed {SEED}, "
        f"{len(rows)} epochs of {STEPS_PER_EPOCH} batches on {os.cpu_count()} CPU cores, "
        f"{sum(row['seconds'] for row in rows) / 60:.0f} minutes. Digest of the code: "
        f"`{CODE_DIGEST}`. The file's SHA-256: "
        f"`{hashlib.sha256(weights.read_bytes()).hexdigest()}`.",
        markdown(["epoch", "training loss", "validation loss", *units, "seconds"], lines),
        "Errors on the validation exams, every other slice, of brains scaled to the usual volume "
        "of blood. The training loss is that of augmented crops during training; the "
        "validation loss that of a moving average of the network on whole slices.",
        "Other exams, compared with deconvolutions: [network](network.md); exams that it can't "
        "read: [unlike](unlike.md).",
        "\n".join(f"* {limit}" for limit in (*LIMITS, SIMULATED)),
    ]
    write("weights", "The shipped network and its training", parts)


def main() -> None:
    """Write ``src/bolus/infer/weights.onnx``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    asked = parser.parse_args()
    training = prepared(*TRAINING, FOLDER / "exams")
    validation = prepared(*VALIDATION, FOLDER / "exams")
    task = BolusTask(training, validation, seed=SEED, epochs=EPOCHS)
    settings = Settings(EPOCHS, PATIENCE, SEED, f"shipped {len(training)} {len(validation)}")
    rows = fit(task, FOLDER, settings, seen=lambda row: print(row, flush=True))
    epoch = min(rows, key=lambda row: row["loss"])["epoch"]
    facts: dict[str, Fact] = {
        "recipe": "bolus", "seed": SEED, "epochs": epoch, "cohorts": "1 and 99, simulated",
        "code": CODE_DIGEST,
    }  # fmt: skip
    export(FOLDER / BEST, training, validation, asked.out, name="bolus", facts=facts)
    report(rows, len(training), len(validation), asked.out)


if __name__ == "__main__":
    main()
