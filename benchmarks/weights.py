"""Train the network that ships with bolus, from nothing: ``make weights``.

420 exams of the simulated cohort 1 to learn from, 16 of cohort 99 to validate on; then the recipe
`bolus` with seed 1.  Everything that is finished is kept, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bolus.errors import BolusError
from bolus.simulate.case import scan
from bolus.simulate.priors import case_seed, clinical_case
from bolus.train.bolus.export import export
from bolus.train.bolus.recipe import EPOCHS, PATIENCE, BolusTask
from bolus.train.loop import BEST, Settings, fit
from bolus.train.prepare import TARGETS, prepare, write_prepared
from bolus.workers import as_they_finish, processes

TRAINING, VALIDATION = (1, 420), (99, 16)
"""Cohort and number of cases."""
SEED = 1
FOLDER = Path(__file__).parent / ".cache" / "weights"
WEIGHTS = Path(__file__).parents[1] / "src" / "bolus" / "infer" / "weights.onnx"


def prepared(cohort: int, cases: int, folder: Path) -> list[Path]:
    """Exams of a cohort as the network sees them; those that the pipeline refuses are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{case_seed(cohort, number)}.npz" for number in range(cases)]
    missing = [path for path in paths if not path.exists()]
    if missing:
        with processes(os.cpu_count() or 1) as pool:
            for number, (_, line) in enumerate(as_they_finish(pool, prepare_case, missing), 1):
                print(f"{number} of {len(missing)}: {line}", flush=True)
    return [path for path in paths if path.exists()]


def prepare_case(path: Path) -> str:
    """Simulate the case whose seed is the file's name, and write what the network sees of it."""
    seed = int(path.stem)
    exam, truth = scan(seed, clinical_case(seed))
    try:
        seen = prepare(exam, {name: getattr(truth, name) for name in TARGETS}, truth.valid)
    except BolusError as error:
        return f"{seed} refused: {error}"
    write_prepared(seen, path)
    return str(seed)


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
    facts = {"recipe": "bolus", "seed": SEED, "epochs": epoch, "cohorts": "1 and 99, simulated"}
    export(FOLDER / BEST, training, validation, asked.out, name="bolus", facts=facts)


if __name__ == "__main__":
    main()
