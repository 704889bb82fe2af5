"""Every method on the Kudo digital phantom: 8 HU noise, three residue shapes.

Pixels are filtered either as users of this phantom do, by a Gaussian of 2.5 pixels, or as bolus
prepares an exam; the outer 8 pixels of each tile are left out because neighbouring
tiles affect them.  The arterial input is measured in its noisy region and scaled by the venous
one, as in an exam.  A second table varies the delay of tissue from 3 s before the input to 3 s
after it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from scipy.ndimage import gaussian_filter

from bolus.curves.denoise import denoise
from bolus.deconvolution.methods import METHODS, deconvolve
from bolus.metrics import mean_absolute_error, pearson
from bolus.simulate.kudo import (
    AIF_START_S,
    CBV_SCALE,
    FRAMES,
    INTERVAL_S,
    SHAPES,
    TILE_PX,
    KudoPhantom,
    Shape,
    blood_hu,
    kudo_phantom,
    residue_curve,
)
from bolus.timegrid import resample_vessels
from bolus.types import Curves, Geometry, Tissue
from tables import markdown, slope, write

Preparation = Literal["Gaussian", "bolus"]
SMOOTHING_PX = 2.5
PIXEL_MM, SLICE_MM = 0.45, 5.0
"""A head in 512 pixels; the filter of an exam is in mm."""
EDGE_PX = 8
GRID_S = 1.0
SEED = 20130703
DELAYS_S = tuple(float(d) for d in range(-3, 4))
DELAY_MTT_S = (3.4286, 4.8, 8.0)
DELAY_CBV, DELAY_NOISE_HU = 4.0, 0.35
MAPS = ("cbf", "cbv", "mtt", "tmax", "delay")


def curves_of(phantom: KudoPhantom, preparation: Preparation) -> tuple[Curves, np.ndarray]:
    """Filtered curves of the tiles' inner pixels, and the scaled arterial input."""
    grid = np.arange(phantom.times_s[0], phantom.times_s[-1] + 1e-9, GRID_S)
    vessels = np.stack([phantom.aif_hu, phantom.vof_hu]).astype(np.float32)
    aif, vof = resample_vessels(vessels, np.zeros(2, int), phantom.times_s[:, None], grid)
    before = phantom.times_s < AIF_START_S
    frames = phantom.frames
    if preparation == "Gaussian":
        frames = gaussian_filter(frames, (0, 0, SMOOTHING_PX, SMOOTHING_PX))
    everywhere = np.ones(frames.shape[1:], bool)
    geometry = Geometry(everywhere.shape, np.diag([SLICE_MM, PIXEL_MM, PIXEL_MM, 1.0]))
    curves = Curves(
        grid_s=grid,
        tissue_hu=(frames - frames[before].mean(axis=0)).reshape(len(frames), -1).T.copy(),
        times_s=np.repeat(phantom.times_s[:, None], len(everywhere), axis=1),
        weight=np.ones(len(frames)),
        voxels=everywhere,
        noise_hu=float(np.diff(frames[before], axis=0).std() / np.sqrt(2)),
        arrival_s=AIF_START_S,
        spacing_mm=geometry.spacing_mm,
    )
    if preparation == "bolus":
        tissue = Tissue(frames[before].mean(axis=0), everywhere, ~everywhere, ~everywhere)
        curves = denoise(curves, tissue, geometry)
    inner = inner_pixels(everywhere.shape)
    curves = replace(curves, tissue_hu=curves.tissue_hu[inner.ravel()], voxels=inner)
    return curves, aif * vof.sum() / aif.sum()


def inner_pixels(shape: tuple[int, ...]) -> np.ndarray:
    """Pixels at least `EDGE_PX` away from their tile's edge."""
    inside = [
        (np.arange(n) % TILE_PX >= EDGE_PX) & (np.arange(n) % TILE_PX < TILE_PX - EDGE_PX)
        for n in shape[1:]
    ]
    return np.broadcast_to(inside[0][:, None] & inside[1], shape).copy()


