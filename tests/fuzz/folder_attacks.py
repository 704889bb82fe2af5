"""Folders with everything a file system can hold besides files."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Callable
from contextlib import chdir, suppress
from pathlib import Path

from attack import Allowed, Attack
from untouched import dicom_files, named_files, names, nifti_file, sidecar, write

ODD_NAMES = (
    b"a\nb.dcm", b"\x1b[2J.dcm", b"\xff\xfe.dcm", b"\xed\xa0\x80", b" ", b"-rf", b"...",
    b"a\\b.dcm",
    b"C:x.dcm", "\u202egnp.dcm".encode(), "\u5c71.dcm".encode(), b"%s%n", b"~", b"*", b"'; x",
    b"x" * 255, b"x" * 251 + b".dcm", b"\r", b"a\tb", b"summary.json ", b"con", b".dcm", b".hidden",
)  # fmt: skip
"""Names that a file system takes."""

Made = tuple[Path, Allowed]


def hostile_folder(rng: random.Random, folder: Path) -> Attack:
    """The exam in a folder, with something else in it, or in its place."""
    if rng.random() < 0.12:
        return _changing(rng, folder)
    if rng.random() < 0.15:
        return _closed(rng, folder)
    change = rng.choice(CHANGES)
    path, allowed = change(rng, folder)
    return Attack(path, allowed, change.__name__.strip("_").replace("_", " "))


def _exam(folder: Path) -> Path:
    return write(folder / "exam", named_files())


def _beside(rng: random.Random, folder: Path) -> Made:
    """Pipes, sockets, links to devices and to nothing beside the images."""
    path = _exam(folder)
    for number in range(rng.choice((1, 1, 3))):
        _no_file(rng, path / f"odd{number}{rng.choice(('', '.dcm', '.nii', '.zip', '.json'))}")
    return path, Allowed.SAME


def _in_place(rng: random.Random, folder: Path) -> Made:
    """Such things in the place of images."""
    path = _exam(folder)
    for name in rng.sample(names(), rng.choice((1, 1, 2, 40))):
        (path / name).unlink()
        _no_file(rng, path / name)
    return path, Allowed.NOTICED


def _no_file(rng: random.Random, path: Path) -> None:
    kind = rng.choice(("pipe", "folder", "socket", "zero", "null", "tty", "random", "loop", "gone"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one, chdir(path.parent):
            one.bind(path.name)
    else:
        path.symlink_to({"loop": path.name, "gone": "nowhere"}.get(kind, f"/dev/{kind}"))


def _given(rng: random.Random, folder: Path) -> Made:
    """The path that is given is no folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / rng.choice(("exam", "exam.dcm", "exam.nii", "exam.nii.gz", "exam.zip"))
    _no_file(rng, path)
    return path, Allowed.NOTICED


def _no_path(rng: random.Random, folder: Path) -> Made:
    """The path that is given can be none."""
    _exam(folder)
    kinds = (
        "a\0b", "x" * 300, "/".join(["x" * 200] * 30), "exam/../exam/nowhere", "\udcff", "\ud800",
        "exam/IM00001.dcm/x", "a\0b.nii", "x" * 300 + ".nii.gz", "\ud800.nii", "exam\n", "\x1b[2J",
        "nowhere.zip", "exam/" * 900,
    )  # fmt: skip
    return folder / rng.choice(kinds), Allowed.NOTICED


def _through_links(rng: random.Random, folder: Path) -> Made:
    path = _exam(folder)
    (folder / "link").symlink_to(path)
    (folder / "again").symlink_to(folder / "link")
    return folder / rng.choice(("link", "again")), Allowed.SAME


def _links_inside(rng: random.Random, folder: Path) -> Made:
    """Links to what is above, to each other, and to themselves."""
    path = _exam(folder)
    (path / "deeper").mkdir()
    for number in range(rng.choice((1, 3, 10))):
        target = rng.choice(("..", ".", "../exam", "deeper", "loop0", "../deeper/.."))
        (path / "deeper" / f"loop{number}").symlink_to(target)
    return path, Allowed.SAME


def _deep(rng: random.Random, folder: Path) -> Made:
    """The exam, or a part of it, below many folders."""
    depth = rng.choice((3, 60, 63, 64, 65, 100, 150))
    deep = folder / "exam" / "/".join(["d"] * depth)
    files = named_files()
    part = rng.choice((40, 20, 1))
    write(folder / "exam", dict(list(files.items())[part:]))
    write(deep, dict(list(files.items())[:part]))
    return folder / "exam", Allowed.NOTICED


