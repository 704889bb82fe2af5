"""Images that belong together: series, joined where one scan is spread over several.

Scanners and exports make a series of each time point, slice position, table position, or of every
second slice; de-identification gives each of them identifiers of its own.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from bolus.acquire.dicom.clocks import CLOCKS, ORDERS, SHORTEST_US
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.places import Grids
from bolus.acquire.dicom.whole_seconds import SECOND_US

MIN_FRAMES = 8
"""Two frames before the bolus and six during it: fewer can't determine CBF, MTT and delay."""
MAX_PAUSE_US = 60_000_000
"""A longer pause separates two injections, not two phases of one scan."""
SAME_PLACES = 0.6
"""Share of their places that two series of one slab have in common; slices may be missing."""
COLLIDING = 0.5
"""Share of equal places and times above which two series show the same frames."""
DISTINCT = 0.8
"""Share of an exam's images that its clock must distinguish."""
EVENLY = 0.95
"""Share of its times that a scan must have as often as all the others."""
MUCH_SHORTER = 0.3
"""Intervals of this share of the usual one are those of frames that exist twice."""
NEXT_FRAME = 3.0
"""Series whose protocols differ are one scan if one follows the other within three intervals."""

MOST_PARTS = 64
"""No scan was seen whose series differ in more than a few protocols."""

T = TypeVar("T")
Moment = tuple[int, int]
"""Place and time (us) of an image."""


@dataclass(frozen=True)
class Group:
    """Images that belong together: a series, or several merged ones."""

    slices: tuple[Slice, ...]

    @cached_property
    def series(self) -> tuple[str, ...]:
        """UIDs of its series, sorted."""
        return tuple(sorted({s.series for s in self.slices}))

    @cached_property
    def places(self) -> Counter[int]:
        """Number of images by place, in hundredths of a mm along the slices' normal."""
        return Counter(s.place for s in self.slices)

    @cached_property
    def frames(self) -> int:
        """Images per place."""
        return int(statistics.median_high(self.places.values()))

    @cached_property
    def clock(self) -> str:
        """The first clock or number that distinguishes the images of a place; "" without one."""
        return clock_of(self.slices)

    @cached_property
    def span_us(self) -> tuple[int, int] | None:
        """First and last time; None without a clock."""
        if self.clock not in CLOCKS:
            return None
        times = [time_of(s, self.clock) for s in self.slices]
        return min(times), max(times)

    @property
    def duration_s(self) -> float:
        """Time from the first to the last image, s; 0 without a clock."""
        return (self.span_us[1] - self.span_us[0]) / 1e6 if self.span_us else 0.0

    @cached_property
    def extent_mm(self) -> float:
        """Height of the slab, mm, outer slices included."""
        thickness = self.slices[0].protocol.thickness_mm or 0.0
        places = sorted(self.places)
        step = (places[-1] - places[0]) / 100 / (len(places) - 1) if len(places) > 1 else thickness
        return (places[-1] - places[0]) / 100 + step


def clock_of(slices: Sequence[Slice]) -> str:
    """The first clock, else number, that all images have and that tells those of a place apart."""
    for key in (*CLOCKS, *ORDERS):
        known = all(getattr(s.clock, key) is not None for s in slices)
        if known and tells_apart(slices, key):
            return key
    return ""


def tells_apart(slices: Sequence[Slice], key: str) -> bool:
    """Whether a clock tells most images of a place apart; twice reconstructed ones share times."""
    moments = len({(s.place, getattr(s.clock, key)) for s in slices})
    places = len({s.place for s in slices})
    times_over = len(slices) / moments
    again = times_over > 1.5 and abs(times_over - round(times_over)) < 1 - EVENLY
    return moments >= DISTINCT * len(slices) or (again and moments >= MIN_FRAMES * places)


def time_of(image: Slice, clock: str) -> int:
    """An image's time by a clock, us; a number counts as so many seconds."""
    value: int = getattr(image.clock, clock)
    return value if clock in CLOCKS else value * SECOND_US


def merge(slices: Sequence[Slice]) -> list[Group]:
    """Series, joined where one scan was split over several of them.

    What series must share is relaxed for those that form no time course: first the study (each may
    have got its own in de-identification), then kernel, voltage and thickness.
    """
    rest = [Group(tuple(part)) for part in split(slices, lambda s: s.series)]
    grids = Grids()
    courses: list[Group] = []
    for kind in (_kind, _kind_of_any_study, _kind_of_any_protocol):
        alike = split(rest, lambda g, kind=kind: kind(g, grids))  # type: ignore[misc]
        merged = [group for groups in alike for group in _merge_alike(groups)]
        found = [group for group in merged if group.frames >= MIN_FRAMES]
        courses += found
        if kind is _kind:
            few = [group for group in merged if group.frames < MIN_FRAMES]
        taken = {uid for group in found for uid in group.series}
        rest = [group for group in rest if group.series[0] not in taken]
    taken = {uid for group in courses for uid in group.series}
    few = [group for group in few if not taken.intersection(group.series)]
    beside = split(courses, lambda g: _kind_of_any_study(g, grids))
    courses = [group for groups in beside for group in _join_positions(groups)]
    return sorted(_join_successors([*courses, *few], grids), key=lambda g: g.series)


