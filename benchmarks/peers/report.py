"""From the maps of every tool to the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bolus.metrics import mean_absolute_error, pearson
from bolus.types import MAP_UNITS
from peers.cases import TRUTHS, Case
from tables import markdown, slope

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
MAPS = TRUTHS[:-1]
TITLES = {"cbf": "CBF", "cbv": "CBV", "mtt": "MTT", "tmax": "Tmax"}
Found = dict[str, np.ndarray]
"""What a method gave for one case: maps, rows and seconds, or an error."""
Results = dict[tuple[str, str], dict[str, Found]]
"""By tool and method, then by case."""


def errors(found: Found, case: Case, name: str, truth: str | None = None) -> tuple[float, ...]:
    """r, mean absolute error and slope of one map; voxels without a value are left out."""
    expected = case.truth[truth or name][found["rows"]]
    ok = np.isfinite(found[name])
    values, expected = found[name][ok], expected[ok]
    return pearson(values, expected), mean_absolute_error(values, expected), slope(values, expected)


def flow_change(found: Found, case: Case, delay_s: float) -> float:
    """Relative change of mean CBF between tissue of delay 0 and of `delay_s`."""
    delay = case.truth["delay"][found["rows"]]
    flow = found["cbf"]
    return float(np.nanmean(flow[delay == delay_s]) / np.nanmean(flow[delay == 0.0])) - 1


def overview(results: Results, cases: Sequence[Case]) -> str:
    """One row for each tool and method: speed, errors averaged over residue shapes, delay."""
    kudo = [case for case in cases if case.name.startswith("kudo")]
    late = [case for case in cases if case.name.startswith("delay")]
    header = ["tool", "method", "voxels/s"]
    header += [f"{TITLES[name]} r / MAE" for name in MAPS]
    header += ["CBF slope: " + ", ".join(case.name[5:] for case in kudo), "CBF at -3 s, +3 s"]
    rows = [[tool, method, *overview_cells(found, kudo, late)]
            for (tool, method), found in usable(results).items()]  # fmt: skip
    for tool, problem in problems(results).items():
        rows.append([tool, problem, *[""] * (len(header) - 2)])
    return markdown(header, rows)


def overview_cells(found: dict[str, Found], kudo: list[Case], late: list[Case]) -> list[str]:
    """Numbers of one method."""
    brain = found["brain"]
    cells = [f"{len(brain['rows']) / float(brain['seconds']):,.0f}"]
    for name in MAPS:
        r, error, _ = np.mean([errors(found[c.name], c, name) for c in kudo], axis=0)
        cells.append(f"{r:.2f} / {error:.2f}")
    cells.append(", ".join(f"{errors(found[c.name], c, 'cbf')[2]:.2f}" for c in kudo))
    change = [np.mean([flow_change(found[c.name], c, d) for c in late]) for d in (-3.0, 3.0)]
    return [*cells, ", ".join(f"{100 * value:+.1f} %" for value in change)]


def usable(results: Results) -> Results:
    """Methods that gave maps of every case."""
    return {key: found for key, found in results.items() if not why(found)}


def problems(results: Results) -> dict[str, str]:
    """Why methods have no row, by tool, or by tool and method where they differ."""
    reasons: dict[str, list[tuple[str, str]]] = {}
    for (tool, method), found in results.items():
        if why(found):
            reasons.setdefault(tool, []).append((method, why(found)))
    merged = {}
    for tool, pairs in reasons.items():
        same = len({reason for _, reason in pairs}) == 1
        merged[tool] = pairs[0][1] if same else "; ".join(f"{m}: {reason}" for m, reason in pairs)
    return merged


def why(found: dict[str, Found]) -> str:
    """The problem of a method, empty if it has none."""
    return next((str(maps["error"]) for maps in found.values() if "error" in maps), "")


def details(results: Results, case: Case) -> str:
    """r / MAE / slope of every map on one residue shape."""
    header = ["tool", "method", "voxels"]
    header += [f"{TITLES[name]} ({MAP_UNITS[name]})" for name in MAPS] + ["Tmax against delay (s)"]
    rows = []
    for (tool, method), found in usable(results).items():
        maps = found[case.name]
        measured = [errors(maps, case, name) for name in MAPS]
        measured.append(errors(maps, case, "tmax", "delay"))
        cells = [f"{r:.3f} / {error:.2f} / {s:.2f}" for r, error, s in measured]
        rows.append([tool, method, f"{len(maps['rows']):,}", *cells])
    return markdown(header, rows)


def put_between_markers(text: str, table: str) -> str:
    """The text with the part between its two markers replaced; unchanged without markers."""
    if BEGIN not in text or END not in text:
        return text
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def update_page(table: str) -> None:
    """Renew the table in docs/accuracy.md."""
    PAGE.write_text(put_between_markers(PAGE.read_text(), table))
