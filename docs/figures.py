"""The pictures of the explanation pages, computed when the site is built."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

import bolus

Array = NDArray[np.float64]

NOISE_HU = 0.7
REPEATS = 20

TIMES_S = np.arange(0.0, 60.1, 1.5)
FINE_S = 0.05
CBV_SCALE = 100 * (1 - 0.45) / (1 - 0.25) / 1.05
"""ml/100g of tissue whose curve has the area of the blood's, written out again on purpose: these
pictures test the library against the equations of the page, not against itself."""
BOX, LINEAR, EXPONENTIAL = "box", "linear", "exponential"
COLOURS = {BOX: "#0072B2", LINEAR: "#E69F00", EXPONENTIAL: "#CC3377"}
"""Okabe and Ito's, which colour-blind readers can tell apart."""
MARKERS = {BOX: "s", LINEAR: "^", EXPONENTIAL: "o"}
RESIDUES: dict[str, Callable[[Array], Array]] = {
    BOX: lambda u: (u < 1).astype(float),
    LINEAR: lambda u: np.maximum(1 - u / 2, 0),
    EXPONENTIAL: lambda u: np.exp(-u),
}
"""As functions of time / MTT: 1 at 0, area 1."""


def arterial_input(time_s: Array) -> Array:
    """A first pass and its recirculation, HU; as wide as the median of clinical ones (11 s)."""
    late = np.maximum(time_s - 8.0, 0) / 8.4
    first = late**3.5 * np.exp(3.5 * (1 - late))
    later = np.maximum(time_s - 20.0, 0) / 12.0
    return np.asarray(300 * (first + 0.18 * (1 - np.exp(-later))))


def tissue_curve(residue: str, mtt_s: float, delay_s: float = 0.0, cbv: float = 3.0) -> Array:
    """(T,) enhancement of tissue by the equation of the page, HU."""
    fine = np.arange(-20.0, TIMES_S[-1] + 20, FINE_S)
    lag = np.arange(0.0, 60.0, FINE_S)
    response = RESIDUES[residue]((lag + FINE_S / 2) / mtt_s)
    response /= response.sum()
    passed = np.convolve(arterial_input(fine), response)[: fine.size]
    return np.asarray(cbv / CBV_SCALE * np.interp(TIMES_S - delay_s, fine, passed))


def dispersed_input(mean_s: float) -> Array:
    """(T,) arterial input after an exponential spread of arrival times, HU."""
    fine = np.arange(0.0, TIMES_S[-1] + FINE_S, FINE_S)
    if mean_s == 0:
        return arterial_input(TIMES_S)
    spread = np.exp(-np.arange(0.0, 30.0, FINE_S) / mean_s)
    passed = np.convolve(arterial_input(fine), spread / spread.sum())[: fine.size]
    return np.asarray(np.interp(TIMES_S, fine, passed))


def model() -> None:
    """Residue functions, an arterial input, and the tissue curves that follow."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.5, 2.9))
    time_s = np.linspace(0, 30, 601)
    for name, residue in RESIDUES.items():
        left.plot(time_s, residue(time_s / 6), color=COLOURS[name], label=name)
        right.plot(TIMES_S, tissue_curve(name, 6), color=COLOURS[name], marker=MARKERS[name], ms=3)
    middle.plot(TIMES_S, arterial_input(TIMES_S), color="0.2")
    left.set(title="residue function, MTT 6 s", xlabel="time, s", ylabel="R")
    left.legend(frameon=False)
    middle.set(title="arterial input", xlabel="time, s", ylabel="enhancement, HU")
    right.set(title="tissue, CBV 3 ml/100g", xlabel="time, s", ylabel="enhancement, HU")
    _tidy(figure.axes)


def method_card(method: str) -> None:
    """What a method makes of known tissue: shapes, delay, dispersed input, Tmax."""
    figure, ((shape, delay), (spread, tmax)) = plt.subplots(2, 2, figsize=(9.5, 6.2))
    mtts, delays = np.arange(3.0, 16.1, 1.0), np.arange(-3.0, 9.1, 1.0)
    spreads = np.arange(0.0, 3.1, 1.0)
    aif = arterial_input(TIMES_S)
    every = np.concatenate([[tissue_curve(name, mtt) for mtt in mtts] for name in RESIDUES])
    cbf, tmax_s = (found.reshape(len(RESIDUES), -1) for found in _medians(method, every, aif))
    for row, name in enumerate(RESIDUES):
        style = {"color": COLOURS[name], "marker": MARKERS[name], "ms": 4, "label": name}
        shape.plot(mtts, cbf[row] * mtts / 180, **style)
        tmax.plot(mtts / 2, tmax_s[row], **style)
    style = {"color": COLOURS[EXPONENTIAL], "marker": "D", "ms": 4}
    late = np.array([tissue_curve(EXPONENTIAL, 4.0, d) for d in delays])
    cbf, tmax_s = _medians(method, late, aif)
    delay.plot(delays, cbf / 45, **style)
    tmax.plot(delays + 2, tmax_s, ls=":", label="exponential, delayed", **style)
    mixed = np.array([tissue_curve(EXPONENTIAL, mtt) for mtt in mtts])
    at_4_s = int(np.flatnonzero(mtts == 4.0)[0])
    found = [_medians(method, mixed, dispersed_input(s))[0][at_4_s] for s in spreads]
    spread.plot(spreads, np.array(found) / 45, **style)
    ratio = "CBF / true CBF"
    shape.set(title="residue function", xlabel="true MTT, s", ylabel=ratio)
    delay.set(title="delay", xlabel="tissue after arterial input, s", ylabel=ratio)
    spread.set(title="arterial input too broad", xlabel="dispersion, s", ylabel=ratio)
    tmax.set(title="Tmax", xlabel="delay + MTT / 2, s", ylabel="Tmax, s")
    for axes in (shape, delay, spread):
        axes.axhline(1, color="0.4", ls="--", lw=1)
        axes.set_ylim(0, max(2.0, axes.get_ylim()[1]))
    tmax.axline((0, 0), slope=1, color="0.4", ls="--", lw=1)
    shape.legend(frameon=False, ncols=3, loc="upper left")
    tmax.legend(frameon=False)
    _tidy(figure.axes)


def _medians(method: str, curves: Array, aif: Array) -> tuple[Array, Array]:
    """(n,) median CBF and Tmax of each curve over `REPEATS` times the noise of filtered curves."""
    generator = np.random.default_rng(0)
    many = np.repeat(curves, REPEATS, axis=0)
    many = many + generator.normal(0, NOISE_HU, many.shape)
    maps = bolus.deconvolve(many, aif, method, times_s=TIMES_S)
    cbf, tmax = (np.median(m.reshape(-1, REPEATS), axis=1) for m in (maps.cbf, maps.tmax))
    return cbf, tmax


def tutorial() -> None:
    """The tutorial's own figure, by its own code, on a smaller exam."""
    exam, _ = bolus.simulate_exam(1, SMALL)
    names = {"bolus": bolus, "results": bolus.run(exam, methods=("bma", "nlr"))}
    page = Path(__file__).with_name("tutorial.md").read_text(encoding="utf-8")
    (code,) = (b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "savefig" in b)
    exec(re.sub(r"figure\.savefig\(.*\)", "", code), names)


