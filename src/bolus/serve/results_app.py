"""Sessions for viewing results: everything is visible."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from bolus import __version__
from bolus.errors import BolusError, NoReadableFiles, UsageError
from bolus.plain_text import RESEARCH_USE
from bolus.serve.app import body_bytes, new_app, shown, volume_response
from bolus.serve.errors import Refused, missing
from bolus.serve.jobs import Jobs
from bolus.serve.manifest import manifest
from bolus.serve.open_results import Exam, Volumes, open_results
from bolus.serve.outlines import Outlines
from bolus.serve.voxel import voxel_info

KEPT_RECOMPUTED = 4
"""Recomputed maps stay in memory until so many later ones are there."""

Body = Annotated[bytes, Depends(body_bytes)]
Whole = Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class Thresholds(BaseModel):
    """Thresholds of one method: a preset, or both numbers with their maps."""

    model_config = ConfigDict(extra="ignore")
    preset: str | None = None
    core_map: str = "relative CBF"
    core_below: float | None = None
    hypoperfused_map: str = "Tmax"
    hypoperfused_above: float | None = None


class LesionRequest(Thresholds):
    """A method's thresholds, and those of others that it is compared with."""

    method: str
    others: dict[str, Thresholds] = Field(default_factory=dict, max_length=8)


class RecomputeRequest(BaseModel):
    """Another artery or vein, as voxel x, y, z."""

    method: str
    aif: tuple[Whole, Whole, Whole] | None = None
    vof: tuple[Whole, Whole, Whole] | None = None


