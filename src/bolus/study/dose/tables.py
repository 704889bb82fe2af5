"""The dose study's tables: every row as CSV, and means with both of their spreads in Markdown."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bolus.metrics import pearson
from bolus.plain_text import RESEARCH_USE
from bolus.study.dose.log import Line
from bolus.study.dose.rows import Condition, Study, by_condition, of_method
from bolus.study.dose.score import MAPS
from bolus.types import MAP_UNITS, Float64Array

LESION_ML = 10.0
"""Overlap is reported only for lesions above this: that of small ones is chance."""
FEWEST_EXAMS = 3
"""A correlation over two exams is 1."""
RESEARCH = f"{RESEARCH_USE}."


@dataclass(frozen=True)
class Measure:
    """One number of an analysis, and how it is shown."""

    title: str
    key: str
    unit: str
    pattern: str
    of_lesion: str = ""
    """Only exams whose true volume of this name is above `LESION_ML`."""
    absolute: bool = False

    def value(self, row: Line) -> float | None:
        """Of one finished analysis; None where there is none."""
        found: float | None = row.get(self.key)
        small = self.of_lesion and row.get(f"{self.of_lesion}_true_ml", 0.0) <= LESION_ML
        if found is None or small:
            return None
        return abs(found) if self.absolute else found


LABELS = {name: name.upper() for name in MAPS} | {"tmax": "Tmax"}
ERRORS = tuple(
    Measure(f"{LABELS[name]} MAE", f"{name}_mae", MAP_UNITS[name], ".2f") for name in MAPS
)
OVERLAPS = (
    Measure("Core Dice", "core_dice", "", ".2f", "core"),
    Measure("Hypoperfused Dice", "hypoperfused_dice", "", ".2f", "hypoperfused"),
)
VOLUMES = (
    Measure("Core volume, absolute error", "core_error_ml", "ml", ".1f", absolute=True),
    Measure(
        "Hypoperfused volume, absolute error", "hypoperfused_error_ml", "ml", ".1f", absolute=True
    ),
)
BIASES = tuple(
    Measure(f"{LABELS[name]} bias", f"{name}_bias", MAP_UNITS[name], "+.2f") for name in MAPS
)
LINEARITY = tuple(Measure(f"{LABELS[name]} r", f"{name}_r", "", ".2f") for name in MAPS)
VOLUME_BIASES = (
    Measure("Core volume, error", "core_error_ml", "ml", "+.1f"),
    Measure("Hypoperfused volume, error", "hypoperfused_error_ml", "ml", "+.1f"),
)
COVERED = Measure("Share of valid voxels mapped", "covered", "", ".2f")
MAIN = (*ERRORS, *OVERLAPS, *VOLUMES)
MORE = (*BIASES, *LINEARITY, *VOLUME_BIASES, COVERED)


@dataclass(frozen=True)
class Summary:
    """A measure over exams; the phases of an exam are averaged first."""

    exams: int
    mean: float
    sd: float | None
    """Between exams."""
    phase_sd: float | None
    """Between phases of one exam, mean over exams."""


def summary(rows: Iterable[Line], measure: Measure) -> Summary | None:
    """Of one method under one condition; None where no exam has the measure."""
    by_exam: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        value = measure.value(row)
        if value is not None:
            by_exam[row["case"]].append(value)
    if not by_exam:
        return None
    means = np.array([np.mean(values) for values in by_exam.values()])
    spreads = [np.std(values, ddof=1) for values in by_exam.values() if len(values) > 1]
    return Summary(
        exams=len(means),
        mean=float(means.mean()),
        sd=float(means.std(ddof=1)) if len(means) > 1 else None,
        phase_sd=float(np.mean(spreads)) if spreads else None,
    )


def csv_text(rows: Sequence[Line]) -> str:
    """Every row; empty where undefined."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown_text(study: Study) -> str:
    """The content of dose.md."""
    groups, methods = by_condition(study), study.plan.methods
    parts = [
        "# Dose study: fewer frames, lower dose",
        f"**{_kind(study)}** {RESEARCH}",
        _how_to_read(study),
        "![Error over relative dose](dose.png)",
        "## Conditions",
        _conditions(groups, methods),
    ]
    lost = [row for row in study.rows if row["outcome"] != "done"]
    parts += ["## Refused analyses", _refusals(lost)]
    for measure in (*MAIN, *MORE):
        table = _measure_table(groups, methods, measure)
        if table:
            unit = f", {measure.unit}" if measure.unit else ""
            parts += [f"## {measure.title}{unit}", table]
    for name in ("core", "hypoperfused"):
        parts += [f"## {name.capitalize()} volume: r over exams, change against the method's own "
                  "maps of the whole exam", _volumes(groups, methods, name)]  # fmt: skip
    made = ", ".join(f"{name} {number}" for name, number in study.settings["versions"].items())
    return "\n\n".join([*parts, f"Made with {made}; settings.json has the parameters."]) + "\n"


