"""Batches of slices from prepared exams, in an order determined by seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bolus.errors import UsageError
from bolus.infer.features import blood, level_reference, slice_inputs
from bolus.infer.gather import first_moment
from bolus.train.prepare import Prepared, read_prepared
from bolus.types import BoolArray, Float32Array

COARSE_MM = 1.5
"""Exams with larger pixels are cropped to fewer pixels for training."""
CROPS = {False: (160, 144), True: (112, 96)}
BATCH = 8
EXAMS_AT_ONCE = 16
ARRIVAL_SD_S = 0.7
"""Bolus arrival is an estimate; in training it is shifted a little."""
LEVEL_SCALE = (0.85, 1.15)
"""Contrast between grey and white matter depends on the tube's voltage."""
LOSES_FRAMES = 0.2
"""Share of the training exams shown without some of their frames."""
MOST_LOST = 0.4
"""Of an exam's frames."""
LEAST_FRAMES = 8
"""Frames that remain at least."""
OUTSIDE_WEIGHT = 0.2
"""Of voxels with CSF or vessels in part."""
LESION_WEIGHT = 2.0
LESION_TMAX_S = 6.0

Slice = tuple[Float32Array, Float32Array, Float32Array, Float32Array]
"""Pixels, context, targets and weight."""


def weights(prepared: Prepared, z: int) -> Float32Array:
    """(Y, X) how much each voxel counts."""
    targets = prepared.targets[:, z].astype(np.float32)
    counts = prepared.voxels[z] & ~prepared.vessel[z] & (targets[2] > 0)
    counts |= prepared.voxels[z] & prepared.valid[z]
    weight = np.where(prepared.valid[z], 1.0, OUTSIDE_WEIGHT) * counts
    return np.asarray(weight * np.where(targets[3] > LESION_TMAX_S, LESION_WEIGHT, 1.0), np.float32)


def with_frames_lost(prepared: Prepared, rng: np.random.Generator) -> Prepared:
    """The exam without up to `MOST_LOST` of its frames, as after dropped or skipped
    frames: intervals are irregular.  The filter's use of all frames remains."""
    count = len(prepared.weight)
    lost = min(int(rng.uniform(0, MOST_LOST) * count), max(count - LEAST_FRAMES, 0))
    kept = np.sort(rng.permutation(count)[lost:])
    whole = prepared.curves_hu.astype(np.float32)
    some, times_s = whole[:, kept], prepared.times_s[kept]
    moments_s = [
        first_moment(curves, prepared.voxels, times, prepared.arrival_s)
        for curves, times in ((some, times_s), (whole, prepared.times_s))
    ]
    return replace(
        prepared,
        curves_hu=some,
        # the unfiltered curves aren't available; their means change as those of the filtered ones
        area_hu=prepared.area_hu + (some.mean(axis=1) - whole.mean(axis=1)),
        moment_s=prepared.moment_s + (moments_s[0] - moments_s[1]),
        times_s=times_s,
        weight=prepared.weight[kept],
    )


def slices(prepared: Prepared, rng: np.random.Generator | None) -> list[Slice]:
    """All slices of an exam scaled to about the usual blood volume; with ``rng`` randomly
    augmented."""
    exam = prepared
    if rng is not None:
        if rng.uniform() < LOSES_FRAMES:
            exam = with_frames_lost(exam, rng)
        shift = float(rng.normal(0, ARRIVAL_SD_S))
        # the first moment counts from the arrival too
        exam = replace(
            exam,
            arrival_s=exam.arrival_s + shift,
            moment_s=exam.moment_s - np.float32(shift) * exam.area_hu,
            level_hu=exam.level_hu * np.float32(rng.uniform(*LEVEL_SCALE)),
        )
    slab, level = blood(exam), level_reference(exam)
    found = []
    for z in range(len(exam.voxels)):
        if not prepared.valid[z].any():
            continue
        pixels, context = slice_inputs(exam, z, slab, level)
        targets = exam.targets[:, z].astype(np.float32)
        targets[:2] /= slab.volume
        targets[4] -= exam.arrival_s
        found.append((pixels, context, targets, weights(exam, z)))
    return found


