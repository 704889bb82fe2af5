"""Images that belong together: series, joined where a scanner split one scan over several."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from bolus.acquire.dicom.headers import Slice

MIN_FRAMES = 8
"""Two frames before the bolus and six during it: fewer can't determine CBF, MTT and delay."""
MAX_PAUSE_US = 60_000_000
"""A longer pause separates two injections, not two phases of one scan."""

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """Images that belong together: a series, or several merged ones."""

    slices: tuple[Slice, ...]

    @cached_property
    def series(self) -> tuple[str, ...]:
        """UIDs of its series, sorted."""
        return tuple(sorted({s.series for s in self.slices}))

    @cached_property
    def depths(self) -> Counter[int]:
        """Number of images by position, in tenths of a mm along the dominant axis."""
        return Counter(depth_of(s) for s in self.slices)

    @cached_property
    def frames(self) -> int:
        """Images per position."""
        return int(statistics.median_high(self.depths.values()))

    @cached_property
    def span_us(self) -> tuple[int, int] | None:
        """First and last time, by the best clock that all images have."""
        for values in _clocks(self.slices):
            if values:
                return min(values), max(values)
        return None


def merge(slices: Iterable[Slice]) -> list[Group]:
    """Series, joined where one scan was split over several of them."""
    by_series = [Group(tuple(part)) for part in _split(slices, lambda s: s.series)]
    merged: list[Group] = []
    for alike in _split(by_series, _kind):
        phases: list[Group] = []
        for place in _same_place(alike):
            phases += _join_phases(place)
        merged += _join_positions(phases)
    return sorted(merged, key=lambda g: g.series)


def _kind(group: Group) -> tuple[object, ...]:
    """What the series of one scan share."""

    def most(key: Callable[[Slice], object]) -> object:
        counts = Counter(key(s) for s in group.slices)
        return min(counts, key=lambda value: (-counts[value], str(value)))

    return (
        most(lambda s: (s.patient, s.study, s.frame_of_reference)),
        most(lambda s: (s.rows, s.columns, s.spacing)),
        most(lambda s: tuple(round(v, 3) for v in s.orientation)),
        most(lambda s: (s.protocol.kernel, s.protocol.kvp, s.protocol.thickness_mm)),
    )


def _same_place(groups: Sequence[Group]) -> list[list[Group]]:
    """Series of (nearly) the same positions; a slice may be missing here or there."""
    places: list[list[Group]] = []
    at: dict[int, list[int]] = defaultdict(list)
    """Places by the positions of their first series: thousands of series have few in common."""
    for group in sorted(groups, key=lambda g: (-len(g.depths), g.series)):
        shared = Counter(number for depth in group.depths for number in at[depth])
        alike = [
            number
            for number, common in shared.items()
            if common > 0.6 * max(len(group.depths), len(places[number][0].depths))
        ]
        if alike:
            places[min(alike)].append(group)
            continue
        for depth in group.depths:
            at[depth].append(len(places))
        places.append([group])
    return places


def _join_phases(groups: Sequence[Group]) -> list[Group]:
    """Join series of the same positions that follow each other without a long pause."""
    phases: list[list[Group]] = []
    end = 0
    for group in sorted(groups, key=lambda g: (g.span_us or (0, 0), g.series)):
        if group.span_us is None:
            continue
        first, last = group.span_us
        if phases and end < first <= end + MAX_PAUSE_US:
            phases[-1].append(group)
        else:
            phases.append([group])
        end = last
    untimed = [g for g in groups if not g.span_us]
    if untimed and all(g.frames < MIN_FRAMES for g in untimed):
        untimed = [_together(untimed)]
    return [*map(_together, phases), *untimed]


def _together(groups: Sequence[Group]) -> Group:
    return groups[0] if len(groups) == 1 else Group(tuple(s for g in groups for s in g.slices))


def _join_positions(groups: Sequence[Group]) -> list[Group]:
    """Join time courses of neighbouring slabs that were scanned alternately (shuttle, jog)."""
    ordered = sorted(groups, key=lambda g: (min(g.depths), g.series))
    slabs: list[list[Group]] = []
    for group in ordered:
        if group.frames < MIN_FRAMES:
            continue
        for slab in slabs:
            # slabs grow upwards, so the last group is the highest
            apart = min(group.depths) > max(slab[-1].depths)
            if apart and any(overlap(group, other) for other in slab):
                slab.append(group)
                break
        else:
            slabs.append([group])
    return [*map(_together, slabs), *(g for g in ordered if g.frames < MIN_FRAMES)]


def overlap(a: Group, b: Group) -> bool:
    """Whether two groups were acquired at the same time."""
    if not a.span_us or not b.span_us:
        return False
    return a.span_us[0] <= b.span_us[1] and b.span_us[0] <= a.span_us[1]


def _split(items: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    parts: dict[object, list[T]] = defaultdict(list)
    for item in items:
        parts[key(item)].append(item)
    return list(parts.values())


def depth_of(image: Slice) -> int:
    """Position across the slices in tenths of a mm, enough to distinguish slices."""
    if not image.position or not image.orientation:
        return 0
    (a, b, c), (d, e, f) = image.orientation[:3], image.orientation[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return round(10 * sum(n * p for n, p in zip(normal, image.position, strict=True)))


def _clocks(slices: Sequence[Slice]) -> Iterable[list[int]]:
    """Times by each clock that all images have and that advances, the best first."""
    for key in ("acquisition_us", "ge_mid_scan_us", "trigger_us", "content_us"):
        values = [getattr(s.clock, key) for s in slices]
        if None not in values:
            yield values
