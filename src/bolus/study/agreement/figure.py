"""The figure of a set of comparisons: volumes, Bland-Altman, Dice, for core and hypoperfused."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from bolus.study.agreement.outlines import RegionAgreement
from bolus.study.agreement.tables import Compared
from bolus.types import Float64Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Distinguishable with any colour vision (Okabe & Ito 2008)."""
MARKERS = "osD^vPX"
INK, FAINT = "#1c2733", "#c3ccd4"
DPI = 150
WIDTH, ROW_HEIGHT = 12.2, 3.5
LEFT_OUT = ("penumbra",)
"""The hypoperfused tissue's figure shows it; the tables have all regions."""
MOST_LIMITS = 3
"""Comparisons for which limits of agreement are drawn; more would hide the points."""


def agreement_png(
    compared: Sequence[Compared], names: Sequence[str], sides: tuple[str, str]
) -> bytes:
    """Scatter of volumes, Bland-Altman and Dice of each region as PNG; same data, same bytes.

    Parameters
    ----------
    compared : each with pairs of the same kind.
    names : of the comparisons, for the legend.
    sides : names of the first and the second side.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    regions = [
        region.region for region in compared[0].agreement.regions if region.region not in LEFT_OUT
    ]
    figure = Figure((WIDTH, ROW_HEIGHT * len(regions)), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(regions), 3, squeeze=False, width_ratios=(1, 1.25, 1))
    for row, region in zip(panels, regions, strict=True):
        for number, one in enumerate(compared):
            found = next(r for r in one.agreement.regions if r.region == region)
            first, second, dice = _values(one, region)
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            look = {"color": colour, "marker": marker, "ls": "", "ms": 5, "alpha": 0.8}
            row[0].plot(first, second, label=names[number], **look)
            row[1].plot((first + second) / 2, second - first, **look)
            if len(compared) <= MOST_LIMITS:
                _limits(row[1], found, colour, number)
            _strip(row[2], dice, number, colour, marker)
        _dress_volumes(row[0], region, sides)
        _dress(row[1], f"mean of both, {region}, ml", f"{sides[1]} − {sides[0]}, ml")
        row[1].axhline(0, color=INK, lw=0.8, zorder=0)
        left, right = row[1].get_xlim()
        row[1].set_xlim(left, right + 0.08 * (right - left))  # room for the intervals
        _dress(row[2], "", f"Dice, {region}")
        row[2].set_ylim(-0.03, 1.03)
        row[2].set_xticks(range(len(compared)), names)
        row[2].set_xlim(-0.6, len(compared) - 0.4)
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _values(one: Compared, region: str) -> tuple[Float64Array, Float64Array, Float64Array]:
    found = [pair.regions[region] for pair in one.agreement.pairs]
    columns = [[o.first_ml for o in found], [o.second_ml for o in found], [o.dice for o in found]]
    first, second, dice = (np.array(column, np.float64) for column in columns)
    return first, second, dice


def _limits(ax: Axes, found: RegionAgreement, colour: str, number: int) -> None:
    limits = found.limits
    styles = ((limits.bias, "-"), (limits.low, "--"), (limits.high, "--"))
    for estimate, style in styles:
        if estimate.value is not None:
            ax.axhline(estimate.value, color=colour, lw=1.1, ls=style, zorder=1)
            if estimate.low is not None and estimate.high is not None:
                place = 0.985 - 0.02 * number
                ax.plot([place, place], [estimate.low, estimate.high], color=colour, lw=2.5,
                        transform=ax.get_yaxis_transform())  # fmt: skip


def _strip(ax: Axes, dice: Float64Array, place: int, colour: str, marker: str) -> None:
    if dice.size == 0:
        return
    ax.boxplot(dice, positions=[place], widths=0.5, showfliers=False, manage_ticks=False,
               medianprops={"color": INK, "lw": 1.5}, boxprops={"color": INK},
               whiskerprops={"color": INK}, capprops={"color": INK})  # fmt: skip
    # spread in the order of the exams, so that the same study gives the same picture
    x = place + np.linspace(-0.17, 0.17, dice.size) if dice.size > 1 else [place]
    ax.plot(x, dice, color=colour, marker=marker, ls="", ms=4.5, alpha=0.8)


def _dress_volumes(ax: Axes, region: str, sides: tuple[str, str]) -> None:
    _dress(ax, f"{sides[0]}, {region}, ml", f"{sides[1]}, {region}, ml")
    high = 1.04 * max(ax.get_xlim()[1], ax.get_ylim()[1], 1.0)
    ax.plot([0, high], [0, high], color=INK, lw=0.8, zorder=0)
    ax.set_xlim(-0.04 * high, high)
    ax.set_ylim(-0.04 * high, high)
    ax.set_aspect("equal")
    ax.legend(frameon=False, fontsize=8, loc="upper left", labelcolor=INK)


def _dress(ax: Axes, x_label: str, y_label: str) -> None:
    ax.set_xlabel(x_label, fontsize=9, color=INK)
    ax.set_ylabel(y_label, fontsize=9, color=INK)
    ax.tick_params(labelsize=8.5, colors=INK, length=3)
    ax.grid(axis="y", color=FAINT, lw=0.5)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(FAINT)
