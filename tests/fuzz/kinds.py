"""Every kind of hostile input, by the name it has in the table of ``benchmarks/attacks.py``.

A kind is a function from a random generator and a folder that it may fill to an outcome (see
`oracle`); what it raises is a failure.  To add one, add its function to `KINDS`.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from apart import apart
from attack import Attack
from command_attacks import hostile_command
from dicom_attacks import (
    damaged_bytes,
    damaged_deflated,
    damaged_enhanced,
    damaged_streams,
    odd_values,
    rearranged,
)
from folder_attacks import hostile_folder
from model_attacks import attack_model
from nifti_attacks import damaged_nifti
from oracle import OUTCOMES, Fault, judge, judge_changing
from server_attacks import attack_results, attack_server, attack_study
from sidecar_attacks import hostile_sidecar
from untouched import as_read
from zip_attacks import hostile_zip

Attempt = Callable[[random.Random, Path], str]


class Kind(NamedTuple):
    """A kind of hostile input."""

    attempt: Attempt
    share: int
    """Of 100 inputs."""


def attempt_of(make: Callable[[random.Random, Path], Attack]) -> Attempt:
    """Make an exam and have it read."""

    def attempt(rng: random.Random, folder: Path) -> str:
        attack = make(rng, folder)
        try:
            return _judged(attack)
        except Exception as error:
            error.add_note(f"what was done: {attack.what}; allowed: {attack.allowed.value}")
            raise

    return attempt


def _judged(attack: Attack) -> str:
    if attack.as_nobody:
        as_read(attack.source)  # before this process is no longer allowed to make it
        return _apart(lambda: judge(attack))
    if attack.meanwhile is None:
        return judge(attack)
    thread = threading.Thread(target=attack.meanwhile)
    thread.start()
    try:
        return judge_changing(attack)
    finally:
        thread.join()


def _apart(function: Callable[[], str]) -> str:
    code, _, err = apart(lambda: 100 + OUTCOMES.index(function()), as_nobody=True)
    if err or not 0 <= code - 100 < len(OUTCOMES):
        raise Fault(f"as another user: {code}: {err.decode('utf-8', 'replace')}")
    return OUTCOMES[code - 100]


KINDS: dict[str, Kind] = {
    "DICOM: damaged bytes": Kind(attempt_of(damaged_bytes), 12),
    "DICOM: odd elements": Kind(attempt_of(odd_values), 12),
    "DICOM: damaged code streams": Kind(attempt_of(damaged_streams), 1),
    "DICOM: deflated": Kind(attempt_of(damaged_deflated), 2),
    "DICOM: enhanced multi-frame": Kind(attempt_of(damaged_enhanced), 12),
    "DICOM: lost, doubled, exchanged": Kind(attempt_of(rearranged), 5),
    "zip": Kind(attempt_of(hostile_zip), 12),
    "NIfTI": Kind(attempt_of(damaged_nifti), 24),
    "JSON beside NIfTI": Kind(attempt_of(hostile_sidecar), 12),
    "folders, links, devices": Kind(attempt_of(hostile_folder), 4),
    "command lines": Kind(hostile_command, 2),
    "models": Kind(attack_model, 2),
    "results folders of the server": Kind(attack_results, 4),
    "reading studies of the server": Kind(attack_study, 2),
    "requests of the server": Kind(attack_server, 4),
}
