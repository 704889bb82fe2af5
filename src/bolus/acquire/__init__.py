"""Bytes to ``Exam``: DICOM, NIfTI and UniToBrain folders, sorted by position and true time."""

from __future__ import annotations

from bolus.acquire.describe import Description, describe
from bolus.acquire.exam import read_exam

__all__ = ["Description", "describe", "read_exam"]
