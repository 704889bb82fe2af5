"""Distributions of a study's results: every exam a point, never only a mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bolus.metrics import LIMITS_SD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = list[dict[str, Any]]

COLOURS = ("#0072B2", "#D55E00", "#009E73")
"""Distinguishable with any colour vision (Okabe & Ito 2008); markers differ as well."""
MARKERS = ("o", "s", "^")
INK, BAND = "#1c2733", "#e7ebef"
DPI = 110
LESION_ML = 10.0
VOLUME_LIMIT_ML = 15.0


def cohort_figure(by_method: dict[str, Rows], target: Path) -> None:
    """Bias of flow, overlap, agreement of volumes and calibration, one colour per method.

    Parameters
    ----------
    by_method : rows of ``cohort.measure``, without refused exams.
    target : PNG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 13.5), layout="constrained")
    axes = figure.subplots(3, 3)
    strips(axes[0, 0], by_method, {"GM": "gm_bias_normal", "WM": "wm_bias_normal",
           "GM, all": "gm_bias_all", "WM, all": "wm_bias_all"}, (-10, 10))  # fmt: skip
    _dress(axes[0, 0], "", "bias of the mean CBF, %", "CBF in normal tissue and in all")
    strips(axes[0, 1], by_method, {"core": "core_dice", "core,\nvalid": "core_dice_valid",
           "hypop.": "hypoperfused_dice", "hypop.,\nvalid": "hypoperfused_dice_valid"},
           None)  # fmt: skip
    for x, limit in enumerate((0.80, 0.80, 0.90, 0.90)):
        axes[0, 1].plot([x - 0.45, x + 0.45], [limit, limit], color=INK, lw=1.2, ls="--", zorder=1)
    axes[0, 1].set_ylim(0, 1.02)
    _dress(axes[0, 1], "", "Dice", f"Overlap of lesions > {LESION_ML:g} ml (dashed: limit)")
    calibrated = {m: rows for m, rows in by_method.items() if "cbf_within" in rows[0]}
    strips(axes[0, 2], calibrated, {name.upper(): f"{name}_within"
           for name in ("cbf", "cbv", "mtt", "tmax")}, (0.63, 0.73))  # fmt: skip
    axes[0, 2].set_ylim(0, 1)
    _dress(axes[0, 2], "", "share of errors within 1 SE", "Standard errors (band: 68 ± 5 %)")
    for row, part in enumerate(("core", "hypoperfused"), 1):
        errors = [r[f"{part}_error_ml"] for rows in by_method.values() for r in rows]
        reach = 1.1 * max(20.0, float(np.abs(errors).max()))
        for column, (method, rows) in enumerate(by_method.items()):
            limits = bland_altman(axes[row, column], rows, part, column)
            if reach > 4 * VOLUME_LIMIT_ML:  # a few gross errors must not compress the scale
                axes[row, column].set_yscale("symlog", linthresh=2 * VOLUME_LIMIT_ML)
                ticks = [s * t for s in (-1, 1) for t in (15, 30, 100, 300, 1000) if t < reach]
                axes[row, column].set_yticks([0, *ticks], [f"{t:g}" for t in (0, *ticks)])
                axes[row, column].minorticks_off()
            axes[row, column].set_ylim(-reach, reach)
            label = f"mean of found and true {part} volume, ml"
            _dress(axes[row, column], label, "found - true, ml", f"{method}, {part}: {limits}")
    from matplotlib.lines import Line2D

    legend = [
        Line2D([], [], color=COLOURS[i], marker=MARKERS[i], ls="", ms=8, label=method)
        for i, method in enumerate(by_method)
    ]
    legend += [
        Line2D([], [], color=INK, marker="o", ls="", ms=8, mfc=face, label=label)
        for face, label in (("white", "head at rest"), (INK, "head moves"))
    ]
    figure.legend(
        handles=legend, frameon=False, ncols=len(legend), loc="outside upper center", fontsize=13
    )
    figure.savefig(target, dpi=DPI, metadata={"Software": None})


