"""Stand-ins for packages a peer imports for its user interface and its files."""

from __future__ import annotations

import sys
from unittest.mock import MagicMock


class Host:
    """What a brick inherits from its application: a declaration of parameters."""

    def __init__(self) -> None:
        self.dict4runtime: dict[str, float] = {}

    def add_trait(self, *_: object) -> None:
        """Parameters are plain attributes here."""

    def init_default_traits(self) -> None:
        """The application has none to add."""

    def run_process_mia(self) -> None:
        """The application does nothing before a run."""


def stand_in(*names: str) -> None:
    """Replace modules that aren't needed by an object that accepts everything."""
    for name in names:
        sys.modules.setdefault(name, MagicMock())
