"""The folder of a reading study: names that are allowed, JSON that is checked, whole writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bolus.errors import BadGeometry, DamagedFile, NoReadableFiles, OutputError, UsageError
from bolus.files.regular_file import read_regular
from bolus.files.strict_json import strict_json
from bolus.files.voxel_grid import checked_grid
from bolus.types import MAP_UNITS, Geometry

SCHEMA = "bolus-raters/1"
NAME = re.compile(r"[a-z0-9-]{1,32}")
DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
"""Names that no folder can have on Windows, where results may be copied to."""
OPEN, DONE, NEW = "open", "done", "new"
SEEN = tuple(MAP_UNITS)
"""Maps every rater sees."""
BESIDE = ("baseline", "maximum", "brain")
"""Images seen where the results hold them."""


LARGEST_JSON = 2**25
"""Bytes; ``key.json`` of 99 raters with 3000 readings each has 24 million."""
LARGEST_MASK = 2**27
"""Bytes of a file of labels; compressed ones have a hundredth of their voxels' number."""
MOST_REVISIONS = 2**40
"""Of an outline, in studies and in results."""
MOST_RATERS, MOST_METHODS = 1000, 16
MOST_READINGS, MOST_READINGS_IN_ALL = 10_000, 100_000
"""Of one rater, and of all raters of a study."""


@dataclass(frozen=True)
class Reading:
    """One entry of a rater's worklist."""

    reading: str
    """Its name, "r0001"."""
    images: str
    """The folder in ``images`` that the rater sees."""


@dataclass(frozen=True)
class Study:
    """A reading study on disk; holds nothing that would reveal the method to a rater."""

    folder: Path
    seed: int
    raters: tuple[str, ...]
    methods: tuple[str, ...]
    """The first is what the others are compared with."""
    exams: int
    repeats: int
    version: str
    worklists: Mapping[str, tuple[Reading, ...]]

    def worklist(self, rater: str) -> tuple[Reading, ...]:
        """A rater's readings in their order.

        Raises
        ------
        UsageError
            If the study has no such rater.
        """
        if rater not in self.worklists:
            raise UsageError(f"this study has no rater of that name; it has {self._names}")
        return self.worklists[rater]

    def reading(self, rater: str, reading: str) -> Reading:
        """One reading of a rater's worklist by its name.

        Raises
        ------
        UsageError
            If there is no such rater or reading.
        """
        self.worklist(rater)
        if (rater, reading) not in self._by_name:
            raise UsageError(f"{rater} has no reading of that name")
        return self._by_name[rater, reading]

    def images_of(self, rater: str, reading: str) -> Path:
        """The folder with what the rater sees for a reading."""
        return self.folder / "images" / self.reading(rater, reading).images

    def folder_of(self, rater: str, reading: str) -> Path:
        """The folder of a reading's outline; may not exist yet."""
        return self.folder / "readings" / rater / self.reading(rater, reading).reading

    def geometry_of(self, rater: str, reading: str) -> Geometry:
        """The grid of a reading's images and outline."""
        return read_geometry(self.folder, self.images_of(rater, reading))

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Reading]:
        return {
            (rater, one.reading): one for rater, lines in self.worklists.items() for one in lines
        }

    @cached_property
    def _names(self) -> str:
        return ", ".join(self.raters)


def open_study(folder: Path) -> Study:
    """Read a study's description and worklists, and check them.

    Raises
    ------
    NoReadableFiles
        The folder holds no reading study.
    DamagedFile
        A file of it is missing, cut off, or names something that no study can hold.
    """
    path = folder / "study.json"
    if not path.is_file():
        raise NoReadableFiles(
            f"{folder} holds no reading study (study.json is missing); make one with "
            "`bolus study raters init`"
        )
    found = read_json(folder, path)
    if found.get("schema") != SCHEMA:
        raise DamagedFile(f"{path} is not of a reading study that this version knows ({SCHEMA})")
    raters = tuple(checked_name(path, one) for one in _list(path, found, "raters", MOST_RATERS))
    methods = tuple(checked_name(path, one) for one in _list(path, found, "methods", MOST_METHODS))
    if len(set(raters)) != len(raters) or len(set(methods)) != len(methods):
        raise DamagedFile(f"{path} is damaged: it names a rater or a method twice")
    if not raters or not methods:
        raise DamagedFile(f"{path} names no raters or no methods; create the study again")
    worklists: dict[str, tuple[Reading, ...]] = {}
    for rater in raters:
        worklists[rater] = _worklist(folder, rater)
        if sum(map(len, worklists.values())) > MOST_READINGS_IN_ALL:
            raise DamagedFile(
                f"{folder / 'worklists'} list more than {MOST_READINGS_IN_ALL} readings; no study "
                "has that many"
            )
    return Study(
        folder=folder,
        seed=_whole(path, found, "seed"),
        raters=raters,
        methods=methods,
        exams=_whole(path, found, "exams"),
        repeats=_whole(path, found, "repeats"),
        version=str(found.get("version", "")),
        worklists=worklists,
    )


