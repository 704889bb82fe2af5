"""Recognising previous results of bolus inside an exam's folder: they are not an exam."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from bolus.acquire.read_errors import READ_ERRORS
from bolus.files.output_folder import MAX_SUMMARY_BYTES, SCHEMA_NAME
from bolus.files.regular_file import open_regular

SUMMARY = "summary.json"


def is_result_folder(folder: Path) -> bool:
    """Whether a folder holds results of bolus."""
    summary = folder / SUMMARY
    return summary.is_file() and is_summary(lambda: open_regular(summary))


def is_summary(open_file: Callable[[], BinaryIO]) -> bool:
    """Whether a file is the summary that bolus writes into each folder of results."""
    try:
        with open_file() as stream:
            content = json.loads(stream.read(MAX_SUMMARY_BYTES))
    except (*READ_ERRORS, RecursionError):
        return False
    return isinstance(content, dict) and str(content.get("schema")).startswith(SCHEMA_NAME)
