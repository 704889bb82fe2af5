"""Terminal output: progress, and the description of an exam."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from bolus.acquire.describe import Description
    from bolus.preprocessing import Progress


@contextmanager
def stage_printer(quiet: bool) -> Iterator[Progress]:
    """A progress function for `bolus.pipeline.run_exam`; prints to standard error.

    A spinner with the stage on a terminal; plain lines in a pipe.
    """
    if quiet:
        yield lambda stage, seconds: None
        return
    console = Console(stderr=True, highlight=False)
    with console.status("") as status:

        def show(stage: str, seconds: float | None) -> None:
            if seconds is None:
                status.update(stage)
            else:
                console.print(f"{stage:18s} {seconds:6.1f} s")

        yield show


@contextmanager
def file_counter() -> Iterator[Callable[[int, int], None]]:
    """A function that shows how many of an exam's files were read; silent but on a terminal."""
    console = Console(stderr=True, highlight=False)
    with console.status("") as status:
        yield lambda number, total: status.update(f"{number} of {total} files")


def print_description(found: Description) -> None:
    """Print the description of an exam."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    several = len({series.key for series in found.series} - {""}) > 1
    for series in found.series:
        reason = f" ({series.verdict})" if series.verdict not in ("", "used") else ""
        lasts = f", {series.duration_s:.1f} s" if series.duration_s else ""
        key = f"  [--series {series.key}]" if series.key and several else ""
        console.print(
            f"series {series.number or '?':>4s}  {series.images:5d} images: {series.slices} slices "
            f"x {series.frames}{lasts}  {series.taken_for}{reason}{key}"
        )
    if found.scanner:
        make = [found.scanner.manufacturer, found.scanner.model, found.scanner.kernel]
        doses = [f"{found.scanner.kvp:g} kVp"] if found.scanner.kvp else []
        if found.scanner.exposure_mas:
            doses.append(f"{found.scanner.exposure_mas:g} mAs")
        console.print("scanner      " + ", ".join([part for part in make if part] + doses))
    if found.geometry:
        slices, rows, columns = found.geometry.shape
        dz, dy, dx = found.geometry.spacing_mm
        console.print(
            f"geometry     {slices} slices of {rows} x {columns}, {dz:g} x {dy:.4g} x {dx:.4g} mm"
        )
    if found.frames:
        console.print(f"frames       {found.frames}, times from {found.clock}")
    for times in found.slice_times:
        console.print(
            f"  slice {times.slice:3d}  {times.first_s:7.2f} to {times.last_s:7.2f} s, every "
            f"{times.dt_median_s:.3g} s ({times.dt_min_s:.3g}-{times.dt_max_s:.3g})"
        )
    for finding in sorted(found.findings, key=lambda f: -f.grade):
        remedy = f" {finding.remedy}" if finding.remedy else ""
        console.print(f"{finding.grade.name.lower():8s} {finding.code}: {finding.message}{remedy}")
    if found.error is None:
        console.print("usable       yes, as far as the headers show")
    else:
        console.print(f"usable       no: {found.error}")
