"""Recognising former results of bolus, which may lie inside an exam's folder but are no exam."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

SUMMARY = "summary.json"
SCHEMA_PREFIX = "bolus-summary/"
MAX_SUMMARY_BYTES = 16 * 2**20


def is_summary(open_file: Callable[[], BinaryIO]) -> bool:
    """Whether a file is the summary that bolus writes into each folder of results."""
    try:
        with open_file() as stream:
            content = json.loads(stream.read(MAX_SUMMARY_BYTES))
    except (OSError, ValueError, RecursionError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False
    return isinstance(content, dict) and str(content.get("schema")).startswith(SCHEMA_PREFIX)
