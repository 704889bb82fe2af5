"""Create a reading study: hide the methods, draw the order of each rater's worklist."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bolus import __version__
from bolus.errors import BadGeometry, NoReadableFiles, OutputError, UsageError
from bolus.files.atomic import json_bytes
from bolus.files.output_folder import staged
from bolus.files.voxel_grid import geometry_json, same_grid
from bolus.plain_text import RESEARCH_USE
from bolus.study.raters.signin import hashed, new_codes
from bolus.study.raters.store import (
    BESIDE,
    DEVICE,
    NAME,
    SCHEMA,
    SEEN,
)
from bolus.types import Geometry
from bolus.volumes import nifti_bytes, read_volume

TRIES = 300
"""Orders that are drawn until no exam follows itself."""
DESCRIPTION = "image of a reading study, research use"
"""Same for all methods."""
REPEATED_SHARE = 0.2


@dataclass(frozen=True)
class Item:
    """What is read: one exam's maps of one method, perhaps a second time."""

    exam: int
    method: str
    repeat: bool = False


def create(
    folder: Path,
    exams: Sequence[Path],
    methods: Sequence[str],
    raters: Sequence[str],
    *,
    repeats: int | None = None,
    seed: int = 0,
) -> dict[str, str]:
    """Make the folder of a reading study, whole or not at all.

    Parameters
    ----------
    folder : new or empty.
    exams : folders of results of `bolus run`.
    methods : whose maps are read; the first is what the others are compared with.
    raters : names of small letters, digits and hyphens.
    repeats : readings that each rater gets twice; a fifth of all by default.
    seed : of names of images, choice of repeats and orders.

    Returns
    -------
    dict
        Sign-in codes by rater.  They are stored nowhere: the study keeps salted hashes.

    Raises
    ------
    UsageError
        Invalid names, too many repeats, exams or raters given twice.
    NoReadableFiles, DamagedFile, BadGeometry
        An exam lacks a map, or it can't be read, or its methods have different grids.
    OutputError
        The folder holds something, or can't be written.
    """
    _check_names("rater", raters)
    _check_names("method", methods)
    places = [path.absolute() for path in exams]
    if not places or len(set(places)) != len(places):
        raise UsageError("give each exam once, and at least one")
    if repeats is None:
        repeats = max(1, round(REPEATED_SHARE * len(exams) * len(methods)))
    if not 0 <= repeats <= len(exams) * len(methods):
        raise UsageError(
            f"--repeats is {repeats}; give 0 to {len(exams) * len(methods)}, the number of readings"
        )
    if seed < 0:
        raise UsageError(f"--seed is {seed}; give 0 or more")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} holds something already; give the study a new folder")
    rng = random.Random(seed)
    repeated = _repeated(len(exams), methods, repeats, rng)
    items = [Item(exam, method) for exam in range(len(exams)) for method in methods]
    items += repeated
    names = _image_names(len(items), rng)
    images = dict(zip(items, names, strict=True))
    codes = new_codes(raters)
    with staged(folder) as stage:
        for exam, path in enumerate(exams):
            _copy_exam(path, stage, {i: c for i, c in images.items() if i.exam == exam})
        key: dict[str, Any] = {}
        for rater in raters:
            order = _order(items, rng)
            numbered = {f"r{n:04d}": item for n, item in enumerate(order, 1)}
            lines = [{"reading": name, "images": images[item]} for name, item in numbered.items()]
            _write(stage / "worklists" / f"{rater}.json", {"rater": rater, "readings": lines})
            key[rater] = {name: _key_of(item) for name, item in numbered.items()}
        _write(stage / "study.json", {
            "schema": SCHEMA, "use": RESEARCH_USE, "version": __version__, "seed": seed,
            "raters": list(raters), "methods": list(methods), "regions": ["core", "penumbra"],
            "exams": len(exams), "repeats": repeats,
        })  # fmt: skip
        _write(stage / "key.json", {
            "schema": SCHEMA, "note": "Not for raters: links readings to methods.",
            "exams": [path.name for path in places], "readings": key,
        })  # fmt: skip
        _write(stage / "raters.json", {"raters": {r: hashed(c) for r, c in codes.items()}})
    return codes


