"""Sessions that look at results: everything is visible."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from bolus import __version__
from bolus.serve.app import RESEARCH_ONLY, new_app, volume_response
from bolus.serve.exams import Exam, Volumes, open_results
from bolus.serve.manifest import manifest
from bolus.serve.pointed import pointed
from bolus.serve.refused import missing


def results_app(folders: Sequence[Path]) -> FastAPI:
    """The application for folders of results; errors as `bolus.serve.exams.open_results`."""
    volumes = Volumes()
    exams = {str(n): open_results(n, folder, volumes) for n, folder in enumerate(folders)}
    app = new_app()

    def exam_of(name: str) -> Exam:
        if name not in exams:
            raise missing("exam")
        return exams[name]

    @app.get("/api/session")
    def session() -> dict[str, Any]:
        return {
            "kind": "results",
            "version": __version__,
            "use": RESEARCH_ONLY,
            "rater": None,
            "exams": [
                {"id": one.id, "name": one.name, "verdict": one.summary["verdict"]["grade"]}
                for one in exams.values()
            ],
        }

    @app.get("/api/exams/{exam}")
    def whole(exam: str) -> dict[str, Any]:
        return manifest(exam_of(exam))

    @app.get("/api/exams/{exam}/volumes/{path:path}")
    def volume(exam: str, path: str, request: Request) -> Response:
        files = exam_of(exam).files
        key = path.removesuffix(".nii.gz")
        if key == path or key not in files:
            raise missing("volume")
        return volume_response(files[key], request)

    @app.get("/api/exams/{exam}/voxel/{x}/{y}/{z}")
    def voxel(exam: str, x: int, y: int, z: int) -> dict[str, Any]:
        return pointed(exam_of(exam), x, y, z)

    return app
