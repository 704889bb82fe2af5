"""Images that belong together, and the clock by which they do."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from bolus.acquire.dicom.clocks import CLOCKS, ORDERS
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.whole_seconds import SECOND_US

MIN_FRAMES = 8
"""Two frames before the bolus and six during it: fewer can't determine CBF, MTT and delay."""
DISTINCT = 0.8
"""Share of an exam's images that its clock must distinguish."""
EVENLY = 0.95
"""Share of its times that a scan must have as often as all the others."""

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
    def days(self) -> frozenset[str]:
        """Digests of the dates on which its images were taken, as far as they are known."""
        return frozenset(s.day for s in self.slices) - {""}

    @cached_property
    def derived(self) -> bool:
        """Whether most of its images are marked as derived from others."""
        return 2 * sum("DERIVED" in s.image_type for s in self.slices) > len(self.slices)

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


def overlap(a: Group, b: Group) -> bool:
    """Whether two groups were acquired at the same time."""
    if not a.span_us or not b.span_us:
        return False
    return a.span_us[0] <= b.span_us[1] and b.span_us[0] <= a.span_us[1]


def together(groups: Sequence[Group]) -> Group:
    """All images of some groups."""
    return groups[0] if len(groups) == 1 else Group(tuple(s for g in groups for s in g.slices))


def split(items: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    """Items by a key, in the order of their first."""
    parts: dict[object, list[T]] = defaultdict(list)
    for item in items:
        parts[key(item)].append(item)
    return list(parts.values())
