"""Series of one slab that hold other times of it: which of them are one time course."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from bolus.acquire.dicom.clocks import CLOCKS, ORDERS, SHORTEST_US
from bolus.acquire.dicom.groups import (
    DISTINCT,
    MIN_FRAMES,
    Group,
    clock_of,
    tells_apart,
    time_of,
    together,
)
from bolus.acquire.dicom.timing import DAY_US
from bolus.types import IntArray

MAX_PAUSE_US = 60_000_000
"""A longer pause separates two injections, not two phases of one scan."""
COLLIDING = 0.5
"""Share of equal places and times above which two series show the same frames."""
SAME_TIME_US = 300_000
"""Images of a place nearer in time than this are of one frame: no gantry rotates faster."""
MUCH_SHORTER = 0.3
"""Intervals of this share of the usual one are those of frames that exist twice."""
NEARLY_AS_MANY = 1
"""Odd and even frames in two series differ by one at most."""
NEXT_FRAME = (0.5, 3.0)
"""A volume of another series is a frame of a time course if it lies about an interval from it."""
FEW = 3
"""Fewer volumes than this, far from all others, are no phase of a scan."""

Moment = tuple[int, int]
"""Place and time (us) of an image."""
Times = dict[int, list[int]]
"""Times (us) of the images of each place, sorted."""


def join_phases(groups: Sequence[Group]) -> list[Group]:
    """Join series of one slab that hold other times of it, without a long pause between them."""
    if len(groups) == 1:
        return list(groups)
    clock, timed = _common_clock(groups)
    if not clock:
        few = all(g.frames < MIN_FRAMES for g in groups)
        return [together(groups)] if few else list(groups)
    courses = [g for g in timed if g.frames >= MIN_FRAMES]
    volumes = [g for g in timed if g.frames < MIN_FRAMES]
    scans = _scans(courses, clock)
    left = []
    for group in sorted(volumes, key=lambda g: (_first(g, clock), g.series)):
        home = next((scan for scan in scans if scan.has_room_for(group)), None)
        if home is None:
            left.append(group)
        else:
            home.add(group)
    alone = [one for scan in _scans(left, clock) for one in _without_strays(scan)]
    taken = {id(g) for g in timed}
    untimed = [g for g in groups if id(g) not in taken]
    return [*(together(scan.groups) for scan in scans), *alone, *untimed]


def _scans(groups: Sequence[Group], clock: str) -> list[_Scan]:
    scans: list[_Scan] = []
    for group in sorted(groups, key=lambda g: (_first(g, clock), g.series)):
        home = next((scan for scan in scans if scan.takes(group)), None)
        if home is None:
            scans.append(_Scan(clock, group))
        else:
            home.add(group)
    return scans


def _without_strays(scan: _Scan) -> list[Group]:
    """A scan made of single volumes without those that lie far before or after all others."""
    if len(scan.groups) < MIN_FRAMES:
        return [together(scan.groups)]
    firsts = np.array([_first(group, scan.clock) for group in scan.groups])
    steps = np.diff(firsts)
    gaps = np.flatnonzero(steps > NEXT_FRAME[1] * np.median(steps))
    start = max([int(k) + 1 for k in gaps if k + 1 < FEW], default=0)
    end = min([int(k) + 1 for k in gaps if len(firsts) - k - 1 < FEW], default=len(firsts))
    strays = [*scan.groups[:start], *scan.groups[end:]]
    return [together(scan.groups[start:end]), *strays]


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
        self.times: Times = defaultdict(list)
        self.last = 0
        self.add(group)

    def add(self, group: Group) -> None:
        """Take a series in."""
        self.groups.append(group)
        for place, time in moments_of(group, self.clock):
            insort(self.times[place], time)
            self.last = max(self.last, time)

    def takes(self, group: Group) -> bool:
        """Whether a series, none of whose images is earlier than the scan's first one, fits in."""
        own = moments_of(group, self.clock)
        first = min(time for _, time in own)
        if first > self.last + MAX_PAUSE_US or not same_day(self.groups[0], group, first):
            return False
        if _colliding(own, self.times) > COLLIDING * len(own):
            return False
        if first >= self.last or group.frames < MIN_FRAMES:
            return True
        as_many = abs(group.frames - self.groups[0].frames) <= NEARLY_AS_MANY
        return as_many and ticks_as_one(self.times, own)

    def has_room_for(self, group: Group) -> bool:
        """Whether a few volumes lie where a frame of the time course is missing, or comes next."""
        own = moments_of(group, self.clock)
        first = min(time for _, time in own)
        return same_day(self.groups[0], group, first) and _has_room(self.times, own)


