"""Images that were sent twice: duplicates are dropped, contradictions refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.pixels import Comparison
from bolus.errors import AmbiguousExam
from bolus.types import Finding, Grade, IntArray


def without_resent(slices: Sequence[Slice]) -> tuple[list[Slice], list[Finding]]:
    """Drop copies of an image: same SOPInstanceUID, place, time and pixels.

    Raises
    ------
    AmbiguousExam
        If the copies differ in their pixels.
    """
    return _without(
        slices,
        lambda i, s: (s.instance, s.encoding.frame, s.position, s.clock) if s.instance else i,
    )


def without_simultaneous(
    slices: Sequence[Slice], number: IntArray, us: IntArray
) -> tuple[list[Slice], list[Finding]]:
    """Drop copies of an image under another UID: same slice, time and pixels.

    Raises
    ------
    AmbiguousExam
        If two different images claim the same slice and time.
    """
    return _without(slices, lambda i, _: (int(number[i]), int(us[i])))


def _without(
    slices: Sequence[Slice], key: Callable[[int, Slice], Hashable]
) -> tuple[list[Slice], list[Finding]]:
    same: dict[Hashable, list[Slice]] = defaultdict(list)
    for i, image in enumerate(slices):
        same[key(i, image)].append(image)
    copies = 0
    with Comparison() as comparison:
        for group in same.values():
            for other in group[1:]:
                copies += 1
                if not comparison.same(group[0], other):
                    raise AmbiguousExam(
                        f"{group[0].name} and {other.name}: two different images of the same slice "
                        "and time; remove one of the two, or one of the two reconstructions."
                    )
    kept = [min(group, key=lambda s: s.name) for group in same.values()]
    if not copies:
        return kept, []
    message = (
        f"{copies} images occurred more than once with the same pixels; duplicates were dropped."
    )
    return kept, [Finding("duplicates-dropped", Grade.NOTE, message)]
