"""Series joined where one scan is spread over several.

Scanners and exports make a series of each time point, slice position, table position, or of every
second slice; de-identification gives each of them identifiers of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from bolus.acquire.dicom.clocks import CLOCKS
from bolus.acquire.dicom.groups import MIN_FRAMES, Group, overlap, split, time_of, together
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.phases import MAX_PAUSE_US, NEARLY_AS_MANY, continues, join_phases
from bolus.acquire.dicom.places import Grids

SAME_PLACES = 0.6
"""Share of their places that two series of one slab have in common; slices may be missing."""
SHARED_AT_MOST = 1 / 3
"""Share of its slices that a table position may have in common with its neighbour."""
TWICE = 0.75
"""A series has fewer different places and times than this share of its images if it holds two."""
MOST_PARTS = 64
"""No scan was seen whose series differ in more than a few protocols."""


def merge(slices: Sequence[Slice]) -> list[Group]:
    """Series, joined where one scan was split over several of them.

    What series must share is relaxed for those that form no time course: first the study (each may
    have got its own in de-identification), then kernel, voltage and thickness.
    """
    rest = [part for images in split(slices, lambda s: s.series) for part in _parts(images)]
    grids = Grids()
    courses: list[Group] = []
    few: list[Group] = []
    for kind in (_kind, _kind_of_any_study, _kind_of_any_protocol):
        alike = split(rest, lambda g, kind=kind: kind(g, grids))  # type: ignore[misc]
        merged = [group for groups in alike for group in _merge_alike(groups)]
        found = [group for group in merged if group.frames >= MIN_FRAMES]
        courses += found
        few = few or [group for group in merged if group.frames < MIN_FRAMES]
        taken = _images(found)
        rest = [group for group in rest if not taken & _images([group])]
    taken = _images(courses)
    few = [group for group in few if not taken & _images([group])]
    beside = split(courses, lambda g: _kind_of_any_study(g, grids))
    courses = [group for groups in beside for group in _join_positions(groups)]
    return sorted(
        _join_successors([*courses, *few], grids), key=lambda g: (g.series, g.slices[0].name)
    )


def _images(groups: Sequence[Group]) -> set[int]:
    return {id(s) for group in groups for s in group.slices}


def _parts(images: Sequence[Slice]) -> list[Group]:
    """A series, or its parts where it holds several kinds of images of the same places and times.

    Derived images among original ones; or two reconstructions, or two voltages, in one series.
    """
    parts = [Group(tuple(part)) for part in split(images, lambda s: "DERIVED" in s.image_type)]
    whole = [group for part in parts for group in _reconstructions(part)]
    return [group for part in whole for group in _injections(part)]


def _reconstructions(group: Group) -> list[Group]:
    moments = {(s.place, s.clock.acquisition_us) for s in group.slices}
    if len(moments) > TWICE * len(group.slices):
        return [group]
    parts = [Group(tuple(part)) for part in split(group.slices, _protocol)]
    whole = all(part.clock and part.frames >= MIN_FRAMES for part in parts)
    return parts if len(parts) > 1 and whole else [group]


def _injections(group: Group) -> list[Group]:
    """A series cut where a long pause separates two time courses."""
    if group.clock not in CLOCKS or group.frames < 2 * MIN_FRAMES:
        return [group]
    times = np.unique([time_of(s, group.clock) for s in group.slices])
    pauses = times[1:][np.diff(times) > MAX_PAUSE_US]
    parts = split(
        group.slices, lambda s: int(np.searchsorted(pauses, time_of(s, group.clock), "right"))
    )
    cut = [Group(tuple(part)) for part in parts]
    return cut if all(part.frames >= MIN_FRAMES for part in cut) else [group]


def _merge_alike(groups: Sequence[Group]) -> list[Group]:
    phases = [phase for place in _same_place(groups) for phase in join_phases(place)]
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
    return (_most(group, lambda s: s.patient), _most(group, grids.of), group.derived)


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
            home.append(_without_places(group, home))
    return [*map(together, slabs), *(g for g in ordered if g.frames < MIN_FRAMES)]


def _beside(group: Group, slab: Sequence[Group]) -> bool:
    """Whether a group has (mostly) other places than a slab, at the same time or as many frames.

    Table positions may overlap by a slice.
    """
    shared = sum(len(group.places.keys() & other.places.keys()) for other in slab)
    if shared > SHARED_AT_MOST * len(group.places):
        return False
    return any(overlap(group, other) or _numbered_alike(group, other) for other in slab)


def _without_places(group: Group, slab: Sequence[Group]) -> Group:
    """A group without the slices that a slab has already."""
    known = {place for other in slab for place in other.places}
    return Group(tuple(s for s in group.slices if s.place not in known))


def _numbered_alike(group: Group, other: Group) -> bool:
    """Whether both lack times, and have as many frames by the same numbers."""
    untimed = group.span_us is None and other.span_us is None
    return untimed and (group.clock, group.frames) == (other.clock, other.frames)


def _join_successors(groups: Sequence[Group], grids: Grids) -> list[Group]:
    """Join time courses whose identifiers or protocols differ, where one continues the other."""
    if len(groups) > MOST_PARTS:
        return list(groups)
    joined: list[Group] = []
    for group in sorted(groups, key=lambda g: (g.span_us or (0, 0), g.series)):
        k = next((k for k, one in enumerate(joined) if _succeeds(group, one, grids)), None)
        if k is None:
            joined.append(group)
        else:
            joined[k] = together([joined[k], group])
    return joined


def _succeeds(group: Group, earlier: Group, grids: Grids) -> bool:
    """Whether a group shows the places of an earlier time course right after it."""
    alike = (
        grids.of(group.slices[0]) == grids.of(earlier.slices[0])
        and group.slices[0].patient == earlier.slices[0].patient
        and (group.derived == earlier.derived or _as_many(group, earlier))
    )
    common = len(group.places.keys() & earlier.places.keys())
    if not alike or common <= SAME_PLACES * max(len(group.places), len(earlier.places)):
        return False
    return continues(group, earlier)


def _as_many(group: Group, earlier: Group) -> bool:
    return abs(group.frames - earlier.frames) <= NEARLY_AS_MANY