def _kind(study: Study) -> str:
    kinds = Counter(about.get("reference") for about in study.settings["exams"].values())
    if set(kinds) <= {"truth", None}:
        return "Accuracy on simulated exams: compared with their ground truth."
    if "truth" not in kinds:
        return (
            f"Agreement, not accuracy: compared with the {study.plan.reference} maps of the "
            "complete exam at its full dose."
        )
    return (
        f"Mixed: {kinds['truth']} simulated exams compared with their truth, "
        f"{kinds['whole exam']} with their own {study.plan.reference} maps at full dose."
    )


def _how_to_read(study: Study) -> str:
    exams = study.settings["exams"].values()
    read = [about for about in exams if "digest" in about]
    noise = [about["noise_hu"] for about in read if about["noise_hu"] is not None]
    measured = (
        f" Noise was measured in each exam ({min(noise):.1f} to {max(noise):.1f} HU in the brain) "
        "and noise of the same texture was added."
        if noise
        else ""
    )
    first = "the first frame" if study.plan.phases == 1 else "several first frames"
    return (
        f"{len(exams)} exams, {len(read)} of them readable. Cells: mean ± SD over exams of each "
        "exam's mean over its phases; in brackets the SD over the phases of one exam, mean over "
        "exams. Means are over the analyses that gave maps; refused analyses are counted, as are "
        "those that the quality checks call not reliable, which are included in the means."
        f'{measured} "N frames" follows the paper\'s rule (every total/N-th), starting at {first}. '
        "Relative dose is the share of frames times the dose per frame. Dice is that of "
        f"lesions above {LESION_ML:g} ml within valid voxels."
    )


def _conditions(groups: dict[Condition, list[Line]], methods: Sequence[str]) -> str:
    lines = []
    for condition, rows in groups.items():
        one = of_method(rows, methods[0])
        done = [_done(of_method(rows, method)) for method in methods]
        cells = [
            f"{_span(one, 'frames', 'd')} of {_span(one, 'frames_of', 'd')}",
            _span(one, "interval_s", ".1f"),
            _dose(one),
        ]
        exams = str(len({row["case"] for row in one}))
        unreliable = [str(_unreliable(of_method(rows, method))) for method in methods]
        lines.append([str(condition), exams, str(len(one)), *cells, *done, *unreliable])
    header = ["condition", "exams", "analyses", "frames", "interval, s", "relative dose",
              *(f"{method} done" for method in methods),
              *(f"{method} called not reliable" for method in methods)]  # fmt: skip
    return markdown(header, lines)


def _span(rows: Sequence[Line], key: str, pattern: str) -> str:
    """Range over the rows, one number where they agree."""
    ends = [
        f"{value:{pattern}}" for value in (min(r[key] for r in rows), max(r[key] for r in rows))
    ]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _dose(rows: Sequence[Line]) -> str:
    """Mean relative dose, and its range where exams of several protocols differ."""
    span = _span(rows, "relative_dose", ".2f")
    mean = f"{_column(rows, 'relative_dose').mean():.2f}"
    return f"{mean} ({span})" if "to" in span else mean


