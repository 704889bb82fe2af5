"""Outlines of a reading study: read, written whole, finished, reopened."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bolus import __version__
from bolus.errors import DamagedFile, UsageError
from bolus.files.atomic import json_bytes, remove, write_whole
from bolus.files.folder_lock import locked
from bolus.files.voxel_grid import same_grid
from bolus.study.raters.store import (
    DONE,
    LARGEST_MASK,
    MOST_REVISIONS,
    NEW,
    OPEN,
    Study,
    folder_below,
    read_file,
    read_json,
)
from bolus.types import Geometry
from bolus.volumes import LABELS, labels_from, nifti_bytes

OUTLINE, SEGMENTATION, RECORD = "outline.nii.gz", "outline.dcm", "reading.json"
SOFTWARE = f"bolus {__version__}"
DESCRIPTION = f"outline: 1 penumbra 2 core, {SOFTWARE}, research use"
MOST_ACTIVE_S = 1e9


@dataclass(frozen=True)
class State:
    """How far a reading is."""

    state: str = NEW
    """"new", "open" or "done"."""
    revision: int = 0
    """Raised by each write."""
    active_s: float = 0.0
    """Time in which the rater worked."""
    started: str = ""
    finished: str = ""
    """UTC, ISO 8601; empty while there is none."""
    software: str = SOFTWARE
    simulated: bool = False
    """Whether a program drew the outline."""
    mask_sha256: str = ""
    """Of the file of the outline that this is the record of; empty while there is none."""


def reading_state(study: Study, rater: str, reading: str) -> State:
    """How far a reading is; "new" if nobody has opened it.

    Raises
    ------
    UsageError
        No such rater or reading.
    DamagedFile
        ``reading.json`` can't be read or makes no sense.
    """
    path = study.folder_of(rater, reading) / RECORD
    # before the mask: anything written meanwhile then counts as newer than this answer
    found = read_json(study.folder, path) if path.exists() else None
    mask = _mask(study, rater, reading)
    if found is None:
        return State() if mask is None else State(state=OPEN, revision=1)
    try:
        state = State(
            state=found["state"],
            revision=int(found["revision"]),
            active_s=float(found["active_s"]),
            started=str(found["started"]),
            finished=str(found["finished"]),
            software=str(found["software"]),
            simulated=bool(found["simulated"]),
            mask_sha256=str(found.get("mask_sha256", "")),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DamagedFile(f"{path} is damaged; repeat this reading") from error
    if (
        state.state not in (OPEN, DONE)
        or not 0 <= state.revision <= MOST_REVISIONS
        or not 0 <= state.active_s <= MOST_ACTIVE_S
    ):
        raise DamagedFile(f"{path} is damaged; repeat this reading")
    if state.state == OPEN and mask is not None and not _is_of(state, mask):
        # a server was killed between mask and record: no client knows this outline
        return replace(state, revision=state.revision + 1)
    return state


def progress(study: Study) -> dict[str, tuple[int, int]]:
    """By rater: how many readings are done, and how many there are."""
    return {
        rater: (
            sum(reading_state(study, rater, one.reading).state == DONE for one in readings),
            len(readings),
        )
        for rater, readings in study.worklists.items()
    }


def is_as_finished(study: Study, rater: str, reading: str, state: State) -> bool:
    """Whether the outline of a finished reading is the one that was finished."""
    mask = _mask(study, rater, reading)
    return mask is None or _is_of(state, mask)


def _is_of(state: State, mask: bytes) -> bool:
    return state.mask_sha256 in ("", _digest(mask))  # older versions noted none


def _digest(mask: bytes) -> str:
    return hashlib.sha256(mask).hexdigest()


def _mask(study: Study, rater: str, reading: str) -> bytes | None:
    """The file of an outline; None if there is none yet."""
    path = study.folder_of(rater, reading) / OUTLINE
    return read_file(study.folder, path, LARGEST_MASK) if path.exists() else None


def start(study: Study, rater: str, reading: str) -> None:
    """Note the time at which a reading was opened first; does nothing later."""
    if reading_state(study, rater, reading).state != NEW:
        return
    with locked(study.folder):
        if reading_state(study, rater, reading).state == NEW:
            _record(study, rater, reading, State(state=OPEN, started=_now()))


def read_outline(study: Study, rater: str, reading: str) -> NDArray[np.uint8] | None:
    """(Z, Y, X) labels (0 none, 1 penumbra, 2 core) of a reading; None if there is none yet.

    Raises
    ------
    UsageError
        No such rater or reading.
    DamagedFile
        The outline can't be read, or isn't on the grid of its images.
    """
    path = study.folder_of(rater, reading) / OUTLINE
    content = _mask(study, rater, reading)
    if content is None:
        return None
    found = labels_from(content, str(path))
    if not same_grid(found.geometry, study.geometry_of(rater, reading)):
        raise DamagedFile(f"{path} is not on the grid of its images; repeat this reading")
    return found.values.astype(np.uint8)


def store_outline(
    study: Study,
    rater: str,
    reading: str,
    labels: NDArray[np.uint8],
    *,
    active_s: float,
    done: bool,
    software: str = SOFTWARE,
    simulated: bool = False,
) -> int:
    """Keep an outline; it is on the disk, whole, when this returns.

    The caller holds the lock of the study's folder (`bolus.files.folder_lock.locked`), from before
    it read an outline that it changes.

    Parameters
    ----------
    labels : (Z, Y, X) uint8: 0 none, 1 penumbra, 2 core, on the grid of the images.
    active_s : time in which the rater worked on this reading in all, s; never falls.
    done : whether the reading is finished; it can't be changed then unless it is reopened.
    software : what it was drawn with.
    simulated : whether a program drew it.

    Returns
    -------
    int
        The new revision.

    Raises
    ------
    UsageError
        No such rater or reading, labels of another shape or with other numbers, or a reading that
        is finished.
    OutputError
        The file system refuses.
    """
    geometry = study.geometry_of(rater, reading)
    before = reading_state(study, rater, reading)
    if before.state == DONE:
        raise UsageError(f"reading {reading} is finished; reopen it to change it")
    if labels.dtype != np.uint8 or labels.shape != geometry.shape or labels.max() >= LABELS:
        raise UsageError(
            f"an outline of {reading} is {geometry.shape} labels 0, 1 or 2 of uint8, not "
            f"{labels.shape} of {labels.dtype}"
        )
    if not (math.isfinite(active_s) and active_s >= 0):
        raise UsageError("the active time of a reading is a number of seconds, 0 or more")
    folder = _folder(study, rater, reading)
    segmentation = folder / SEGMENTATION
    remove(segmentation)  # it would be of an older outline
    mask = nifti_bytes(labels, geometry, DESCRIPTION)
    # the mask first: where its record doesn't follow, the outline counts as changed elsewhere
    write_whole(folder / OUTLINE, mask)
    if done and labels.any():
        content = _segmentation(labels, geometry, rater, simulated)
        if content is not None:
            write_whole(segmentation, content)
    now = _now()
    after = State(
        state=DONE if done else OPEN,
        revision=before.revision + 1,
        active_s=max(before.active_s, round(active_s, 3)),
        started=before.started or now,
        finished=now if done else "",
        software=software,
        simulated=simulated,
        mask_sha256=_digest(mask),
    )
    _record(study, rater, reading, after)
    return after.revision


def reopen(study: Study, rater: str, reading: str) -> None:
    """Let the rater change a finished reading.

    Raises
    ------
    UsageError
        The reading is not finished.
    """
    with locked(study.folder):
        before = reading_state(study, rater, reading)
        if before.state != DONE:
            raise UsageError(f"reading {reading} is not finished, so it can't be reopened")
        _record(study, rater, reading, replace(before, state=OPEN, finished=""))


def _segmentation(
    labels: NDArray[np.uint8], geometry: Geometry, rater: str, simulated: bool
) -> bytes | None:
    """DICOM SEG of a finished outline; None without highdicom, which `bolus view` brings.

    It names no exam: UIDs would reveal which readings belong together.
    """
    from bolus.publish.dicom_seg import seg_bytes

    description = "Outline by a simulated rater" if simulated else "Outline of a reading study"
    try:
        return seg_bytes(labels, geometry, {}, rater=rater, description=description)
    except ImportError:
        return None


def _record(study: Study, rater: str, reading: str, state: State) -> None:
    path: Path = _folder(study, rater, reading) / RECORD
    content = {"rater": rater, "reading": reading, **asdict(state)}
    write_whole(path, json_bytes(content))


def _folder(study: Study, rater: str, reading: str) -> Path:
    """The folder of a reading, made where it is missing; never the study's own."""
    return folder_below(study.folder, "readings", rater, study.reading(rater, reading).reading)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
