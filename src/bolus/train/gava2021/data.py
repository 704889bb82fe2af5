"""From exams to the 8-bit training slices, kept on disk for all epochs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bolus.acquire.exam import read_exam
from bolus.dataset.index import Case, Index
from bolus.dataset.maps import read_map, read_truth
from bolus.errors import UsageError
from bolus.train.gava2021.area import resize
from bolus.train.gava2021.windows import INPUT, Bytes, Window, most_common, to_bytes
from bolus.types import BoolArray, Float32Array, IntArray

INPUTS, MAPS, ABOUT = "inputs.u8", "maps.npy", "about.json"
MOSTLY = 0.5
"""A resized pixel counts as brain if more than this share of it is brain."""


@dataclass(frozen=True)
class Spec:
    """What a network is trained for; everything its images depend on."""

    map: str
    frames: int
    size: int
    window: Window
    wrap_bug: bool = False


@dataclass(frozen=True)
class Slices:
    """N slices of some exams."""

    inputs: Bytes
    """(N, frames, size, size), windowed HU; a memory map."""
    target: Bytes
    """(N, size, size), the windowed map of the data set."""
    brain: BoolArray
    """(N, size, size), where the data set's map isn't 0."""
    truth: Bytes
    """(N, size, size), the windowed true map of a simulated exam; else 0."""
    valid: BoolArray
    """(N, size, size), where the truth is valid; nowhere without truth."""
    cases: tuple[str, ...]
    """(N,) the exam of each slice."""
    digest: str
    """Of all images."""

    def __len__(self) -> int:
        return len(self.target)


def frame_numbers(total: int, count: int) -> IntArray:
    """Input frames of the network: evenly spaced from the first, the tail dropped.

    Raises
    ------
    UsageError
        There are too few frames.
    """
    if not 1 <= count <= total:
        raise UsageError(f"{count} frames were requested, but the exams have {total}")
    return np.arange(0, total, total // count)[:count]


def map_window(cases: Sequence[Case], name: str) -> Window:
    """The window of a map: from its DICOM files, else the default."""
    import pydicom

    found = []
    for case in cases:
        path = case.maps[name]
        files = sorted(path.glob("*.dcm")) if path.is_dir() else []
        header = pydicom.dcmread(files[0], stop_before_pixels=True) if files else None
        if header is not None and "WindowCenter" in header and "WindowWidth" in header:
            found.append((float(header.WindowCenter), float(header.WindowWidth)))
    return most_common(found, name)


def prepare_slices(
    cases: Sequence[Case],
    index: Index,
    spec: Spec,
    folder: Path,
    seen: Callable[[str], None] = lambda _: None,
) -> Slices:
    """Read exams and maps once; a second call with the same ones finds its images in the folder.

    Parameters
    ----------
    cases : exams of one split part, all with the same number of frames.
    index : the data set.
    spec : what the network is trained for.
    folder : a folder below it holds the images; it appears completely or not at all.
    seen : called with the name of each exam before it is read.
    """
    key = json.dumps([index.digest, [case.name for case in cases], asdict(spec)], sort_keys=True)
    done = folder / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not done.exists():
        part = done.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write(cases, spec, part, seen)
        part.rename(done)
    return _open(done)


def _write(cases: Sequence[Case], spec: Spec, folder: Path, seen: Callable[[str], None]) -> None:
    """Inputs go to the disk exam by exam, as they can exceed the memory; maps are small."""
    names: list[str] = []
    planes: list[Bytes] = []
    digest = hashlib.sha256()
    with (folder / INPUTS).open("wb") as file:
        for case in cases:
            seen(case.name)
            inputs, maps = _images(case, spec)
            file.write(inputs.tobytes())
            digest.update(inputs.tobytes() + maps.tobytes())
            planes.append(maps)
            names += [case.name] * len(inputs)
    np.save(folder / MAPS, np.concatenate(planes, axis=1))
    shape = [len(names), spec.frames, spec.size, spec.size]
    about = {"cases": names, "shape": shape, "digest": digest.hexdigest()}
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _images(case: Case, spec: Spec) -> tuple[Bytes, Bytes]:
    """(Z, frames, size, size) inputs; (4, Z, size, size) target, brain, truth and valid."""
    exam = read_exam(case.exam)
    values = read_map(case.maps[spec.map], exam.geometry)
    kept = np.flatnonzero(np.isfinite(values).all(axis=(1, 2)))
    chosen = exam.frames[frame_numbers(len(exam.frames), spec.frames)]
    inputs = np.stack([_resized(chosen[:, z], INPUT, spec, spec.wrap_bug) for z in kept])
    maps = np.zeros((4, len(kept), spec.size, spec.size), np.uint8)
    maps[0] = _resized(values[kept], spec.window, spec, spec.wrap_bug)
    maps[1] = _mask(values[kept] != 0, spec.size)
    if case.truth is not None:
        truth = read_truth(case, geometry=exam.geometry)
        maps[2] = _resized(truth[spec.map][kept].astype(np.float32), spec.window, spec)
        maps[3] = _mask(truth["valid"][kept] > 0, spec.size)
    return inputs, maps


def _resized(images: Float32Array, window: Window, spec: Spec, wrap_bug: bool = False) -> Bytes:
    """8 bits first, then the new size, again in 8 bits: the public code's order."""
    seen = to_bytes(images, window, wrap_bug)
    if seen.shape[-2:] == (spec.size, spec.size):
        return seen
    return np.rint(resize(seen.astype(np.float32), spec.size)).astype(np.uint8)


def _mask(mask: BoolArray, size: int) -> BoolArray:
    return resize(mask.astype(np.float32), size) > MOSTLY


def _open(folder: Path) -> Slices:
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    target, brain, truth, valid = np.load(folder / MAPS, allow_pickle=False)
    shape = tuple(about["shape"])
    return Slices(
        inputs=np.memmap(folder / INPUTS, np.uint8, "r", shape=shape),
        target=target,
        brain=brain > 0,
        truth=truth,
        valid=valid > 0,
        cases=tuple(about["cases"]),
        digest=about["digest"],
    )
