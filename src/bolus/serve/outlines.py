"""Outlines drawn on results: ``OUT/outlines/RATER``, saved with every stroke."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bolus import __version__
from bolus.errors import DamagedFile, OutputError
from bolus.files.atomic import json_bytes, keep
from bolus.files.folder_lock import locked
from bolus.files.strict_json import strict_json
from bolus.files.voxel_grid import same_grid
from bolus.plain_text import RESEARCH_USE
from bolus.serve.errors import Refused, missing
from bolus.serve.mask_codec import Labels, checked_active, checked_rater, packed, with_slice
from bolus.serve.open_results import Exam
from bolus.study.raters.store import (
    LARGEST_MASK,
    MOST_REVISIONS,
    NAME,
    folder_below,
    is_inside,
    read_file,
)

OUTLINES = "outlines"
MASK, RECORD, SEG = "outline.nii.gz", "outline.json", "outline.dcm"
SCHEMA = "bolus-outline/1"
SOFTWARE = f"bolus {__version__}"
MOST_RATERS = 200
"""Who may have drawn on one exam."""
MOST_NAMES = 10 * MOST_RATERS
"""Looked at in the folder of outlines."""
KEPT_UNPACKED = 4
"""Masks that were drawn on last."""
LARGEST_RECORD = 2**16


@dataclass(frozen=True)
class Record:
    """``outline.json``."""

    rater: str
    revision: int
    active_s: float
    started: str
    saved: str
    """UTC, ISO 8601."""
    software: str = SOFTWARE
    mask_sha256: str = ""
    """Of the mask file that this record belongs to; empty in records of older versions."""


@dataclass(frozen=True)
class Outline:
    """What is on the disk."""

    labels: Labels
    record: Record
    """Where a server was killed between mask and record: with a new revision, since
    no client knows this mask."""


class Outlines:
    """Outlines of the session's exams.

    Other servers and other programs may draw on the same exams: the disk is authoritative, and
    one lock per exam is held from reading to writing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unpacked: dict[tuple[str, str], tuple[str, Labels]] = {}

    def raters(self, exam: Exam) -> list[str]:
        """Who has drawn on an exam."""
        with exam.opened.unchanged():
            return _raters(_home(exam))

    def read(self, exam: Exam, rater: str) -> dict[str, Any]:
        """Mask and revision; raises Refused (404) where there is none."""
        folder = _home(exam) / checked_rater(rater)
        with exam.opened.unchanged():
            found = self._read(folder, exam, rater)
        if found is None:
            raise missing("outline")
        record = found.record
        return {
            "revision": record.revision, "active_s": record.active_s, "saved": record.saved,
            "mask": packed(found.labels),
        }  # fmt: skip

    def put_slice(
        self, exam: Exam, rater: str, z: int, body: bytes, revision: int, active_s: float
    ) -> int:
        """Replace one slice; on the disk when this returns the new revision.

        Raises
        ------
        Refused
            409 where ``revision`` is not the current one (0 before the first stroke), 422 for
            an invalid slice of labels.
        """
        checked_active(active_s)
        home = _home(exam)
        folder = home / checked_rater(rater)
        exam.opened.check()
        with locked(_results(exam)), exam.opened.unchanged():
            found = self._read(folder, exam, rater)
            if found is None:
                if len(_raters(home)) >= MOST_RATERS:
                    raise Refused(409, f"{MOST_RATERS} raters have drawn on this exam already")
                now = _now()
                empty = np.zeros(exam.geometry.shape, np.uint8)
                found = Outline(empty, Record(rater, 0, 0.0, now, now))
            record = found.record
            if revision != record.revision:
                raise conflict(record.revision)
            changed = with_slice(found.labels, z, body)
            mask = mask_file(changed, exam)
            after = Record(
                rater=rater,
                revision=record.revision + 1,
                active_s=max(record.active_s, round(active_s, 3)),
                started=record.started,
                saved=_now(),
                mask_sha256=_digest(mask),
            )
            folder_below(_results(exam), OUTLINES, rater)
            # the mask first: a server killed in between leaves a record of another one
            keep(folder / MASK, mask)
            keep(folder / RECORD, _record_bytes(after))
            self._remember(exam, rater, after.mask_sha256, changed)
        return after.revision

    def export(self, exam: Exam, rater: str) -> list[str]:
        """Write the outline as DICOM SEG; the files that there are now."""
        from bolus.publish.dicom_seg import seg_bytes

        folder = _home(exam) / checked_rater(rater)
        exam.opened.check()
        with locked(_results(exam)), exam.opened.unchanged():
            found = self._read(folder, exam, rater)
            if found is None:
                raise missing("outline")
            if not found.labels.any():
                raise Refused(409, "nothing is outlined yet; a DICOM SEG needs a region")
            content = seg_bytes(
                found.labels,
                exam.geometry,
                dict(exam.summary["dicom_identity"]),
                rater=rater,
                description="Core and penumbra, outlined by hand",
            )
            keep(folder / SEG, content)
        return [f"{OUTLINES}/{rater}/{name}" for name in (SEG, RECORD, MASK)]

    def _remember(self, exam: Exam, rater: str, digest: str, labels: Labels) -> None:
        with self._lock:
            self._unpacked.pop((exam.id, rater), None)
            self._unpacked[exam.id, rater] = digest, labels
            while len(self._unpacked) > KEPT_UNPACKED:
                del self._unpacked[next(iter(self._unpacked))]

    def _read(self, folder: Path, exam: Exam, rater: str) -> Outline | None:
        """The outline on the disk; its mask is unpacked again only if another process wrote it."""
        if folder.is_symlink():
            raise Refused(409, "the rater's folder is a link; make it a folder of the results")
        # before the mask: anything written meanwhile then counts as newer than this answer
        record = _record(folder, exam, rater)
        if not (folder / MASK).exists():
            return None
        mask = read_file(_results(exam), folder / MASK, LARGEST_MASK)
        digest = _digest(mask)
        with self._lock:
            known, labels = self._unpacked.get((exam.id, rater), ("", np.zeros(0, np.uint8)))
        if known != digest:
            labels = _labels(mask, exam, rater)
            self._remember(exam, rater, digest, labels)
        if record is None:
            now = _now()
            return Outline(labels, Record(rater, 1, 0.0, now, now))
        if record.mask_sha256 not in ("", digest):
            record = replace(record, revision=record.revision + 1)
        return Outline(labels, record)