def network_card() -> None:
    """The network on a simulated exam, with its standard errors."""
    exam, truth = bolus.simulate_exam(5, SMALL)
    results = bolus.run(exam, methods=("bma", "cnn"))
    maps, middle = results["cnn"].maps, len(truth.cbf) // 2
    figure, axes = plt.subplot_mosaic("abc;dde", figsize=(9.5, 6.2))
    images = (
        (truth.cbf, "true CBF", 80),
        (maps.cbf, "CBF of cnn", 80),
        (maps.se["cbf"], "its standard error", 16),
    )
    for key, (volume, title, top) in zip("abc", images, strict=True):
        slab = np.ma.masked_equal(volume[middle], 0)
        picture = axes[key].imshow(slab, vmin=0, vmax=top, cmap="viridis")
        axes[key].set(title=title, xticks=[], yticks=[])
        figure.colorbar(picture, ax=axes[key], label="ml/100g/min", shrink=0.8)
    valid = truth.valid & (maps.cbf > 0)
    edges = np.arange(0, 101, 10.0)
    centres = (edges[1:] + edges[:-1]) / 2
    band = np.digitize(truth.cbf[valid], edges) - 1
    for name, colour, marker in (("bma", "#E69F00", "^"), ("cnn", "#0072B2", "o")):
        error = (results[name].cbf - truth.cbf)[valid]
        enough = [b for b in range(len(centres)) if (band == b).sum() > 100]
        low, mid, high = np.array([np.percentile(error[band == b], (16, 50, 84)) for b in enough]).T
        axes["d"].plot(centres[enough], mid, color=colour, marker=marker, label=name)
        axes["d"].fill_between(centres[enough], low, high, color=colour, alpha=0.2, lw=0)
    axes["d"].axhline(0, color="0.4", ls="--", lw=1)
    axes["d"].set(
        title="error of CBF: median and central 68 %",
        xlabel="true CBF, ml/100g/min",
        ylabel="ml/100g/min",
    )
    axes["d"].legend(frameon=False)
    names = ("cbf", "cbv", "mtt", "tmax")
    held = [100 * _held(maps, truth, name, valid) for name in names]
    axes["e"].bar(
        [n.upper() if n != "tmax" else "Tmax" for n in names], held, color="#0072B2", width=0.6
    )
    axes["e"].axhline(68, color="0.4", ls="--", lw=1)
    axes["e"].set(title="within one standard error, %", ylim=(0, 100))
    _tidy([axes["d"], axes["e"]])


SMALL = bolus.Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
"""A whole head at a quarter of the pixels."""


def _held(maps: bolus.Maps, truth: Any, name: str, valid: NDArray[np.bool_]) -> float:
    error = np.abs(getattr(maps, name) - getattr(truth, name))[valid]
    return float((error <= maps.se[name][valid]).mean())


def _tidy(axes: list[Axes]) -> None:
    for one in axes:
        if one.has_data() and not one.images:
            one.spines[["top", "right"]].set_visible(False)
