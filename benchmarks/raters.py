"""A whole reading study with simulated raters: 15 simulated exams, two methods, two raters.

Clinical-like exams (`simulated.clinical_recipe`) go through the pipeline with ``nlr`` and
``cnn``; then `bolus study raters` makes a blinded study, lets simulated raters read it and reports
it as the paper does.  A program draws the outlines: the numbers show that the study works, and how
far two methods' maps agree for a reader who applies thresholds; they say nothing about human
readers.  Finished exams are kept, so an interrupted run is resumed.  The same seeds give the
same numbers.
"""

from __future__ import annotations

import argparse
import shutil

from bolus.errors import BolusError
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.publish.write import publish
from bolus.simulate.exam import simulate_exam
from bolus.study.agreement.tables import HEADINGS, region_cells, trial_matrix
from bolus.study.raters.make import create
from bolus.study.raters.pairs import KINDS, Gathered, comparisons, exam_name
from bolus.study.raters.report import paper_rows, write_report
from bolus.study.raters.simulated import simulate_readings
from bolus.study.raters.store import open_study
from simulated import CACHE, Row, clinical_recipe, digest_of_code, resumable
from tables import RESULTS, markdown, write

SEEDS = range(10_000, 10_040)
"""Some exams are refused; the first accepted ones are read."""
EXAMS, METHODS, RATERS, REPEATS = 15, ("nlr", "cnn"), ("rater-1", "rater-2"), 8
STUDY_SEED, RATERS_SEED = 5, 7
PLACE = CACHE / f"raters-{digest_of_code('raters')}"


def make(seed: int) -> list[Row]:
    """Simulate an exam and write its results; the row holds its truth, or why it was refused."""
    recipe = clinical_recipe(seed)
    exam, truth = simulate_exam(seed, recipe)
    row: Row = {"seed": seed, "core_ml": truth.core_ml, "hypoperfused_ml": truth.hypo_ml}
    try:
        results = analyse(exam, Choices(methods=METHODS), Stages())
    except BolusError as error:
        return [{**row, "refused": str(error)}]
    publish(results, PLACE / f"exam-{seed}")
    return [row]


def exams(count: int, workers: int) -> list[Row]:
    """Rows of the first seeds until ``count`` exams have results; refused ones are among them."""
    tried = count
    while True:
        rows = resumable("raters", make, SEEDS[:tried], workers=workers)
        missing = count - sum("refused" not in row for row in rows)
        if missing <= 0 or tried == len(SEEDS):
            return rows
        tried = min(tried + missing, len(SEEDS))


def read(rows: list[Row]) -> Gathered:
    """Create a new study, read it with simulated raters, and write its report."""
    folders = [PLACE / f"exam-{row['seed']}" for row in rows if "refused" not in row]
    study, report = PLACE / "study", PLACE / "report"
    shutil.rmtree(study, ignore_errors=True)
    repeats = min(REPEATS, len(folders) * len(METHODS))
    create(study, folders, METHODS, RATERS, repeats=repeats, seed=STUDY_SEED)
    simulate_readings(open_study(study), RATERS_SEED)
    return write_report(open_study(study), report)


def main() -> None:
    """Write ``results/raters.md`` and ``results/raters.png``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exams", type=int, default=EXAMS, help="number of exams")
    parser.add_argument("--workers", type=int, default=2, help="processes, 1 GB each")
    asked = parser.parse_args()
    rows = exams(asked.exams, asked.workers)
    gathered = read(rows)
    found = comparisons(gathered)
    parts = [_note(rows, gathered)]
    paper = [
        [quantity, value, "; ".join(f"{region} {ours}" for region, ours in by_region), source]
        for quantity, value, source, by_region in paper_rows(found)
    ]
    parts += [
        "## Results of the paper and of this study",
        markdown(["quantity", "paper", "here", "paper's source"], paper),
    ]
    for kind, title in KINDS.items():
        lines = [
            [one.name, *region_cells(region)]
            for one in found
            if one.kind == kind
            for region in one.agreement.regions
        ]
        parts += [f"## {title}", markdown(["comparison", *_escaped(HEADINGS)], lines)]
    headings, lines = trial_matrix([(one.name, one.agreement) for one in found])
    parts += [
        "## Treatment eligibility by imaging",
        "Cohen's kappa (95 % interval; eligible exams on the first and the second side; number of "
        "equal decisions).",
        markdown(headings, lines),
    ]
    parts += ["![Maps against maps, per rater](raters.png)"]
    write("raters", "A reading study with simulated raters", parts)
    shutil.copyfile(PLACE / "report" / "maps.png", RESULTS / "raters.png")
    print(f"report    {PLACE / 'report' / 'report.html'}")


def _note(rows: list[Row], gathered: Gathered) -> str:
    kept = [row for row in rows if "refused" not in row]
    refused = [f"seed {row['seed']}: {row['refused']}" for row in rows if "refused" in row]
    core, all_ml = ([row[key] for row in kept] for key in ("core_ml", "hypoperfused_ml"))
    return (
        f"Raters are **simulated**: a program drew all {len(gathered.finished)} outlines, from "
        "thresholds (Tmax > 6 s, CBF < 30 %, for both methods, whose names it doesn't know), with "
        "a bias for each simulated rater, hand tremor and missed islands. The numbers show that "
        "the study works; they say nothing about human readers. "
        f"{len(kept)} simulated exams ({exam_name(0)} is seed {kept[0]['seed']}; the last is "
        f"{kept[-1]['seed']}), true core {min(core):.0f}-{max(core):.0f} ml, hypoperfused "
        f"{min(all_ml):.0f}-{max(all_ml):.0f} ml. {len(refused)} exams were refused by the program"
        + (f" ({'; '.join(refused)})" if refused else "")
        + f". Study seed {STUDY_SEED}, raters' seed {RATERS_SEED}. Definitions: docs/raters.md."
    )


def _escaped(headings: tuple[str, ...]) -> list[str]:
    return [heading.replace("|", "\\|") for heading in headings]


if __name__ == "__main__":
    main()