def _merge_alike(groups: Sequence[Group]) -> list[Group]:
    phases = [phase for place in _same_place(groups) for phase in _join_phases(place)]
    return _join_positions(phases)


def _most(group: Group, key: Callable[[Slice], object]) -> object:
    counts = Counter(key(s) for s in group.slices)
    return min(counts, key=lambda value: (-counts[value], str(value)))


def _kind(group: Group, grids: Grids) -> tuple[object, ...]:
    """What the series of one scan share; frames of reference are not reliable."""
    return (_most(group, lambda s: s.study), *_kind_of_any_study(group, grids))


def _kind_of_any_study(group: Group, grids: Grids) -> tuple[object, ...]:
    return (_most(group, _protocol), *_kind_of_any_protocol(group, grids))


def _kind_of_any_protocol(group: Group, grids: Grids) -> tuple[object, ...]:
    return (_most(group, lambda s: s.patient), _most(group, grids.of))


def _protocol(image: Slice) -> tuple[object, ...]:
    protocol = image.protocol
    thickness = protocol.thickness_mm
    return (
        protocol.kernel,
        None if protocol.kvp is None else round(protocol.kvp),
        None if thickness is None else round(thickness, 1),
    )


def _same_place(groups: Sequence[Group]) -> list[list[Group]]:
    """Series of (nearly) the same places; a slice may be missing here or there."""
    found: list[list[Group]] = []
    at: dict[int, list[int]] = defaultdict(list)
    """Slabs by the places of their first series: thousands of series have few in common."""
    for group in sorted(groups, key=lambda g: (-len(g.places), g.series)):
        shared = Counter(number for place in group.places for number in at[place])
        alike = [
            number
            for number, common in shared.items()
            if common > SAME_PLACES * max(len(group.places), len(found[number][0].places))
        ]
        if alike:
            found[min(alike)].append(group)
            continue
        for place in group.places:
            at[place].append(len(found))
        found.append([group])
    return found


def _join_phases(groups: Sequence[Group]) -> list[Group]:
    """Join series of one slab that hold other times of it, without a long pause between them."""
    if len(groups) == 1:
        return list(groups)
    clock, timed = _common_clock(groups)
    if not clock:
        few = all(g.frames < MIN_FRAMES for g in groups)
        return [_together(groups)] if few else list(groups)
    scans: list[_Scan] = []
    for group in sorted(timed, key=lambda g: (_first(g, clock), g.series)):
        home = next((scan for scan in scans if scan.takes(group)), None)
        if home is None:
            scans.append(_Scan(clock, group))
        else:
            home.add(group)
    taken = {id(g) for g in timed}
    return [*(_together(scan.groups) for scan in scans), *(g for g in groups if id(g) not in taken)]


def _common_clock(groups: Sequence[Group]) -> tuple[str, list[Group]]:
    """The clock of the series that have a time course, else that of all images; who has it.

    A few series may lack it.
    """
    largest = max(groups, key=lambda g: (g.frames > 1, len(g.slices), g.series))
    total = sum(len(g.slices) for g in groups)
    for clock in (*CLOCKS, *ORDERS):
        timed = [g for g in groups if all(getattr(s.clock, clock) is not None for s in g.slices)]
        images = [s for g in timed for s in g.slices]
        if largest.frames > 1:
            if clock == largest.clock:
                return clock, timed
        elif len(images) >= DISTINCT * total and tells_apart(images, clock):
            return clock, timed
    return "", []


class _Scan:
    """A time course that grows by series of other times."""

    def __init__(self, clock: str, group: Group) -> None:
        self.clock = clock
        self.groups: list[Group] = []
        self.moments: set[Moment] = set()
        self.last = 0
        self.add(group)

    def add(self, group: Group) -> None:
        """Take a series in."""
        self.groups.append(group)
        own = _moments(group, self.clock)
        self.moments |= own
        self.last = max([self.last, *(time for _, time in own)])

    def takes(self, group: Group) -> bool:
        """Whether a series, none of whose images is earlier than the scan's first one, fits in."""
        own = _moments(group, self.clock)
        if min(time for _, time in own) > self.last + MAX_PAUSE_US:
            return False
        if len(own & self.moments) > COLLIDING * len(own):
            return False
        if min(time for _, time in own) >= self.last or group.frames < MIN_FRAMES:
            return True
        return _ticks_as_one(self.moments, own)


