"""The dose study's figure: accuracy of each method against dose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bolus.deconvolution.methods import METHODS
from bolus.study.dose.log import Line
from bolus.study.dose.rows import Condition, Study, by_condition, of_method
from bolus.study.dose.tables import MAIN, RESEARCH, Measure, summary
from bolus.types import Float64Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Groups = dict[Condition, list[Line]]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Distinguishable with any colour vision (Okabe & Ito 2008)."""
INK, GRID, REFERENCE = "#1c2733", "#e7ebef", "#7d8894"
DPI = 110
LOOKS = {
    "frames": ("fewer frames, evenly spaced", "-", "o", True),
    "every": ("every k-th frame", "--", "s", True),
    "two-rate": ("two rates of frames", "-.", "D", True),
    "full": ("all frames, lower dose", ":", "o", False),
    "both": ("fewer frames at each lower dose", "-", "x", True),
}
"""Name, line, marker and whether it is filled, of each way to a lower dose."""
TICKS = tuple(2**k for k in range(9))
FEWEST_IN_BAND = 3
"""Exams from which on the spread between them is shown."""


def write_figure(study: Study, target: Path) -> None:
    """Every measure over relative dose, one panel each; lines are means over exams.

    Parameters
    ----------
    study : rows and plan.
    target : PNG to write; the same study gives the same picture.
    """
    from matplotlib.figure import Figure

    groups = by_condition(study)
    figure = Figure(figsize=(16, 11.5), layout="constrained")
    axes = figure.subplots(3, 4).ravel()
    lowest = min((row["relative_dose"] for rows in groups.values() for row in rows), default=0.5)
    for ax, measure in zip(axes, MAIN, strict=False):
        best = _best(groups, study.plan.methods, measure)
        if best is not None:
            ax.axhline(best, color=REFERENCE, lw=1.2, zorder=1)
        for number, method in enumerate(study.plan.methods):
            _draw(ax, groups, method, COLOURS[number % len(COLOURS)], measure)
        _dress(ax, measure.title, measure.unit, lowest)
        if not measure.unit:
            ax.set_ylim(0, 1.03)
        else:
            ax.set_ylim(bottom=0)
    share = axes[len(MAIN)]
    for number, method in enumerate(study.plan.methods):
        # methods with equal values would hide each other
        _draw_done(share, groups, method, COLOURS[number % len(COLOURS)], 0.015 * number)
    _dress(share, "Analyses that gave maps", "share", lowest)
    share.set_ylim(0, 1.08)
    for ax in axes[len(MAIN) + 1 :]:
        ax.axis("off")
    handles = _legend(study, groups)
    legend = axes[-2].legend(handles=handles, loc="center left", frameon=False, fontsize=12)
    legend.set_in_layout(False)  # it may reach into the next, empty panel
    figure.suptitle(_title(study), x=0.01, ha="left", fontsize=14, color=INK)
    figure.savefig(target, dpi=DPI, metadata={"Software": None})


def _ways(groups: Groups) -> Iterator[tuple[str, Groups]]:
    """Each way to a lower dose and its conditions; it begins with all frames."""
    doses = dict.fromkeys(condition.dose for condition in groups)
    for dose in doses:
        whole = Condition("full", 1, dose)
        for rule in ("frames", "every", "two-rate"):
            way = {
                c: rows
                for c, rows in groups.items()
                # all frames of some exams are no fewer frames
                if (c.rule, c.dose) == (rule, dose)
                and any(row["frames"] < row["frames_of"] for row in rows)
            }
            if way and (dose == 1 or rule == "frames"):
                yield (rule if dose == 1 else "both"), {whole: groups[whole], **way}
    if len(doses) > 1:
        yield "full", {c: rows for c, rows in groups.items() if c.rule == "full"}


