"""Results that are looked at: a folder of `bolus run`, or recomputed maps that live in memory."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bolus.errors import DamagedFile, NoReadableFiles
from bolus.files.nifti_head import read_head
from bolus.files.regular_file import read_regular
from bolus.files.voxel_grid import same_grid
from bolus.serve.errors import missing
from bolus.serve.opened import Opened, opened
from bolus.serve.summaries import LARGEST, MOST_FRAMES, geometry_of, read_summary
from bolus.study.raters.store import is_inside, read_file
from bolus.types import MAP_UNITS

if TYPE_CHECKING:
    from bolus.publish.voxels import Voxels
    from bolus.types import Geometry

MAPS = tuple(MAP_UNITS)
OF_METHOD = (*MAPS, "delay", *(f"{name}_se" for name in MAPS), "lesion")
IMAGES = ("baseline", "maximum", "brain")
CACHED_BYTES = 2**31
"""Of the volumes of all exams together; one of 512 x 512 x 16 has 16 million."""
COLUMNS = ("time_s", "aif_hu", "aif_scaled_hu", "vof_hu")
LARGEST_HU = 1e6

Volume = NDArray[np.generic]


@dataclass(frozen=True)
class VolumeFile:
    """One volume of an exam."""

    key: str
    """ "nlr/cbf", "cnn-minus-nlr/cbf" or "baseline": its path without ``.nii.gz``."""
    content: Path | bytes
    geometry: Geometry
    """The grid that its values must lie on."""

    def read(self) -> bytes:
        """The bytes of its NIfTI file."""
        if isinstance(self.content, bytes):
            return self.content
        try:
            return read_regular(self.content, self._most_bytes)
        except OSError as error:
            raise DamagedFile(f"{self.key}.nii.gz of this exam can't be read") from error

    @property
    def _most_bytes(self) -> int:
        """Of the compressed file: incompressible doubles and a header."""
        z, y, x = self.geometry.shape
        return 9 * z * y * x + 2**16

    def values(self) -> Volume:
        """(Z, Y, X) values.

        Raises
        ------
        DamagedFile, BadGeometry
            It can't be read, or is on another grid.
        """
        from bolus.volumes import volume_from

        found = volume_from(self.read(), f"{self.key}.nii.gz")
        if not same_grid(found.geometry, self.geometry):
            raise DamagedFile(f"{self.key}.nii.gz is not on the grid of its exam; run it again")
        return found.values

    @property
    def tag(self) -> str:
        """Changes whenever its content does."""
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()[:32]
        try:
            seen = self.content.stat()
        except OSError as error:
            raise DamagedFile(f"{self.key}.nii.gz of this exam can't be read") from error
        text = f"{self.content} {seen.st_mtime_ns} {seen.st_size} {seen.st_ino}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Volumes:
    """Volumes that were read last, of all exams."""

    def __init__(self, most_bytes: int = CACHED_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[str, str], Volume] = OrderedDict()
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def get(self, exam: str, file: VolumeFile) -> Volume:
        """(Z, Y, X) values of a volume, exactly as in the file."""
        place = (exam, file.key)
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        with self._reading:  # one at a time: each may use all the memory it is allowed
            values = file.values()
        with self._lock:
            self._kept[place] = values
            while len(self._kept) > 1 and sum(v.nbytes for v in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return values


@dataclass(frozen=True)
class Exam:
    """One exam with its maps."""

    id: str
    name: str
    summary: Mapping[str, Any]
    """``summary.json``, checked by `bolus.serve.summaries`."""
    geometry: Geometry
    files: Mapping[str, VolumeFile]
    """By key, in the order in which they are shown."""
    folder: Path | None
    """None for recomputed maps."""
    curves_from: Path
    """``voxels.npz``; may not exist."""
    columns: Mapping[str, list[float]] | None
    """AIF and VOF over time by `COLUMNS`; None where the run found none."""
    opened: Opened
    """The folder, or that of the run, as it was opened."""
    volumes: Volumes

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods with all five maps."""
        return tuple(
            method for method in self.summary["methods"]
            if all(f"{method}/{name}" in self.files for name in MAPS)
        )  # fmt: skip

    @cached_property
    def content(self) -> str:
        """Distinguishes exams with the same name and grid: strokes that a browser still holds
        must not reach another exam; the same exam run again has the same value."""
        image = next((self.files[key] for key in IMAGES if key in self.files), None)
        if image is None:
            return ""
        return hashlib.sha256(image.read()).hexdigest()[:16]

    def volume(self, key: str) -> Volume:
        """(Z, Y, X) values; raises Refused where the exam has no such volume."""
        if key not in self.files:
            raise missing("volume")
        return self.volumes.get(self.id, self.files[key])

    @cached_property
    def voxels(self) -> Voxels:
        """Curves of all voxels.

        Raises
        ------
        NoReadableFiles, DamagedFile
        """
        from bolus.publish.voxels import read_voxels

        found = read_voxels(self.curves_from)
        if not same_grid(found.geometry, self.geometry):
            raise DamagedFile("voxels.npz and the maps are of different exams; run the exam again")
        return found

    @property
    def has_curves(self) -> bool:
        """Whether there are curves to show."""
        return self.curves_from.is_file()


