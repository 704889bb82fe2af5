"""Where an image lies: slices and grids that differ by rounding are the same ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bolus.acquire.dicom.elements import Vector
from bolus.acquire.dicom.geometry import same_slice_mm
from bolus.acquire.dicom.headers import Slice

SAME_DIRECTION = 0.01
"""Largest difference of direction cosines that are equal but for rounding: half a degree."""
SAME_SPACING = 0.005
"""Relative difference of pixel sizes that are equal but for rounding."""
HUNDREDTHS = 100
MOST_KINDS = 100
"""Directions and grids beyond the first hundred of a folder are compared exactly."""


def with_places(slices: Sequence[Slice]) -> list[Slice]:
    """The images with their `place` along the normal of their slices.

    Places are clusters of positions no more than `same_slice_mm` apart from their neighbours: a
    rounded position has no edge at which one slice becomes two.
    """
    leaders = _Leaders()
    stacks: dict[int, list[int]] = defaultdict(list)
    for i, image in enumerate(slices):
        if image.position and image.orientation:
            stacks[leaders.of(image.orientation)].append(i)
    placed = list(slices)
    for leader, members in stacks.items():
        depth = np.array([slices[i].position for i in members]) @ _normal(leaders.found[leader])
        order = np.argsort(depth, kind="stable")
        near = same_slice_mm([slices[i] for i in members])
        starts = np.flatnonzero(np.diff(depth[order], prepend=-np.inf) > near)
        for part in np.split(order, starts[1:]):
            place = round(HUNDREDTHS * float(np.median(depth[part])))
            for k in part:
                placed[members[k]] = replace(slices[members[k]], place=place)
    return placed


class Grids:
    """Numbers of matrices, pixel sizes and directions that are equal but for rounding."""

    def __init__(self) -> None:
        self._directions = _Leaders()
        self._grids: list[tuple[int, int, int, Vector]] = []
        self._known: dict[tuple[int, int, int, Vector], int] = {}

    def of(self, image: Slice) -> int:
        """The number of an image's grid."""
        direction = self._directions.of(image.orientation)
        exact = (image.rows, image.columns, direction, image.spacing)
        if exact in self._known:
            return self._known[exact]
        self._known[exact] = self._like(exact)
        return self._known[exact]

    def _like(self, grid: tuple[int, int, int, Vector]) -> int:
        for number, (*size, spacing) in enumerate(self._grids[:MOST_KINDS]):
            if size == list(grid[:3]) and _near(spacing, grid[3]):
                return number
        self._grids.append(grid)
        return len(self._grids) - 1


class _Leaders:
    """Directions, each represented by the first one that was like it."""

    def __init__(self) -> None:
        self.found: list[Vector] = []
        self._known: dict[Vector, int] = {}

    def of(self, orientation: Vector) -> int:
        if orientation not in self._known:
            self._known[orientation] = next(
                (
                    i
                    for i, leader in enumerate(self.found[:MOST_KINDS])
                    if len(leader) == len(orientation)
                    and all(
                        abs(a - b) <= SAME_DIRECTION
                        for a, b in zip(leader, orientation, strict=True)
                    )
                ),
                len(self.found),
            )
            if self._known[orientation] == len(self.found):
                self.found.append(orientation)
        return self._known[orientation]


def _normal(orientation: Vector) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    across = np.cross(np.array(orientation[:3]), np.array(orientation[3:]))
    length = float(np.linalg.norm(across))
    unit: np.ndarray[tuple[int], np.dtype[np.float64]] = across / length if length else across
    return unit


def _near(a: Vector, b: Vector) -> bool:
    return len(a) == len(b) and all(
        abs(p - q) <= SAME_SPACING * max(abs(p), abs(q)) for p, q in zip(a, b, strict=True)
    )
