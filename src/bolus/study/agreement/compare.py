"""Agreement of any two sets of masks or maps, second against first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus.errors import NoReadableFiles, UsageError
from bolus.files.output_folder import staged
from bolus.files.voxel_grid import same_grid
from bolus.metrics import LIMITS_SD, mean_absolute_error
from bolus.study.agreement.concordance import FEWEST, lin, pearson
from bolus.study.agreement.figure import agreement_png
from bolus.study.agreement.matching import Match, brain_of, matches
from bolus.study.agreement.outlines import Agreement, OutlinePair, agreement, outline_pair
from bolus.study.agreement.overlap import CORE
from bolus.study.agreement.page import Section, Table, check_out, page, picture_uri, trial_table
from bolus.study.agreement.tables import (
    HEADINGS,
    RESEARCH,
    TRIAL_HEADINGS,
    Compared,
    Row,
    csv_text,
    latex_table,
    number,
    pair_rows,
    region_cells,
    region_rows,
    trial_cells,
    trial_rows,
)
from bolus.types import MAP_UNITS, BoolArray, Geometry
from bolus.volumes import Volume, is_labels, on_grid, read_volume

PAGE = "compare.html"
FILES = (
    PAGE, "agreement.csv", "agreement.tex", "eligibility.csv", "eligibility.tex", "pairs.csv",
    "maps.csv", "maps.tex", "agreement.png",
)  # fmt: skip
ONE_LABEL = ("hypoperfused",)
"""Regions of masks without core: the whole mask."""


@dataclass(frozen=True)
class MapPair:
    """A map against another, over the voxels of a mask; differences are second minus first."""

    name: str
    group: str
    voxels: int
    mean: float | None
    low: float | None
    high: float | None
    """95 % limits of agreement, mean -/+ 1.96 SD over voxels."""
    mae: float | None
    r: float | None
    ccc: float | None


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`."""

    masks: dict[str, Agreement]
    """By group."""
    maps: tuple[MapPair, ...]
    notes: tuple[str, ...]
    """What was resampled."""


def compare(first: Path, second: Path, mask: Path | None = None, seed: int = 0) -> Comparison:
    """Agreement of two files, or of the files of two folders that have the same names.

    A pair in which both hold nothing but 0, 1 and 2 is one of masks (1 penumbra, 2 core; a mask
    without 2 anywhere in its group is one region), any other one of maps.

    Parameters
    ----------
    first, second : see `bolus.study.agreement.matching.matches`.
    mask : where maps are compared; otherwise in the brain masks of results of `bolus run` where
        both have flow (are above 0), and else where both are finite and not both 0.
    seed : of the bootstrap.

    Raises
    ------
    NoReadableFiles, DamagedFile, BadGeometry, UsageError
        A file is missing, can't be read, is on a disjoint grid, or has no partner; or a mask is
        paired with a map.
    """
    notes: list[str] = []
    groups: dict[str, list[OutlinePair]] = {}
    with_core: set[str] = set()
    maps = []
    where = None if mask is None else read_volume(mask)
    for match in matches(first, second):
        one, two = _on_one_grid(match, notes)
        if _are_masks(match, one, two):
            pair = outline_pair(match.name, one.values, two.values, one.geometry)
            groups.setdefault(match.group, []).append(pair)
            if CORE in one.values or CORE in two.values:
                with_core.add(match.group)
        else:
            maps.append(_map_pair(match, one, two, _voxels(match, one, two, where)))
    masks = {
        group: agreement(pairs, seed) if group in with_core else agreement(pairs, seed, ONE_LABEL)
        for group, pairs in groups.items()
    }
    return Comparison(masks, tuple(maps), tuple(notes))


def write_comparison(found: Comparison, out: Path, seed: int = 0) -> None:
    """Write tables, a figure and one page, completely or not at all.

    Raises
    ------
    OutputError
        ``out`` holds something other than a previous comparison, or can't be written.
    """
    check_out(out, FILES)
    lines = [Compared({"what": group}, agreed) for group, agreed in found.masks.items()]
    caption = f"Agreement, second against first. {RESEARCH}"
    contents: dict[str, bytes] = {}

    def keep(
        name: str, rows: Sequence[Row], headings: Sequence[str], cells: list[list[str]]
    ) -> None:
        contents[f"{name}.csv"] = csv_text(rows).encode()
        contents[f"{name}.tex"] = latex_table(headings, cells, caption).encode()

    if lines:
        regions = [(g, r) for g, agreed in found.masks.items() for r in agreed.regions]
        trials = [(g, t) for g, agreed in found.masks.items() for t in agreed.trials]
        cells = [[group, *region_cells(region)] for group, region in regions]
        keep("agreement", region_rows(lines), ["what", *HEADINGS], cells)
        contents["pairs.csv"] = csv_text(pair_rows(lines)).encode()
        if trials:
            cells = [[group, *trial_cells(trial)] for group, trial in trials]
            keep("eligibility", trial_rows(lines), ["what", *TRIAL_HEADINGS], cells)
        if max(len(agreed.pairs) for agreed in found.masks.values()) >= FEWEST:
            contents["agreement.png"] = picture(found)
    if found.maps:
        cells = [map_cells(one) for one in found.maps]
        keep("maps", [_map_row(one) for one in found.maps], MAP_HEADINGS, cells)
    contents[PAGE] = _page(found, contents.get("agreement.png", b""), seed).encode()
    with staged(out) as stage:
        for name, content in contents.items():
            (stage / name).write_bytes(content)


