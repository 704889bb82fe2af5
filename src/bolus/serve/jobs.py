"""Work that takes seconds: done beside the answers, one job at a time."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bolus.errors import BolusError
from bolus.serve.refused import Refused, missing

MOST_WAITING = 8


class Jobs:
    """Jobs of a session by name; each ends with the name of an exam or with an error."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "bolus-job")
        self._states: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def begin(self, work: Callable[[], str]) -> str:
        """Queue ``work``, which returns the name of an exam; the job's name."""
        with self._lock:
            if sum(one["state"] == "running" for one in self._states.values()) >= MOST_WAITING:
                raise Refused(429, "enough is being computed already; wait for it")
            name = f"j{len(self._states) + 1}"
            self._states[name] = {"state": "running", "error": None, "exam": None}
        self._pool.submit(self._do, name, work)
        return name

    def state(self, name: str) -> dict[str, Any]:
        """How far a job is."""
        with self._lock:
            if name not in self._states:
                raise missing("job")
            return dict(self._states[name])

    def _do(self, name: str, work: Callable[[], str]) -> None:
        after: dict[str, Any] = {"state": "failed", "exam": None}
        try:
            after = {"state": "done", "error": None, "exam": work()}
        except (BolusError, Refused) as error:
            after["error"] = str(error)
        except Exception:
            traceback.print_exc()
            after["error"] = "a fault of bolus itself; its window says more"
        with self._lock:
            self._states[name] = after
