"""JSON files beside a NIfTI that are damaged, or hold what they shouldn't."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import corruption
from attack import Allowed, Attack
from untouched import nifti_file, sidecar, write

FIELDS = (
    "VolumeTiming", "FrameTimesStart", "FrameDuration", "RepetitionTime", "SliceTiming",
    "SliceEncodingDirection", "Manufacturer", "ManufacturersModelName", "ConvolutionKernel", "KVP",
    "SliceThickness", "Modality",
)  # fmt: skip
VALUES = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "1e-320", "-1", "0", "true",
    "null", '"1"', '"NaN"', '""', "[]", "{}", "[[]]", "[null]", '"\\ud800"', '"a\\udfffb"',
    '"\\u0000"', '"\\u001b[2J"', '"\\u202e"', '"' + "A" * 5000 + '"', "[" * 3000 + "]" * 3000,
    "[" + ",".join("0" * 1 for _ in range(20)) + "]", "[" + ",".join(map(str, range(21))) + "]",
    '"k-"', '"q"', '"i"', '"j-"', "[0, 1]", "[1e8, 0]", "[NaN, 0]", "1.0e8", "0.5", "3", "[0, 0.1]",
)  # fmt: skip
MEANT = frozenset({"0.5", "3", '"k-"', '"i"', '"j-"', "[0, 1]", "[0, 0.1]", '"q"'})


def hostile_sidecar(rng: random.Random, folder: Path) -> Attack:
    """A good NIfTI and a JSON file that is not."""
    write(folder, {"head.nii": nifti_file()})
    path = folder / "head.json"
    change = rng.choice(CHANGES)
    allowed = change(rng, path)
    given = folder if rng.random() < 0.2 else folder / "head.nii"
    return Attack(given, allowed, f"sidecar: {change.__name__.strip('_')}", "nifti")


def _odd_field(rng: random.Random, path: Path) -> Allowed:
    fields = {key: json.dumps(value) for key, value in sidecar().items()}
    value = rng.choice(VALUES)
    if rng.random() < 0.3:
        fields = {}
    fields[rng.choice(FIELDS)] = value
    path.write_text("{" + ", ".join(f'"{k}": {v}' for k, v in fields.items()) + "}")
    # times that may be meant replace or shift those of the untouched exam
    return Allowed.ANYTHING if value in MEANT else Allowed.NOTICED


def _odd_time(rng: random.Random, path: Path) -> Allowed:
    times = [2.2 * t for t in range(20)]
    text = [json.dumps(round(t, 3)) for t in times]
    text[rng.randrange(20)] = rng.choice(VALUES)
    path.write_text('{"VolumeTiming": [' + ", ".join(text) + "]}")
    return Allowed.ANYTHING


def _keys(rng: random.Random, path: Path) -> Allowed:
    """Keys that are there twice, or are no text."""
    own = json.dumps(sidecar())[1:-1]
    odd = rng.choice(('"\\ud800": 1', '"": {}', f'"{"k" * 100_000}": 0', '"\\u0000": "\\u0000"'))
    path.write_text("{" + f"{odd}, {own}, {odd}" + "}")
    return Allowed.SAME


def _encodings(rng: random.Random, path: Path) -> Allowed:
    text = json.dumps({**sidecar(), "Manufacturer": "M\u00fcller \u5c71"}, ensure_ascii=False)
    path.write_bytes(
        rng.choice(
            (
                b"\xef\xbb\xbf" + text.encode(),
                text.encode("utf-16"),
                text.encode("utf-32"),
                text.encode("latin-1", "replace"),
                text.encode("utf-16-le"),
                b"\0" + text.encode(),
                text.encode() + b"\0",
                text.encode() + b"\n\n",
                text.encode() * 2,
            )
        )
    )
    return Allowed.NOTICED


def _nested(rng: random.Random, path: Path) -> Allowed:
    depth = rng.choice((100, 1000, 100_000, 1_000_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    path.write_text(opening * depth + "1" + closing * depth * rng.choice((0, 1)))
    return Allowed.NOTICED


def _large(rng: random.Random, path: Path) -> Allowed:
    path.write_bytes(rng.choice((b" ", b"[", b"0", b'"')) * rng.choice((2**20, 17 * 2**20)))
    return Allowed.NOTICED


def _huge_number(rng: random.Random, path: Path) -> Allowed:
    path.write_text(
        '{"RepetitionTime": ' + rng.choice("-1") + "1" * rng.choice((400, 4400, 10**6)) + "}"
    )
    return Allowed.NOTICED


def _damaged(rng: random.Random, path: Path) -> Allowed:
    path.write_bytes(rng.choice(corruption.ALL)(rng, json.dumps(sidecar()).encode()))
    return Allowed.ANYTHING


def _no_object(rng: random.Random, path: Path) -> Allowed:
    path.write_text(rng.choice(("", "1", "[]", "null", '"x"', "{", "}", "NaN", "{}", "\x1b[2J")))
    return Allowed.NOTICED


def _no_file(rng: random.Random, path: Path) -> Allowed:
    """Something else than a file in its place."""
    kind = rng.choice(
        ("pipe", "folder", "socket", "zero", "null", "tty", "loop", "nothing", "self")
    )
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one, chdir(path.parent):
            one.bind(path.name)
    else:
        target = {"loop": "head.json", "nothing": "nowhere", "self": "."}.get(kind, f"/dev/{kind}")
        path.symlink_to(target)
    return Allowed.NOTICED


CHANGES: tuple[Callable[[random.Random, Path], Allowed], ...] = (
    _odd_field, _odd_field, _odd_field, _odd_field, _odd_time, _odd_time, _keys, _encodings,
    _nested,
    _large, _huge_number, _damaged, _no_object, _no_file,
)  # fmt: skip
