"""``bolus dataset``: index, check and split data sets of exams with maps."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from bolus.errors import BrokenExam, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bolus.dataset.check import Checked
    from bolus.dataset.index import Index
    from bolus.dataset.inspect_all import Progress

Out = Annotated[Path, Parameter(name=["--out", "-o"])]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())]

dataset = App(name="dataset", help="Index, check and split data sets of exams with maps.")


@dataset.command
def index(folder: Path, *, out: Out, maps: Path | None = None, quiet: Quiet = False) -> None:
    """Recognise the layout of a data set and write an index of its cases.

    Supported are UniToBrain as distributed, ISLES 2018 and 2024, cohorts of `bolus simulate`, and
    your own exams with results of `bolus run`.

    Parameters
    ----------
    folder
        The data set.
    out
        The index, a JSON file.
    maps
        Folder with results of `bolus run`, each named like its exam, for your own data.
    quiet
        Print nothing but errors.
    """
    from bolus.dataset.index import write_index
    from bolus.dataset.layouts import index_folder

    with _progress(quiet) as progress:
        found = index_folder(folder, maps=maps, progress=progress, processes=None)
    write_index(found, out)
    if not quiet:
        _print_summary(found)


@dataset.command
def check(
    index: Path,
    *,
    split: Path | None = None,
    deep: bool = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    quiet: Quiet = False,
) -> None:
    """Check every case: exam, maps, units, truth, duplicates; exit code 4 if one can't be used.

    Parameters
    ----------
    index
        File that `bolus dataset index` wrote.
    split
        File that `bolus dataset split` wrote, to be checked for data leakage.
    deep
        Decode every exam.
    as_json
        Print JSON for programs instead of a table.
    quiet
        Show no progress.
    """
    from bolus.dataset.check import Checked, check_index, check_split, to_dict
    from bolus.dataset.index import read_index
    from bolus.dataset.split import read_splits

    known = read_index(index)
    splits = read_splits(split, index=known) if split else ()
    with _progress(quiet) as progress:
        checked = check_index(known, deep=deep, progress=progress, processes=None)
    leaks = check_split(splits, known)
    checked = Checked(checked.cases, (*checked.findings, *leaks))
    if as_json:
        print(json.dumps(to_dict(checked), indent=2))
    else:
        _print_table(checked)
    if not checked.passed:
        raise SystemExit(BrokenExam.exit_code)


@dataset.command
def split(
    index: Path,
    *,
    out: Out,
    test: int | None = None,
    validation: int = 0,
    train: int | None = None,
    folds: int | None = None,
    frames: int | None = None,
    leave_out: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    seed: int = 0,
) -> None:
    """Split a data set by patients, and write the split to a file.

    Parameters
    ----------
    index
        File that `bolus dataset index` wrote.
    out
        The split, a JSON file.
    test
        Number of patients kept for the test (15 in the paper).
    validation
        Number of patients for validation during training.
    train
        Number of patients to train on (100 in the paper); all others by default.
    folds
        Number of folds of a cross-validation, instead of --test.
    frames
        Use only patients with an exam of this many frames.
    leave_out
        Patients to leave out, for example those that the data set's authors excluded.
    seed
        Random seed of the split.
    """
    from bolus.dataset.index import read_index
    from bolus.dataset.split import Choice, cross_validation, hold_out, write_split

    known = read_index(index)
    choice = Choice(frames, leave_out)
    if folds is not None and test is None and train is None:
        made = cross_validation(known, folds, validation, seed, choice=choice)
    elif test is not None and folds is None:
        made = hold_out(known, test, validation, seed, train=train, choice=choice)
    else:
        raise UsageError("give either --test N, with --train N or not, or --folds K")
    write_split(made, known, out)
    for number, one in enumerate(made):
        label = f"fold {number}" if folds else "split"
        print(
            f"{label:8s} train {len(one.train)}, validation {len(one.validation)}, "
            f"test {len(one.test)} patients"
        )
    for message in sorted({f.message for case in known.cases for f in case.findings if _warns(f)}):
        print(f"warning  {message}")


def _warns(finding: object) -> bool:
    return getattr(finding, "code", "") == "patients-unknown"


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:
    """A counter on standard error if it is a terminal."""
    if quiet:
        yield None
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False).status("") as status:
        yield lambda done, of: status.update(f"{done} of {of} cases")


def _print_summary(found: Index) -> None:
    usable = [case for case in found.cases if case.usable]
    print(
        f"{found.layout}: {len(found.cases)} cases of {len(found.patients)} patients, "
        f"{len(usable)} usable"
    )
    kinds = Counter((case.frames, case.slices) for case in usable)
    for (frames, slices), count in sorted(kinds.items(), reverse=True):
        print(f"{count:6d} with {frames} frames of {slices} slices")
    codes = Counter((f.grade, f.code) for case in found.cases for f in case.findings)
    for (grade, code), count in sorted(codes.items(), reverse=True):
        print(f"{count:6d} x {grade.name.lower()} {code}")


def _print_table(checked: Checked) -> None:
    from bolus.dataset.check import verdict

    width = max((len(case.name) for case in checked.cases), default=4)
    print(f"{'case':{width}s}  frames  slices  verdict   maps")
    for case in checked.cases:
        print(
            f"{case.name:{width}s}  {case.frames:6d}  {case.slices:6d}  {verdict(case):8s}  "
            f"{' '.join(case.maps)}"
        )
        for finding in case.findings:
            print(f"{'':{width}s}  {finding.grade.name.lower()} {finding.code}: {finding.message}")
    for finding in checked.findings:
        print(f"{finding.grade.name.lower()} {finding.code}: {finding.message}")
    usable = sum(case.usable for case in checked.cases)
    print(f"{usable} of {len(checked.cases)} cases are usable")
