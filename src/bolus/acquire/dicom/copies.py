"""Series that were sent twice under new identifiers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.pixels import Comparison
from bolus.errors import DamagedFile
from bolus.types import Finding, Grade

Pair = tuple[Slice, Slice]


def without_copies(slices: Sequence[Slice]) -> tuple[list[Slice], dict[str, str], list[Finding]]:
    """Leave out images that another series holds too: same place, times and pixels.

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
        for (series, original), pairs in sorted(_pairs(slices).items()):
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


def _pairs(slices: Sequence[Slice]) -> dict[tuple[str, str], list[Pair]]:
    """Images that may be copies of those of an earlier series, by both series."""
    alike: dict[object, dict[str, list[Slice]]] = defaultdict(lambda: defaultdict(list))
    for image in slices:
        if image.position:
            alike[_look(image)][image.series].append(image)
    size = Counter(s.series for s in slices)
    study = {s.series: s.study for s in slices}
    pairs: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for by_series in alike.values():
        # an image that its own series has twice can't be told from its neighbour
        single = [uid for uid, images in by_series.items() if len(images) == 1]
        single.sort(key=lambda uid: (-size[uid], study[uid], uid))
        for uid in single[1:]:
            pairs[uid, single[0]].append((by_series[uid][0], by_series[single[0]][0]))
    return pairs


def _look(image: Slice) -> tuple[object, ...]:
    """What a copy shares with its original, identifiers aside."""
    place = (image.patient, image.rows, image.columns, image.orientation, image.place)
    kind = (image.sop_class, image.image_type, image.rescale_type, image.protocol)
    return (*place, *kind, image.clock)


def _same(comparison: Comparison, one: Slice, other: Slice) -> bool:
    try:
        return comparison.same(one, other)
    except DamagedFile:
        return False