def _worklist(folder: Path, rater: str) -> tuple[Reading, ...]:
    path = folder / "worklists" / f"{rater}.json"
    lines = _list(path, read_json(folder, path), "readings", MOST_READINGS)
    readings = []
    for line in lines:
        if not isinstance(line, dict):
            raise DamagedFile(f"{path} is damaged: a reading is no entry of a worklist")
        names = [checked_name(path, line.get(key)) for key in ("reading", "images")]
        readings.append(Reading(*names))
    if len({one.reading for one in readings}) != len(readings):
        raise DamagedFile(f"{path} is damaged: it lists a reading twice")
    return tuple(readings)


def checked_name(path: Path, name: object) -> str:
    """A name that can be a folder of the study and leads nowhere else."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DamagedFile(
            f"{path} holds a name that no study has; names are small letters, digits and hyphens"
        )
    return name


def read_json(top: Path, path: Path) -> dict[str, Any]:
    """A JSON object of the study in ``top``.

    Raises
    ------
    DamagedFile
        The file is missing, cut off, lies elsewhere, or holds something else.
    """
    if not path.exists():
        raise DamagedFile(f"{path} is missing; the study is incomplete, create it again")
    try:
        found = strict_json(read_file(top, path, LARGEST_JSON))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path} can't be read as JSON; it is damaged or cut off") from error
    if not isinstance(found, dict):
        raise DamagedFile(f"{path} holds no JSON object; it is damaged")
    return found


def read_file(top: Path, path: Path, most_bytes: int) -> bytes:
    """The content of a file that lies in ``top``, whatever links lead to.

    Raises
    ------
    DamagedFile
        It is missing, no regular file, larger than ``most_bytes``, or lies elsewhere.
    """
    if not is_inside(top, path):
        raise DamagedFile(f"{path} is a link that leads out of its folder; put the file there")
    try:
        return read_regular(path, most_bytes)
    except OSError as error:
        raise DamagedFile(f"{path} can't be read: {error.strerror or error}") from error


def is_inside(top: Path, path: Path) -> bool:
    """Whether a path lies in a folder after all links are followed."""
    try:
        return path.resolve().is_relative_to(top.resolve())
    except (OSError, RuntimeError):  # links that lead to one another
        return False


def folder_below(top: Path, *names: str) -> Path:
    """A folder of the study or the results, made where it is missing; ``top`` must be there.

    Raises
    ------
    OutputError
        ``top`` is gone, a name on the way is a link or a file, or the file system refuses.
    """
    folder = top
    for name in names:
        folder /= name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} can't be made: {error.strerror or error}") from error
        if folder.is_symlink():
            raise OutputError(f"{folder} is a link; make it a folder")
    return folder


def read_geometry(top: Path, images: Path) -> Geometry:
    """The grid of a folder of ``images`` of the study in ``top``.

    Raises
    ------
    DamagedFile, BadGeometry
        ``info.json`` is missing or holds no grid.
    """
    path = images / "info.json"
    found = read_json(top, path).get("geometry")
    try:
        shape = tuple(int(n) for n in found["shape_zyx"])  # type: ignore[index]
        affine = np.array(found["affine_zyx_to_lps_mm"], np.float64)  # type: ignore[index]
        if len(shape) != 3 or affine.shape != (4, 4):
            raise ValueError("no stack of slices")
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise DamagedFile(f"{path} is damaged: it holds no grid") from error
    try:
        return checked_grid((shape[0], shape[1], shape[2]), affine)
    except ValueError as error:
        raise BadGeometry(f"{path} holds a shape or an affine that is no grid") from error


def _list(path: Path, found: Mapping[str, Any], key: str, most: int) -> list[Any]:
    value = found.get(key)
    if not isinstance(value, list):
        raise DamagedFile(f"{path} is damaged: {key} is no list")
    if len(value) > most:
        raise DamagedFile(f"{path} lists {len(value)} {key}; no study has more than {most}")
    return value


def _whole(path: Path, found: Mapping[str, Any], key: str) -> int:
    value = found.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DamagedFile(f"{path} is damaged: {key} is no whole number")
    return value