def open_results(number: int, folder: Path, volumes: Volumes, name: str | None = None) -> Exam:
    """Results of `bolus run` in a folder, shown under its name or the one given.

    Raises
    ------
    NoReadableFiles
        The folder holds no results.
    DamagedFile
        ``summary.json``, a map or ``curves.csv`` is damaged, or of another exam.
    """
    path = folder / "summary.json"
    if not path.is_file():
        raise NoReadableFiles(
            f"{folder} holds no results of `bolus run` (summary.json is missing); give its folder"
        )
    top = folder.resolve()
    tables = top / "summary.json", top / "curves.csv", top / "voxels.npz"
    before = opened("these results", tables)
    summary = read_summary(folder)
    geometry = geometry_of(summary)
    files = _present(top, _keys(list(summary["methods"])), geometry)
    exam = Exam(
        id=str(number),
        name=name or folder.absolute().name,
        summary=summary,
        geometry=geometry,
        files=files,
        folder=top,
        curves_from=_curves_from(top),
        columns=_columns(top),
        opened=opened(before.what, [*tables, *(top / f"{key}.nii.gz" for key in files)]),
        volumes=volumes,
    )
    if not exam.methods:
        raise DamagedFile(f"{path} names no method with all of its maps; run the exam again")
    before.check()
    return exam


def _keys(methods: Sequence[str]) -> list[str]:
    """Volumes that results with these methods have: never a path that a file names."""
    pairs = [f"{second}-minus-{methods[0]}" for second in methods[1:]]
    keys = [f"{method}/{name}" for method in methods for name in OF_METHOD]
    return [*keys, *(f"{pair}/{name}" for pair in pairs for name in MAPS), *IMAGES]


def _present(folder: Path, keys: list[str], geometry: Geometry) -> dict[str, VolumeFile]:
    """Those that exist, and lie in the folder after resolving links."""
    files = {}
    for key in keys:
        path = folder / f"{key}.nii.gz"
        if not path.is_file() or not is_inside(folder, path):
            continue
        try:
            head = read_head(path)
        except (OSError, ValueError) as error:
            raise DamagedFile(f"{path} is damaged ({error}); run the exam again") from error
        if not same_grid(head.geometry, geometry):
            raise DamagedFile(f"{path} is not on the grid of summary.json; run the exam again")
        files[key] = VolumeFile(key, path, geometry)
    return files


def _curves_from(folder: Path) -> Path:
    path = folder / "voxels.npz"
    if path.exists() and not is_inside(folder, path):
        raise DamagedFile(f"{path} is a link that leads out of its folder; put the file there")
    return path


def _columns(folder: Path) -> dict[str, list[float]] | None:
    """The columns of ``curves.csv``."""
    path = folder / "curves.csv"
    if not path.exists():
        return None
    lines = read_file(folder, path, LARGEST).decode("ascii", "replace").splitlines()
    try:
        names = lines[0].split(",")
        rows = np.array([line.split(",") for line in lines[1:]], np.float64)
        if rows.shape[1:] != (len(names),) or not 1 <= len(rows) <= MOST_FRAMES:
            raise ValueError("no table")
        if not (np.abs(rows) <= LARGEST_HU).all():
            raise ValueError("no numbers")
        return {name: rows[:, names.index(name)].tolist() for name in COLUMNS}
    except (ValueError, IndexError) as error:
        raise DamagedFile(f"{path} is damaged; run the exam again") from error
