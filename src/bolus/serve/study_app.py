"""Sessions for reading a study: a rater is signed in, and nothing reveals the method."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import Cookie, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.responses import Response

from bolus import __version__
from bolus.errors import DamagedFile, UsageError
from bolus.files.atomic import flush_folder
from bolus.files.folder_lock import locked
from bolus.files.nifti_head import read_head
from bolus.files.voxel_grid import same_grid
from bolus.plain_text import RESEARCH_USE
from bolus.serve.app import body_bytes, new_app, volume_response
from bolus.serve.errors import Refused, missing
from bolus.serve.manifest import UNKNOWN_METHOD, described, volume_entry
from bolus.serve.mask_codec import checked_active, packed, with_slice
from bolus.serve.open_results import VolumeFile, Volumes
from bolus.serve.opened import opened
from bolus.serve.outlines import conflict
from bolus.study.raters.readings import (
    SOFTWARE,
    State,
    read_outline,
    reading_state,
    reopen,
    start,
    store_outline,
)
from bolus.study.raters.signin import signed_in
from bolus.study.raters.store import (
    BESIDE,
    DONE,
    LARGEST_JSON,
    SEEN,
    Study,
    is_inside,
    open_study,
    read_file,
)

COOKIE = "bolus-rater"
TRIES, PAUSE_S = 5, 30.0
"""Wrong codes for one rater before a pause."""
MOST_SIGNED_IN = 1000
LONGEST_S = 1e5
"""No scan lasts longer; larger values in a map of times are ignored."""

Body = Annotated[bytes, Depends(body_bytes)]
SignedIn = Annotated[str | None, Cookie(alias=COOKIE)]


class SignIn(BaseModel):
    """Who signs in."""

    rater: str = Field(max_length=64)
    code: str = Field(max_length=128)


class Active(BaseModel):
    """Time in which the rater worked on a reading, s."""

    active_s: float


class Desk:
    """Who is signed in, and the readings' outlines."""

    def __init__(self, study: Study) -> None:
        self.study = study
        files = [study.folder / "study.json", study.folder / "raters.json"]
        files += [study.folder / "worklists" / f"{rater}.json" for rater in study.raters]
        self.opened = opened("this study's files", files)
        self.volumes = Volumes()
        self.lock = threading.Lock()
        # each study has new salts
        codes = read_file(study.folder, study.folder / "raters.json", LARGEST_JSON)
        self._own = hashlib.sha256(codes).hexdigest()
        self._raters: dict[str, str] = {}
        self._wrong: dict[str, list[float]] = {}

    def content(self, reading: str) -> str:
        """Distinguishes this reading from one of the same name in another study, no more."""
        return hashlib.sha256(f"{self._own} {reading}".encode()).hexdigest()[:16]

    def sign_in(self, rater: str, code: str) -> str:
        """The secret of a new sign-in; raises Refused for a wrong code, or for too many."""
        with self.lock, self.opened.unchanged():
            now = time.monotonic()
            recent = [t for t in self._wrong.get(rater, []) if now - t < PAUSE_S]
            if len(recent) >= TRIES:
                raise Refused(429, f"too many wrong codes; wait {PAUSE_S:.0f} seconds")
            if rater not in self.study.raters or not signed_in(self.study, rater, code):
                if rater in self.study.raters:
                    self._wrong[rater] = [*recent, now]
                raise Refused(403, "this is not the rater's sign-in code")
            self._wrong.pop(rater, None)
            secret = secrets.token_urlsafe(24)
            while len(self._raters) >= MOST_SIGNED_IN:
                del self._raters[next(iter(self._raters))]
            self._raters[secret] = rater
            return secret

    def sign_out(self, secret: str | None) -> None:
        """Forget a sign-in."""
        with self.lock:
            self._raters.pop(secret or "", None)

    def rater(self, secret: str | None) -> str | None:
        """The rater with this secret."""
        return self._raters.get(secret or "")

    def needed(self, secret: str | None) -> str:
        """Likewise; raises Refused if there is none."""
        rater = self.rater(secret)
        if rater is None:
            raise Refused(401, "sign in first")
        return rater

    def state(self, rater: str, reading: str) -> State:
        """How far a reading of the rater's worklist is."""
        try:
            return reading_state(self.study, rater, reading)
        except UsageError:
            raise missing("reading") from None

    def put_slice(
        self, rater: str, reading: str, z: int, body: bytes, revision: int, active_s: float
    ) -> int:
        """As `bolus.serve.outlines.Outlines.put_slice`; 409 also for a finished reading."""
        checked_active(active_s)
        with self.changing():
            labels = self._changeable(rater, reading, revision)
            changed = with_slice(labels, z, body)
            return self._write(rater, reading, changed, active_s, done=False)

    def finish(self, rater: str, reading: str, active_s: float) -> int:
        """Mark a reading as done, outlined or empty."""
        checked_active(active_s)
        with self.changing():
            labels = self._changeable(rater, reading, None)
            return self._write(rater, reading, labels, active_s, done=True)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The unchanged study, locked against other writers."""
        self.opened.check()
        with locked(self.study.folder), self.opened.unchanged():
            yield

    def _changeable(self, rater: str, reading: str, revision: int | None) -> np.ndarray:
        before = self.state(rater, reading)
        if before.state == DONE:
            raise Refused(
                409, "this reading is finished; reopen it to change it", revision=before.revision
            )
        if revision is not None and revision != before.revision:
            raise conflict(before.revision)
        labels = read_outline(self.study, rater, reading)
        if labels is None:
            return np.zeros(self.study.geometry_of(rater, reading).shape, np.uint8)
        return labels

    def _write(
        self, rater: str, reading: str, labels: np.ndarray, active_s: float, *, done: bool
    ) -> int:
        new = store_outline(
            self.study, rater, reading, labels, active_s=active_s, done=done, software=SOFTWARE
        )
        flush_folder(self.study.folder_of(rater, reading))
        return new


def study_app(folder: Path) -> FastAPI:
    """The application for the folder of a study; errors as `open_study`."""
    desk = Desk(open_study(folder))
    study = desk.study
    app = new_app([folder])

    @app.get("/api/session")
    def session(secret: SignedIn = None) -> dict[str, Any]:
        return {
            "kind": "study",
            "version": __version__,
            "use": RESEARCH_USE,
            "rater": desk.rater(secret),
            "raters": list(study.raters),
            "exams": [],
        }

    @app.post("/api/sign-in")
    def sign_in(asked: SignIn) -> Response:
        secret = desk.sign_in(asked.rater, asked.code)
        answer = JSONResponse({"rater": asked.rater})
        answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", path="/")
        return answer

    @app.post("/api/sign-out")
    def sign_out(secret: SignedIn = None) -> Response:
        desk.sign_out(secret)
        answer = JSONResponse({"rater": None})
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
        return answer

    @app.get("/api/worklist")
    def worklist(secret: SignedIn = None) -> dict[str, Any]:
        rater = desk.needed(secret)
        with desk.opened.unchanged():
            readings = [
                {"reading": one.reading, "state": desk.state(rater, one.reading).state}
                for one in study.worklist(rater)
            ]
        done = sum(one["state"] == DONE for one in readings)
        return {"rater": rater, "readings": readings, "done": done, "total": len(readings)}

    @app.get("/api/readings/{reading}")
    def whole(reading: str, secret: SignedIn = None) -> dict[str, Any]:
        rater = desk.needed(secret)
        with desk.opened.unchanged():
            state = desk.state(rater, reading)
            answer = _manifest(desk, rater, reading)
        with desk.opened.unchanged():
            start(study, rater, reading)
        return answer | {"state": state.state if state.state == DONE else "open"}

    @app.get("/api/readings/{reading}/volumes/{path:path}")
    def volume(reading: str, path: str, request: Request, secret: SignedIn = None) -> Response:
        rater = desk.needed(secret)
        with desk.opened.unchanged():
            desk.state(rater, reading)
            files = _files(study, rater, reading)
            name = path.removesuffix(".nii.gz")
            if name == path or name not in files:
                raise missing("volume")
            return volume_response(files[name], request)

    @app.get("/api/readings/{reading}/outline")
    def outline(reading: str, secret: SignedIn = None) -> dict[str, Any]:
        rater = desk.needed(secret)
        with desk.opened.unchanged():
            state = desk.state(rater, reading)
            labels = read_outline(study, rater, reading)
        if labels is None:
            raise missing("outline")
        return {
            "revision": state.revision,
            "active_s": state.active_s,
            "state": state.state,
            "mask": packed(labels),
        }

    @app.put("/api/readings/{reading}/outline/slices/{z}")
    def put_slice(
        reading: str, z: int, revision: int, active_s: float, body: Body, secret: SignedIn = None
    ) -> dict[str, int]:
        rater = desk.needed(secret)
        return {"revision": desk.put_slice(rater, reading, z, body, revision, active_s)}

    @app.post("/api/readings/{reading}/done")
    def done(reading: str, asked: Active, secret: SignedIn = None) -> dict[str, Any]:
        rater = desk.needed(secret)
        return {"state": DONE, "revision": desk.finish(rater, reading, asked.active_s)}

    @app.post("/api/readings/{reading}/reopen")
    def open_again(reading: str, secret: SignedIn = None) -> dict[str, Any]:
        rater = desk.needed(secret)
        with desk.opened.unchanged():
            desk.state(rater, reading)
            try:
                reopen(study, rater, reading)
            except UsageError:
                raise Refused(
                    409, "this reading is not finished, so it can't be reopened"
                ) from None
            state = desk.state(rater, reading)
        return {"state": state.state, "revision": state.revision}

    return app


def _files(study: Study, rater: str, reading: str) -> dict[str, VolumeFile]:
    """What the rater sees of a reading."""
    folder = study.images_of(rater, reading)
    geometry = study.geometry_of(rater, reading)
    files = {}
    for name in (*BESIDE, *SEEN):
        path = folder / f"{name}.nii.gz"
        if path.is_file() and is_inside(study.folder, path):
            files[name] = VolumeFile(name, path, geometry)
    return files


def _manifest(desk: Desk, rater: str, reading: str) -> dict[str, Any]:
    """As for an exam, without anything that would reveal the method or the exam."""
    study = desk.study
    files = _files(study, rater, reading)
    for file in files.values():
        _check_head(file)
    ttp = _ttp_ends(desk, study.reading(rater, reading).images, files)
    volumes = []
    for name in files:
        own = None if name in BESIDE else UNKNOWN_METHOD
        key = name if own is None else f"{own}/{name}"
        url = f"/api/readings/{reading}/volumes/{name}.nii.gz"
        volumes.append(volume_entry(key, own, name, url, ttp))
    return {
        **described(reading, reading, study.geometry_of(rater, reading)),
        "content": desk.content(reading),
        "verdict": None,
        "methods": [UNKNOWN_METHOD],
        "volumes": volumes,
        "thresholds": {},
        "curves": None,
        "motion": None,
        "checks": [],
        "findings": [],
        "can_recompute": False,
        "has_curves": False,
    }


def _check_head(file: VolumeFile) -> None:
    """Refuse volumes that the page would misplace or could not show."""
    assert isinstance(file.content, Path)
    try:
        head = read_head(file.content)
    except (OSError, ValueError) as error:
        raise DamagedFile(f"{file.key}.nii.gz of this reading is damaged") from error
    if not same_grid(head.geometry, file.geometry):
        raise DamagedFile(f"{file.key}.nii.gz of this reading is not on the grid of its images")


def _ttp_ends(desk: Desk, images: str, files: dict[str, VolumeFile]) -> tuple[float, float]:
    """Window of TTP, s: the middle 98 % of the map, in steps of 5 s."""
    if "ttp" not in files:
        return 0.0, 30.0
    values = np.asarray(desk.volumes.get(images, files["ttp"]), np.float64)
    some = values[(values > 0) & (values < LONGEST_S)]
    if some.size == 0:
        return 0.0, 30.0
    low, high = np.percentile(some, [1.0, 99.0])
    low = 5.0 * np.floor(low / 5.0)
    return float(low), float(max(5.0 * np.ceil(high / 5.0), low + 5.0))
