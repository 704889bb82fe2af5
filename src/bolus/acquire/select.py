"""Which of a study's images are the perfusion scan.

A study comes with localizers, dose reports, angiograms, projections, averages and maps, and with
more than one reconstruction of the same scan; some scanners split one scan over many series.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from bolus.acquire.headers import Slice
from bolus.errors import AmbiguousExam, NotCT, TooFewFrames
from bolus.types import Finding, Grade

CT_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image Storage
    }
)
LOCALIZER_TYPES = frozenset({"LOCALIZER", "SCOUT"})
PROJECTIONS = frozenset({"MIP", "TMIP", "MINIP", "MAXIP", "AVERAGE", "AVG", "MEAN", "PROJECTION"})
MAP_WORDS = frozenset({"CBF", "CBV", "RCBF", "RCBV", "MTT", "TTP", "TMAX", "TTD", "PBV", "DELAY"})
RESCALE_TYPES = frozenset({"", "HU", "HU_MOD", "US", "UNSPECIFIED"})
"""US (unspecified) occurs on true source images: registered UniToBrain series carry it."""

MIN_FRAMES = 8
"""Two frames before the bolus and six during it: fewer can't carry CBF, MTT and delay."""
MAX_PAUSE_US = 60_000_000
"""A longer pause separates two injections, not two phases of one scan."""
USUAL_THICKNESS_MM = 5.0

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
        return Counter(_depth(s) for s in self.slices)

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


@dataclass(frozen=True)
class Selection:
    """The perfusion scan and why everything else was left out."""

    slices: tuple[Slice, ...]
    verdicts: dict[str, str] = field(default_factory=dict)
    """By SeriesInstanceUID: "used", or why not."""
    findings: tuple[Finding, ...] = ()


def select(slices: Sequence[Slice], where: str, series: str | None = None) -> Selection:
    """Choose the perfusion scan.

    Parameters
    ----------
    where
        The exam's path, for messages.
    series
        SeriesInstanceUID or series number, where the choice can't be made from the images.

    Raises
    ------
    NotCT
        If nothing is a CT source image.
    TooFewFrames
        If no CT series has a time course.
    AmbiguousExam
        If two patients or two perfusion scans are left.
    """
    if series is not None:
        slices = [s for s in slices if series in (s.series, s.series_number)]
        if not slices:
            raise NotCT(
                f"{where}: there is no series {series}; `bolus info` lists those there are."
            )
    verdicts = {s.series: why_not_source(s) for s in slices}
    sources = [s for s in slices if not why_not_source(s)]
    if not sources:
        reasons = Counter(why_not_source(s) for s in slices)
        listed = ", ".join(f"{n} x {reason}" for reason, n in reasons.most_common())
        raise NotCT(
            f"{where}: holds no CT source images ({listed}; the first is {slices[0].name})."
        )
    groups = merge(sources)
    dynamic = [g for g in groups if g.frames >= MIN_FRAMES]
    for group in groups:
        verdicts.update(
            (uid, f"no time course ({group.frames} images/slice)") for uid in group.series
        )
    if not dynamic:
        best = max(groups, key=lambda g: g.frames)
        raise TooFewFrames(
            f"{where}: no CT series has a time course; the longest ({best.slices[0].name}...) has "
            f"{best.frames} images per slice, at least {MIN_FRAMES} are needed."
        )
    chosen, findings = _choose(dynamic, where)
    verdicts.update(
        (uid, "another reconstruction of the scan") for g in dynamic for uid in g.series
    )
    verdicts.update((uid, "used") for uid in chosen.series)
    return Selection(chosen.slices, verdicts, tuple(findings))


def why_not_source(image: Slice) -> str:
    """Why an image can't belong to a perfusion scan; "" if it can."""
    kinds = set(image.image_type)
    if image.sop_class not in CT_CLASSES and (image.sop_class or image.modality != "CT"):
        return f"not CT ({image.modality or 'unknown'})"
    if image.modality not in ("CT", ""):
        return f"not CT ({image.modality})"
    if kinds & LOCALIZER_TYPES:
        return "localizer"
    if (kinds | image.words) & PROJECTIONS:
        return "projection or average"
    if _is_map(image):
        return "perfusion map"
    if image.encoding.samples != 1 or image.photometric not in ("MONOCHROME2", ""):
        return "colour or inverted image"
    if image.rescale_type not in RESCALE_TYPES:
        return f"not Hounsfield units ({image.rescale_type})"
    return ""


