"""The report's curves: arterial input and venous output, and the head's motion."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from bolus.types import Arteries, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1c2733"
FAINT = "#c3ccd4"
ARTERY = "#c2410c"
VEIN = "#0f5ea8"
AXIS_COLOURS = {"x (left)": "#0f5ea8", "y (back)": "#c2410c", "z (up)": "#4d7c0f"}
DPI = 170


def curves_png(results: Results, arteries: Arteries) -> bytes:
    """AIF as measured and scaled, and VOF, over the exam's time, as PNG."""
    figure = _figure(6.0, 3.7)
    axes = figure.add_subplot()
    time = results.grid_s
    axes.axvline(results.arrival_s, color=INK, lw=0.9, ls=(0, (4, 3)))
    axes.plot(time, arteries.vof.curve_hu, color=VEIN, lw=2.0, label="VOF")
    scaled = f"AIF × {arteries.scale:.2f} (input)"
    axes.plot(time, arteries.input_hu, color=ARTERY, lw=2.0, label=scaled)
    axes.plot(time, arteries.aif.curve_hu, color=ARTERY, lw=1.4, ls="--", label="AIF as measured")
    curves = (arteries.vof.curve_hu, arteries.input_hu, arteries.aif.curve_hu)
    low, high = min(float(c.min()) for c in curves), max(float(c.max()) for c in curves)
    height = max(high - low, 1.0)
    _rug(axes, results.times_s[:, results.times_s.shape[1] // 2], low - 0.10 * height, height)
    axes.set_ylim(low - 0.13 * height, high + 0.10 * height)
    top = high + 0.08 * height
    axes.text(results.arrival_s - 0.5, top, "arrival", ha="right", va="top", color=INK, fontsize=9)
    axes.legend(frameon=False, fontsize=9, loc="upper right", labelcolor=INK)
    _dress(axes, "enhancement, HU", "time after the first frame, s")
    axes.margins(x=0.01)
    return _png(figure)


def motion_png(results: Results) -> bytes:
    """Displacement, translation and rotation of every frame, as PNG."""
    figure = _figure(12.2, 2.7)
    motion, time = results.motion, results.times_s.mean(axis=1)
    panels = figure.subplots(1, 3)
    panels[0].plot(time, motion.displacement_mm, color=INK, lw=1.6, marker="o", ms=2.5)
    _dress(panels[0], "mean displacement, mm", "time, s")
    panels[0].set_ylim(0.0, max(1.0, 1.15 * float(np.nanmax(motion.displacement_mm, initial=0))))
    for axes, values, label, least in (
        (panels[1], motion.translation_mm, "translation, mm", 1.0),
        (panels[2], motion.rotation_deg, "rotation, degrees", 1.0),
    ):
        for (name, colour), component in zip(AXIS_COLOURS.items(), values.T, strict=True):
            axes.plot(time, component, color=colour, lw=1.4, label=name)
        reach = max(least, 1.3 * float(np.nanmax(np.abs(values), initial=0)))
        axes.set_ylim(-reach, reach)
        _dress(axes, label, "time, s")
        axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper left", labelcolor=INK,
                    handlelength=1.2, columnspacing=1.0, borderaxespad=0.1)  # fmt: skip
    for axes in panels:
        axes.margins(x=0.01)
        _mark_dropped(axes, time[~motion.kept])
    return _png(figure)


def _mark_dropped(axes: Axes, times: np.ndarray) -> None:
    bottom, top = axes.get_ylim()
    for time in times:
        axes.axvline(float(time), color="#e69f00", lw=3.0, alpha=0.45, zorder=0)
        axes.plot([float(time)], [bottom + 0.06 * (top - bottom)], "x", color=INK, ms=5)


def _rug(axes: Axes, times: np.ndarray, at: float, height: float) -> None:
    axes.vlines(times, at - 0.02 * height, at + 0.02 * height, color="#7b8894", lw=0.8)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure((width, height), dpi=DPI, layout="constrained", facecolor="white")


def _dress(axes: Axes, y_label: str, x_label: str) -> None:
    axes.set_ylabel(y_label, fontsize=9, color=INK)
    axes.set_xlabel(x_label, fontsize=9, color=INK)
    axes.tick_params(labelsize=8.5, colors=INK, length=3)
    axes.grid(axis="y", color=FAINT, lw=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = BytesIO()
    # without the version that would otherwise go into the file
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
