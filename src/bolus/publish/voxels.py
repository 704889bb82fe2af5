"""``voxels.npz``: the curves of every voxel, for a click on the maps and for another artery.

Results that were made without their curves have ``masks.npz`` in its place: the same, less these.
Uncompressed, so that it is written and read at disk speed; half precision keeps 3 digits,
a rounding error below the noise.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bolus.errors import DamagedFile, NoReadableFiles
from bolus.files.regular_file import open_regular
from bolus.files.voxel_grid import SPACING_MM, checked_grid
from bolus.types import BoolArray, Curves, Float64Array, Geometry, NearVessels, Results

VOXELS = "voxels.npz"
MASKS_ALONE = "masks.npz"
SCHEMA = "bolus-voxels/1"
LARGEST_HU = 60000.0
"""What half precision holds."""
MOST_MEMBERS = 64
MOST_FRAMES = 10_000
"""Ten times the number of a ten-minute scan with one frame per second."""
LONGEST_S = 1e5
LARGEST_NUMBER = 1e9
LONGEST_VALUE = 256
"""Bytes; the schema's name has 56."""
Content = TypeVar("Content")
ENCRYPTED = 1
"""Bit of a zip's member."""


@dataclass(frozen=True)
class Masks:
    """What ``masks.npz`` holds."""

    geometry: Geometry
    grid_s: Float64Array
    times_s: Float64Array
    """(T, Z) of the frames that were kept."""
    brain: BoolArray
    csf: BoolArray
    vessel: BoolArray
    near_vessels: NearVessels | None
    """None where no artery was found."""


@dataclass(frozen=True)
class Voxels(Masks):
    """What ``voxels.npz`` holds."""

    curves: Curves
    """``tissue_hu`` is float16 here."""

    def row(self, z: int, y: int, x: int) -> int | None:
        """Row of the curves that a voxel has; None where nothing is perfused."""
        voxels = self.curves.voxels
        if not voxels[z, y, x]:
            return None
        before = int(voxels[:z].sum()) + int(voxels[z, :y].sum())
        return before + int(voxels[z, y, :x].sum())


def write_voxels(results: Results, folder: Path) -> str:
    """Write masks, and the curves where ``results`` hold them; same results, same bytes.

    Returns
    -------
    str
        The file's name: ``voxels.npz``, or ``masks.npz`` without curves.
    """
    curves, near, tissue = results.curves, results.near_vessels, results.tissue
    masks = {"brain": tissue.brain, "csf": tissue.csf, "vessel": tissue.vessel}
    if curves is not None:
        masks["voxels"] = curves.voxels
    masks["near_vessel"] = np.zeros_like(tissue.brain) if near is None else near.voxels
    times_s = results.times_s[results.motion.kept] if curves is None else curves.times_s
    arrays: dict[str, NDArray[Any]] = {
        "schema": np.array(SCHEMA),
        "shape_zyx": np.array(results.geometry.shape),
        "affine_zyx_to_lps_mm": results.geometry.affine,
        **({} if curves is None else {"spacing_zyx_mm": np.array(curves.spacing_mm)}),
        "time_s": results.grid_s,
        "times_s": times_s,
        **({} if curves is None else _about(curves)),
        "moved_mm": np.array(0.0 if near is None else near.moved_mm),
        **{name: np.packbits(mask) for name, mask in masks.items()},
        **({} if curves is None else {"curves_hu": _half(curves.tissue_hu)}),
    }
    if near is not None:
        arrays["vessel_curves_hu"] = near.enhancement_hu
    name = MASKS_ALONE if curves is None else VOXELS
    # numpy gives every member the date 1980-01-01, so the bytes don't depend on the clock
    np.savez(folder / name, allow_pickle=False, **arrays)
    return name


def _about(curves: Curves) -> dict[str, NDArray[Any]]:
    return {
        "weight": curves.weight,
        "noise_hu": np.array(curves.noise_hu),
        "arrival_s": np.array(curves.arrival_s),
    }


def _half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """As half precision, block by block: no second copy in single precision."""
    out = np.empty(values.shape, np.float16)
    for start in range(0, len(values), 1 << 16):
        block = values[start : start + (1 << 16)]
        out[start : start + (1 << 16)] = np.clip(block, -LARGEST_HU, LARGEST_HU)
    return out


def read_voxels(path: Path) -> Voxels:
    """Read ``voxels.npz``.

    Raises
    ------
    NoReadableFiles
        It is missing: the results are from an older version.
    DamagedFile
        It is cut off or holds something else.
    """
    return _read(path, _voxels)


def read_masks(path: Path) -> Masks:
    """Read ``masks.npz``; the same errors as `read_voxels`."""
    return _read(path, _masks)


