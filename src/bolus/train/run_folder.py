"""The folder of a run, and the settings that it belongs to."""

from __future__ import annotations

import json
from pathlib import Path

from bolus.errors import UsageError
from bolus.files.atomic import write_whole

SETTINGS = "settings.json"


def own(folder: Path, settings: dict[str, object]) -> None:
    """Create the folder for this run, or check that it belongs to it.

    Raises
    ------
    UsageError
        It holds a run with other settings, or something else.
    """
    former = _settings_of(folder)
    if former is None:
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} holds other files; use a separate folder for the run")
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SETTINGS, (json.dumps(settings, indent=1) + "\n").encode())
        return
    other = [name for name in settings if former.get(name) != settings[name]]
    if other:
        raise UsageError(
            f"{folder} holds a run with another {', '.join(other)}; use another folder for this "
            "one, or the settings of that one to resume it"
        )


def _settings_of(folder: Path) -> dict[str, object] | None:
    """Settings of the run in a folder; None if it holds none that can be read."""
    try:
        found = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