def _odd_names(rng: random.Random, folder: Path) -> Made:
    """Images with names that are no text, or commands for a terminal."""
    (folder / "exam").mkdir(parents=True)
    chosen = dict(enumerate(rng.sample(ODD_NAMES, rng.choice((1, 5, len(ODD_NAMES))))))
    for number, content in enumerate(dicom_files()):
        name = chosen.get(number, names()[number].encode())
        with open(os.fsencode(folder / "exam") + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(content)
    return folder / "exam", Allowed.SAME


def _odd_files(rng: random.Random, folder: Path) -> Made:
    """Files with such names that are no images, some of them all there is."""
    path = _exam(folder) if rng.random() < 0.5 else write(folder / "exam", {})
    alone = not any(path.iterdir())
    for name in rng.sample(ODD_NAMES, 3):
        with open(os.fsencode(path) + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(rng.choice((b"", b"hello", dicom_files()[0][:400], dicom_files()[0])))
    # a copy of an image is none, a part of one is a damaged file
    return path, Allowed.NOTICED if alone else Allowed.SAME


def _odd_folder(rng: random.Random, folder: Path) -> Made:
    """The exam in folders with such names."""
    name = os.fsdecode(rng.choice(ODD_NAMES))
    path = write(folder / name / "b", named_files()).parent
    return rng.choice((path, path / "b")), Allowed.SAME


def _results(rng: random.Random, folder: Path) -> Made:
    """What looks like former results, good or not, beside the images."""
    path = _exam(folder)
    (path / "out").mkdir()
    schema = rng.choice(("bolus-summary/1", "x", "\ud800", 1, None, ["bolus-summary/"]))
    text = rng.choice((json.dumps({"schema": schema}), "[" * 10**6, "", "\x00", "1" * 5000))
    (path / "out" / "summary.json").write_text(text)
    return path, Allowed.SAME


def _nifti_beside(rng: random.Random, folder: Path) -> Made:
    path = _exam(folder)
    (path / rng.choice(("a.nii", "b/a.nii", "a.nii.gz"))).parent.mkdir(exist_ok=True)
    name = rng.choice(("a.nii", "a.nii.gz"))
    (path / name).write_bytes(rng.choice((nifti_file(), nifti_file()[:352], b"", b"hello")))
    return path, Allowed.NOTICED


def _closed(rng: random.Random, folder: Path) -> Attack:
    """Folders and files that may not be opened, read as a user whom that concerns."""
    path = _exam(folder)
    kind = rng.choice(("folder", "part", "files", "above", "nifti", "sidecar", "zip", "unlisted"))
    if kind == "part":
        write(path / "more", {name: (path / name).read_bytes() for name in names()[:2]})
        for name in names()[:2]:
            (path / name).unlink()
        (path / "more").chmod(0)
    elif kind == "files":
        for name in rng.sample(names(), rng.choice((1, 2, 40))):
            (path / name).chmod(0)
    elif kind in ("nifti", "sidecar", "above"):
        write(folder / "n", {"head.nii": nifti_file(), "head.json": json.dumps(sidecar()).encode()})
        {"nifti": folder / "n/head.nii", "sidecar": folder / "n/head.json", "above": folder / "n"}[
            kind
        ].chmod(0)
        given = folder / "n" / "head.nii" if rng.random() < 0.7 else folder / "n"
        return Attack(given, Allowed.NOTICED, f"closed {kind}", "nifti", as_nobody=True)
    elif kind == "zip":
        path = folder / "exam.zip"
        path.write_bytes(b"PK")
        path.chmod(0)
    else:
        path.chmod(0 if kind == "folder" else 0o311)
    return Attack(path, Allowed.NOTICED, f"closed {kind}", as_nobody=True)


def _changing(rng: random.Random, folder: Path) -> Attack:
    """Files that are shortened, exchanged for pipes, or gone while they are read."""
    nifti = rng.random() < 0.3
    if nifti:
        write(folder / "exam", {"head.nii": nifti_file()})
        (folder / "exam" / "head.json").write_text(json.dumps(sidecar()))
        chosen = ["head.nii", "head.json"]
    else:
        _exam(folder)
        chosen = names()
    after_s, kind = rng.random() * 0.1, rng.choice(("short", "pipe", "gone", "other"))
    victims = rng.sample(chosen, min(len(chosen), rng.choice((1, 5, 40))))

    def change() -> None:
        time.sleep(after_s)
        for name in victims:
            path = folder / "exam" / name
            with suppress(OSError):
                if kind == "short":
                    os.truncate(path, 700)
                elif kind == "other":
                    path.write_bytes(dicom_files()[5])
                else:
                    path.unlink()
                    if kind == "pipe":
                        os.mkfifo(path)

    # what was read before the change was right
    source = "nifti" if nifti else "dicom"
    allowed = Allowed.ANYTHING if kind == "other" else Allowed.NOTICED
    return Attack(folder / "exam", allowed, f"{kind} meanwhile", source, meanwhile=change)


CHANGES: tuple[Callable[[random.Random, Path], Made], ...] = (
    _beside, _beside, _in_place, _in_place, _given, _no_path, _no_path, _through_links,
    _links_inside,
    _deep, _odd_names, _odd_files, _odd_folder, _results, _nifti_beside,
)  # fmt: skip
