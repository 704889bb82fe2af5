"""``voxels.npz``: the curves of every voxel, for a click on the maps and for another artery.

Uncompressed, so that it is written and read at the disk's speed; half precision keeps 3 digits,
which is less than the noise leaves.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bolus.errors import DamagedFile, NoReadableFiles
from bolus.types import BoolArray, Curves, Float64Array, Geometry, NearVessels, Results

VOXELS = "voxels.npz"
SCHEMA = "bolus-voxels/1"
LARGEST_HU = 60000.0
"""What half precision holds."""
MASKS = ("brain", "csf", "vessel", "voxels", "near_vessel")


@dataclass(frozen=True)
class Voxels:
    """What ``voxels.npz`` holds."""

    geometry: Geometry
    curves: Curves
    """``tissue_hu`` is float16 here."""
    brain: BoolArray
    csf: BoolArray
    vessel: BoolArray
    near_vessels: NearVessels | None
    """None where no artery was found."""

    def row(self, z: int, y: int, x: int) -> int | None:
        """Row of the curves that a voxel has; None where nothing is perfused."""
        voxels = self.curves.voxels
        if not voxels[z, y, x]:
            return None
        before = int(voxels[:z].sum()) + int(voxels[z, :y].sum())
        return before + int(voxels[z, y, :x].sum())


def write_voxels(results: Results, path: Path) -> None:
    """Write the curves of ``results``, which must hold them; same results, same bytes."""
    curves, near, tissue = results.curves, results.near_vessels, results.tissue
    assert curves is not None
    masks = {"brain": tissue.brain, "csf": tissue.csf, "vessel": tissue.vessel}
    masks["voxels"] = curves.voxels
    masks["near_vessel"] = np.zeros_like(tissue.brain) if near is None else near.voxels
    arrays: dict[str, NDArray[Any]] = {
        "schema": np.array(SCHEMA),
        "shape_zyx": np.array(results.geometry.shape),
        "affine_zyx_to_lps_mm": results.geometry.affine,
        "spacing_zyx_mm": np.array(curves.spacing_mm),
        "time_s": curves.time_s,
        "times_s": curves.times_s,
        "weight": curves.weight,
        "noise_hu": np.array(curves.noise_hu),
        "arrival_s": np.array(curves.arrival_s),
        "moved_mm": np.array(0.0 if near is None else near.moved_mm),
        **{name: np.packbits(mask) for name, mask in masks.items()},
        "curves_hu": _half(curves.tissue_hu),
    }
    if near is not None:
        arrays["vessel_curves_hu"] = near.enhancement_hu
    # numpy gives every member the date 1980-01-01, so the bytes don't depend on the clock
    np.savez(path, allow_pickle=False, **arrays)


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
        There is none: the results are of an older version.
    DamagedFile
        It is cut off or holds something else.
    """
    if not path.is_file():
        raise NoReadableFiles(f"{path} is missing; run the exam again with this version of bolus")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        if str(found["schema"]) != SCHEMA:
            raise ValueError("another schema")
        return _voxels(found)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedFile(f"{path} is damaged; run the exam again") from error


def _voxels(found: dict[str, NDArray[Any]]) -> Voxels:
    z, y, x = (int(n) for n in found["shape_zyx"])
    geometry = Geometry((z, y, x), _floats(found["affine_zyx_to_lps_mm"]))
    masks = {name: _mask(found[name], geometry.shape) for name in MASKS}
    dz, dy, dx = found["spacing_zyx_mm"].tolist()
    curves = Curves(
        time_s=_floats(found["time_s"]),
        tissue_hu=found["curves_hu"],
        times_s=_floats(found["times_s"]),
        weight=_floats(found["weight"]),
        voxels=masks["voxels"],
        noise_hu=float(found["noise_hu"]),
        arrival_s=float(found["arrival_s"]),
        spacing_mm=(dz, dy, dx),
    )
    if curves.tissue_hu.shape != (int(curves.voxels.sum()), len(curves.times_s)):
        raise ValueError("curves and mask don't belong together")
    near = None
    if "vessel_curves_hu" in found:
        near = NearVessels(
            masks["near_vessel"], found["vessel_curves_hu"], float(found["moved_mm"])
        )
        if near.enhancement_hu.shape != (int(near.voxels.sum()), len(curves.times_s)):
            raise ValueError("vessels and mask don't belong together")
    return Voxels(geometry, curves, masks["brain"], masks["csf"], masks["vessel"], near)


def _mask(packed: NDArray[np.uint8], shape: tuple[int, int, int]) -> BoolArray:
    count = int(np.prod(shape))
    if packed.size != (count + 7) // 8:
        raise ValueError("a mask of another size")
    return np.unpackbits(packed, count=count).astype(bool).reshape(shape)


def _floats(values: NDArray[Any]) -> Float64Array:
    return np.asarray(values, np.float64)
