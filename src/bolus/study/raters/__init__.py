"""A reading study: raters outline core and penumbra on maps without knowing who made them.

::

    STUDY/study.json             seed, raters, methods, number of repeats
    STUDY/key.json               which reading is which exam and method; never shown to raters
    STUDY/raters.json            salted hashes of the raters' sign-in codes
    STUDY/images/CODE/           what a rater sees of one exam and method, and its geometry
    STUDY/worklists/RATER.json   readings in their order
    STUDY/readings/RATER/READING/outline.nii.gz, outline.dcm, reading.json

Nothing in here imports the simulator; simulated raters see ``images`` only, as people do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bolus.study.raters.make import create
    from bolus.study.raters.readings import (
        State,
        read_outline,
        reading_state,
        reopen,
        start,
        write_outline,
    )
    from bolus.study.raters.signin import signed_in
    from bolus.study.raters.store import Reading, Study, open_study

__all__ = [
    "Reading",
    "State",
    "Study",
    "create",
    "open_study",
    "read_outline",
    "reading_state",
    "reopen",
    "signed_in",
    "start",
    "write_outline",
]

_HOME = {
    "create": "make",
    "State": "readings",
    "read_outline": "readings",
    "reading_state": "readings",
    "reopen": "readings",
    "start": "readings",
    "write_outline": "readings",
    "signed_in": "signin",
    "Reading": "store",
    "Study": "store",
    "open_study": "store",
}


def __getattr__(name: str) -> object:
    # `bolus view` answers before any of the libraries that read images are loaded
    if name in _HOME:
        return getattr(import_module(f"bolus.study.raters.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
