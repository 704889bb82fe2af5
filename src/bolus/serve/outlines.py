"""Outlines drawn on results: ``OUT/outlines/RATER``, saved with every stroke."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bolus import __version__
from bolus.errors import DamagedFile
from bolus.serve.exams import Exam
from bolus.serve.masks import Labels, checked_active, checked_rater, packed, with_slice
from bolus.serve.refused import Refused, missing
from bolus.serve.whole import keep
from bolus.study.raters.store import NAME

OUTLINES = "outlines"
MASK, RECORD, SEG = "outline.nii.gz", "outline.json", "outline.dcm"
SCHEMA = "bolus-outline/1"
SOFTWARE = f"bolus {__version__}"
RESEARCH_ONLY = "Research use, not for diagnosis"


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


class Outlines:
    """Outlines of the session's exams; one change at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[Labels, Record]] = {}

    def raters(self, exam: Exam) -> list[str]:
        """Who has drawn on an exam."""
        folder = _home(exam)
        if not folder.is_dir():
            return []
        return sorted(
            one.name for one in folder.iterdir()
            if NAME.fullmatch(one.name) and (one / MASK).is_file()
        )  # fmt: skip

    def read(self, exam: Exam, rater: str) -> dict[str, Any]:
        """Mask and revision; raises Refused (404) where there is none."""
        with self._lock:
            found = self._current(exam, checked_rater(rater))
        if found is None:
            raise missing("outline")
        labels, record = found
        return {
            "revision": record.revision, "active_s": record.active_s, "saved": record.saved,
            "mask": packed(labels),
        }  # fmt: skip

    def put_slice(
        self, exam: Exam, rater: str, z: int, body: bytes, revision: int, active_s: float
    ) -> int:
        """Replace one slice; on the disk when this returns the new revision.

        Raises
        ------
        Refused
            409 where ``revision`` is not the current one (0 before the first stroke), 422 for what
            is no slice of labels.
        """
        checked_active(active_s)
        with self._lock:
            found = self._current(exam, checked_rater(rater))
            if found is None:
                now = _now()
                found = np.zeros(exam.geometry.shape, np.uint8), Record(rater, 0, 0.0, now, now)
            labels, record = found
            if revision != record.revision:
                raise conflict(record.revision)
            changed = with_slice(labels, z, body)
            after = Record(
                rater=rater,
                revision=record.revision + 1,
                active_s=max(record.active_s, round(active_s, 3)),
                started=record.started,
                saved=_now(),
            )
            folder = _home(exam) / rater
            # the mask first: a server killed in between offers it with the former revision, and
            # the page repeats its stroke
            keep(folder / MASK, mask_file(changed, exam))
            keep(folder / RECORD, _record_bytes(after))
            self._known[exam.id, rater] = changed, after
            return after.revision

    def export(self, exam: Exam, rater: str) -> list[str]:
        """Write the outline as DICOM SEG; the files that there are now."""
        from bolus.publish.seg import seg_bytes

        with self._lock:
            found = self._current(exam, checked_rater(rater))
            if found is None:
                raise missing("outline")
            labels, _ = found
            if not labels.any():
                raise Refused(409, "nothing is outlined yet; a DICOM SEG needs a region")
            content = seg_bytes(
                labels,
                exam.geometry,
                dict(exam.summary["dicom_identity"]),
                rater=rater,
                description="Core and penumbra, outlined by hand",
            )
            keep(_home(exam) / rater / SEG, content)
        return [f"{OUTLINES}/{rater}/{name}" for name in (SEG, RECORD, MASK)]

    def _current(self, exam: Exam, rater: str) -> tuple[Labels, Record] | None:
        place = (exam.id, rater)
        if place not in self._known:
            found = _read(_home(exam) / rater, exam, rater)
            if found is None:
                return None
            self._known[place] = found
        return self._known[place]


def conflict(revision: int) -> Refused:
    """409: somebody else saved in the meantime."""
    return Refused(
        409, "this outline was changed elsewhere in the meantime; load it again", revision=revision
    )


def mask_file(labels: Labels, exam: Exam) -> bytes:
    """The NIfTI file of an outline."""
    from bolus.publish.nifti import nifti_bytes

    text = f"outline: 1 penumbra 2 core, {SOFTWARE}, research use"
    return nifti_bytes(labels, exam.geometry, text)


def _home(exam: Exam) -> Path:
    if exam.folder is None:
        raise Refused(409, "maps made anew are kept in memory only; outline on the run's own")
    home = exam.folder / OUTLINES
    # a link would let a rater's strokes land elsewhere
    if home.is_symlink() or not home.resolve().is_relative_to(exam.folder):
        raise Refused(409, "the folder of outlines is a link; make it a folder of the results")
    return home


def _read(folder: Path, exam: Exam, rater: str) -> tuple[Labels, Record] | None:
    from bolus.study.volumes import read_labels, same_grid

    if folder.is_symlink():
        raise Refused(409, "the rater's folder is a link; make it a folder of the results")
    if not (folder / MASK).is_file():
        return None
    found = read_labels(folder / MASK)
    if not same_grid(found.geometry, exam.geometry):
        raise DamagedFile(f"{OUTLINES}/{rater}/{MASK} is not on the grid of the maps")
    labels = np.asarray(found.values, np.uint8)
    path = folder / RECORD
    if not path.is_file():
        now = _now()
        return labels, Record(rater, 0, 0.0, now, now)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        record = Record(
            rater=rater,
            revision=int(stored["revision"]),
            active_s=checked_active(float(stored["active_s"])),
            started=str(stored["started"]),
            saved=str(stored["saved"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, Refused) as error:
        raise DamagedFile(
            f"{OUTLINES}/{rater}/{RECORD} is damaged; move it away to go on with the mask"
        ) from error
    return labels, record


def _record_bytes(record: Record) -> bytes:
    content = {
        "schema": SCHEMA,
        "use": RESEARCH_ONLY,
        "labels": {"0": "none", "1": "penumbra", "2": "core"},
        **asdict(record),
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