def cropped(values: Float32Array, size: tuple[int, int], corner: tuple[int, int]) -> Float32Array:
    """The last two axes cut to ``size`` from ``corner`` on, 0 beyond the edges."""
    y, x = corner
    part = values[..., max(y, 0) : y + size[0], max(x, 0) : x + size[1]]
    out = np.zeros((*values.shape[:-2], *size), np.float32)
    top, left = max(-y, 0), max(-x, 0)
    out[..., top : top + part.shape[-2], left : left + part.shape[-1]] = part
    return out


def random_crop(one: Slice, size: tuple[int, int], rng: np.random.Generator) -> Slice:
    """A part of the slice, mirrored or not."""
    pixels, context, targets, weight = one
    corner = []
    for have, want in zip(weight.shape, size, strict=True):
        low, high = sorted((0, have - want))
        corner.append(int(rng.integers(low, high + 1)))
    y, x = corner
    flip = -1 if rng.uniform() < 0.5 else 1
    pixels, targets, weight = (
        np.ascontiguousarray(cropped(v, size, (y, x))[..., ::flip])
        for v in (pixels, targets, weight)
    )
    return pixels, context, targets, weight


def batches(
    exams: Sequence[Path], seed: int, epoch: int, count: int
) -> Iterator[tuple[Tensor, ...]]:
    """``count`` batches of an epoch; the next exams are read while the network trains.

    Raises
    ------
    UsageError
        No exam has a slice with truth.
    """
    rng = np.random.default_rng([seed, epoch])
    made, in_vain = 0, 0
    with ThreadPoolExecutor(1) as pool:
        groups = _groups(len(exams), rng)
        coming = pool.submit(_batches_of, [exams[i] for i in next(groups)], rng.spawn(1)[0])
        while True:
            ready = coming.result()
            coming = pool.submit(_batches_of, [exams[i] for i in next(groups)], rng.spawn(1)[0])
            in_vain = 0 if ready else in_vain + EXAMS_AT_ONCE
            if in_vain > 2 * len(exams) + EXAMS_AT_ONCE:
                raise UsageError(f"none of {len(exams)} training exams has a slice to train on")
            for batch in ready:
                yield batch
                made += 1
                if made == count:
                    return


def _groups(exams: int, rng: np.random.Generator) -> Iterator[list[int]]:
    while True:
        order = rng.permutation(exams).tolist()
        for start in range(0, exams, EXAMS_AT_ONCE):
            yield order[start : start + EXAMS_AT_ONCE]


def _batches_of(paths: list[Path], rng: np.random.Generator) -> list[tuple[Tensor, ...]]:
    """Batches of the slices of some exams, those of coarse exams separately."""
    kinds: dict[bool, list[Slice]] = {False: [], True: []}
    for path in paths:
        prepared = read_prepared(path)
        coarse = prepared.spacing_mm[1] > COARSE_MM
        kinds[coarse] += [random_crop(one, CROPS[coarse], rng) for one in slices(prepared, rng)]
    made = []
    for coarse, found in kinds.items():
        size = BATCH * (2 if coarse else 1)
        order = rng.permutation(len(found))
        if 0 < len(found) < size:
            order = np.resize(order, size)  # otherwise a few exams of one kind would never be used
        made += [
            _stacked([found[i] for i in order[start : start + size]])
            for start in range(0, len(order) - size + 1, size)
        ]
    return [made[i] for i in rng.permutation(len(made))]


def _stacked(found: list[Slice]) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.stack(parts)) for parts in zip(*found, strict=True))


def whole(one: Slice) -> tuple[Tensor, ...]:
    """A slice as a batch of one, padded to a multiple of 8."""
    pixels, context, targets, weight = one
    rows, columns = (-(-n // 8) * 8 for n in weight.shape)
    padded = [cropped(v, (rows, columns), (0, 0)) for v in (pixels, targets, weight)]
    return tuple(torch.from_numpy(v[None]) for v in (padded[0], context, padded[1], padded[2]))


def inside(weight: Tensor) -> BoolArray:
    """(B, Y, X) where a voxel counts in full."""
    return np.asarray(weight.numpy() >= 1)
