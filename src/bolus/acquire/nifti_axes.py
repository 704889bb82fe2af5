"""Which axes of a NIfTI file are space and which one is time.

NIfTI's fourth axis is time, but files exist with axes of length 1 between (ITK's five dimensions),
and with time where a program's own order of axes had it.  Neighbours in time are more alike than
neighbours in space, and a grid must have the size of a head: if both speak for another axis than
the fourth, that axis is time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bolus.acquire.dicom.groups import MIN_FRAMES
from bolus.errors import AmbiguousExam, BadGeometry
from bolus.types import Finding, Float64Array, Grade

USUAL = 3
"""The axis that is time by the standard, counted from 0."""
CLEARLY = 0.25
"""Neighbouring frames differ by noise and contrast, neighbouring slices and pixels by anatomy: by
about ten times as much where slices are some mm apart, as much where they overlap."""
RATHER = 0.5
FLAT = 30.0
"""HU: the edges of a head make more, so what differs less is air beside it."""
BRIGHTEST_HU = 3071.0


@dataclass(frozen=True)
class FileAxes:
    """How the axes of a file, without those of length 1, are used."""

    kept: tuple[int, ...]
    """Axes of the file that are left, three or four."""
    shape: tuple[int, ...]
    """Their lengths."""
    space: tuple[int, int, int] = (0, 1, 2)
    """Which of ``kept`` the affine's first three columns belong to."""
    time: int | None = USUAL
    """Which of ``kept`` is time; None in a single volume."""

    def stack(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """The file's values as a view (T, x, y, z)."""
        data = data.reshape(self.shape)
        if self.time is None:
            return data.transpose(self.space)[None]
        return data.transpose(self.time, *self.space)

    def part(self, dimensions: int, which: slice, axis: int) -> tuple[slice, ...]:
        """Index into the file for a part of one of ``kept``."""
        index = [slice(None)] * dimensions
        index[self.kept[axis]] = which
        return tuple(index)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Lengths along the affine's columns."""
        x, y, z = (self.shape[axis] for axis in self.space)
        return x, y, z

    @property
    def frames(self) -> int:
        """Number of frames, T."""
        return 1 if self.time is None else self.shape[self.time]


def file_axes(shape: tuple[int, ...], name: str) -> FileAxes:
    """The axes of a file as the standard has them, those of length 1 dropped.

    Raises
    ------
    BadGeometry
        More than four are left.
    """
    kept = list(range(len(shape)))
    # those after z first: a single slice is one, too
    for axis in [*range(len(shape) - 1, 2, -1), 0, 1, 2]:
        if len(kept) > 4 and shape[axis] == 1:
            kept.remove(axis)
    if len(kept) == 4 and shape[kept[USUAL]] == 1:
        kept.pop()
    if len(kept) > 4 or len(kept) < 3 or min(shape) < 1:
        raise BadGeometry(
            f"{name}: has the shape {shape}; x, y, z and time are needed. Save each exam as a file "
            "of its own."
        )
    lengths = tuple(shape[axis] for axis in kept)
    return FileAxes(tuple(kept), lengths, time=USUAL if len(kept) == 4 else None)


def with_time_axis(
    axes: FileAxes,
    listed: int | None,
    fits: Callable[[FileAxes], bool],
    unlikeness: Callable[[], Float64Array],
    name: str,
) -> tuple[FileAxes, list[Finding]]:
    """The axes with that of time where the data have it.

    Parameters
    ----------
    listed
        Number of frames for which times are listed, if any.
    fits
        Whether a grid of such axes is that of a head.
    unlikeness
        Gives the difference of neighbours along each of the four axes, HU; needs pixels.

    Raises
    ------
    AmbiguousExam
        If time is not the fourth axis, and nothing says which of two others it is.
    """
    if axes.time is None or listed == axes.shape[USUAL]:
        return axes, []
    others = [o for o in _others(axes) if listed in (None, o.frames) and fits(o)]
    if listed is None:
        others = [o for o in others if o.frames >= MIN_FRAMES]
    if not others:
        return axes, []
    usual = axes.frames >= MIN_FRAMES and fits(axes)
    differ = unlikeness()
    ranked = sorted(others, key=lambda o: differ[o.time or 0])
    best = ranked[0]
    own = float(differ[best.time or 0])
    clearly = CLEARLY if usual and listed is None else 1.0
    # a list may be that of slices, so it moves no axis that is plausible and the most alike
    if (usual or listed is None) and own >= clearly * differ[USUAL]:
        return axes, []
    second = min((float(differ[o.time or 0]) for o in ranked[1:]), default=np.inf)
    if own > RATHER * second:
        raise AmbiguousExam(
            f"{name}: has the shape {axes.shape}, and nothing says which axis is time; save it "
            'with its axes in the order x, y, z, time, or list the times as "VolumeTiming" in its '
            "JSON file."
        )
    return best, [_finding(best, listed is not None)]


def _others(axes: FileAxes) -> list[FileAxes]:
    """Time as one of the first three axes; where it is the first, space may be reversed (numpy)."""
    found = []
    for time in range(USUAL):
        x, y, z = (axis for axis in range(4) if axis != time)
        found.append(FileAxes(axes.kept, axes.shape, (x, y, z), time))
    found.append(FileAxes(axes.kept, axes.shape, (3, 2, 1), 0))
    return found


def _finding(axes: FileAxes, listed: bool) -> Finding:
    number = (axes.time or 0) + 1
    why = "as many times are listed" if listed else "neighbours along it are the most alike"
    reverse = ", and space is reversed" if axes.space == (3, 2, 1) else ""
    return Finding(
        "time-axis-moved",
        Grade.WARNING,
        f"Axis {number} of the NIfTI file, with {axes.frames} entries, was taken as time, not axis "
        f"{USUAL + 1} ({why}){reverse}.",
        "Check the slice distance and which side is left; save the exam as x, y, z, time.",
    )


def neighbour_difference(values: NDArray[np.float32]) -> Float64Array:
    """Root mean square of the difference between neighbours along each axis, HU."""
    values = np.clip(np.nan_to_num(values), -1024.0, BRIGHTEST_HU)
    found = [
        np.sqrt(np.mean(np.square(np.diff(values, axis=axis), dtype=np.float64)))
        if values.shape[axis] > 1
        else np.inf
        for axis in range(values.ndim)
    ]
    return np.array(found)