def rows_for(shape: Shape, preparation: Preparation) -> list[list[str]]:
    """One table row for each method on one residue shape."""
    phantom = kudo_phantom(shape, seed=SEED)
    curves, input_hu = curves_of(phantom, preparation)
    rows = []
    for method in METHODS:
        maps = deconvolve(method, curves, input_hu)
        found = {name: getattr(maps, name)[curves.voxels] for name in MAPS[:-1]}
        found["delay"] = found["tmax"] - found["mtt"] / 2
        cells = [shape, method]
        for name in MAPS:
            truth = getattr(phantom, name)[curves.voxels]
            cells.append(
                f"{pearson(found[name], truth):.3f} / {mean_absolute_error(found[name], truth):.2f}"
            )
        cells.append(f"{slope(found['cbf'], phantom.cbf[curves.voxels]):.2f}")
        rows.append(cells)
    return rows


def delay_row(method: str, shape: Shape) -> list[str]:
    """Change of mean CBF against delay 0, %, for tissue of three MTT."""
    time_s = np.arange(0.0, FRAMES * INTERVAL_S - 1e-9, INTERVAL_S)
    grid = np.arange(time_s[0], time_s[-1] + 1e-9, GRID_S)
    tiles = np.array([
        [DELAY_CBV / CBV_SCALE / mtt * residue_curve(shape, mtt, time_s - d) for mtt in DELAY_MTT_S]
        for d in DELAYS_S
    ])  # fmt: skip
    image = np.kron(tiles, np.ones((TILE_PX, TILE_PX, 1)))
    noise = np.random.default_rng(SEED).normal(0, DELAY_NOISE_HU, image.shape)
    curves = Curves(
        grid_s=grid,
        tissue_hu=(image + noise).reshape(-1, time_s.size).astype(np.float32),
        times_s=time_s[:, None],
        weight=np.ones(time_s.size),
        voxels=np.ones((1, *image.shape[:2]), bool),
        noise_hu=DELAY_NOISE_HU,
        arrival_s=AIF_START_S,
        spacing_mm=(SLICE_MM, PIXEL_MM, PIXEL_MM),
    )
    cbf = deconvolve(method, curves, blood_hu(grid)).cbf
    shape_of_tiles = (len(DELAYS_S), TILE_PX, len(DELAY_MTT_S), TILE_PX)
    mean = cbf.reshape(shape_of_tiles).mean(axis=(1, 3))
    change = 100 * (mean / mean[DELAYS_S.index(0.0)] - 1)
    worst = change[np.abs(change).argmax(axis=0), range(len(DELAY_MTT_S))]
    return [shape, method, *(f"{value:+.1f}" for value in worst)]


def main() -> None:
    """Write ``results/kudo.md``."""
    header = [
        "residue", "method", "CBF r / MAE (ml/100g/min)", "CBV r / MAE (ml/100g)",
        "MTT r / MAE (s)", "Tmax r / MAE (s)", "delay r / MAE (s)", "CBF slope",
    ]  # fmt: skip
    own, usual = (
        markdown(header, [row for shape in SHAPES for row in rows_for(shape, preparation)])
        for preparation in get_args(Preparation)[::-1]
    )
    delays = markdown(
        ["residue", "method", *(f"MTT {mtt:g} s" for mtt in DELAY_MTT_S)],
        [delay_row(method, shape) for shape in SHAPES for method in METHODS],
    )
    note = (
        "The phantom is made from its published analytic input and grid (`bolus.simulate.kudo`); "
        f"frames every 2 s, white noise of 8 HU per pixel, seed {SEED}. Accuracy on a simulated "
        "phantom. delay is Tmax - MTT/2. `nlr` assumes a box: for other shapes it underestimates "
        "flow by construction, as every regularised deconvolution does. One weight of "
        "`bma` was chosen on this phantom with other seeds, and the use of one prior of transit "
        "times for all residue functions was decided after seeing this table."
    )
    parts = [
        note,
        "## Filtered as bolus filters an exam",
        own,
        f"## Filtered by a Gaussian of {SMOOTHING_PX:g} pixels, as in the literature",
        usual,
        "## Delay",
        "Largest change of mean CBF, %, of tissue that enhances -3 to +3 s after the input, "
        f"relative to no delay; CBV {DELAY_CBV:g} ml/100g, noise {DELAY_NOISE_HU:g} HU (8 HU "
        "filtered by bolus), exact input.",
        delays,
    ]
    write("kudo", "Kudo digital phantom", parts)


if __name__ == "__main__":
    sys.exit(main())