def strips(
    axes: Axes, by_method: dict[str, Rows], keys: dict[str, str], band: tuple[float, float] | None
) -> None:
    """Box and points of each measure, methods side by side; filled points are moving heads."""
    if band:
        axes.axhspan(*band, color=BAND, zorder=0)
    width = 0.8 / max(len(by_method), 1)
    for i, rows in enumerate(by_method.values()):
        for x, key in enumerate(keys.values()):
            chosen = [row for row in rows if key in row and _counts(row, key)]
            found = np.array([row[key] for row in chosen])
            if not found.size:
                continue
            middle = x - 0.4 + (i + 0.5) * width
            _box(axes, found, middle, 0.8 * width, COLOURS[i])
            spread = middle + 0.3 * width * np.linspace(-1, 1, found.size)
            face = [COLOURS[i] if row["moves"] else "white" for row in chosen]
            axes.scatter(
                spread, found, s=16, marker=MARKERS[i], c=face, edgecolors=COLOURS[i],
                linewidths=0.8, zorder=3,
            )  # fmt: skip
    axes.set_xticks(range(len(keys)), list(keys))
    axes.set_xlim(-0.5, len(keys) - 0.5)


def _counts(row: dict[str, Any], key: str) -> bool:
    """Overlap is shown for lesions that are large enough only."""
    part, _, measure = key.partition("_")
    return not measure.startswith("dice") or row[f"{part}_ml"] > LESION_ML


def _box(axes: Axes, values: np.ndarray, x: float, width: float, colour: str) -> None:
    line = {"color": colour, "linewidth": 1.2}
    axes.boxplot(
        [values], positions=[x], widths=width, showfliers=False, manage_ticks=False,
        boxprops=line, whiskerprops=line, capprops=line, zorder=2,
        medianprops={"color": INK, "linewidth": 2},
    )  # fmt: skip


def bland_altman(axes: Axes, rows: Rows, part: str, number: int) -> str:
    """Error over the mean of both volumes; gives bias and 95 % limits of agreement in words."""
    truth = np.array([row[f"{part}_ml"] for row in rows])
    error = np.array([row[f"{part}_error_ml"] for row in rows])
    moves = [COLOURS[number] if row["moves"] else "white" for row in rows]
    axes.axhspan(-VOLUME_LIMIT_ML, VOLUME_LIMIT_ML, color=BAND, zorder=0)
    axes.scatter(
        truth + error / 2, error, s=30, marker=MARKERS[number], c=moves,
        edgecolors=COLOURS[number], linewidths=1, zorder=3,
    )  # fmt: skip
    bias, spread = float(error.mean()), LIMITS_SD * float(error.std(ddof=1))
    axes.axhline(0, color=INK, lw=0.6)
    axes.axhline(bias, color=INK, lw=1.6)
    for limit in (bias - spread, bias + spread):
        axes.axhline(limit, color=INK, lw=1.2, ls="--")
    return f"{bias:+.1f} ({bias - spread:+.1f} to {bias + spread:+.1f}) ml"


GRADE_LOOKS = {
    "NOTE": ("passed", "#009E73", "o"),
    "WARNING": ("warned", "#E69F00", "s"),
    "FAIL": ("failed", "#7A0177", "^"),
}


def verdicts_figure(
    by_check: dict[str, Rows], keys: dict[str, str], units: dict[str, str], target: Path
) -> None:
    """Error of every exam over the value of its check, by grade.

    Parameters
    ----------
    by_check : rows of ``verdicts.study`` that have errors.
    keys : the error shown for each check.
    units : axis label of each error.
    target : PNG to write.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(16, 7.5), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    for ax, (name, rows) in zip(axes, by_check.items(), strict=False):
        for grade, (_, colour, marker) in GRADE_LOOKS.items():
            chosen = [row for row in rows if row["grade"] == grade]
            x, y = [row["value"] for row in chosen], [row[keys[name]] for row in chosen]
            ax.scatter(x, y, s=45, c=colour, marker=marker, edgecolors=INK, linewidths=0.5)
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
        unit = next((row.get("unit", "") for row in rows), "")
        _dress(ax, f"value of the check, {unit}", f"error of {units[keys[name]]}", name)
    for ax in axes[len(by_check) :]:
        ax.axis("off")
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, markeredgecolor=INK, ls="", ms=9, label=label)
        for label, colour, marker in GRADE_LOOKS.values()
    ]
    axes[-1].legend(handles=handles, frameon=False, loc="center", fontsize=13)
    figure.savefig(target, dpi=DPI, metadata={"Software": None})


def _dress(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x, color=INK, fontsize=11)
    axes.set_ylabel(y, color=INK, fontsize=11)
    axes.set_title(title, color=INK, fontsize=13, loc="left")
    axes.tick_params(colors=INK, labelsize=11)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