def conflict(revision: int) -> Refused:
    """409: somebody else saved in the meantime."""
    return Refused(
        409, "this outline was changed elsewhere in the meantime; load it again", revision=revision
    )


def mask_file(labels: Labels, exam: Exam) -> bytes:
    """The NIfTI file of an outline."""
    from bolus.volumes import nifti_bytes

    text = f"outline: 1 penumbra 2 core, {SOFTWARE}, research use"
    return nifti_bytes(labels, exam.geometry, text)


def _results(exam: Exam) -> Path:
    """The folder of a run's results."""
    if exam.folder is None:
        raise Refused(409, "recomputed maps are kept in memory only; outline on the run's maps")
    return exam.folder


def _home(exam: Exam) -> Path:
    """The folder of an exam's outlines; may not exist yet."""
    top = _results(exam)
    home = top / OUTLINES
    # a link would let a rater's strokes be written elsewhere
    if home.is_symlink() or not is_inside(top, home):
        raise Refused(409, "the folder of outlines is a link; make it a folder of the results")
    if home.exists() and not home.is_dir():
        raise Refused(
            409, "outlines is a file; move it away, the name is that of the folder of outlines"
        )
    return home


def _raters(home: Path) -> list[str]:
    """Names of folders with a mask, of the first `MOST_NAMES` that are there."""
    if not home.is_dir():
        return []
    try:
        names = [one.name for one in islice(home.iterdir(), MOST_NAMES)]
    except OSError as error:
        raise OutputError(f"{OUTLINES} can't be read: {error.strerror or error}") from error
    return sorted(
        name for name in names if NAME.fullmatch(name) and (home / name / MASK).is_file()
    )  # fmt: skip


def _labels(mask: bytes, exam: Exam, rater: str) -> Labels:
    from bolus.volumes import labels_from

    found = labels_from(mask, f"{OUTLINES}/{rater}/{MASK}")
    if not same_grid(found.geometry, exam.geometry):
        raise DamagedFile(f"{OUTLINES}/{rater}/{MASK} is not on the grid of the maps")
    return np.asarray(found.values, np.uint8)


def _record(folder: Path, exam: Exam, rater: str) -> Record | None:
    """``outline.json``; None where a mask came without one."""
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        stored = strict_json(read_file(_results(exam), path, LARGEST_RECORD))
        record = Record(
            rater=rater,
            revision=int(stored["revision"]),
            active_s=checked_active(float(stored["active_s"])),
            started=str(stored["started"]),
            saved=str(stored["saved"]),
            mask_sha256=str(stored.get("mask_sha256", "")),
        )
        if not 0 <= record.revision <= MOST_REVISIONS:
            raise ValueError("no revision")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
            Refused) as error:  # fmt: skip
        raise DamagedFile(
            f"{OUTLINES}/{rater}/{RECORD} is damaged; move it away to continue with the mask"
        ) from error
    return record


def _digest(mask: bytes) -> str:
    return hashlib.sha256(mask).hexdigest()


def _record_bytes(record: Record) -> bytes:
    content = {
        "schema": SCHEMA,
        "use": RESEARCH_USE,
        "labels": {"0": "none", "1": "penumbra", "2": "core"},
        **asdict(record),
    }
    return json_bytes(content)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
