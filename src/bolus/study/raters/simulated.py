"""Simulated raters: outlines drawn by a program, so that a study can be run without people.

A simulated rater sees what a person sees, the folder of `images` of a reading, and draws by the
rule that most clinics use, Tmax > 6 s and CBF < 30 % of the other side.  What makes two raters,
and two readings of one rater, differ:

* each rater's thresholds are a little off, always the same way, and each reading's a little more;
* each rater draws a little outside or inside of the border, always the same way;
* the border is moved by smooth noise of a few mm, drawn anew in each reading, as a hand does;
* small islands are missed now and then.

The sizes below are assumptions, chosen for agreement between raters as it is published; they are
not measured on people, and no study with simulated raters says anything about people.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bolus import __version__
from bolus.errors import UsageError
from bolus.files.folder_lock import locked
from bolus.lesion.midline import find_midline, left_of
from bolus.lesion.morphology import drop_small, fill_holes, smooth_within
from bolus.study.agreement.overlap import CORE, PENUMBRA
from bolus.study.raters.readings import reading_state, store_outline
from bolus.study.raters.store import NEW, Study
from bolus.types import BoolArray, Float32Array, Float64Array, Geometry
from bolus.volumes import read_volume

SOFTWARE = f"bolus {__version__}, simulated rater"
TMAX_ABOVE_S, RELATIVE_CBF_BELOW = 6.0, 0.30
"""The reading rule; the presets' sources are in `bolus.lesion.presets`."""
RATER_TMAX_S, RATER_CBF, RATER_BORDER_MM = 0.25, 0.015, 0.4
"""Standard deviations between raters: of the thresholds, and of how far outside they draw."""
READING_TMAX_S, READING_CBF = 0.10, 0.006
"""Between readings of one rater."""
HAND_SD_MM, HAND_LENGTH_MM = 1.2, 8.0
"""Displacement of the border in one reading, and the length along which it changes."""
ISLAND_ML, ISLAND_MISSED = 3.0, 0.4
"""Clusters below this are overlooked with this probability."""
SEEN_ML = 1.0
"""Smaller clusters are never outlined."""
SMOOTHING_MM = 2.0
"""Visual averaging over noise."""
HOLE_ML = 1.0
CSF_BELOW_HU, VESSEL_ABOVE_HU = 14.0, 40.0
"""Baseline of CSF; enhancement of large vessels.  A rater draws around neither."""
ONE_SIDED = 0.6


@dataclass(frozen=True)
class Habits:
    """Parameters of one rater in one reading."""

    tmax_above_s: float
    relative_cbf_below: float
    border_mm: float
    """How far outside of the border is drawn."""


def simulate_readings(study: Study, seed: int) -> dict[str, int]:
    """Draw every reading that nobody has opened; the others are left as they are.

    Parameters
    ----------
    seed : the same study and seed give the same outlines.

    Returns
    -------
    dict
        How many readings were drawn, by rater.

    Raises
    ------
    UsageError
        If ``seed`` is below 0.
    DamagedFile
        If images can't be read.
    """
    if seed < 0:
        raise UsageError(f"--seed is {seed}; give 0 or more")
    drawn = dict.fromkeys(study.raters, 0)
    for rater in study.raters:
        for one in study.worklist(rater):
            if reading_state(study, rater, one.reading).state != NEW:
                continue
            seen = read_images(study.images_of(rater, one.reading))
            rng = _random(seed, rater, one.reading)
            labels = draw(seen, habits(seed, rater, one.reading), rng)
            with locked(study.folder):
                if reading_state(study, rater, one.reading).state != NEW:
                    continue  # opened by someone meanwhile
                # the time of a program has no meaning
                store_outline(
                    study, rater, one.reading, labels,
                    active_s=0.0, done=True, software=SOFTWARE, simulated=True,
                )  # fmt: skip
            drawn[rater] += 1
    return drawn


def habits(seed: int, rater: str, reading: str) -> Habits:
    """A rater's own bias and what varies from reading to reading."""
    own, now = _random(seed, rater), _random(seed, rater, reading, "habits")
    return Habits(
        tmax_above_s=TMAX_ABOVE_S + RATER_TMAX_S * own.normal() + READING_TMAX_S * now.normal(),
        relative_cbf_below=RELATIVE_CBF_BELOW
        + RATER_CBF * own.normal()
        + READING_CBF * now.normal(),
        border_mm=RATER_BORDER_MM * own.normal(),
    )


@dataclass(frozen=True)
class Seen:
    """What a rater looks at."""

    cbf: Float32Array
    tmax: Float32Array
    tissue: BoolArray
    """(Z, Y, X) brain with flow, without CSF and large vessels where those can be seen."""
    geometry: Geometry


