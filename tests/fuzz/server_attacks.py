"""Folders of results, reading studies and requests that mean harm, made in ``tests/serve``.

The whole application answers, without a socket; requests to a folder in order are one input each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import FastAPI
from hostile_results import (
    OF_A_STUDY,
    OF_RESULTS,
    Asked,
    asked,
    good_results,
    good_study,
    hostile_request,
    hostile_results,
    hostile_study,
)
from oracle import CHANGED, NOTED, REFUSED, Fault, check_message

from bolus.errors import BolusError
from bolus.serve.results_app import results_app
from bolus.serve.study_app import study_app


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
    answers = asked(app, requests, {"rater": "anna", "code": code} if code else None)
    for answer in answers:
        if answer.status_code >= 500 or str(path.parent) in answer.text:
            raise Fault(f"{answer.url}: {answer.status_code} {answer.text[:300]!r}")
    return NOTED if any(answer.is_error for answer in answers) else CHANGED
