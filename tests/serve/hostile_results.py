"""Folders of results, reading studies and requests that mean harm, drawn at random.

`good_results` and `good_study` make small folders in order, `hostile_results` and `hostile_study`
corrupt a copy of one in one to three ways, `hostile_request` draws a request.  The same generator
gives the same ones.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI

from bolus.publish.voxels import SCHEMA
from bolus.serve.access import Access
from bolus.serve.app import guarded
from bolus.study.raters.make import create
from bolus.types import MAP_UNITS, Geometry
from bolus.volumes import nifti_bytes

SHAPE = (4, 24, 20)
AFFINE = np.array([[0, 0, 3.5, -35], [0, 3.5, 0, -42], [8.0, 0, 0, 10], [0, 0, 0, 1]])
GRID = Geometry(SHAPE, AFFINE)
METHODS = ("nlr", "cnn")
MAPS = tuple(MAP_UNITS)
CODE = "code"
"""Of every rater of a study made here."""
Asked = tuple[str, str, bytes]
SLICE = bytes(SHAPE[1] * SHAPE[2])
OF_RESULTS: tuple[Asked, ...] = (
    ("GET", "/api/exams/0", b""),
    ("GET", "/api/exams/0/voxel/10/12/1", b""),
    ("GET", "/api/exams/0/volumes/nlr/cbf.nii.gz", b""),
    ("POST", "/api/exams/0/lesion", b'{"method": "nlr", "preset": "rapid"}'),
    ("POST", "/api/exams/0/lesion", b'{"method": "cnn", "preset": "calibrated"}'),
    ("GET", "/api/exams/0/outlines/anna", b""),
    ("PUT", "/api/exams/0/outlines/anna/slices/2?revision=3&active_s=1", SLICE),
    ("POST", "/api/exams/0/outlines/anna/export", b""),
)
"""What a page that looks at results asks for."""
OF_A_STUDY: tuple[Asked, ...] = (
    ("GET", "/api/worklist", b""),
    ("GET", "/api/readings/r0001", b""),
    ("GET", "/api/readings/r0003", b""),
    ("GET", "/api/readings/r0001/outline", b""),
    ("PUT", "/api/readings/r0001/outline/slices/1?revision=2&active_s=1", SLICE),
    ("POST", "/api/readings/r0001/done", b'{"active_s": 1}'),
    ("POST", "/api/readings/r0001/reopen", b""),
)
"""What a rater's page asks for."""
FRAMES = 20
BOMB_BYTES = 2**30
"""What a bomb of a few hundred kilobytes unpacks to."""


# ---- in order


