"""No library that bolus uses may send telemetry.

ONNX Runtime's packages since 1.32 look up a host of their vendor, keep a device id and a queue of
events in the user's cache folder, and write through a file of a fixed name in the temporary folder,
from the moment they are imported.  The variable must be set before that, so `bolus` sets it
before it imports anything, and child processes inherit it.  FastAPI's is switched off where the
application is made (`bolus.serve.app`).
"""

from __future__ import annotations

import os


def forbid_telemetry() -> None:
    """Switch telemetry off for this process and its children, overriding the user's settings."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