def _moments(group: Group, clock: str) -> set[Moment]:
    return {(s.place, time_of(s, clock)) for s in group.slices}


def _first(group: Group, clock: str) -> int:
    return min(time_of(s, clock) for s in group.slices)


def _ticks_as_one(one: set[Moment], other: set[Moment]) -> bool:
    """Whether interleaved time courses are frames of one: no interval is much shorter than usual.

    Two reconstructions whose clocks differ would leave pairs of frames next to each other.
    """
    steps = _intervals(one | other)
    if not len(steps):
        return False
    shortest = max(SHORTEST_US, MUCH_SHORTER * float(np.median(steps)))
    return float(np.mean(steps < shortest)) < 1 - DISTINCT


def _intervals(moments: set[Moment]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Intervals between the images of each place, us."""
    by_place: dict[int, list[int]] = defaultdict(list)
    for place, time in moments:
        by_place[place].append(time)
    steps = [np.diff(np.unique(times)) for times in by_place.values()]
    return np.concatenate(steps) if steps else np.empty(0, np.int64)


def _join_positions(groups: Sequence[Group]) -> list[Group]:
    """Join time courses of slices that were scanned in turn: shuttle, every second slice, each."""
    ordered = sorted(groups, key=lambda g: (min(g.places), g.series))
    slabs: list[list[Group]] = []
    for group in ordered:
        if group.frames < MIN_FRAMES:
            continue
        home = next((slab for slab in slabs if _beside(group, slab)), None)
        if home is None:
            slabs.append([group])
        else:
            home.append(group)
    return [*map(_together, slabs), *(g for g in ordered if g.frames < MIN_FRAMES)]


def _beside(group: Group, slab: Sequence[Group]) -> bool:
    """Whether a group has other places than a slab, at the same time or in as many frames."""
    if any(group.places.keys() & other.places.keys() for other in slab):
        return False
    return any(overlap(group, other) or _numbered_alike(group, other) for other in slab)


def _numbered_alike(group: Group, other: Group) -> bool:
    """Whether both lack times, and have as many frames by the same numbers."""
    untimed = group.span_us is None and other.span_us is None
    return untimed and (group.clock, group.frames) == (other.clock, other.frames)


def _join_successors(groups: Sequence[Group], grids: Grids) -> list[Group]:
    """Join scans whose identifiers or protocols differ, where one is continued by the other."""
    if len(groups) > MOST_PARTS:
        return list(groups)
    left = sorted(groups, key=lambda g: (g.span_us or (0, 0), g.series))
    joined: list[Group] = []
    for group in left:
        k = next((k for k, one in enumerate(joined) if _continues(group, one, grids)), None)
        if k is None:
            joined.append(group)
        else:
            joined[k] = _together([joined[k], group])
    return joined


def _continues(group: Group, earlier: Group, grids: Grids) -> bool:
    """Whether a group's frames follow an earlier one's as its own frames follow each other.

    A second pass that takes turns with the first is joined likewise.  ContentTime, which may be
    that of a reconstruction, proves no succession.
    """
    clock = clock_of((*earlier.slices, *group.slices))
    alike = (
        grids.of(group.slices[0]) == grids.of(earlier.slices[0])
        and group.slices[0].patient == earlier.slices[0].patient
        and clock in CLOCKS
        and clock != "content_us"
    )
    if not alike:
        return False
    common = len(group.places.keys() & earlier.places.keys())
    if common <= SAME_PLACES * max(len(group.places), len(earlier.places)):
        return False
    one, other = _moments(earlier, clock), _moments(group, clock)
    if one & other:
        return False
    steps = np.concatenate([_intervals(one), _intervals(other)])
    if not len(steps):
        return False
    pause = min(time for _, time in other) - max(time for _, time in one)
    if pause > NEXT_FRAME * float(np.median(steps)):
        return False
    return _ticks_as_one(one, other)


def _together(groups: Sequence[Group]) -> Group:
    return groups[0] if len(groups) == 1 else Group(tuple(s for g in groups for s in g.slices))


def overlap(a: Group, b: Group) -> bool:
    """Whether two groups were acquired at the same time."""
    if not a.span_us or not b.span_us:
        return False
    return a.span_us[0] <= b.span_us[1] and b.span_us[0] <= a.span_us[1]


def split(items: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    """Items by a key, in the order of their first."""
    parts: dict[object, list[T]] = defaultdict(list)
    for item in items:
        parts[key(item)].append(item)
    return list(parts.values())
