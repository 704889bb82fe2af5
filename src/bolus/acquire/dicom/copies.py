"""Series that were sent twice under new identifiers."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from bolus.acquire.dicom.groups import MIN_FRAMES
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.pixels import Comparison, StoredBytes
from bolus.acquire.dicom.whole_seconds import SECOND_US
from bolus.errors import DamagedFile
from bolus.types import Finding, Grade

Pair = tuple[Slice, Slice]
Pairs = dict[tuple[str, str], list[Pair]]
"""By the SeriesInstanceUIDs of both."""
BLOCK_BYTES = 4096
MOST_SHIFTED_US = 300_000_000
"""What is said to be later than this is another exam, to be chosen by the user."""


def without_copies(slices: Sequence[Slice]) -> tuple[list[Slice], dict[str, str], list[Finding]]:
    """Leave out images that another series holds too: same place and pixels.

    Returns
    -------
    slices
    copied
        By SeriesInstanceUID: the series of which it is a copy, where all of its images are.
    findings
    """
    copies: set[tuple[str, int]] = set()
    of: dict[str, str] = {}
    total = Counter(s.series for s in slices)
    with Comparison() as comparison:
        for (series, original), pairs in sorted(_of_time_courses(_pairs(slices)).items()):
            sample = (pairs[0], pairs[len(pairs) // 2], pairs[-1])
            if all(_same(comparison, *pair) for pair in sample):
                same = [other for other, one in pairs if _same(comparison, other, one)]
                copies.update((s.name, s.encoding.frame) for s in same)
                if len(same) == total[series]:
                    of[series] = original
    if not copies:
        return list(slices), {}, []
    kept = [s for s in slices if (s.name, s.encoding.frame) not in copies]
    message = (
        f"{len(copies)} images occurred more than once with the same pixels, in other series; "
        "the copies were left out."
    )
    return kept, of, [Finding("copies-dropped", Grade.NOTE, message)]


def _pairs(slices: Sequence[Slice]) -> Pairs:
    """Images that may be copies of those of another series, by both series.

    Copies have the same place and stored pixels; their times may differ by minutes.
    """
    stored = StoredBytes()
    alike: dict[object, dict[str, list[Slice]]] = defaultdict(lambda: defaultdict(list))
    for image in _in_many_series(slices):
        block = _block(stored, image)
        if block:
            alike[_look(image), block][image.series].append(image)
    size, whole = (Counter(getattr(s, key) for s in slices) for key in ("series", "study"))
    study = {s.series: s.study for s in slices}
    exact = Counter(s.series for s in slices if (s.clock.acquisition_us or 0) % SECOND_US)
    pairs: Pairs = defaultdict(list)
    for by_series in alike.values():
        # an image that its own series has twice can't be told from its neighbour
        single = [uid for uid, images in by_series.items() if len(images) == 1]
        single.sort(key=lambda uid: (-whole[study[uid]], study[uid], -size[uid], -exact[uid], uid))
        for uid in single[1:]:
            pair = (by_series[uid][0], by_series[single[0]][0])
            if _of_one_exam(*pair):
                pairs[uid, single[0]].append(pair)
    return pairs


def _of_time_courses(found: Pairs) -> Pairs:
    """Those of places of which many different images exist twice: single volumes may be alike."""
    originals: dict[int, set[int]] = defaultdict(set)
    for pairs in found.values():
        for _, original in pairs:
            originals[original.place].add(id(original))
    return {
        series: kept
        for series, pairs in found.items()
        if (kept := [pair for pair in pairs if len(originals[pair[1].place]) >= MIN_FRAMES])
    }


def _in_many_series(slices: Sequence[Slice]) -> list[Slice]:
    """Images of places that several series show."""
    series: dict[object, set[str]] = defaultdict(set)
    for image in slices:
        series[_look(image)].add(image.series)
    return [s for s in slices if s.position and len(series[_look(s)]) > 1]


def _look(image: Slice) -> tuple[object, ...]:
    """What a copy shares with its original, identifiers and times aside."""
    place = (image.patient, image.rows, image.columns, image.place)
    kind = (image.sop_class, image.image_type, image.rescale_type, image.protocol)
    return (*place, *kind, image.encoding.frame)


def _of_one_exam(one: Slice, other: Slice) -> bool:
    """Whether two images were taken on one day within minutes, as far as their headers say."""
    if one.day and other.day and one.day != other.day:
        return False
    times = one.clock.acquisition_us, other.clock.acquisition_us
    return None in times or abs((times[0] or 0) - (times[1] or 0)) <= MOST_SHIFTED_US


def _block(stored: StoredBytes, image: Slice) -> bytes:
    """Digest of some bytes in the middle of the pixels: noise makes them an image's own."""
    try:
        return hashlib.blake2b(stored.middle_of(image, BLOCK_BYTES), digest_size=12).digest()
    except DamagedFile:
        return b""


def _same(comparison: Comparison, one: Slice, other: Slice) -> bool:
    try:
        return comparison.same(one, other)
    except DamagedFile:
        return False