def read_images(folder: Path) -> Seen:
    """Maps and CT of one folder of ``images``.

    Raises
    ------
    NoReadableFiles, DamagedFile
        A map is missing or can't be read.
    """
    cbf, tmax, mtt = (read_volume(folder / f"{name}.nii.gz") for name in ("cbf", "tmax", "mtt"))
    tissue = np.asarray(mtt.values.astype(np.float32) > 0)
    ct = [folder / f"{name}.nii.gz" for name in ("baseline", "maximum")]
    if all(path.is_file() for path in ct):
        baseline, maximum = (read_volume(path).values.astype(np.float32) for path in ct)
        flat = [smooth_within(v, tissue, cbf.geometry, SMOOTHING_MM) for v in (baseline, maximum)]
        tissue &= (flat[0] > CSF_BELOW_HU) & (flat[1] - flat[0] < VESSEL_ABOVE_HU)
    return Seen(cbf.values.astype(np.float32), tmax.values.astype(np.float32), tissue, cbf.geometry)


def draw(seen: Seen, habit: Habits, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(Z, Y, X) labels as a rater with these habits draws them."""
    hypoperfused, core = by_thresholds(seen, habit)
    hypoperfused = _by_hand(hypoperfused, seen, habit, rng)
    core = _by_hand(core, seen, habit, rng) & hypoperfused
    return np.where(core, CORE, np.where(hypoperfused, PENUMBRA, 0)).astype(np.uint8)


def by_thresholds(seen: Seen, habit: Habits) -> tuple[BoolArray, BoolArray]:
    """Hypoperfused tissue and core where the maps pass the thresholds, before any hand."""
    place, ml = seen.geometry, seen.geometry.voxel_ml
    tmax = smooth_within(seen.tmax, seen.tissue, place, SMOOTHING_MM)
    cbf = smooth_within(seen.cbf, seen.tissue, place, SMOOTHING_MM)
    late = seen.tissue & (tmax > habit.tmax_above_s)
    hypoperfused = drop_small(late, SEEN_ML, ml)
    hypoperfused = fill_holes(hypoperfused, seen.tissue, HOLE_ML, ml)
    normal = _other_side(hypoperfused, seen)
    level = float(cbf[normal].mean()) if normal.any() else 0.0
    core = hypoperfused & (cbf < habit.relative_cbf_below * level)
    core = drop_small(core, SEEN_ML, ml)
    return hypoperfused, fill_holes(core, hypoperfused, HOLE_ML, ml)


def _other_side(hypoperfused: BoolArray, seen: Seen) -> BoolArray:
    """Tissue that a reader regards as normal: that of the other hemisphere, or of both."""
    normal = seen.tissue & ~hypoperfused
    total = int(hypoperfused.sum())
    if total == 0 or not seen.tissue.any():
        return normal
    left = left_of(find_midline(seen.tissue, seen.geometry), seen.geometry)
    share = float((hypoperfused & left).sum()) / total
    if share >= ONE_SIDED:
        return normal & ~left
    return normal & left if share <= 1 - ONE_SIDED else normal


def _by_hand(mask: BoolArray, seen: Seen, habit: Habits, rng: np.random.Generator) -> BoolArray:
    """The mask with a border that a hand drew, slice by slice, and without missed islands."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:] * seen.geometry.voxel_ml
    missed = (sizes < ISLAND_ML) & (rng.random(count) < ISLAND_MISSED)
    kept = mask & ~np.isin(labels, np.flatnonzero(missed) + 1)
    moved = _depth_mm(kept, seen.geometry) + habit.border_mm + _hand_mm(seen.geometry, rng) > 0
    # a slice without lesion stays without one
    return np.asarray(moved & kept.any(axis=(1, 2), keepdims=True) & seen.tissue)


def _depth_mm(mask: BoolArray, geometry: Geometry) -> Float64Array:
    """(Z, Y, X) distance to the border within the slice, mm, positive inside."""
    spacing = geometry.spacing_mm[1:]
    depth = np.full(mask.shape, -np.inf)
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        inside = ndimage.distance_transform_edt(mask[z], spacing)
        outside = ndimage.distance_transform_edt(~mask[z], spacing)
        half = min(spacing) / 2  # the border lies between two voxels
        depth[z] = np.where(mask[z], inside - half, half - outside)
    return depth


def _hand_mm(geometry: Geometry, rng: np.random.Generator) -> Float64Array:
    """(Z, Y, X) smooth displacement of the border, independent from slice to slice."""
    _, dy, dx = geometry.spacing_mm
    sigma = (0.0, HAND_LENGTH_MM / dy, HAND_LENGTH_MM / dx)
    noise = ndimage.gaussian_filter(rng.standard_normal(geometry.shape), sigma, mode="wrap")
    spread = noise.std()
    return np.asarray(noise * (HAND_SD_MM / spread if spread > 0 else 0.0))


def _random(seed: int, *names: str) -> np.random.Generator:
    """A separate generator for each rater and reading."""
    digest = hashlib.sha256("/".join((str(seed), *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
