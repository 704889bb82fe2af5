"""What each series of a folder was taken for: a line of the table that `bolus info` prints."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median_high

from bolus.acquire.dicom.clocks import CLOCKS
from bolus.acquire.dicom.groups import MIN_FRAMES, clock_of, time_of
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.scans import MAPS, RECONSTRUCTION
from bolus.acquire.dicom.select import COPY, USED
from bolus.series import Series

TAKEN_FOR = {
    USED: "perfusion scan",
    RECONSTRUCTION: "perfusion scan, reconstructed otherwise",
    COPY: "copy",
    MAPS: "perfusion maps",
}
SHORT_FORMS = (
    ("bolus tracking", "bolus tracking or test bolus"),
    ("angiogram", "phases of an angiogram"),
    ("no contrast", "time course without contrast"),
    ("localizer", "localizer"),
    ("projection", "projection or average"),
    ("perfusion map", "perfusion maps"),
    ("colour", "colour images: maps or a report"),
    ("not CT", "no CT images: report, screen or other"),
    ("not Hounsfield", "maps or material images"),
)


def series_table(
    slices: Sequence[Slice], verdicts: Mapping[str, str], keys: Mapping[str, str]
) -> tuple[Series, ...]:
    """All series by number, without free text: names of persons have been found in it."""
    by_uid: dict[str, list[Slice]] = defaultdict(list)
    for image in slices:
        by_uid[image.series].append(image)
    rows = [
        _row(uid, images, verdicts.get(uid, ""), keys.get(uid, ""))
        for uid, images in by_uid.items()
    ]
    return tuple(sorted(rows, key=lambda row: (_as_number(row.number), row.number, row.uid)))


def _as_number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _row(uid: str, images: Sequence[Slice], verdict: str, key: str) -> Series:
    places = Counter(image.position for image in images)
    frames = int(median_high(places.values()))
    clock = clock_of(images)
    times = [time_of(image, clock) for image in images] if clock in CLOCKS else [0]
    return Series(
        number=images[0].series_number,
        uid=uid,
        modality=images[0].modality,
        image_type="\\".join(images[0].image_type),
        files=len({image.name for image in images}),
        images=len(images),
        slices=len(places),
        frames=frames,
        duration_s=round((max(times) - min(times)) / 1e6, 3),
        taken_for=_taken_for(verdict, len(places), frames),
        verdict=verdict,
        key=key,
    )


def _taken_for(verdict: str, slices: int, frames: int) -> str:
    if verdict in TAKEN_FOR:
        return TAKEN_FOR[verdict]
    for words, form in SHORT_FORMS:
        if words in verdict:
            return form
    if frames >= MIN_FRAMES:
        return "time course"
    if frames > 1:
        return f"{frames} volumes: phases of an angiogram or the like"
    return "one volume: plain scan, angiogram, average or map" if slices > 1 else "one image"