def picture(found: Comparison) -> bytes:
    """The figure of the masks that have the same regions as the first group."""
    regions = [[r.region for r in agreed.regions] for agreed in found.masks.values()]
    alike = [
        (group, agreed)
        for (group, agreed), names in zip(found.masks.items(), regions, strict=True)
        if names == regions[0]
    ]
    return agreement_png(
        [Compared({"what": group}, agreed) for group, agreed in alike],
        [group for group, _ in alike],
        ("first", "second"),
    )


MAP_HEADINGS = ("map", "voxels", "mean difference", "95 % limits", "MAE", "r", "CCC")


def map_cells(one: MapPair) -> list[str]:
    """For reading: the columns of `MAP_HEADINGS`, in the unit of the map."""
    limits = f"{number(one.low, 2)} to {number(one.high, 2)}"
    return [
        one.name, str(one.voxels), number(one.mean, 2), limits, number(one.mae, 2),
        number(one.r, 3), number(one.ccc, 3),
    ]  # fmt: skip


def _page(found: Comparison, png: bytes, seed: int) -> str:
    sections = []
    if found.masks:
        table = Table(HEADINGS, [
            (group, [region_cells(region) for region in agreed.regions])
            for group, agreed in found.masks.items()
        ])  # fmt: skip
        alt = "Volumes of both sides, Bland-Altman plot and Dice"
        note = "Differences are second minus first."
        sections.append(Section("Masks", note, table, picture_uri(png), alt))
    if found.maps:
        note = "Over voxels, in the unit of the map; differences are second minus first."
        table = Table(MAP_HEADINGS, [("", [map_cells(one) for one in found.maps])])
        sections.append(Section("Maps", note, table, "", ""))
    pairs = sum(len(agreed.pairs) for agreed in found.masks.values())
    return page(
        "compare",
        title="Comparison",
        facts=[("Pairs of masks", str(pairs)), ("Pairs of maps", str(len(found.maps)))],
        notes=found.notes,
        sections=sections,
        eligibility=trial_table(list(found.masks.items())),
        definitions=[("maps", "mean difference, limits (± 1.96 SD), mean absolute error, Pearson’s "
                      "r and Lin’s concordance over voxels")],
        seed=seed,
    )  # fmt: skip


def _on_one_grid(match: Match, notes: list[str]) -> tuple[Volume, Volume]:
    one, two = read_volume(match.first), read_volume(match.second)
    if same_grid(one.geometry, two.geometry):
        return one, replace(two, geometry=one.geometry)
    notes.append(
        f"{match.name}: the second is on another grid {_shape(two.geometry)} and was resampled to "
        f"the first's {_shape(one.geometry)}, by nearest neighbour"
    )
    return one, on_grid(two, one.geometry, str(match.second))


def _shape(geometry: Geometry) -> str:
    return " × ".join(str(n) for n in geometry.shape[::-1])


def _are_masks(match: Match, one: Volume, two: Volume) -> bool:
    """Whether to compare masks; a map of zeros is recognised by its name or its partner."""
    if match.name.split("/")[-1] in MAP_UNITS:
        return False
    masks = [is_labels(side.values) for side in (one, two)]
    filled = [bool(side.values.any()) for side in (one, two)]
    if all(masks):
        return True
    if any(mask and full for mask, full in zip(masks, filled, strict=True)):
        raise UsageError(
            f"{match.first} and {match.second} are a mask and a map; compare two masks or two maps"
        )
    return False


def _voxels(match: Match, one: Volume, two: Volume, mask: Volume | None) -> BoolArray:
    a, b = (side.values.astype(np.float64) for side in (one, two))
    usable = np.isfinite(a) & np.isfinite(b)
    if mask is not None:
        return np.asarray(usable & (_moved(mask, one.geometry, "the mask") != 0))
    paths = (match.first, match.second)
    brains = [brain for path in paths if (brain := brain_of(path)) is not None]
    if len(brains) < len(paths):
        return np.asarray(usable & ((a != 0) | (b != 0)))
    for path, brain in zip(paths, brains, strict=True):
        usable &= _moved(read_volume(brain), one.geometry, str(brain)) != 0
        usable &= _flow(path, one.geometry)
    return np.asarray(usable)


def _flow(path: Path, geometry: Geometry) -> BoolArray:
    """Where a map's method has flow."""
    file = path.parent / "cbf.nii.gz"
    return np.asarray(_moved(read_volume(file), geometry, str(file)) > 0)


def _moved(volume: Volume, geometry: Geometry, name: str) -> np.ndarray:
    if same_grid(volume.geometry, geometry):
        return volume.values
    return on_grid(volume, geometry, name).values


def _map_pair(match: Match, one: Volume, two: Volume, voxels: BoolArray) -> MapPair:
    a, b = (side.values[voxels].astype(np.float64) for side in (one, two))
    if a.size == 0:
        raise NoReadableFiles(
            f"{match.first} and {match.second} have no voxel to compare; check the mask"
        )
    apart = b - a
    mean, reach = float(apart.mean()), LIMITS_SD * float(apart.std())
    return MapPair(
        name=match.name,
        group=match.group,
        voxels=int(a.size),
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        mae=mean_absolute_error(b, a),
        r=pearson(a, b),
        ccc=lin(a, b),
    )


def _map_row(one: MapPair) -> Row:
    return {
        "map": one.name, "voxels": one.voxels, "mean_difference": one.mean, "lower_limit": one.low,
        "upper_limit": one.high, "mae": one.mae, "pearson_r": one.r, "lin_ccc": one.ccc,
    }  # fmt: skip
