"""Folders of results, reading studies and requests that mean harm, made in ``tests/serve``.

The whole application answers, without a socket; requests to a folder in order are one input each.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
from fastapi import FastAPI
from hostile_results import (
    SHAPE,
    good_results,
    good_study,
    hostile_request,
    hostile_results,
    hostile_study,
)
from oracle import CHANGED, NOTED, REFUSED, Fault, check_message

from bolus.errors import BolusError
from bolus.serve.access import Access
from bolus.serve.app import guarded
from bolus.serve.results_app import results_app
from bolus.serve.study_app import study_app

Asked = tuple[str, str, bytes]
SLICE = bytes(SHAPE[1] * SHAPE[2])
OF_RESULTS: tuple[Asked, ...] = (
    ("GET", "/api/exams/0", b""),
    ("GET", "/api/exams/0/voxel/10/12/1", b""),
    ("GET", "/api/exams/0/volumes/nlr/cbf.nii.gz", b""),
    ("POST", "/api/exams/0/lesion", b'{"method": "nlr", "preset": "rapid"}'),
    ("GET", "/api/exams/0/outlines/anna", b""),
    ("PUT", "/api/exams/0/outlines/anna/slices/2?revision=3&active_s=1", SLICE),
    ("POST", "/api/exams/0/outlines/anna/export", b""),
)
OF_A_STUDY: tuple[Asked, ...] = (
    ("GET", "/api/worklist", b""),
    ("GET", "/api/readings/r0001", b""),
    ("GET", "/api/readings/r0001/outline", b""),
    ("PUT", "/api/readings/r0001/outline/slices/1?revision=2&active_s=1", SLICE),
    ("POST", "/api/readings/r0001/done", b'{"active_s": 1}'),
)


def attack_results(rng: random.Random, folder: Path) -> str:
    """A corrupted folder of results and the requests of a page that looks at it."""
    path = folder / "results"
    hostile_results(rng, path, good_results(folder / "good"))
    return _answered(path, lambda: results_app([path]), OF_RESULTS)


def attack_study(rng: random.Random, folder: Path) -> str:
    """A corrupted reading study and the requests of a rater."""
    path = folder / "study"
    codes = good_study(folder / "good study", good_results(folder / "good"))
    hostile_study(rng, path, folder / "good study")
    return _answered(path, lambda: study_app(path), OF_A_STUDY, codes["anna"])


def attack_server(rng: random.Random, folder: Path) -> str:
    """One request that means harm, to a server of results in order."""
    path = good_results(folder / "results")
    return _answered(path, lambda: results_app([path]), [hostile_request(rng)])


def _answered(
    path: Path,
    make: Callable[[], FastAPI],
    requests: Sequence[Asked],
    code: str = "",
) -> str:
    """Refused at once; with answers that name an error; or answered in full."""
    try:
        app = make()
    except BolusError as error:
        check_message(str(error), path)
        return REFUSED
    answers = asyncio.run(_ask(app, requests, code))
    for answer in answers:
        if answer.status_code >= 500 or str(path.parent) in answer.text:
            raise Fault(f"{answer.url}: {answer.status_code} {answer.text[:300]!r}")
    return NOTED if any(answer.is_error for answer in answers) else CHANGED


async def _ask(app: FastAPI, requests: Sequence[Asked], code: str) -> list[httpx.Response]:
    transport = httpx.ASGITransport(guarded(app, Access(port=80)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answers = []
        if code:
            sign_in = {"rater": "anna", "code": code}
            answers.append(await client.post("/api/sign-in", json=sign_in))
        for method, url, body in requests:
            try:
                target = httpx.URL(url)
            except httpx.InvalidURL:  # nobody can send it
                continue
            kind = {} if method == "PUT" else {"Content-Type": "application/json"}
            answers.append(await client.request(method, target, content=body, headers=kind))
    return answers
