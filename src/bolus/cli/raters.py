"""``bolus study raters``: reading studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bolus.errors import UsageError
from bolus.plain_text import RESEARCH_USE

raters = App(name="raters", help="Let raters outline core and penumbra, and compare them.")


@raters.command
def init(
    study: Path,
    *,
    exams: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=())],
    maps: str = "nlr,cnn",
    raters: str = "2",
    repeats: int | None = None,
    seed: int = 0,
) -> None:
    """Create a reading study: blinded worklists, in a different random order for each rater.

    Raters see maps and CT of an exam, never the method. Their sign-in codes are printed once and
    stored as salted hashes only. Raters read with `bolus view STUDY`.

    Parameters
    ----------
    study
        New folder for the study. It holds a copy of everything raters see.
    exams
        Folders of results of `bolus run`, each with all methods.
    maps
        Methods whose maps are read, separated by commas; the others are compared with the first.
    raters
        Their number, or names separated by commas (lower-case letters, digits and hyphens).
    repeats
        Readings that each rater repeats without being told; by default a fifth of all.
    seed
        Random seed of the orders and of the repeated readings.
    """
    from bolus.study.raters.make import create
    from bolus.study.raters.store import open_study

    codes = create(study, exams, _names(maps), _rater_names(raters), repeats=repeats, seed=seed)
    made = open_study(study)
    print(f"{made.exams} exams by {', '.join(made.methods)}; {made.repeats} readings repeated")
    print("Sign-in codes, shown only now:")
    for rater, code in codes.items():
        print(f"  {rater:12s} {code}   {len(made.worklist(rater))} readings")
    print("Keep key.json away from the raters.")
    print(f"{RESEARCH_USE}.")


@raters.command
def simulate(study: Path, *, seed: int) -> None:
    """Let simulated raters do every reading that has not been started.

    A program outlines by thresholds, with a bias for each simulated rater, hand tremor and missed
    islands. It sees what raters see. Its readings are marked as simulated wherever they appear.

    Parameters
    ----------
    study
        Folder of the study.
    seed
        Random seed: the same study and seed give the same outlines.
    """
    from bolus.study.raters.simulated import simulate_readings
    from bolus.study.raters.store import open_study

    for rater, count in simulate_readings(open_study(study), seed).items():
        print(f"{rater:12s} {count} readings by a simulated rater")
    print(f"{RESEARCH_USE}.")


@raters.command
def report(study: Path, *, out: Annotated[Path, Parameter(name=["--out", "-o"])]) -> None:
    """Compare the finished readings: methods per rater, raters per method, repeated readings.

    Needs `pip install 'bolus[study]'`.

    Parameters
    ----------
    study
        Folder of the study.
    out
        Folder for report.html, tables (CSV, LaTeX) and figures; a previous report is replaced.
    """
    from bolus.study.raters.report import PAGE, write_report
    from bolus.study.raters.store import open_study

    gathered = write_report(open_study(study), out)
    if gathered.simulated:
        print(f"Simulated raters: {', '.join(gathered.simulated)}")
    print(f"{len(gathered.finished)} readings finished, {len(gathered.unfinished)} left out")
    print(f"report    {out / PAGE}")
    print(f"{RESEARCH_USE}.")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _rater_names(text: str) -> tuple[str, ...]:
    if not (text.isascii() and text.isdigit()):
        return _names(text)
    if not 1 <= int(text) <= 99:
        raise UsageError(f"--raters is {text}; give 1 to 99, or names")
    return tuple(f"rater-{number}" for number in range(1, int(text) + 1))
