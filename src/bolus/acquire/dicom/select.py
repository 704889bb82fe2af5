"""Which of a study's images are the perfusion scan.

A study comes with localizers, dose reports, angiograms, projections, averages and maps, and with
more than one reconstruction of the same scan; some scanners split one scan over many series.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.series import MIN_FRAMES, Group, depth_of, merge, overlap
from bolus.acquire.dicom.source_images import LOCALIZER, derived, named_like_derived, why_not_source
from bolus.acquire.dicom.timing import MAX_LOST
from bolus.errors import AmbiguousExam, NotCT, TooFewFrames
from bolus.types import Finding, Grade

USUAL_THICKNESS_MM = 5.0
FRAMES_NEAR = 5
"""Images up to this many intervals before or after the scan may be its first or last frames."""
NAMED_LIKE_DERIVED = Finding(
    "series-named-like-derived",
    Grade.WARNING,
    "The series' description or folder is named like a perfusion map, a projection or an average; "
    "it was used because nothing else has a time course.",
    "Check that these are the source images of the scan.",
)


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
                f"{where}: there is no series {series}; `bolus info` lists the series of the exam."
            )
    verdicts = {s.series: _why_not(s) for s in slices}
    sources = [s for s in slices if not why_not_source(s)]
    groups = merge(s for s in sources if not named_like_derived(s))
    dynamic = [g for g in groups if g.frames >= MIN_FRAMES]
    findings: list[Finding] = []
    if not dynamic:
        dynamic = _demoted([s for s in sources if named_like_derived(s)])
        findings = [NAMED_LIKE_DERIVED]
    if not dynamic:
        raise _no_time_course(groups, slices, where)
    for group in groups:
        verdicts.update(
            (uid, f"no time course ({group.frames} images/slice)") for uid in group.series
        )
    chosen, choice = _choose(dynamic, where)
    verdicts.update(
        (uid, "another reconstruction of the scan") for g in dynamic for uid in g.series
    )
    verdicts.update((uid, "used") for uid in chosen.series)
    return Selection(
        chosen.slices, verdicts, (*findings, *choice, *_left_out(slices, chosen, dynamic))
    )


def _left_out(slices: Sequence[Slice], chosen: Group, dynamic: Sequence[Group]) -> list[Finding]:
    """Images left out that may be frames of the scan, and other images in its series."""
    known = {id(s) for group in dynamic for s in group.slices}
    others = [s for s in slices if id(s) not in known]
    there = {(depth_of(s), s.clock.acquisition_us) for s in chosen.slices}
    lost = [
        s
        for s in others
        if _may_be_frame(s, chosen)
        and (s.series in chosen.series or (depth_of(s), s.clock.acquisition_us) not in there)
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


def _may_be_frame(image: Slice, chosen: Group) -> bool:
    """Whether an image has the position and time of the scan's slices."""
    first = chosen.slices[0]
    at_home = (
        (image.study, image.frame_of_reference) == (first.study, first.frame_of_reference)
        and _grid(image) == _grid(first)
        and depth_of(image) in chosen.depths
    )
    if not at_home or image.series in chosen.series:
        return at_home
    if derived(image) or ("DERIVED" in image.image_type and "DERIVED" not in first.image_type):
        return False
    time, span = image.clock.acquisition_us, chosen.span_us
    if time is None or span is None:
        return image.clock.content_us is None  # neither gives evidence of another time
    near = FRAMES_NEAR * (span[1] - span[0]) / max(1, chosen.frames - 1)
    return span[0] - near <= time <= span[1] + near


def _grid(image: Slice) -> tuple[object, ...]:
    return image.rows, image.columns, tuple(round(v, 2) for v in image.orientation)


def _why_not(image: Slice) -> str:
    return why_not_source(image) or named_like_derived(image)


def _listed(reasons: Counter[str]) -> str:
    return ", ".join(f"{n} x {reason}" for reason, n in reasons.most_common())


def _demoted(slices: Sequence[Slice]) -> list[Group]:
    """Time courses among series named like maps; maps of one volume each don't add up to one."""
    images = Counter(s.series for s in slices)
    positions = Counter(series for series, _ in {(s.series, s.position) for s in slices})
    timed = [s for s in slices if images[s.series] >= MIN_FRAMES * positions[s.series]]
    return [g for g in merge(timed) if g.frames >= MIN_FRAMES]


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
        alike = group.slices[0].study == best.slices[0].study and overlap(group, best)
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
            f"The scan exists in {len(groups)} reconstructions; series {_numbers([best])[0]} "
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