def results_app(folders: Sequence[Path]) -> FastAPI:
    """The application for folders of results; errors as `bolus.serve.open_results.open_results`."""
    volumes, outlines, jobs = Volumes(), Outlines(), Jobs()
    try:
        places = [folder.resolve() for folder in folders]
    except (OSError, RuntimeError) as error:  # circular links
        raise NoReadableFiles(
            f"a folder can't be opened ({error}); give that of results"
        ) from error
    if len(set(places)) != len(places):
        raise UsageError("a folder of results is given twice; give each once")
    names = unique_names(folders)
    exams = {str(n): open_results(n, folder, volumes, names[n]) for n, folder in enumerate(folders)}
    recomputed: dict[str, Exam] = {}
    counting = threading.Lock()
    warmed: set[str] = set()
    app = new_app(folders)
    lesions = _lazily_lesions()

    def warm(one: Exam) -> None:
        """Load once what clicks will need; not before the images, which wait for nothing."""
        with counting:
            fresh = one.id not in warmed
            warmed.add(one.id)
        if fresh:
            threading.Thread(target=_warm, args=(one, lesions), daemon=True).start()

    def exam_of(name: str) -> Exam:
        found = exams.get(name) or recomputed.get(name)
        if found is None:
            raise missing("exam")
        return found

    @app.get("/api/session")
    def session() -> dict[str, Any]:
        return {
            "kind": "results",
            "version": __version__,
            "use": RESEARCH_USE,
            "rater": None,
            "exams": [
                {"id": one.id, "name": one.name, "verdict": one.summary["verdict"]["grade"]}
                for one in (*exams.values(), *recomputed.values())
            ],
        }

    @app.get("/api/exams/{exam}")
    def whole(exam: str) -> dict[str, Any]:
        one = exam_of(exam)
        with one.opened.unchanged():
            return manifest(one)

    @app.get("/api/exams/{exam}/rules")
    def rules_of_presets(exam: str) -> dict[str, dict[str, Any]]:
        from bolus.serve.lesions import rules

        one = exam_of(exam)
        one.opened.check()
        warm(one)
        return rules(one)

    @app.get("/api/exams/{exam}/volumes/{path:path}")
    def volume(exam: str, path: str, request: Request) -> Response:
        one = exam_of(exam)
        key = path.removesuffix(".nii.gz")
        if key == path or key not in one.files:
            raise missing("volume")
        with one.opened.unchanged():
            return volume_response(one.files[key], request)

    @app.get("/api/exams/{exam}/voxel/{x}/{y}/{z}")
    def voxel(exam: str, x: int, y: int, z: int) -> dict[str, Any]:
        one = exam_of(exam)
        with one.opened.unchanged():
            return voxel_info(one, x, y, z)

    @app.post("/api/exams/{exam}/lesion")
    def lesion(exam: str, asked: LesionRequest) -> dict[str, Any]:
        from bolus.serve.lesions import lesion_answer

        one = exam_of(exam)
        others = {name: other.model_dump() for name, other in asked.others.items()}
        with one.opened.unchanged():
            if not one.has_curves:
                raise Refused(409, "the run stored no masks; run the exam again with this version")
            return lesion_answer(lesions(), one, asked.model_dump(), others)

    @app.post("/api/exams/{exam}/recompute", status_code=202)
    def recompute(exam: str, asked: RecomputeRequest) -> dict[str, str]:
        from bolus.serve.recompute import check_request, recompute_maps

        one = exam_of(exam)
        one.opened.check()
        check_request(one, asked.method, asked.aif, asked.vof)

        def work() -> str:
            with counting:
                number = 1 + max((int(n.rpartition("r")[2]) for n in recomputed), default=0)
            with one.opened.unchanged():
                made = recompute_maps(one, f"{exam}r{number}", asked.method, asked.aif, asked.vof)
            with counting:
                # the same artery requested again: the same maps under a new name
                taken = {former.name for former in recomputed.values()}
                names = (f"{made.name} ({n})" for n in range(2, KEPT_RECOMPUTED + 2))
                if made.name in taken:
                    made = replace(made, name=next(one for one in names if one not in taken))
                recomputed[made.id] = made
                while len(recomputed) > KEPT_RECOMPUTED:
                    oldest = next(iter(recomputed))
                    del recomputed[oldest]
                    lesions().forget(oldest)
            return made.id

        return {"job": jobs.begin(work)}

    @app.get("/api/jobs/{job}")
    def job(job: str) -> dict[str, Any]:
        state = jobs.state(job)
        if state["error"] is not None:
            state["error"] = shown(state["error"], app.state.folders)
        return state

    @app.get("/api/exams/{exam}/outlines")
    def raters(exam: str) -> dict[str, list[str]]:
        return {"raters": outlines.raters(exam_of(exam))}

    @app.get("/api/exams/{exam}/outlines/{rater}")
    def outline(exam: str, rater: str) -> dict[str, Any]:
        return outlines.read(exam_of(exam), rater)

    @app.put("/api/exams/{exam}/outlines/{rater}/slices/{z}")
    def put_slice(
        exam: str, rater: str, z: int, revision: int, active_s: float, body: Body
    ) -> dict[str, int]:
        new = outlines.put_slice(exam_of(exam), rater, z, body, revision, active_s)
        return {"revision": new}

    @app.post("/api/exams/{exam}/outlines/{rater}/export")
    def export(exam: str, rater: str) -> dict[str, list[str]]:
        return {"files": outlines.export(exam_of(exam), rater)}

    return app


def unique_names(folders: Sequence[Path]) -> list[str]:
    """Names of folders, with enough parent folders to be unique."""
    parts = [folder.absolute().parts for folder in folders]
    names = []
    for own in parts:
        count = 1
        while count < len(own) and sum(other[-count:] == own[-count:] for other in parts) > 1:
            count += 1
        names.append("/".join(own[-count:]) if count < len(own) else own[-1])
    return names


def _lazily_lesions() -> Callable[[], Any]:
    """The session's `bolus.serve.lesions.Lesions`, imported on first use."""
    lock = threading.Lock()
    made: list[Any] = []

    def get() -> Any:
        from bolus.serve.lesions import Lesions

        with lock:
            if not made:
                made.append(Lesions())
            return made[0]

    return get


def _warm(exam: Exam, lesions: Callable[[], Any]) -> None:
    """Load what clicks and sliders will need."""
    try:
        if exam.has_curves:
            _ = exam.voxels
        for key in exam.files:
            exam.volume(key)
        if exam.has_curves:
            for method in exam.methods:
                lesions().prepared(exam, method)
    except (BolusError, Refused, OSError):
        return  # the request that needs it reports the error