def _is_map(image: Slice) -> bool:
    folders = image.name.upper().split("/")[:-1]
    in_map_folder = any(part.startswith("NLR_") or part.endswith("_MAPS") for part in folders)
    return in_map_folder or bool((set(image.image_type) | image.words) & MAP_WORDS)


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
    for group in sorted(groups, key=lambda g: (-len(g.depths), g.series)):
        for place in places:
            common = len(group.depths.keys() & place[0].depths.keys())
            if common > 0.6 * max(len(group.depths), len(place[0].depths)):
                place.append(group)
                break
        else:
            places.append([group])
    return places


def _join_phases(groups: Sequence[Group]) -> list[Group]:
    """Join series of the same positions that follow each other without a long pause."""
    timed = sorted((g for g in groups if g.span_us), key=lambda g: (g.span_us or (0, 0), g.series))
    joined: list[Group] = []
    for group in timed:
        last = joined[-1].span_us if joined else None
        span = group.span_us
        if last and span and last[1] < span[0] <= last[1] + MAX_PAUSE_US:
            joined[-1] = Group(joined[-1].slices + group.slices)
        else:
            joined.append(group)
    untimed = [g for g in groups if not g.span_us]
    if untimed and all(g.frames < MIN_FRAMES for g in untimed):
        untimed = [Group(tuple(s for g in untimed for s in g.slices))]
    return joined + untimed


def _join_positions(groups: Sequence[Group]) -> list[Group]:
    """Join time courses of neighbouring slabs that were taken in turn (shuttle, jog)."""
    joined: list[Group] = []
    for group in sorted(groups, key=lambda g: (min(g.depths), g.series)):
        for i, other in enumerate(joined):
            apart = min(group.depths) > max(other.depths) or max(group.depths) < min(other.depths)
            if apart and _overlap(group, other) and min(group.frames, other.frames) >= MIN_FRAMES:
                joined[i] = Group(other.slices + group.slices)
                break
        else:
            joined.append(group)
    return joined


def _overlap(a: Group, b: Group) -> bool:
    if not a.span_us or not b.span_us:
        return False
    return a.span_us[0] <= b.span_us[1] and b.span_us[0] <= a.span_us[1]


def _choose(groups: Sequence[Group], where: str) -> tuple[Group, list[Finding]]:
    patients = {s.patient for g in groups for s in g.slices}
    if len(patients) > 1:
        raise AmbiguousExam(
            f"{where}: holds perfusion scans of {len(patients)} patients (for example "
            f"{' and '.join(_examples(groups))}); name the folder of one of them."
        )
    if len(groups) == 1:
        return groups[0], []
    best = min(groups, key=_preference)
    for group in groups:
        alike = group.slices[0].study == best.slices[0].study and _overlap(group, best)
        if group is not best and not alike:
            raise AmbiguousExam(
                f"{where}: holds {len(groups)} different perfusion scans (series "
                f"{' and '.join(_numbers(groups))}; {' and '.join(_examples(groups))}); choose one "
                "with --series NUMBER, `bolus info` lists them."
            )
    return best, [
        Finding(
            "series-chosen",
            Grade.NOTE,
            f"The scan is there in {len(groups)} reconstructions; series {_numbers([best])[0]} "
            f"({best.frames} frames, {len(best.depths)} slices) was used.",
            "Choose another one with --series NUMBER.",
        )
    ]


def _preference(group: Group) -> tuple[object, ...]:
    """Sort key, the best first: whole, original, near 5 mm, most slices."""
    thickness = group.slices[0].protocol.thickness_mm or USUAL_THICKNESS_MM
    derived = "DERIVED" in group.slices[0].image_type
    return (
        -group.frames,
        derived,
        abs(thickness - USUAL_THICKNESS_MM),
        -len(group.depths),
        group.series,
    )


def _examples(groups: Sequence[Group]) -> list[str]:
    return [min(s.name for s in g.slices) for g in groups][:2]


def _numbers(groups: Sequence[Group]) -> list[str]:
    return [min(s.series_number for s in g.slices) or g.series[0] for g in groups]


def _split(items: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    parts: dict[object, list[T]] = defaultdict(list)
    for item in items:
        parts[key(item)].append(item)
    return list(parts.values())


def _depth(image: Slice) -> int:
    """Position across the slices in tenths of a mm, good enough to tell slices apart."""
    if not image.position or not image.orientation:
        return 0
    (a, b, c), (d, e, f) = image.orientation[:3], image.orientation[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return round(10 * sum(n * p for n, p in zip(normal, image.position, strict=True)))


def _clocks(slices: Sequence[Slice]) -> Iterable[list[int]]:
    """Times by each clock that all images have and that ticks, the best first."""
    for key in ("acquisition_us", "ge_mid_scan_us", "trigger_us", "content_us"):
        values = [getattr(s.clock, key) for s in slices]
        if None not in values:
            yield values