def _draw(ax: Axes, groups: Groups, method: str, colour: str, measure: Measure) -> None:
    for way, members in _ways(groups):
        found = [
            (_dose(rows), one)
            for rows in members.values()
            if (one := summary(of_method(rows, method), measure))
        ]
        if not found:
            continue
        found.sort(key=lambda pair: pair[0])
        dose = np.array([d for d, _ in found])
        ordered = [one for _, one in found]
        mean = np.array([one.mean for one in ordered])
        _line(ax, dose, mean, way, colour)
        if way == "frames" and min(one.exams for one in ordered) >= FEWEST_IN_BAND:
            sd = np.array([one.sd for one in ordered], np.float64)
            ax.fill_between(dose, mean - sd, mean + sd, color=colour, alpha=0.08, lw=0, zorder=1)


def _draw_done(ax: Axes, groups: Groups, method: str, colour: str, lower: float) -> None:
    for way, members in _ways(groups):
        done = sorted(
            (_dose(rows), float(np.mean([r["outcome"] == "done" for r in of_method(rows, method)])))
            for rows in members.values()
        )
        dose, share = np.array(done).T
        _line(ax, dose, share - lower, way, colour)


def _line(ax: Axes, dose: Float64Array, values: Float64Array, way: str, colour: str) -> None:
    _, line, marker, filled = LOOKS[way]
    faint = way == "both"
    ax.plot(
        dose, values, linestyle=line, marker=marker, color=colour, ms=5 if faint else 6,
        lw=0.9 if faint else 1.7, mfc=colour if filled else "white", alpha=0.65 if faint else 1,
        zorder=2 if faint else 3,
    )  # fmt: skip


def _best(groups: Groups, methods: Iterable[str], measure: Measure) -> float | None:
    """Result of the best deconvolution on the complete exam."""
    rows = groups.get(Condition("full", 1, 1.0), [])
    found = [summary(of_method(rows, m), measure) for m in methods if m in METHODS]
    means = [one.mean for one in found if one]
    better = max if measure.key.endswith("dice") else min
    return better(means) if means else None


def _dose(rows: Iterable[Line]) -> float:
    return float(np.mean([row["relative_dose"] for row in rows]))


def _dress(ax: Axes, title: str, unit: str, lowest: float) -> None:
    from matplotlib.ticker import NullLocator

    ax.set_xscale("log")
    ticks = [tick for tick in TICKS if 1 / tick >= lowest / 1.5]
    ax.set_xticks([1 / tick for tick in ticks], [f"1/{t}" if t > 1 else "1" for t in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(lowest / 1.25, 1.25)
    ax.invert_xaxis()
    ax.set_xlabel("relative dose", color=INK, fontsize=11)
    ax.set_ylabel(unit, color=INK, fontsize=11)
    ax.set_title(title, color=INK, fontsize=13, loc="left")
    ax.grid(color=GRID, zorder=0)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK, labelsize=10)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _legend(study: Study, groups: Groups) -> list[Line2D]:
    from matplotlib.lines import Line2D

    used = {way for way, _ in _ways(groups)}
    methods = [
        Line2D([], [], color=COLOURS[i % len(COLOURS)], lw=4, label=method)
        for i, method in enumerate(study.plan.methods)
    ]
    ways = [
        Line2D([], [], color=INK, ls=line, marker=marker, lw=0.9 if way == "both" else 1.7,
               mfc=INK if filled else "white", ms=7, label=label)
        for way, (label, line, marker, filled) in LOOKS.items() if way in used
    ]  # fmt: skip
    best = Line2D([], [], color=REFERENCE, lw=1.2, label="best deconvolution of the whole exam")
    return [*methods, *ways, *([best] if set(study.plan.methods) & set(METHODS) else [])]


def _title(study: Study) -> str:
    exams = study.settings["exams"].values()
    truth = sum(about.get("reference") == "truth" for about in exams)
    if truth == len(exams):
        what = f"Accuracy on {truth} simulated exams"
    elif truth:
        what = f"Error on {len(exams)} exams, {truth} of them simulated"
    else:
        what = (
            f"Difference from the {study.plan.reference} maps of the whole exam, {len(exams)} exams"
        )
    return f"{what}: mean over exams (band: SD, evenly spaced frames). {RESEARCH}"
