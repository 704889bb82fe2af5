"""An exam and its true maps, prepared for training: the pipeline's output for the network."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from bolus.deconvolution.model import peak_of
from bolus.errors import DamagedFile
from bolus.files.atomic import whole_file
from bolus.infer.features import GRID_S, Sampled, smoother
from bolus.infer.gather import sampled
from bolus.infer.resolution import coarsened, coarsened_truth, factor_for
from bolus.preprocessing import preprocess
from bolus.types import MAP_UNITS, BoolArray, Exam, Float32Array

TARGETS = tuple(MAP_UNITS)


@dataclass(frozen=True)
class Prepared(Sampled):
    """One exam cut to its brain, with the truth."""

    targets: Float32Array
    """(5, Z, Y, X) in the order of `TARGETS`."""
    valid: BoolArray
    """(Z, Y, X) where the targets are valid."""


def prepare(exam: Exam, maps: dict[str, Float32Array], valid: BoolArray) -> Prepared:
    """Align, segment and denoise an exam as `bolus run` does, and cut it to its brain.

    Pixels finer than the network's are averaged, as in `bolus run`.

    Parameters
    ----------
    exam : as it is read.
    maps : (Z, Y, X) by name, `TARGETS`; without a TTP, it is that of the curves as the network
        sees them.
    valid : (Z, Y, X) where they hold.

    Raises
    ------
    BolusError
        The exam is one that `bolus run` would refuse.
    """
    ready = preprocess(exam)
    seen = sampled(ready.exam, ready.tissue, ready.measured, ready.curves, motion=ready.motion)
    names = [name for name in TARGETS if name in maps]
    targets = np.stack([maps[name] for name in names])
    factor = factor_for(min(seen.spacing_mm[1:]))
    if factor > 1:
        targets, valid = coarsened_truth(targets, valid, seen.voxels, factor)
        seen = coarsened(seen, factor)
    known = dict(zip(names, targets, strict=True))
    if "ttp" not in known:
        known["ttp"] = _time_to_peak(seen)
    rows, columns = (np.flatnonzero(seen.voxels.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    box = (slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return Prepared(
        **vars(replace(seen, voxels=seen.voxels[box], vessel=seen.vessel[box])),
        targets=np.stack([known[name] for name in TARGETS])[(slice(None), *box)],
        valid=valid[box],
    )


def _time_to_peak(seen: Sampled) -> Float32Array:
    """(Z, Y, X) time of the maximum of each voxel's curve, s after the first frame."""
    image = np.zeros(seen.voxels.shape, np.float32)
    step_s = GRID_S[1] - GRID_S[0]
    for z, voxels in enumerate(seen.voxels):
        matrix, _ = smoother(seen.times_s[:, z], seen.weight, seen.noise_hu, seen.arrival_s)
        curves = seen.curves_hu[seen.rows(z)] @ matrix.T.astype(np.float32)
        peaks = np.array([peak_of(curve)[1] for curve in curves], np.float32)
        image[z, voxels] = seen.arrival_s + GRID_S[0] + peaks * step_s
    return image


def write_prepared(prepared: Prepared, path: Path) -> None:
    """One uncompressed archive; curves and maps in half precision."""
    values = dict(vars(prepared))
    for name in ("curves_hu", "area_hu", "moment_s", "level_hu", "targets"):
        values[name] = values[name].astype(np.float16)
    with whole_file(path) as part, part.open("wb") as stream:
        np.savez(stream, **values)


def read_prepared(path: Path) -> Prepared:
    """The inverse of `write_prepared`.

    Raises
    ------
    DamagedFile
        The file is broken, or another version of bolus prepared it.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            values = {field.name: found[field.name] for field in fields(Prepared)}
    except (KeyError, OSError, EOFError, ValueError, BadZipFile) as error:
        raise DamagedFile(
            f"{path} is broken or was prepared by another version of bolus ({error}). "
            "Delete it: it will be prepared again."
        ) from error
    for name in ("noise_hu", "arrival_s"):
        values[name] = float(values[name])
    values["spacing_mm"] = tuple(float(v) for v in values["spacing_mm"])
    return Prepared(**values)