def moments_of(group: Group, clock: str) -> set[Moment]:
    """Places and times of a group's images."""
    return {(s.place, time_of(s, clock)) for s in group.slices}


def _times_of(moments: Iterable[Moment]) -> Times:
    times: Times = defaultdict(list)
    for place, time in sorted(moments):
        times[place].append(time)
    return times


def _has_room(course: Times, own: set[Moment]) -> bool:
    """Whether a few volumes lie about an interval from the frames of a time course."""
    step = float(np.median(intervals(course)))
    nearest = [_apart(course[place], time) for place, time in own if course.get(place)]
    if not nearest:
        return False
    apart = float(np.median(nearest))
    first = min(time for _, time in own)
    inside = (
        min(t[0] for t in course.values() if t) <= first <= max(t[-1] for t in course.values() if t)
    )
    low, high = NEXT_FRAME
    return low * step < apart <= (step if inside else high / 2 * step)


def _apart(times: Sequence[int], time: int) -> int:
    """Time from an image to the nearest one of its place, us."""
    k = bisect_left(times, time)
    return min(abs(other - time) for other in times[max(0, k - 1) : k + 1])


def _colliding(own: set[Moment], others: Times) -> int:
    """How many images others show too: the same place, at most a rotation apart."""
    return sum(
        _apart(others[place], time) < SAME_TIME_US for place, time in own if others.get(place)
    )


def same_day(one: Group, other: Group, first_us: int) -> bool:
    """Whether two groups share a date, or the later one's clock ran on over midnight."""
    if not one.days or not other.days or one.days & other.days:
        return True
    return first_us >= DAY_US


def _first(group: Group, clock: str) -> int:
    return min(time_of(s, clock) for s in group.slices)


def ticks_as_one(one: Times, other: set[Moment]) -> bool:
    """Whether interleaved time courses are frames of one: no interval is much shorter than usual.

    Two reconstructions whose clocks differ would leave pairs of frames next to each other.
    """
    both = {(place, time) for place, times in one.items() for time in times} | other
    steps = intervals(_times_of(both))
    if not len(steps):
        return False
    shortest = max(SHORTEST_US, MUCH_SHORTER * float(np.median(steps)))
    return float(np.mean(steps < shortest)) < 1 - DISTINCT


def intervals(times: Times) -> IntArray:
    """Intervals between the images of each place, us."""
    steps = [np.diff(np.unique(at)) for at in times.values() if at]
    return np.concatenate(steps) if steps else np.empty(0, np.int64)


def continues(group: Group, earlier: Group) -> bool:
    """Whether a time course follows an earlier one as its own frames follow each other.

    ContentTime, which may be that of a reconstruction, proves no succession.
    """
    clock = clock_of((*earlier.slices, *group.slices))
    if clock not in CLOCKS or clock == "content_us":
        return False
    one, other = _times_of(moments_of(earlier, clock)), moments_of(group, clock)
    first = min(time for _, time in other)
    last = max(times[-1] for times in one.values())
    steps = np.concatenate([intervals(one), intervals(_times_of(other))])
    if not len(steps) or not same_day(earlier, group, first) or _colliding(other, one):
        return False
    if group.frames < MIN_FRAMES <= earlier.frames:
        return _has_room(one, other)
    step = float(np.median(steps))
    return NEXT_FRAME[0] * step <= first - last <= NEXT_FRAME[1] * step or (
        first <= last
        and abs(group.frames - earlier.frames) <= NEARLY_AS_MANY
        and ticks_as_one(one, other)
    )