def _done(rows: Sequence[Line]) -> str:
    count = sum(row["outcome"] == "done" for row in rows)
    return str(count) if count == len(rows) else f"**{count}**"


def _unreliable(rows: Sequence[Line]) -> int:
    """Analyses that a quality check failed, though there are maps."""
    return sum(row["grade"] == "FAIL" for row in rows)


def _column(rows: Sequence[Line], key: str) -> Float64Array:
    return np.array([row[key] for row in rows], np.float64)


def _refusals(lost: Sequence[Line]) -> str:
    """By stage and kind of error, with one example of each."""
    if not lost:
        return "None."
    kinds: dict[tuple[str, str, str, str], list[Line]] = defaultdict(list)
    for row in lost:
        error = row["reason"].split(":")[0] if row["stage"] != "read" else "unreadable"
        kinds[row["method"], row["outcome"], row["stage"], error].append(row)
    lines = []
    for (method, outcome, stage, error), rows in sorted(kinds.items()):
        frames = [row["frames"] for row in rows if "frames" in row]
        span = f"{min(frames)} to {max(frames)}" if frames else ""
        example = min(row["reason"] for row in rows).replace("|", "/").replace("\n", " ")
        exams = str(len({row["case"] for row in rows}))
        lines.append([method, outcome, stage, error, str(len(rows)), exams, span, example])
    header = ["method", "outcome", "stage", "error", "analyses", "exams", "frames", "for example"]
    return markdown(header, lines)


def _measure_table(
    groups: dict[Condition, list[Line]], methods: Sequence[str], measure: Measure
) -> str:
    lines, seen = [], False
    for condition, rows in groups.items():
        found = [summary(of_method(rows, method), measure) for method in methods]
        seen = seen or any(found)
        exams = max((one.exams for one in found if one), default=0)
        lines.append(
            [str(condition), _dose(rows), str(exams), *(_cell(one, measure) for one in found)]
        )
    return markdown(["condition", "relative dose", "exams", *methods], lines) if seen else ""


def _cell(found: Summary | None, measure: Measure) -> str:
    if found is None:
        return "-"
    p, plain = measure.pattern, measure.pattern.strip("+")
    text = f"{found.mean:{p}}"
    text += f" ± {found.sd:{plain}}" if found.sd is not None else ""
    return text + (f" ({found.phase_sd:{plain}})" if found.phase_sd is not None else "")


def _volumes(groups: dict[Condition, list[Line]], methods: Sequence[str], name: str) -> str:
    whole = {
        (row["case"], row["method"]): row.get(f"{name}_ml")
        for condition, rows in groups.items()
        if condition.rule == "full" and condition.dose == 1
        for row in rows
    }

    def changed(row: Line) -> Line:
        own, before = row.get(f"{name}_ml"), whole.get((row["case"], row["method"]))
        if own is None or before is None:
            return {"case": row["case"]}
        return {"case": row["case"], "change": own - before}

    change = Measure("", "change", "ml", "+.1f")
    lines = []
    for condition, rows in groups.items():
        cells = []
        for method in methods:
            own = of_method(rows, method)
            moved = _cell(summary(map(changed, own), change), change)
            cells += [_volume_r(own, name), moved]
        lines.append([str(condition), *cells])
    header = [text for m in methods for text in (f"{m} r", f"{m} change, ml")]
    return markdown(["condition", *header], lines)


def _volume_r(rows: Sequence[Line], name: str) -> str:
    """Pearson's r of the volumes over exams, phases averaged."""
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row["outcome"] == "done":
            pairs[row["case"]].append((row[f"{name}_ml"], row[f"{name}_true_ml"]))
    if len(pairs) < FEWEST_EXAMS:
        return "-"
    found, true = np.array([np.mean(p, axis=0) for p in pairs.values()]).T
    r = pearson(found, true)
    return f"{r:.3f}" if np.isfinite(r) else "-"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
