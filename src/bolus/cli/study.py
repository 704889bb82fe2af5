"""``bolus study``: studies of the accuracy of bolus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bolus.cli import raters
from bolus.errors import UsageError
from bolus.plain_text import RESEARCH_USE

study = App(name="study", help="Studies of the accuracy of bolus's maps: dose, frames, raters.")
study.command(raters.raters)

Several = Parameter(consume_multiple=True, negative=())


@study.command
def dose(
    cohort: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    method: Annotated[tuple[str, ...], Parameter(name=["--method", "-m"], negative=())] = ("bma",),
    frames: Annotated[tuple[int, ...], Several] = (89, 44, 27, 18, 10, 7, 5, 3, 2),
    every: Annotated[tuple[int, ...], Several] = (1, 2, 3, 4),
    two_rate: Annotated[tuple[int, ...], Several] = (),
    phases: str = "3",
    dose: Annotated[tuple[float, ...], Several] = (1.0,),
    cases: int | None = None,
    reference: str = "nlr",
    preset: str = "calibrated",
    model: Path | None = None,
    seed: int = 0,
    workers: int = 2,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Measure the effect of fewer frames and lower dose on each method.

    Every exam is analysed with all frames and with fewer, at full dose and, with noise of the same
    texture added, at lower doses. Maps and lesions are compared with the ground truth of simulated
    exams, and otherwise with a method's own maps of the complete exam. An interrupted study is
    continued.

    Parameters
    ----------
    cohort
        Index of a data set (`bolus dataset index`), or the folder of a cohort.
    out
        Folder for dose.csv (every analysis), dose.md (tables), dose.png and settings.json.
    method
        Method; repeat it to compare several.
    frames
        Numbers of frames, evenly spaced as in the paper; larger ones than an exam has are skipped.
    every
        Keep every k-th frame; give k.
    two_rate
        Keep every k-th frame for 30 s and every 2k-th after that; give k.
    phases
        Number of starting frames tried for each frame selection: "all", "first" or a number.
    dose
        Fractions of the exam's dose per frame; full dose is always included.
    cases
        Use only this many exams, in alphabetical order.
    reference
        Method whose maps of the complete exam replace the ground truth where there is none.
    preset
        Thresholds of core and hypoperfused tissue.
    model
        Network for `--method cnn` instead of the built-in one, an ONNX file of `bolus train`.
    seed
        Random seed of the added noise.
    workers
        Processes, one thread each; each holds two exams in memory.
    quiet
        Print nothing but errors.
    """
    from bolus.study.dose.plan import DosePlan
    from bolus.study.dose.run import run_dose_study
    from bolus.terminal import stage_printer

    plan = DosePlan(
        methods=tuple(dict.fromkeys(method)),
        frames=tuple(sorted(set(frames), reverse=True)),
        every=tuple(sorted(set(every))),
        two_rates=tuple(sorted(set(two_rate))),
        phases=_phases(phases),
        doses=dose,
        reference=reference,
        preset=preset,
        model=model,
        seed=seed,
    )
    with stage_printer(quiet) as progress:
        made = run_dose_study(cohort, out, plan, cases=cases, workers=workers, progress=progress)
    if not quiet:
        lost = sum(row["outcome"] != "done" for row in made.rows)
        print(f"{len(made.rows)} rows, {lost} of them without maps")
        print(f"tables    {out / 'dose.md'}")
        print(f"{RESEARCH_USE}.")


def _phases(text: str) -> int | None:
    if text == "all":
        return None
    if text == "first":
        return 1
    if text.isascii() and text.isdigit():
        return int(text)
    raise UsageError(f"--phases is '{text}'; give all, first or a number")
