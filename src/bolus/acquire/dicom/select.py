"""Which of a study's images are the perfusion scan.

A study comes with localizers, dose reports, angiograms, bolus tracking, projections, averages and
maps, and with more than one reconstruction of the same scan; some scanners split one scan over many
series.  What decides is what the images are, never what somebody called them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bolus.acquire.dicom.clocks import CLOCKS
from bolus.acquire.dicom.copies import without_copies
from bolus.acquire.dicom.groups import MIN_FRAMES, Group, time_of
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.places import with_places
from bolus.acquire.dicom.scans import MAPS, Choice, Keys, choose, is_minor, keys_of, mark_of
from bolus.acquire.dicom.series import merge
from bolus.acquire.dicom.source_images import (
    LOCALIZER,
    unusual_units,
    why_not_source,
)
from bolus.acquire.dicom.timing import MAX_LOST
from bolus.errors import NotCT, TooFewFrames
from bolus.types import Finding, Grade

FRAMES_NEAR = 5
"""Images up to this many intervals before or after the scan may be its first or last frames."""
USED, COPY = "used", "a copy of another series"


@dataclass(frozen=True)
class Selection:
    """The perfusion scan and why everything else was left out."""

    slices: tuple[Slice, ...]
    verdicts: dict[str, str] = field(default_factory=dict)
    """By SeriesInstanceUID: "used", or why not."""
    findings: tuple[Finding, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    """By SeriesInstanceUID: what `--series` takes for the scan that the series belongs to."""


def select(slices: Sequence[Slice], where: str, series: str | None = None) -> Selection:
    """Choose the perfusion scan.

    Parameters
    ----------
    where
        The exam's path, for messages.
    series
        SeriesInstanceUID, series number or the key that `bolus info` prints, where the choice
        can't be made from the images.

    Raises
    ------
    NotCT
        If nothing is a CT source image.
    TooFewFrames
        If no CT series has a time course.
    AmbiguousExam
        If two patients or two perfusion scans are left.
    """
    placed = with_places(slices)
    verdicts = {s.series: _why_not(s) for s in placed}
    images, copied, copies = without_copies(placed)
    verdicts |= dict.fromkeys(copied, COPY)
    groups, odd = _time_courses(images)
    scans = [g for g in groups if g.frames >= MIN_FRAMES]
    keys = keys_of(scans)
    named = [s for s in images if series in (s.series, s.series_number)]
    if named:
        images, groups = named, _time_courses(named)[0]
        verdicts |= {s.series: "not asked for" for s in placed}
        scans = [g for g in groups if g.frames >= MIN_FRAMES]
    verdicts |= {
        uid: f"no time course ({group.frames} images/slice)"
        for group in groups
        for uid in group.series
    }
    if series is not None and not named:
        chosen = next((g for g in scans if keys[mark_of(g)] == series), None)
        if chosen is None:
            raise NotCT(
                f"{where}: there is no series {series}; `bolus info` lists the series of the exam."
            )
        choice = Choice(chosen)
        verdicts |= {uid: "another scan" for g in scans for uid in g.series}
    elif scans:
        choice = choose(scans, where, keys)
    else:
        raise _no_time_course(groups, images, where)
    verdicts |= choice.why_not
    verdicts |= dict.fromkeys(choice.scan.series, USED)
    return Selection(
        choice.scan.slices,
        verdicts,
        (*odd, *copies, *choice.findings, *_left_out(images, choice)),
        _by_series(keys),
    )


def scan_keys(slices: Sequence[Slice]) -> dict[str, str]:
    """What `--series` takes for each scan of an exam, by the UIDs of its series."""
    images, _, _ = without_copies(with_places(slices))
    scans = [g for g in _time_courses(images)[0] if g.frames >= MIN_FRAMES]
    return _by_series(keys_of(scans))


def _by_series(keys: Keys) -> dict[str, str]:
    """The keys of the scans in which each series has images."""
    found: dict[str, str] = {}
    for (uids, _), key in keys.items():
        for uid in uids:
            found[uid] = f"{found[uid]}, {key}" if uid in found else key
    return found


def _time_courses(images: Sequence[Slice]) -> tuple[list[Group], list[Finding]]:
    """Groups of source images; those in unusual units only where nothing else can be the scan."""
    sources = [s for s in images if not why_not_source(s)]
    groups = merge([s for s in sources if not unusual_units(s)])
    odd = [s for s in sources if unusual_units(s)]
    others = [g for g in merge(odd) if g.frames >= MIN_FRAMES] if odd else []
    courses = [g for g in groups if g.frames >= MIN_FRAMES]
    if not others or not is_minor(courses, others):
        return groups, []
    units = ", ".join(sorted({unusual_units(s) for g in others for s in g.slices}))
    return [*groups, *others], [
        Finding(
            "rescale-type-unusual",
            Grade.WARNING,
            f"The images' RescaleType is {units} and not HU; they were used because nothing else "
            "can be the scan, and their values are like those of a head.",
            "Check that these are the source images of the scan.",
        )
    ]


def _left_out(slices: Sequence[Slice], choice: Choice) -> list[Finding]:
    """Images left out that may be frames of the scan, and other images in its series."""
    chosen = choice.scan
    known = {id(s) for group in (chosen, *choice.again) for s in group.slices}
    others = [s for s in slices if id(s) not in known and choice.why_not.get(s.series) != MAPS]
    there = {(s.place, _time(s, chosen)) for s in chosen.slices}
    times: dict[int, list[int]] = defaultdict(list)
    for place, time in sorted((place, time) for place, time in there if time is not None):
        times[place].append(time)
    lost = [
        s
        for s in others
        if _may_be_frame(s, chosen)
        and (s.series in chosen.series or (s.place, _time(s, chosen)) not in there)
        and not _shown_already(s, chosen, times)
    ]
    taken = {id(s) for s in lost}
    in_series = [s for s in others if s.series in set(chosen.series) and id(s) not in taken]
    elsewhere = [s for s in in_series if _why_not(s).startswith((LOCALIZER, "not CT"))]
    findings = []
    if lost:
        share = len(lost) / (len(chosen.slices) + len(lost))
        findings.append(
            Finding(
                "images-left-out",
                Grade.FAIL if share > MAX_LOST else Grade.WARNING,
                f"{len(lost)} images that may belong to the scan were left out "
                f"({_listed(Counter(_why_not(s) or 'another series' for s in lost))}).",
                "Export the exam again as the scanner made it.",
            )
        )
    if in_series:
        findings.append(
            Finding(
                "images-beside",
                Grade.NOTE if len(elsewhere) == len(in_series) else Grade.WARNING,
                "The scan's series holds other images too "
                f"({_listed(Counter(_why_not(s) or 'another place' for s in in_series))}).",
            )
        )
    return findings


def _shown_already(image: Slice, chosen: Group, times: Mapping[int, Sequence[int]]) -> bool:
    """Whether the scan's series shows an image's slice at nearly its time, as tables overlap."""
    time = _time(image, chosen)
    if image.series not in chosen.series or time is None or not times.get(image.place):
        return False
    step = 1e6 * chosen.duration_s / max(1, chosen.frames - 1)
    k = bisect_left(times[image.place], time)
    near = times[image.place][max(0, k - 1) : k + 1]
    return 0 < min(abs(other - time) for other in near) < step / 2


def _time(image: Slice, chosen: Group) -> int | None:
    """An image's time by the clock of the scan."""
    if chosen.clock not in CLOCKS or getattr(image.clock, chosen.clock) is None:
        return None
    return time_of(image, chosen.clock)