def asked(
    app: FastAPI, requests: Sequence[Asked], sign_in: dict[str, str] | None = None
) -> list[httpx.Response]:
    """Answers of the whole application, without a socket; its faults are raised here."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(guarded(app, Access(port=80)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answers = []
            if sign_in:
                answers.append(await client.post("/api/sign-in", json=sign_in))
            for method, url, body in requests:
                try:
                    target = httpx.URL(url)
                except httpx.InvalidURL:  # nobody can send it
                    continue
                kind = {} if method == "PUT" else {"Content-Type": "application/json"}
                answer = await client.request(method, target, content=body, headers=kind)
                answers.append(answer)
            return answers

    return asyncio.run(ask())


def good_results(path: Path) -> Path:
    """A folder as `bolus run` leaves it, and an outline on it."""
    _z, y, x = np.indices(SHAPE)
    brain = ((y - 12) / 10) ** 2 + ((x - 10) / 8) ** 2 < 1
    lesion = brain & ((y - 12) ** 2 + (x - 14) ** 2 < 12)
    rng = np.random.default_rng(1)
    for method in METHODS:
        (path / method).mkdir(parents=True)
        levels = {
            "cbf": np.where(lesion, 8, 50), "cbv": np.where(lesion, 1.5, 3.5),
            "mtt": np.where(lesion, 11, 4), "tmax": np.where(lesion, 9, 2),
            "ttp": np.where(lesion, 28, 20), "delay": np.where(lesion, 4, 0.5),
        }  # fmt: skip
        for name, level in levels.items():
            values = np.where(brain, level + 0.1 * rng.random(SHAPE), 0).astype(np.float32)
            (path / method / f"{name}.nii.gz").write_bytes(nifti_bytes(values, GRID, name))
        labels = np.where(lesion, 2, 0).astype(np.uint8)
        (path / method / "lesion.nii.gz").write_bytes(nifti_bytes(labels, GRID, "lesion"))
    for name, level in (("baseline", 36.0), ("maximum", 50.0)):
        values = np.where(brain, level, 0).astype(np.float32)
        (path / f"{name}.nii.gz").write_bytes(nifti_bytes(values, GRID, name))
    (path / "brain.nii.gz").write_bytes(nifti_bytes(brain.astype(np.uint8), GRID, "brain"))
    (path / "summary.json").write_text(json.dumps(good_summary()))
    time_s = np.arange(0.0, 30.0)
    bolus = 200 * np.exp(-(((time_s - 12) / 4) ** 2))
    rows = [f"{t:.1f},{b:.4f},{b:.4f},{b:.4f}" for t, b in zip(time_s, bolus, strict=True)]
    text = "\n".join(["time_s,aif_hu,aif_scaled_hu,vof_hu", *rows])
    (path / "curves.csv").write_text(text + "\n")
    np.savez(path / "voxels.npz", allow_pickle=False, **good_voxels(brain, lesion, time_s))
    drawn = path / "outlines/anna"
    drawn.mkdir(parents=True)
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 10:13, 10:13] = 1
    (drawn / "outline.nii.gz").write_bytes(nifti_bytes(labels, GRID, "outline"))
    record = {"revision": 3, "active_s": 12.5, "started": "2026", "saved": "2026"}
    (drawn / "outline.json").write_text(json.dumps(record))
    return path


def good_summary() -> dict[str, Any]:
    vessel = {"voxels_xyz": [[10, 12, 1], [10, 13, 1]], "confidence": 0.9, "manual": False}
    lesion = {"preset": "calibrated", "core_ml": 3.0, "hypoperfused_ml": 3.0}
    return {
        "schema": "bolus-summary/1",
        "verdict": {"grade": "note", "text": "passed", "reasons": []},
        "methods": {method: {"lesion": lesion} for method in METHODS},
        "arteries": {"aif": vessel, "vof": vessel, "scale": 1.0, "arrival_s": 6.0},
        "checks": [{"name": "noise", "grade": "note", "value": 1.0, "unit": "HU", "message": "."}],
        "findings": [{"code": "a-finding", "grade": "note", "message": "."}],
        "motion": {"frames": {
            "time_s": [0.0], "displacement_mm": [0.0], "rotation_deg": [[0, 0, 0]],
            "translation_mm": [[0, 0, 0]], "kept": [True],
        }},
        "exam": {"duration_s": 40.0},
        "geometry": {
            "shape_xyz": list(SHAPE[::-1]),
            "affine_xyz_to_lps_mm": AFFINE[:, [2, 1, 0, 3]].tolist(),
        },
        "dicom_identity": {"StudyInstanceUID": "1.2.3"},
        "files": [],
    }  # fmt: skip


def good_voxels(brain: np.ndarray, lesion: np.ndarray, time_s: np.ndarray) -> dict[str, Any]:
    times = np.linspace(0, 40, FRAMES)
    curves = np.tile(20 * np.exp(-(((times - 14) / 6) ** 2)), (int(brain.sum()), 1))
    vessel = brain & ~lesion & (np.indices(SHAPE)[2] == 10)
    return {
        "schema": np.array(SCHEMA), "shape_zyx": np.array(SHAPE),
        "affine_zyx_to_lps_mm": AFFINE, "spacing_zyx_mm": np.array([8.0, 3.5, 3.5]),
        "time_s": time_s, "times_s": np.tile(times[:, None], (1, SHAPE[0])),
        "weight": np.ones(FRAMES), "noise_hu": np.array(1.0), "arrival_s": np.array(6.0),
        "moved_mm": np.array(0.0),
        "brain": np.packbits(brain), "csf": np.packbits(brain & False),
        "vessel": np.packbits(vessel), "voxels": np.packbits(brain),
        "near_vessel": np.packbits(vessel),
        "curves_hu": curves.astype(np.float16),
        "vessel_curves_hu": np.tile(5 * curves[:1], (int(vessel.sum()), 1)).astype(np.float16),
    }  # fmt: skip


def good_study(path: Path, results: Path) -> dict[str, str]:
    """A reading study of the results, with one reading begun; the sign-in codes."""
    codes = create(path, [results], METHODS, ["anna", "ben"], repeats=1, seed=3)
    drawn = path / "readings/anna/r0001"
    drawn.mkdir(parents=True)
    (drawn / "outline.nii.gz").write_bytes(nifti_bytes(np.ones(SHAPE, np.uint8), GRID, "outline"))
    record = {
        "rater": "anna", "reading": "r0001", "state": "open", "revision": 2, "active_s": 3.0,
        "started": "2026", "finished": "", "software": "bolus", "simulated": False,
    }  # fmt: skip
    (drawn / "reading.json").write_text(json.dumps(record))
    return codes


# ---- corrupted


def hostile_results(rng: random.Random, path: Path, good: Path) -> str:
    """A corrupted copy of `good_results` at ``path``, which is new; what was done to it."""
    shutil.copytree(good, path)
    return ", ".join(_spoil(rng, path) for _ in range(rng.choice((1, 1, 2, 3))))


def hostile_study(rng: random.Random, path: Path, good: Path) -> str:
    """A corrupted copy of `good_study` at ``path``, which is new; what was done to it."""
    return hostile_results(rng, path, good)


def _spoil(rng: random.Random, path: Path) -> str:
    # big things and small ones equally often, whatever their number
    files = sorted(one for one in path.rglob("*") if one.is_file() or one.is_symlink())
    kinds: dict[str, list[Path]] = {}
    for one in files:
        kinds.setdefault("".join(one.suffixes) if "nii" in one.name else one.suffix, []).append(one)
    target = rng.choice(kinds[rng.choice(sorted(kinds))])
    own: dict[str, list[Callable[[random.Random, Path], str]]] = {
        ".json": [_spoil_json] * 6 + [_deep_json, _long_json],
        ".npz": [_spoil_arrays] * 4 + [_encrypted, _compressed, _absurd_member],
        ".csv": [_spoil_table] * 3,
        ".nii.gz": [_bomb, _absurd_head, _absurd_head, _other_grid, _odd_values],
    }
    suffix = next((s for s in own if target.name.endswith(s)), ".json")
    general = [
        _missing, _empty, _cut, _flipped, _noise, _pipe, _link_out, _link_to_device,
        _link_to_itself, _folder, _sparse,
    ]  # fmt: skip
    if target.is_symlink() or not target.is_file() or target.stat().st_size > 2**24:
        work = _missing  # corrupted already
    else:
        work = rng.choice(own[suffix] if rng.random() < 0.7 else general)
    return f"{target.relative_to(path)}: {work(rng, target)}"


def _missing(rng: random.Random, target: Path) -> str:
    target.unlink()
    return "missing"


def _empty(rng: random.Random, target: Path) -> str:
    target.write_bytes(b"")
    return "empty"


def _cut(rng: random.Random, target: Path) -> str:
    content = target.read_bytes()
    at = rng.randrange(len(content) + 1)
    target.write_bytes(content[:at])
    return f"cut at {at}"


def _flipped(rng: random.Random, target: Path) -> str:
    content = bytearray(target.read_bytes())
    for _ in range(rng.randint(1, 8)):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    target.write_bytes(content)
    return "bits flipped"


def _noise(rng: random.Random, target: Path) -> str:
    target.write_bytes(rng.randbytes(rng.randint(1, 5000)))
    return "noise"


def _pipe(rng: random.Random, target: Path) -> str:
    target.unlink()
    os.mkfifo(target)
    return "a pipe"


def _link_out(rng: random.Random, target: Path) -> str:
    target.unlink()
    target.symlink_to(rng.choice(["/etc/passwd", "/etc/hostname", "/"]))
    return "a link that leads out"


def _link_to_device(rng: random.Random, target: Path) -> str:
    target.unlink()
    device = rng.choice(["/dev/zero", "/dev/stdin", "/dev/full", "/dev/null"])
    target.symlink_to(device)
    return device


def _link_to_itself(rng: random.Random, target: Path) -> str:
    target.unlink()
    target.symlink_to(target.name)
    return "a link to itself"


def _folder(rng: random.Random, target: Path) -> str:
    target.unlink()
    target.mkdir()
    return "a folder"


def _sparse(rng: random.Random, target: Path) -> str:
    os.truncate(target, rng.choice([2**20, 2**31, 2**38]))
    return "sparse"


# ---- JSON

HOSTILE_JSON = (
    "NaN", "Infinity", "-Infinity", "1e999", "1e300", "-1", "0", "1e-320", "9" * 30, "9" * 5000,
    '"x"', '""', '"' + "y" * 20000 + '"', "null", "true", "[]", "{}", "[[[[]]]]", "-1e9",
    "2147483648", "1000000", '"../../x"', '"\\u0000"', '"<script>"', "[1,2]", "[0,0,0]",
    "[1e9,1e9,1e9]", "[1000000,1000000,1000000]", '{"a": 1}', '"9007199254740993"', '"\\ud800"',
)  # fmt: skip


def _spoil_json(rng: random.Random, target: Path) -> str:
    if target.stat().st_size > 2**20:
        return _noise(rng, target)
    try:
        found = json.loads(target.read_bytes())
    except (ValueError, RecursionError, UnicodeDecodeError):
        return _noise(rng, target)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in list(pairs):
            places.append((value, key))
            if isinstance(inner, dict | list):
                walk(inner)

    if not isinstance(found, dict | list):
        return _noise(rng, target)
    walk(found)
    if not places:
        return _noise(rng, target)
    holder, key = rng.choice(places)
    what = rng.random()
    if what < 0.15:
        del holder[key]
        target.write_text(json.dumps(found))
        return f"without {key}"
    if what < 0.25 and isinstance(holder, dict):
        holder[rng.choice(["bma", "unknown", "x" * 33, "../x", "a-minus-b", "brain", ""])] = holder[
            key
        ]
        target.write_text(json.dumps(found))
        return f"another beside {key}"
    value = rng.choice(HOSTILE_JSON)
    holder[key] = "@here@"
    target.write_text(json.dumps(found).replace('"@here@"', value))
    return f"{key} is {value[:30]}"


def _deep_json(rng: random.Random, target: Path) -> str:
    target.write_text(rng.choice(['{"a":', "["]) * 200_000)
    return "deep"


def _long_json(rng: random.Random, target: Path) -> str:
    target.write_text("[" + "1," * (2**25 // 2 + rng.randrange(100)) + "1]")
    return "long"


# ---- curves.csv


def _spoil_table(rng: random.Random, target: Path) -> str:
    lines = target.read_text("ascii", "replace").splitlines() or [""]
    at = rng.randrange(len(lines))
    cells = lines[at].split(",")
    cells[rng.randrange(len(cells))] = rng.choice(
        ["nan", "inf", "1e999", "1e300", "x", "", "time_s", "-1e30", "0x10", "1_0", "٣"]
    )
    lines[at] = ",".join(cells)
    if rng.random() < 0.3:
        lines = lines[: rng.randrange(len(lines) + 1)]
    if rng.random() < 0.05:
        lines *= 20000
    target.write_text("\n".join(lines))
    return "cells"


# ---- NIfTI


@lru_cache
def _zeros_packed() -> bytes:
    """A deflate stream of `BOMB_BYTES` zeros, without its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block + again * (BOMB_BYTES // 2**20 - 1)


def _head(target: Path) -> bytearray:
    try:
        return bytearray(gzip.decompress(target.read_bytes())[:352])
    except (OSError, EOFError, zlib.error):
        return bytearray(352)


def _bomb(rng: random.Random, target: Path) -> str:
    """A header in order, and behind it a gigabyte of zeros in a megabyte."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    start = packer.compress(bytes(_head(target))) + packer.flush(zlib.Z_FULL_FLUSH)
    target.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start + _zeros_packed())
    return "a bomb"


def _absurd_head(rng: random.Random, target: Path) -> str:
    content = bytearray(gzip.decompress(target.read_bytes()) if target.stat().st_size else 400)
    if len(content) < 352:
        content = bytearray(400)
    kind = rng.choice(["dims", "type", "offset", "scale", "affine", "codes", "magic", "size"])
    if kind == "dims":
        odd = [rng.choice([-1, 0, 1, 2, 3, 7, 8, 32767, -32768]) for _ in range(8)]
        struct.pack_into("<8h", content, 40, *odd)
    elif kind == "type":
        code = rng.choice([0, 1, 2, 16, 32, 128, 1536, 2048, 2304, 999])
        struct.pack_into("<2h", content, 70, code, rng.choice([0, -8, 8, 32, 64, 128, 32767]))
    elif kind == "offset":
        far = rng.choice([float("nan"), float("inf"), -1.0, 0.0, 351.0, 1e9, 1e30])
        struct.pack_into("<f", content, 108, far)
    elif kind == "scale":
        odd_scale = [rng.choice([0.0, 1.0, float("nan"), float("inf"), 1e38, -1.0]) for _ in "ab"]
        struct.pack_into("<2f", content, 112, *odd_scale)
    elif kind == "affine":
        rows = [rng.choice([0.0, 1.0, float("nan"), float("inf"), 1e38, 1e-38]) for _ in range(12)]
        struct.pack_into("<12f", content, 280, *rows)
    elif kind == "codes":
        struct.pack_into("<2h", content, 252, rng.choice([-1, 0, 9]), rng.choice([-1, 0, 9]))
    elif kind == "magic":
        content[344:348] = rng.choice([b"ni1\0", b"n+2\0", b"\0\0\0\0"])
    else:
        struct.pack_into("<i", content, 0, rng.choice([0, 540, -1, 348 << 8, 1543569408]))
    target.write_bytes(gzip.compress(bytes(content), 1))
    return f"header: {kind}"


def _other_grid(rng: random.Random, target: Path) -> str:
    shape = rng.choice([(4, 20, 24), (1, 1, 1), (5, 24, 20), (4, 24, 21)])
    affine = AFFINE.copy()
    if rng.random() < 0.5:
        shape = SHAPE
        affine[rng.randrange(3), 3] += rng.choice([0.5, -30, 1000])
    values = np.ones(shape, np.float32)
    target.write_bytes(nifti_bytes(values, Geometry(shape, affine), "other"))
    return "another grid"


def _odd_values(rng: random.Random, target: Path) -> str:
    odd = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, 0.0, -1.0, 7.0, 1e9]
    values = np.random.default_rng(rng.randrange(2**32)).choice(odd, SHAPE).astype(np.float32)
    if rng.random() < 0.3:
        values[:] = rng.choice(odd)
    target.write_bytes(nifti_bytes(values, GRID, "odd"))
    return "odd values"


# ---- voxels.npz


def _arrays(target: Path) -> dict[str, Any] | None:
    try:
        with target.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception:  # corrupted already
        return None


def _spoil_arrays(rng: random.Random, target: Path) -> str:
    found = _arrays(target)
    if not found:
        return _noise(rng, target)
    name = rng.choice(sorted(found))
    value = found[name]
    kind = rng.choice(
        ["gone", "nan", "huge", "shape", "type", "text", "negative", "object", "more"]
    )
    if kind == "gone":
        del found[name]
    elif kind == "text":
        found[name] = np.array(["x"] * 3)
    elif kind == "object":
        found[name] = np.array([None], object)
    elif kind == "shape":
        found[name] = np.zeros(rng.choice([(0,), (1, 1, 1), (2,), (), (3, 0)]), value.dtype)
    elif kind == "more":
        found.update({f"more{n}": np.zeros(1) for n in range(rng.choice([1, 300]))})
    elif value.dtype.kind in "fiu":
        if kind == "type":
            found[name] = value.astype(rng.choice([np.complex128, np.int64, np.uint8, np.float64]))
        else:
            odd = {"nan": np.nan, "huge": rng.choice([6e4, 1e300, 1e9]), "negative": -1.0}[kind]
            changed = value.astype(np.float64)
            flat = changed.reshape(-1)
            flat[rng.randrange(max(flat.size, 1)) if flat.size else slice(0)] = odd
            keeps = value.dtype.kind == "f"
            with np.errstate(all="ignore"):
                found[name] = changed.astype(value.dtype) if keeps else changed
    np.savez(target, allow_pickle=True, **found)
    return f"{name}: {kind}"


def _encrypted(rng: random.Random, target: Path) -> str:
    content = bytearray(target.read_bytes())
    at = 0
    while (at := content.find(b"PK\x01\x02", at)) >= 0:
        content[at + 8] |= 1
        at += 4
    at = 0
    while (at := content.find(b"PK\x03\x04", at)) >= 0:
        content[at + 6] |= 1
        at += 4
    target.write_bytes(content)
    return "encrypted"


def _compressed(rng: random.Random, target: Path) -> str:
    """Zeros that unpack to more than they seem, in one of the members."""
    found = _arrays(target) or {}
    name = rng.choice(sorted(found) or ["curves_hu"])
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for one, value in found.items():
            if one != name:
                made.writestr(f"{one}.npy", _npy(value))
        with made.open(f"{name}.npy", "w") as member:
            member.write(_npy(np.zeros(0, np.float16)).replace(b"(0,)", b"(9,)"))
            for _ in range(rng.choice([1, 64])):
                member.write(bytes(2**20))
    return f"{name} compressed"


def _absurd_member(rng: random.Random, target: Path) -> str:
    found = _arrays(target) or {}
    name = rng.choice(sorted(found) or ["curves_hu"])
    shape = rng.choice(["1000000000000,", "-1,", "1000000,1000000,1000000", "2,", "9" * 40 + ","])
    text = f"{{'descr': {rng.choice(['<f2', '<f8', 'O', '<U999999999', 'V9'])!r}, " \
           f"'fortran_order': False, 'shape': ({shape})}}"  # fmt: skip
    head = text.encode() + b" " * rng.choice([1, 60, 20000]) + b"\n"
    size = struct.pack("<H", len(head) & 0xFFFF)
    with zipfile.ZipFile(target, "w") as made:
        for one, value in found.items():
            if one != name:
                made.writestr(f"{one}.npy", _npy(value))
        made.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + size + head + bytes(64))
    return f"{name} claims ({shape[:20]})"


def _npy(value: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(value), allow_pickle=True)
    return stream.getvalue()


# ---- requests

_NAMES = (
    "anna",
    "ben",
    "new-one",
    "..",
    "a" * 33,
    "A",
    "con",
    "%2e%2e",
    "%00",
    "é",
    "anna%2f..%2f..",
    "",
)
_KEYS = (
    "nlr/cbf", "cnn/lesion", "brain", "baseline", "nlr/delay", "cnn-minus-nlr/cbf", "../summary",
    "..%2f..%2fetc%2fpasswd", "nlr/cbf%00", "unknown/cbf", "cbf", "ttp",
)  # fmt: skip
_NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "4",
    "-1",
    "99",
    "9" * 30,
    "1e3",
    "NaN",
    "",
    "0x1",
    "1.5",
    "%20",
    "١",
    "inf",
)
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 5.5, 1e308, 10**30, float("nan"), float("inf"), "rapid", "calibrated",
    "nlr", "cnn", "unknown", "", "x" * 1000, [], [1, 2, 3], [10, 12, 1], [0, 0, 0], [9] * 100, {},
    {"a": {}}, "relative CBF", "CBV", "Tmax", "delay", "relative MTT", "anna", 12,
)  # fmt: skip
_FIELDS = (
    "method", "preset", "core_map", "core_below", "hypoperfused_map", "hypoperfused_above",
    "others", "aif", "vof", "rater", "code", "active_s", "extra",
)  # fmt: skip


def hostile_request(rng: random.Random) -> tuple[str, str, bytes]:
    """Method, path with query, and body: most of them nearly in order.

    All but slices (PUT) are meant as ``application/json``.
    """
    exam = rng.choice(["0", "0", "0", "0", "0", "1", "0r1", "-1", "é", "0%00"])
    reading = rng.choice(["r0001", "r0001", "r0002", "r9999", "..", "key.json", "R0001"])
    name, key, number = rng.choice(_NAMES), rng.choice(_KEYS), [rng.choice(_NUMBERS) for _ in "xyz"]
    revision = rng.choice(["3", "4", "0", "2", *_NUMBERS])
    asked = f"revision={revision}&active_s={rng.choice(['1.5', *_NUMBERS])}"
    path = rng.choice([
        f"/api/exams/{exam}", f"/api/exams/{exam}/rules", f"/api/exams/{exam}/volumes/{key}.nii.gz",
        f"/api/exams/{exam}/voxel/{'/'.join(number)}", f"/api/exams/{exam}/lesion",
        f"/api/exams/{exam}/recompute", f"/api/exams/{exam}/outlines",
        f"/api/exams/{exam}/outlines/{name}", f"/api/exams/{exam}/outlines/{name}/export",
        f"/api/exams/{exam}/outlines/{name}/slices/{number[0]}?{asked}",
        f"/api/exams/{exam}/outlines/{name}/slices/{number[0]}?{asked}",
        f"/api/readings/{reading}", f"/api/readings/{reading}/outline",
        f"/api/readings/{reading}/volumes/{key}.nii.gz",
        f"/api/readings/{reading}/outline/slices/{number[0]}?{asked}",
        f"/api/readings/{reading}/done", f"/api/readings/{reading}/reopen",
        "/api/session", "/api/worklist", "/api/sign-in", "/api/sign-out", "/api/jobs/j1",
        "/api/colours", "/", "/..%2f..%2fetc/passwd", f"/{name}",
    ])  # fmt: skip
    usual = "PUT" if "slices" in path else "POST" if path.rsplit("/", 1)[-1] in (
        "lesion", "recompute", "export", "done", "reopen", "sign-in", "sign-out"
    ) else "GET"  # fmt: skip
    method = (
        usual if rng.random() < 0.9 else rng.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "X"])
    )
    return method, path, _body(rng, path)


def _body(rng: random.Random, path: str) -> bytes:
    if "slices" in path:
        size = SHAPE[1] * SHAPE[2] if rng.random() < 0.8 else rng.randrange(2000)
        return bytes(rng.choices((0, 1, 2) if rng.random() < 0.8 else range(256), k=size))
    if rng.random() < 0.1:
        return rng.choice([b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"method": NaN}', b"null"])
    fields = {name: rng.choice(_VALUES) for name in rng.sample(_FIELDS, rng.randint(0, 6))}
    if rng.random() < 0.7:
        fields |= {"method": rng.choice(["nlr", "cnn", "bma"]), "active_s": 1.0}
    if "others" in fields and rng.random() < 0.5:
        fields["others"] = {"cnn": {"preset": rng.choice(["rapid", "x"])}}
    return json.dumps(fields).encode()