def _check_names(kind: str, names: Sequence[str]) -> None:
    wrong = [name for name in names if not NAME.fullmatch(name)]
    if wrong or not names or len(set(names)) != len(names):
        raise UsageError(
            f"give at least one {kind}, each once, by names of up to 32 small letters, digits and "
            f"hyphens{f'; not {wrong[0]!r}' if wrong else ''}"
        )
    devices = [name for name in names if DEVICE.fullmatch(name)]
    if devices:
        raise UsageError(
            f"{devices[0]} is the name of a device on Windows, where no folder can have it; give "
            f"that {kind} another name"
        )


def _repeated(exams: int, methods: Sequence[str], count: int, rng: random.Random) -> list[Item]:
    """What is read twice: methods in turn, as many exams as possible."""
    order = rng.sample(range(exams), exams)
    rounds = range(len(methods))
    drawn = [
        Item(exam, methods[(place + turn) % len(methods)], repeat=True)
        for turn in rounds
        for place, exam in enumerate(order)
    ]
    return drawn[:count]


def _image_names(count: int, rng: random.Random) -> list[str]:
    """Different names that tell nothing; a repeat has its own, so that nobody sees it is one."""
    return [f"i{number:08x}" for number in rng.sample(range(2**32), count)]


def _order(items: Sequence[Item], rng: random.Random) -> list[Item]:
    """First readings of what is repeated in the first half, their repeats in the second.

    Of `TRIES` drawn orders the one in which an exam follows itself least is taken.
    """
    late = [item for item in items if item.repeat]
    twice = {(item.exam, item.method) for item in late}
    early = [i for i in items if not i.repeat and (i.exam, i.method) in twice]
    free = [i for i in items if not i.repeat and (i.exam, i.method) not in twice]
    best: list[Item] = []
    least = len(items) + 1
    for _ in range(TRIES):
        others = rng.sample(free, len(free))
        cut = max(0, len(items) // 2 - len(early))
        first, second = [*early, *others[:cut]], [*others[cut:], *late]
        rng.shuffle(first)
        rng.shuffle(second)
        order = first + second
        follows = sum(a.exam == b.exam for a, b in pairwise(order))
        if follows < least:
            best, least = order, follows
        if least == 0:
            break
    return best


def _key_of(item: Item) -> dict[str, Any]:
    return {"exam": item.exam, "method": item.method, "repeat": item.repeat}


def _copy_exam(path: Path, stage: Path, images: dict[Item, str]) -> None:
    """What a rater sees of one exam, with headers that don't tell the method."""
    if not (path / "summary.json").is_file():
        raise NoReadableFiles(f"{path} holds no results of `bolus run` (summary.json is missing)")
    shared: dict[str, bytes] = {}
    grid: Geometry | None = None
    for name in BESIDE:
        if (path / f"{name}.nii.gz").is_file():
            shared[name], grid = _neutral(path / f"{name}.nii.gz", grid)
    for item, code in images.items():
        contents = dict(shared)
        for name in SEEN:
            file = path / item.method / f"{name}.nii.gz"
            if not file.is_file():
                raise NoReadableFiles(
                    f"{file} is missing; run `bolus run` with --method {item.method} first"
                )
            contents[name], grid = _neutral(file, grid)
        assert grid is not None
        target = stage / "images" / code
        target.mkdir(parents=True)
        for name, content in contents.items():
            (target / f"{name}.nii.gz").write_bytes(content)
        _write(target / "info.json", {
            "schema": SCHEMA, "use": RESEARCH_USE, "geometry": geometry_json(grid),
            "files": sorted(f"{name}.nii.gz" for name in contents),
        })  # fmt: skip


def _neutral(file: Path, grid: Geometry | None) -> tuple[bytes, Geometry]:
    found = read_volume(file)
    if grid is not None and not same_grid(found.geometry, grid):
        raise BadGeometry(f"{file} is not on the grid of the exam's other maps; run it again")
    grid = found.geometry if grid is None else grid
    if file.name == "brain.nii.gz":
        return nifti_bytes((found.values != 0).astype(np.uint8), grid, DESCRIPTION), grid
    return nifti_bytes(found.values.astype(np.float32), grid, DESCRIPTION), grid


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json_bytes(content))
