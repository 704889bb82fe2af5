"""What a group of images shows: whether its volumes are one head at successive times.

Headers of maps and of source images are alike. Volumes of one head differ by noise and by contrast
that comes and goes in its vessels; maps of flow, volume and time have little in common.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from bolus.acquire.dicom.clocks import CLOCKS, ORDERS
from bolus.acquire.dicom.damaged_images import without_damaged
from bolus.acquire.dicom.groups import MIN_FRAMES, Group, time_of
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.pixels import read_frames
from bolus.errors import BolusError
from bolus.types import Float32Array

MOST_FRAMES = 60
"""Frames looked at; a bolus is seen in every second frame too."""
CELLS = 64
"""Rows and columns left after averaging, against noise: cells of 3 to 4 mm."""
TISSUE_HU = (-200.0, 300.0)
"""Between air with fat and bone: where a head's volumes are compared."""
BONE = 0.01
"""Least share of the cells that is bone in a slice of a head with its skull."""
FEW_CELLS = 50
ALIKE = 0.6
"""Least correlation of a volume with the usual one: 0.9 in noisy exams, below 0.5 among maps."""
UNLIKE_HU = 25.0
"""Noise and contrast of most tissue stay below; where a slice shows little but even brain."""
LEVEL_HU = 25.0
"""Most that a volume's mean differs from the others': contrast in a whole slice is below 15 HU."""
SOFT_HU = (-50.0, 150.0)
VESSELS = 0.01
"""Share of the soft tissue whose contrast is measured: the brightest vessels."""


@dataclass(frozen=True)
class Appearance:
    """What the middle slice of a group shows over time."""

    steady: float
    """Median correlation of its images with their median over time, in tissue."""
    unlike_hu: float
    """Median of its images' RMS differences to their median over time, in tissue."""
    has_bone: bool
    level_hu: float
    """Median deviation of its images' means from the usual mean, HU."""
    changes: bool
    """Whether there are as many different images as a time course needs: noise makes them so."""
    contrast_hu: float
    """Rise and fall of the brightest vessels, HU."""

    @property
    def is_time_course(self) -> bool:
        """Whether its images show one head at successive times."""
        alike = self.steady >= ALIKE or (self.has_bone and self.unlike_hu <= UNLIKE_HU)
        return self.changes and alike and self.level_hu <= LEVEL_HU


def look(group: Group) -> Appearance | None:
    """Decode the middle slice; None where it can't be decoded."""
    images = _middle_slice(group)
    try:
        frames, _ = read_frames(images, np.arange(len(images))[:, None])
    except BolusError:
        return None
    course = _cells(frames[:, 0])
    usual = np.median(course, axis=0)
    inside = (usual > TISSUE_HU[0]) & (usual < TISSUE_HU[1]) & (np.ptp(course, axis=0) > 0)
    if inside.sum() < FEW_CELLS:
        return Appearance(0.0, 0.0, has_bone=False, level_hu=0.0, changes=False, contrast_hu=0.0)
    tissue = course[:, inside]
    likeness = [_correlation(image, usual[inside]) for image in tissue]
    level = tissue.mean(axis=1)
    distinct = len({image.tobytes() for image in frames})
    return Appearance(
        steady=float(np.median(likeness)),
        unlike_hu=float(np.median(np.sqrt(np.mean((tissue - usual[inside]) ** 2, axis=1)))),
        has_bone=bool(np.mean(usual >= TISSUE_HU[1]) >= BONE),
        level_hu=float(np.median(np.abs(level - np.median(level)))),
        changes=distinct >= min(MIN_FRAMES, len(frames)),
        contrast_hu=_contrast(course, usual),
    )


def _middle_slice(group: Group) -> list[Slice]:
    by_place: dict[int, list[Slice]] = defaultdict(list)
    for image in group.slices:
        by_place[image.place].append(image)
    places = sorted(by_place)
    most = max(len(images) for images in by_place.values())
    full = [place for place in places if len(by_place[place]) == most]
    images, _ = without_damaged(by_place[full[len(full) // 2]], {})
    clock = group.clock
    if clock in (*CLOCKS, *ORDERS):
        images = sorted(images, key=lambda s: time_of(s, clock))
    return images[:: max(1, -(-len(images) // MOST_FRAMES))]


def _cells(images: Float32Array) -> Float32Array:
    """(T, Y, X) averaged over cells, without the border that fills none."""
    t, rows, columns = images.shape
    size = max(1, min(rows, columns) // CELLS)
    y, x = rows // size, columns // size
    cut = images[:, : y * size, : x * size].reshape(t, y, size, x, size)
    cells: Float32Array = np.mean(cut, axis=(2, 4), dtype=np.float32)
    return cells


def _correlation(one: Float32Array, other: Float32Array) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def _contrast(course: Float32Array, usual: Float32Array) -> float:
    """Rise and fall of the brightest tissue, HU.

    Away from bone and air, so that a moving head brings no edge in; the level of each frame's
    brightest cells, so that vessels may move.
    """
    soft = (usual > SOFT_HU[0]) & (usual < SOFT_HU[1])
    inner = soft.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(soft, step, axis)
    if inner.sum() < FEW_CELLS:
        return 0.0
    curve = np.quantile(course[:, inner], 1 - VESSELS, axis=1)
    curve -= curve[: max(1, len(curve) // 8)].mean()
    peak = int(np.argmax(curve))
    return float(min(curve[peak] - curve[: peak + 1].min(), curve[peak] - curve[peak:].min()))
