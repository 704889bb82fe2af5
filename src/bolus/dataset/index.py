"""The contents of a data set on disk, and the index file that lists them.

The file holds names of folders, counts and hashes: nothing from a DICOM header that identifies a
person.  All paths in it are relative to the root of the data set, and the root is relative to the
file, so that both can be moved together.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bolus import __version__
from bolus.errors import DamagedFile, NoReadableFiles, OutputError
from bolus.files.atomic import write_whole
from bolus.files.regular_file import read_regular
from bolus.types import Finding, Grade

SCHEMA = "bolus-dataset/1"
MAP_NAMES = ("cbf", "cbv", "mtt", "ttp", "tmax", "delay")
"""`bolus.types.MAP_UNITS` and the delay, in an order of their own that index files show."""
MAX_FILE_BYTES = 256 * 2**20
"""An index of 100,000 cases is smaller."""


@dataclass(frozen=True)
class Case:
    """One exam, its maps and its truth; paths are absolute in memory."""

    name: str
    patient: str
    """Cases of one patient are never on two sides of a split."""
    exam: Path
    """What `bolus.acquire.exam.read_exam` reads."""
    maps: dict[str, Path]
    """By our names of maps (`MAP_NAMES`): a NIfTI file or a folder of DICOM files."""
    truth: Path | None
    """Folder of `bolus.simulate.truth.write_truth`, for simulated cases."""
    frames: int
    """0 where the exam can't be read."""
    slices: int
    findings: tuple[Finding, ...] = ()
    raw: Path | None = None
    """The exam as it came from the scanner, where ``exam`` was registered or filtered."""
    content: tuple[str, ...] = ()
    """One hash for each slice of the first frame, to find copies."""
    study: str = ""
    """Hash of the StudyInstanceUID, to find copies; empty for NIfTI."""

    @property
    def usable(self) -> bool:
        """Whether no finding excludes the case from training."""
        return all(finding.grade < Grade.FAIL for finding in self.findings)


@dataclass(frozen=True)
class Index:
    """All cases of a data set, sorted by name."""

    root: Path
    layout: str
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...] = ()
    """Findings on the data set as a whole."""

    @property
    def patients(self) -> tuple[str, ...]:
        """Every patient once, sorted."""
        return tuple(sorted({case.patient for case in self.cases}))

    @property
    def digest(self) -> str:
        """Hash of everything but the findings: same data set, same digest, wherever it lies."""
        text = json.dumps(_content(self), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def of(self, patients: Iterable[str]) -> tuple[Case, ...]:
        """The usable cases of these patients, for example of one side of a split."""
        wanted = frozenset(patients)
        return tuple(case for case in self.cases if case.patient in wanted and case.usable)


def write_index(index: Index, path: Path) -> None:
    """Write an index file; the same index at the same place gives the same bytes.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    folder = path.absolute().parent
    try:
        start = os.path.relpath(index.root.resolve(), folder.resolve())
    except ValueError:  # another drive
        start = str(index.root.resolve())
    plain = {
        "schema": SCHEMA,
        "bolus": __version__,
        "root": Path(start).as_posix(),
        "digest": index.digest,
        "findings": _plain_findings(index.findings),
        **_content(index, with_findings=True),
    }
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, in a folder that is made where it is missing.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} can't be written: {error.strerror or error}") from error
    write_whole(path, text.encode())


def read_index(path: Path) -> Index:
    """Read what `write_index` wrote.

    Raises
    ------
    NoReadableFiles
        If there is no such file, or the data set is no longer where the file says.
    DamagedFile
        If it is not an index, has been edited, or names a path outside the data set.
    """
    fields = read_json(path, SCHEMA, "index of a data set", "bolus dataset index")
    try:
        root = (path.resolve().parent / _text(fields["root"])).resolve()
        index = Index(
            root=root,
            layout=_text(fields["layout"]),
            cases=tuple(_case(root, case) for case in fields["cases"]),
            findings=_findings(fields["findings"]),
        )
        digest = index.digest
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(
            f"{path}: is not a complete index of a data set ({error}); make it again with "
            "`bolus dataset index`."
        ) from error
    if digest != fields.get("digest"):
        raise DamagedFile(
            f"{path}: has been changed since it was made; make it again with `bolus dataset index`."
        )
    if not root.is_dir():
        raise NoReadableFiles(f"{path}: the data set is no longer at {root}; make the index again.")
    return index


def read_json(path: Path, schema: str, kind: str, command: str) -> dict[str, Any]:
    """A JSON object of one of our schemas.

    Raises
    ------
    NoReadableFiles
        If there is no such file.
    DamagedFile
        If it is not one of these.
    """
    try:
        fields = json.loads(read_regular(path, MAX_FILE_BYTES).decode("utf-8"))
    except OSError as error:
        raise NoReadableFiles(f"{path}: can't be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise DamagedFile(
            f"{path}: is not the {kind} that `{command}` writes ({error}); make it again."
        ) from error
    if not isinstance(fields, dict) or fields.get("schema") != schema:
        raise DamagedFile(
            f"{path}: is not the {kind} that `{command}` writes ({schema}); make it again."
        )
    return fields


def _content(index: Index, *, with_findings: bool = False) -> dict[str, Any]:
    cases = [_plain_case(case, index.root, with_findings) for case in index.cases]
    return {"layout": index.layout, "cases": cases}


def _plain_case(case: Case, root: Path, with_findings: bool) -> dict[str, Any]:
    def relative(path: Path | None) -> str | None:
        return None if path is None else path.relative_to(root).as_posix()

    findings = {"findings": _plain_findings(case.findings)} if with_findings else {}
    return {
        "name": case.name,
        "patient": case.patient,
        "exam": relative(case.exam),
        "raw": relative(case.raw),
        "maps": {name: relative(path) for name, path in sorted(case.maps.items())},
        "truth": relative(case.truth),
        "frames": case.frames,
        "slices": case.slices,
        "study": case.study,
        "content": list(case.content),
        **findings,
    }


def _plain_findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [{**asdict(finding), "grade": finding.grade.name.lower()} for finding in findings]


def _case(root: Path, fields: Mapping[str, Any]) -> Case:
    maps = {_map_name(name): inside(root, value) for name, value in fields["maps"].items()}
    return Case(
        name=_text(fields["name"]),
        patient=_text(fields["patient"]),
        exam=inside(root, fields["exam"]),
        maps=maps,
        truth=None if fields["truth"] is None else inside(root, fields["truth"]),
        frames=_count(fields["frames"]),
        slices=_count(fields["slices"]),
        findings=_findings(fields["findings"]),
        raw=None if fields["raw"] is None else inside(root, fields["raw"]),
        content=tuple(_text(value) for value in fields["content"]),
        study=_text(fields["study"]),
    )


def inside(root: Path, value: object) -> Path:
    """A path below the root.

    Raises
    ------
    ValueError
        If it is not a path, is absolute, or would leave the root.
    """
    text = _text(value)
    path = PurePosixPath(text)
    odd = "\0" in text or "\\" in text or ":" in text.split("/")[0]
    if odd or not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the path {text!r} leaves the data set")
    return root.joinpath(*path.parts)


def _findings(values: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            _text(value["code"]),
            Grade[_text(value["grade"]).upper()],
            _text(value["message"]),
            _text(value["remedy"]),
        )
        for value in values
    )


def _map_name(value: object) -> str:
    if value not in MAP_NAMES:
        raise ValueError(f"there is no map {value!r}")
    return str(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} should be text")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} should be a count")
    return value