def _read(path: Path, content: Callable[[_Arrays], Content]) -> Content:
    if not path.is_file():
        raise NoReadableFiles(f"{path} is missing; run the exam again with this version of bolus")
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as stored:
            return content(_Arrays(stored))
    except (
        OSError, ValueError, KeyError, TypeError, EOFError, OverflowError, MemoryError,
        RuntimeError, NotImplementedError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise DamagedFile(f"{path} is damaged; run the exam again") from error


class _Arrays:
    """Arrays of an uncompressed ``.npz`` file, each of a shape that is known before it is read.

    Uncompressed data can't unpack to more than the file's size, and a shape that is checked first
    allocates no memory for missing data.
    """

    def __init__(self, stored: zipfile.ZipFile) -> None:
        self._stored = stored
        members = stored.infolist()
        names = [member.filename for member in members]
        if len(members) > MOST_MEMBERS or len(set(names)) != len(names):
            raise ValueError("members of another file")
        if any(m.flag_bits & ENCRYPTED or m.compress_type != zipfile.ZIP_STORED for m in members):
            raise ValueError("encrypted or compressed")
        self._names = set(names)

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self._names

    def get(self, name: str, kinds: str, *shape: int | None) -> NDArray[Any]:
        """An array of one of the kinds of dtype and of this shape; None stands for any length up
        to `MOST_FRAMES`."""
        with self._stored.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            reading = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            found, fortran, dtype = reading[version](member)
            if dtype.kind not in kinds or dtype.hasobject or dtype.itemsize > LONGEST_VALUE:
                raise ValueError("values of another kind")
            if len(found) != len(shape) or not all(
                0 <= n <= MOST_FRAMES if wanted is None else n == wanted
                for n, wanted in zip(found, shape, strict=True)
            ):
                raise ValueError("an array of another shape")
            count = math.prod(found)
            values = np.frombuffer(member.read(count * dtype.itemsize), dtype, count)
        return values.reshape(found, order="F" if fortran else "C")

    def numbers(self, name: str, *shape: int | None) -> Float64Array:
        """Finite numbers of limited size."""
        values = np.asarray(self.get(name, "iuf", *shape), np.float64)
        if not (np.abs(values) <= LARGEST_NUMBER).all():
            raise ValueError("numbers that are not finite")
        return values

    def half(self, name: str, rows: int, columns: int) -> NDArray[np.float16]:
        """Curves in half precision, all finite."""
        values = self.get(name, "f", rows, columns)
        if values.dtype != np.float16:
            raise ValueError("another precision")
        for start in range(0, rows, 1 << 16):
            if not np.isfinite(values[start : start + (1 << 16)]).all():
                raise ValueError("numbers that are not finite")
        return values

    def mask(self, name: str, shape: tuple[int, int, int]) -> BoolArray:
        count = math.prod(shape)
        packed = self.get(name, "u", (count + 7) // 8)
        return np.unpackbits(packed, count=count).astype(bool).reshape(shape)


def _masks(found: _Arrays) -> Masks:
    if str(found.get("schema", "U")) != SCHEMA:
        raise ValueError("another schema")
    z, y, x = (int(n) for n in found.numbers("shape_zyx", 3))
    affine = found.numbers("affine_zyx_to_lps_mm", 4, 4)
    geometry = checked_grid((z, y, x), affine)
    times_s = _times(found.numbers("times_s", None, z))
    near = None
    if "vessel_curves_hu" in found:
        voxels = found.mask("near_vessel", geometry.shape)
        near = NearVessels(
            voxels,
            found.half("vessel_curves_hu", int(voxels.sum()), len(times_s)),
            float(found.numbers("moved_mm")),
        )
    brain, csf, vessel = (found.mask(name, geometry.shape) for name in ("brain", "csf", "vessel"))
    grid_s = _times(found.numbers("time_s", None))
    return Masks(geometry, grid_s, times_s, brain, csf, vessel, near)


def _voxels(found: _Arrays) -> Voxels:
    masks = _masks(found)
    voxels = found.mask("voxels", masks.geometry.shape)
    dz, dy, dx = found.numbers("spacing_zyx_mm", 3).tolist()
    low, high = SPACING_MM
    if not all(low <= step <= high for step in (dz, dy, dx)):
        raise ValueError("no spacing")
    frames = len(masks.times_s)
    curves_hu: NDArray[Any] = found.half("curves_hu", int(voxels.sum()), frames)
    curves = Curves(
        grid_s=masks.grid_s,
        tissue_hu=curves_hu,
        times_s=masks.times_s,
        weight=found.numbers("weight", frames),
        voxels=voxels,
        noise_hu=float(found.numbers("noise_hu")),
        arrival_s=float(found.numbers("arrival_s")),
        spacing_mm=(dz, dy, dx),
    )
    return Voxels(**vars(masks), curves=curves)


def _times(times: Float64Array) -> Float64Array:
    """Times that rise, within what a scan lasts."""
    if len(times) < 2 or np.abs(times).max() > LONGEST_S or (np.diff(times, axis=0) <= 0).any():
        raise ValueError("no times")
    return times
