"""Results that are looked at: a folder of `bolus run`, or maps made anew that live in memory."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bolus.errors import BolusError, DamagedFile, NoReadableFiles
from bolus.serve.refused import missing

if TYPE_CHECKING:
    from bolus.publish.voxels import Voxels
    from bolus.types import Geometry

METHOD = re.compile(r"[a-z0-9-]{1,32}")
MAPS = ("cbf", "cbv", "mtt", "tmax", "ttp")
OF_METHOD = (*MAPS, "delay", *(f"{name}_se" for name in MAPS), "lesion")
IMAGES = ("baseline", "maximum", "brain")
CACHED_VOLUMES = 80
"""Of all exams together, 16 MB each in one of 512 x 512 x 16."""

Volume = NDArray[np.generic]


@dataclass(frozen=True)
class VolumeFile:
    """One volume of an exam."""

    key: str
    """ "nlr/cbf", "cnn-minus-nlr/cbf" or "baseline": its path without ``.nii.gz``."""
    content: Path | bytes

    def read(self) -> bytes:
        """The bytes of its NIfTI file."""
        if isinstance(self.content, bytes):
            return self.content
        try:
            return self.content.read_bytes()
        except OSError as error:
            raise DamagedFile(f"{self.content.name} of this exam can't be read") from error

    @property
    def tag(self) -> str:
        """Changes whenever its content does."""
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()[:32]
        seen = self.content.stat()
        text = f"{self.content} {seen.st_mtime_ns} {seen.st_size} {seen.st_ino}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Volumes:
    """Volumes that were read last, of all exams."""

    def __init__(self, most: int = CACHED_VOLUMES) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str], Volume] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, exam: str, file: VolumeFile) -> Volume:
        """(Z, Y, X) values of a volume, exactly as in the file."""
        place = (exam, file.key)
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        values = _values(file)
        with self._lock:
            self._kept[place] = values
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return values


def _values(file: VolumeFile) -> Volume:
    from bolus.study.volumes import read_volume

    if isinstance(file.content, Path):
        return read_volume(file.content).values
    import gzip

    import nibabel as nib

    image = nib.Nifti1Image.from_bytes(gzip.decompress(file.content))
    return np.ascontiguousarray(np.asanyarray(image.dataobj).transpose(2, 1, 0))


@dataclass(frozen=True)
class Exam:
    """One exam with its maps."""

    id: str
    name: str
    summary: Mapping[str, Any]
    """``summary.json``."""
    files: Mapping[str, VolumeFile]
    """By key, in the order in which they are shown."""
    folder: Path | None
    """None for maps made anew."""
    curves_from: Path
    """``voxels.npz``; may not exist."""
    volumes: Volumes

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods with all five maps."""
        return tuple(m for m in self.summary["methods"] if f"{m}/cbf" in self.files)

    def volume(self, key: str) -> Volume:
        """(Z, Y, X) values; raises Refused where the exam has no such volume."""
        if key not in self.files:
            raise missing("volume")
        return self.volumes.get(self.id, self.files[key])

    @cached_property
    def geometry(self) -> Geometry:
        """The grid, as the NIfTI files have it."""
        from bolus.types import Geometry

        found = self.summary["geometry"]
        shape = tuple(int(n) for n in reversed(found["shape_xyz"]))
        affine = np.array(found["affine_xyz_to_lps_mm"], np.float64)[:, [2, 1, 0, 3]]
        return Geometry((shape[0], shape[1], shape[2]), affine)

    @cached_property
    def voxels(self) -> Voxels:
        """Curves of all voxels.

        Raises
        ------
        NoReadableFiles, DamagedFile
        """
        from bolus.publish.voxels import read_voxels

        return read_voxels(self.curves_from)

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
        ``summary.json`` is damaged.
    """
    path = folder / "summary.json"
    if not path.is_file():
        raise NoReadableFiles(
            f"{folder} holds no results of `bolus run` (summary.json is missing); give its folder"
        )
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if not str(summary["schema"]).startswith("bolus-summary/"):
            raise ValueError("another schema")
        keys = _keys(summary)
        exam = Exam(
            id=str(number),
            name=name or folder.absolute().name,
            summary=summary,
            files=_present(folder.resolve(), keys),
            folder=folder.resolve(),
            curves_from=folder / "voxels.npz",
            volumes=volumes,
        )
        _check(exam)
    except BolusError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError,
            RecursionError) as error:  # fmt: skip
        raise DamagedFile(f"{path} is damaged; run the exam again") from error
    return exam


def _check(exam: Exam) -> None:
    """Touch what every answer needs, so that damage is found now."""
    assert exam.summary["verdict"]["grade"] is not None
    if min(exam.geometry.shape) < 1 or not np.isfinite(exam.geometry.affine).all():
        raise ValueError("no grid")
    if exam.geometry.affine.shape != (4, 4) or exam.geometry.voxel_ml <= 0:
        raise ValueError("no grid")
    if not exam.methods:
        raise ValueError("no maps")


def _keys(summary: Mapping[str, Any]) -> list[str]:
    """Volumes that results with these methods have: never a path that a file names."""
    methods = [name for name in summary["methods"] if METHOD.fullmatch(name)]
    pairs = [f"{second}-minus-{methods[0]}" for second in methods[1:]]
    keys = [f"{method}/{name}" for method in methods for name in OF_METHOD]
    return [*keys, *(f"{pair}/{name}" for pair in pairs for name in MAPS), *IMAGES]


def _present(folder: Path, keys: list[str]) -> dict[str, VolumeFile]:
    """Those that are there, and lie in the folder whatever links lead to."""
    files = {}
    for key in keys:
        path = folder / f"{key}.nii.gz"
        if path.is_file() and path.resolve().is_relative_to(folder):
            files[key] = VolumeFile(key, path)
    return files
