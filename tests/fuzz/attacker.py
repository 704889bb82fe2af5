"""Trying hostile inputs from outside: in a child process, with a limit on its time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from bolus.child_process import Child, ChildEnded

HERE = Path(__file__).parent
FOLDERS = [str(HERE), *(str(HERE.parent / name) for name in ("acquire", "infer", "serve"))]
"""Where the kinds of inputs, and the factories of small exams and models, are."""
sys.path[:0] = [folder for folder in FOLDERS if folder not in sys.path]
MOST_SECONDS = 60.0
"""For one input; a machine in use takes ten times as long as a quiet one."""


class Attacker:
    """A child that tries inputs, replaced when one of them ends it."""

    def __init__(self) -> None:
        known = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*FOLDERS, *known]))
        self._child = Child("attempt")

    def __call__(self, kind: str, seed: int, number: int) -> dict[str, Any]:
        """The answer of `attempt.answer`; ``failure`` also for a crash or no end in time."""
        request = {"kind": kind, "seed": seed, "number": number}
        try:
            found, _ = self._child.ask(request, seconds=MOST_SECONDS, most_bytes=0)
        except ChildEnded as ended:
            self._child = Child("attempt")
            return {"failure": str(ended), "seconds": MOST_SECONDS, "mib": 0.0}
        if "error" in found:
            return {"failure": found["error"], "seconds": 0.0, "mib": 0.0}
        return found

    def close(self) -> None:
        """End the child."""
        self._child.close()
