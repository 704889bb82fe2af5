"""Finished analyses of the dose study, one JSON line each, so that a study can be resumed."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bolus import code_digest
from bolus.code_digest import ANALYSIS, LESIONS
from bolus.files.regular_file import read_regular
from bolus.infer.model import LARGEST_BYTES
from bolus.pipeline import LIBRARIES
from bolus.study.dose.exam import Outcome
from bolus.study.dose.plan import DosePlan

SHAPING_HERE = ("score", "exam", "add_noise", "subsample")
"""Modules of this folder that determine a result."""

Line = dict[str, Any]
Key = tuple[str, str, float, tuple[int, ...]]
"""Exam's name (seed of the noise) and digest, dose, frames."""
Done = dict[Key, dict[str, Line]]
"""By analysis and method: outcome, scores."""


def log_name(plan: DosePlan) -> str:
    """The log file: its name changes with everything but the exam that determines a line."""
    return f"dose-{digest_of_code(plan)}.jsonl"


def line_of(key: Key, outcome: Outcome) -> Line:
    """A finished analysis as JSON."""
    ok: Line = {"outcome": "done", "stage": "", "reason": ""}
    methods: dict[str, Line] = {
        m: {**ok, "grade": outcome.grades[m], **_plain(row)} for m, row in outcome.scores.items()
    }
    methods |= {m: {**asdict(refusal), "grade": ""} for m, refusal in outcome.refusals.items()}
    name, digest, dose, kept = key
    return {
        "case": name,
        "exam": digest,
        "dose": dose,
        "kept": list(kept),
        "cpu_s": round(outcome.cpu_s, 2),
        "methods": methods,
    }


def keep(done: Done, line: Line) -> None:
    """Add the content of a line."""
    key = line["case"], line["exam"], line["dose"], tuple(line["kept"])
    done.setdefault(key, {}).update(line["methods"])


def finished(log: Path) -> Done:
    """The lines of a previous run; an incomplete last line is removed from the file."""
    done: Done = {}
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        if len(whole) < len(lines):
            log.write_text("".join(whole), encoding="utf-8")
        for line in whole:
            keep(done, json.loads(line))
    return done


def digest_of_code(plan: DosePlan) -> str:
    """Digest of code, its data files, libraries, and the plan's settings common to all lines."""
    shaping = [Path(__file__).with_name(f"{name}.py") for name in SHAPING_HERE]
    code = code_digest.digest_of_code(("acquire", *ANALYSIS, *LESIONS), *shaping)
    total = hashlib.sha256(code.encode())
    constants = (versions(), plan.reference, plan.preset, plan.seed)
    total.update(json.dumps(constants, sort_keys=True).encode())
    if plan.model is not None:
        total.update(read_regular(plan.model, LARGEST_BYTES))
    return total.hexdigest()[:12]


def versions() -> dict[str, str]:
    """bolus, Python and the libraries that do arithmetic."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def _plain(row: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN; ten digits are more than enough."""
    return {k: float(f"{v:.10g}") if np.isfinite(v) else None for k, v in row.items()}
