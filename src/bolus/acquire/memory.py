"""Whether an exam fits into the memory of this computer, checked before anything is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bolus.errors import TooLarge

COPIES = 2.5
"""Peak memory of a run in sizes of the exam's frames as float32: the frames before and after
motion correction, curves and maps.  benchmarks/memory.py measures it."""
COPIES_NIFTI = 4.5
"""Likewise while a 4D NIfTI is read: nibabel scales its values as float64."""
FIXED_BYTES = 500 * 2**20
"""The libraries, compiled kernels and the report."""
MAX_FRAMES_BYTES = 12 * 2**30
"""320 slices of 512 x 512 at 35 times: the largest volume exams have half of it."""
CGROUP = Path("/sys/fs/cgroup")
"""Where a container finds its own limits (version 2)."""


def check_memory(images: int, rows: int, columns: int, where: str, copies: float = COPIES) -> None:
    """Refuse an exam whose processing would need more memory than there is.

    Parameters
    ----------
    images
        Frames x slices.
    where
        The file or folder, for messages.
    copies
        Sizes of the frames that are in memory at once: `COPIES` or `COPIES_NIFTI`.

    Raises
    ------
    TooLarge
        With the numbers.
    """
    frames_bytes = images * rows * columns * 4
    needed = peak_bytes(frames_bytes, copies)
    there = available_bytes()
    if frames_bytes > MAX_FRAMES_BYTES:
        there = min(there, peak_bytes(MAX_FRAMES_BYTES, copies))
    if needed > there:
        raise TooLarge(
            f"{where}: {images} images of {rows} x {columns} need {needed / 2**30:.1f} GiB of "
            f"memory to be processed, {there / 2**30:.1f} GiB are available; choose a "
            "reconstruction with thicker slices, or a computer with more memory."
        )


def peak_bytes(frames_bytes: int, copies: float = COPIES) -> int:
    """Peak memory of a run, from the size of its frames as float32."""
    return FIXED_BYTES + int(copies * frames_bytes)


def available_bytes() -> int:
    """Memory that this process may still allocate: of the machine, the container, its own limit."""
    return min((*_machine(), *_container(), *_own_limit()), default=sys.maxsize)


def _machine() -> list[int]:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return [int(fields["MemAvailable"].split()[0]) * 1024]
    except (OSError, ValueError, KeyError):  # not Linux
        return _physical()


def _physical() -> list[int]:
    try:
        return [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError, OSError):  # Windows
        return []


def _container() -> list[int]:
    try:
        most = int((CGROUP / "memory.max").read_text("ascii"))
        used = int((CGROUP / "memory.current").read_text("ascii"))
        stat = dict(
            line.split() for line in (CGROUP / "memory.stat").read_text("ascii").splitlines()
        )
        # cached files count as used, but are released when memory is needed
        return [max(0, most - used + int(stat["inactive_file"]) + int(stat["active_file"]))]
    except (OSError, ValueError, KeyError):  # no container, or "max"
        return []


def _own_limit() -> list[int]:
    try:
        import resource
    except ImportError:  # Windows
        return []
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return [] if soft == resource.RLIM_INFINITY else [soft]
