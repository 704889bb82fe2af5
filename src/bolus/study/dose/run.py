"""The dose study: effect of fewer frames and lower dose on each method, over a set of exams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bolus.dataset.index import Case, read_index
from bolus.dataset.layouts import index_folder
from bolus.errors import NoReadableFiles, OutputError, UsageError
from bolus.study.dose.exam import ExamFacts, Outcome, Refusal, Subject, exam_facts, run_condition
from bolus.study.dose.figure import write_figure
from bolus.study.dose.log import Done, Key, finished, keep, line_of, log_name
from bolus.study.dose.plan import DosePlan
from bolus.study.dose.rows import FactsByExam, Study, study_of
from bolus.study.dose.tables import csv_text, markdown_text
from bolus.workers import as_they_finish, processes

Progress = Callable[[str, float | None], None]
"""Called with the activity and None, and with an exam's name and CPU seconds per analysis."""


@dataclass(frozen=True)
class Task:
    """One analysis: an exam at a dose with some of its frames; the methods still to run."""

    subject: Subject
    digest: str
    dose: float
    kept: tuple[int, ...]
    methods: tuple[str, ...]
    seed: int

    @property
    def key(self) -> Key:
        """Unique key of the analysis."""
        return self.subject.name, self.digest, self.dose, self.kept


def run_dose_study(
    cohort: Path,
    out: Path,
    plan: DosePlan,
    *,
    cases: int | None = None,
    workers: int = 2,
    progress: Progress = lambda *_: None,
) -> Study:
    """Run or resume the study, and write dose.csv, dose.md, dose.png and settings.json.

    Parameters
    ----------
    cohort : index of a data set, or the folder of one; exams with a truth are compared with it.
        Where a data set has an exam both raw and registered or filtered, the raw one
        is used.
    out : folder for the results; finished analyses are kept there, one line each, so that an
        interrupted run loses only the current ones, and a larger plan computes only what is new.
    plan : conditions.
    cases : only this many, in the order of their names.
    workers : processes, one thread each; they affect only the run time.

    Raises
    ------
    UsageError
        The plan is invalid.
    NotAnExam, BrokenExam
        There is no such data set.
    OutputError
        The folder can't be written.
    """
    plan.check()
    if workers < 1 or (cases is not None and cases < 1):
        raise UsageError("give 1 or more for --workers and --cases")
    subjects = [_subject(case, plan) for case in _cases(cohort)[:cases]]
    out = out.absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
        log = out / log_name(plan)
        done = finished(log)
        abouts = _work(subjects, plan, done, log, workers, progress)
        study = study_of(subjects, abouts, plan, done)
        _publish(study, out)
    except OSError as error:
        raise OutputError(f"{out}: can't be written ({error.strerror}).") from error
    return study


def _work(
    subjects: Sequence[Subject],
    plan: DosePlan,
    done: Done,
    log: Path,
    workers: int,
    progress: Progress,
) -> FactsByExam:
    """Run the analyses missing in ``done``; returns the facts about each exam."""
    noisy = min(plan.all_doses) < 1
    abouts: dict[str, ExamFacts | Refusal] = {}
    with processes(workers) as pool, log.open("a", encoding="utf-8") as file:
        progress(f"reading {len(subjects)} exams", None)
        for number, found in as_they_finish(pool, _look, [(s, noisy) for s in subjects]):
            abouts[subjects[number].name] = found
        tasks = list(_missing(_tasks(subjects, abouts, plan), done))
        progress(f"0 of {len(tasks)} analyses", None)
        for count, (number, outcome) in enumerate(as_they_finish(pool, _run, tasks), 1):
            line = line_of(tasks[number].key, outcome)
            keep(done, line)
            file.write(json.dumps(line) + "\n")
            file.flush()
            progress(tasks[number].subject.name, outcome.cpu_s)
            progress(f"{count} of {len(tasks)} analyses", None)
    return abouts


def _cases(cohort: Path) -> Sequence[Case]:
    index = index_folder(cohort) if cohort.is_dir() else read_index(cohort)
    if not index.cases:
        raise NoReadableFiles(f"{cohort}: holds no exams.")
    return index.cases


def _subject(case: Case, plan: DosePlan) -> Subject:
    # a filter over all frames has mixed them
    exam = case.raw or case.exam
    return Subject(case.name, exam, case.truth, plan.reference, plan.preset, plan.model)


def _look(task: tuple[Subject, bool]) -> ExamFacts | Refusal:
    return exam_facts(*task)


def _run(task: Task) -> Outcome:
    return run_condition(task.subject, task.dose, task.kept, task.methods, task.seed)


def _tasks(subjects: Sequence[Subject], abouts: FactsByExam, plan: DosePlan) -> Iterator[Task]:
    """Every analysis once: rules often agree on the same frames."""
    for subject in subjects:
        about = abouts[subject.name]
        if isinstance(about, Refusal):
            continue
        frames = dict.fromkeys(one.kept for one in plan.selections(about.times_s))
        for dose in plan.all_doses:
            for kept in frames:
                yield Task(subject, about.digest, dose, kept, plan.methods, plan.seed)


def _missing(tasks: Iterable[Task], done: Done) -> Iterator[Task]:
    for task in tasks:
        have = done.get(task.key, {})
        methods = tuple(m for m in task.methods if m not in have)
        if methods:
            yield replace(task, methods=methods)


def _publish(study: Study, out: Path) -> None:
    texts = {
        "dose.csv": csv_text(study.rows),
        "dose.md": markdown_text(study),
        "settings.json": json.dumps(study.settings, indent=1, sort_keys=True) + "\n",
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    write_figure(study, out / "dose.png")
