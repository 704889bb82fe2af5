"""Background jobs that take seconds, one at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from bolus.errors import BolusError
from bolus.serve.errors import Refused, missing

MOST_WAITING = 8
MOST_KNOWN = 200
"""Jobs whose result can still be requested."""


class Jobs:
    """Jobs of a session by name; each ends with the name of an exam or with an error."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[str, Callable[[], str]]] = SimpleQueue()
        self._states: dict[str, dict[str, Any]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def begin(self, work: Callable[[], str]) -> str:
        """Queue ``work``, which returns the name of an exam; the job's name."""
        with self._lock:
            if sum(one["state"] == "running" for one in self._states.values()) >= MOST_WAITING:
                raise Refused(429, "too many computations are running; wait for one to finish")
            if self._count == 0:
                # a daemon: the server ends without waiting for maps that nobody needs
                threading.Thread(target=self._work, name="bolus-job", daemon=True).start()
            self._count += 1
            name = f"j{self._count}"
            self._states[name] = {"state": "running", "error": None, "exam": None}
            while len(self._states) > MOST_KNOWN:
                del self._states[next(iter(self._states))]
        self._queue.put((name, work))
        return name

    def state(self, name: str) -> dict[str, Any]:
        """How far a job is."""
        with self._lock:
            if name not in self._states:
                raise missing("job")
            return dict(self._states[name])

    def _work(self) -> None:
        while True:
            self._do(*self._queue.get())

    def _do(self, name: str, work: Callable[[], str]) -> None:
        after: dict[str, Any] = {"state": "failed", "exam": None}
        try:
            after = {"state": "done", "error": None, "exam": work()}
        except (BolusError, Refused) as error:
            after["error"] = str(error)
        except Exception:
            logging.getLogger("uvicorn.error").exception("a job failed")
            after["error"] = "an internal error of bolus; its terminal window shows details"
        with self._lock:
            self._states[name] = after
