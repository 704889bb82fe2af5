"""``bolus compare``: agreement of any two sets of masks or maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bolus.plain_text import RESEARCH_USE

if TYPE_CHECKING:
    from bolus.study.agreement.compare import Comparison


def compare(
    first: Path,
    second: Path,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    mask: Path | None = None,
    seed: int = 0,
) -> None:
    """Compare two sets of masks or maps: overlap, volumes, limits of agreement, eligibility.

    Masks hold 0, 1 (penumbra) and 2 (core); every other file is a map. Differences are second
    minus first. Where the grids differ, the second is resampled to the first's by nearest
    neighbour, with a note. Needs `pip install 'bolus[study]'`.

    Parameters
    ----------
    first
        NIfTI file, folder of NIfTI files, or results of `bolus run`.
    second
        The same kind; files in folders are matched by name.
    out
        Folder for compare.html and the tables as CSV and LaTeX.
    mask
        NIfTI file: maps are compared where it isn't 0. By default in the brain where both results
        have flow, and for other maps where at least one isn't 0.
    seed
        Random seed of the bootstrap behind the confidence intervals.
    """
    from bolus.study.agreement.compare import FILES, PAGE, write_comparison
    from bolus.study.agreement.compare import compare as compared
    from bolus.study.agreement.page import check_out

    if out is not None:
        check_out(out, FILES)
    found = compared(first, second, mask, seed)
    _print(found)
    if out is not None:
        write_comparison(found, out, seed)
        print(f"report    {out / PAGE}")
    print(f"{RESEARCH_USE}.")


def _print(found: Comparison) -> None:
    from bolus.study.agreement.compare import MAP_HEADINGS, map_cells
    from bolus.study.agreement.tables import (
        HEADINGS,
        NONE,
        TRIAL_HEADINGS,
        region_cells,
        trial_cells,
    )

    for note in found.notes:
        print(f"note: {note}")
    for group, agreed in found.masks.items():
        print(f"\n{group}, second minus first")
        # regions side by side: a terminal is narrower than the table of the page
        columns = [HEADINGS, *(region_cells(region) for region in agreed.regions)]
        _print_aligned(list(zip(*columns, strict=True)))
        if agreed.trials:
            print()
            cells = [trial_cells(trial) for trial in agreed.trials]
            lines = [(c[0], *c[2:5], NONE if c[5].startswith(NONE) else c[5]) for c in cells]
            _print_aligned([(TRIAL_HEADINGS[0], *TRIAL_HEADINGS[2:]), *lines])
    if found.maps:
        print("\nmaps, second minus first")
        _print_aligned([MAP_HEADINGS, *(tuple(map_cells(one)) for one in found.maps)])
    print()


def _print_aligned(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