def _may_be_frame(image: Slice, chosen: Group) -> bool:
    """Whether an image has the position and time of the scan's slices."""
    first = chosen.slices[0]
    at_home = (
        image.study == first.study and _grid(image) == _grid(first) and image.place in chosen.places
    )
    if not at_home:
        return False
    why_not = why_not_source(image)
    derived = "DERIVED" in image.image_type and not chosen.derived
    if image.series in chosen.series:
        return bool(why_not) or not derived
    if derived or why_not.startswith(("perfusion", "projection", LOCALIZER)):
        return False
    time, span = _time(image, chosen), chosen.span_us
    if time is None or span is None:
        return image.clock.content_us is None  # neither gives evidence of another time
    near = FRAMES_NEAR * (span[1] - span[0]) / max(1, chosen.frames - 1)
    return span[0] - near <= time <= span[1] + near


def _grid(image: Slice) -> tuple[object, ...]:
    return image.rows, image.columns, tuple(round(v, 2) for v in image.orientation)


def _why_not(image: Slice) -> str:
    units = unusual_units(image)
    return why_not_source(image) or (f"not Hounsfield units ({units})" if units else "")


def _listed(reasons: Counter[str]) -> str:
    return ", ".join(f"{n} x {reason}" for reason, n in reasons.most_common())


def _no_time_course(
    groups: Sequence[Group], slices: Sequence[Slice], where: str
) -> NotCT | TooFewFrames:
    if groups:
        best = max(groups, key=lambda g: g.frames)
        return TooFewFrames(
            f"{where}: no CT series has a time course; the longest ({best.slices[0].name}...) has "
            f"{best.frames} images per slice, at least {MIN_FRAMES} are needed."
        )
    listed = _listed(Counter(map(_why_not, slices)))
    return NotCT(f"{where}: holds no CT source images ({listed}; the first is {slices[0].name}).")
