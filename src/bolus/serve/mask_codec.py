"""Masks as they travel: labels 0, 1 and 2, x fastest, then y, then z."""

from __future__ import annotations

import base64
import gzip

import numpy as np
from numpy.typing import NDArray

from bolus.serve.errors import Refused, missing
from bolus.study.raters.store import DEVICE, NAME

Labels = NDArray[np.uint8]
LABELS = 3
"""0 none, 1 penumbra, 2 core."""
MOST_ACTIVE_S = 1e6


def packed(labels: Labels) -> str:
    """(Z, Y, X) labels as base64 of gzip."""
    content = np.ascontiguousarray(labels, np.uint8).tobytes()
    return base64.b64encode(gzip.compress(content, 1, mtime=0)).decode()


def with_slice(labels: Labels, z: int, body: bytes) -> Labels:
    """A copy with one slice replaced by raw bytes, x fastest.

    Raises
    ------
    Refused
        No such slice, another number of bytes, or other labels.
    """
    slices, rows, columns = labels.shape
    if not 0 <= z < slices:
        raise missing("slice")
    if len(body) != rows * columns:
        raise Refused(
            422, f"a slice has {rows * columns} bytes ({columns} x {rows}), not {len(body)}"
        )
    plane = np.frombuffer(body, np.uint8).reshape(rows, columns)
    if plane.max() >= LABELS:
        raise Refused(422, "labels are 0 (none), 1 (penumbra) and 2 (core)")
    changed = labels.copy()
    changed[z] = plane
    return changed


def checked_rater(name: str) -> str:
    """A name that can be a folder; raises Refused for others."""
    if not NAME.fullmatch(name):
        raise Refused(422, "a rater's name is up to 32 small letters, digits and hyphens")
    if DEVICE.fullmatch(name):
        raise Refused(422, f"{name} is the name of a device on Windows; take another name")
    return name


def checked_active(active_s: float) -> float:
    """Seconds of work; raises Refused for impossible values."""
    if not 0 <= active_s <= MOST_ACTIVE_S:
        raise Refused(422, "the active time is a number of seconds, 0 or more")
    return active_s
