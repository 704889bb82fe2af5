"""Clocks that lost their fractions: another one has them, or even intervals explain them."""

from __future__ import annotations

import numpy as np

from bolus.errors import MissingTiming
from bolus.types import Finding, Grade, IntArray

SECOND_US = 1_000_000
GRIDS, STEPS_EACH_WAY = 4, 20
"""Of the search for an even interval: down to 1e-3 of what one second allows over the scan."""
HOW_TO_GIVE_TIMES = (
    "give them with --interval SECONDS or --times FILE (interval_s=, times= in Python), or export "
    "the exam with its acquisition times"
)


def distinct(us: IntArray, number: IntArray) -> float:
    """Share of the images whose time no other image of the same slice has."""
    return len(set(zip(number.tolist(), us.tolist(), strict=True))) / len(us)


def drift(us: IntArray, other: IntArray, number: IntArray) -> int:
    """How much two clocks drift apart within a slice, us; constant offsets don't count."""
    shift = us - other
    return max(int(np.ptp(shift[number == k])) for k in range(number.max() + 1))


def ranks_in_slice(order: IntArray, number: IntArray, tie: IntArray | None = None) -> IntArray:
    """Rank of each image among those of its slice; equal ones share it unless ``tie`` differs."""
    ranks = np.empty_like(order)
    for k in range(number.max() + 1):
        mine = number == k
        if tie is None:
            ranks[mine] = np.unique(order[mine], return_inverse=True)[1]
        else:
            pairs = np.stack([order[mine], tie[mine]], axis=1)
            ranks[mine] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    return ranks


def in_whole_seconds(us: IntArray, number: IntArray) -> bool:
    """Whether a clock lost its fractions; one that ticks in equal whole seconds may be right."""
    if np.any(us % SECOND_US != us[0] % SECOND_US):
        return False
    return distinct(us, number) < 1 or len(set(np.diff(np.unique(us)).tolist())) > 1


def same_second(us: IntArray, finer: IntArray, number: IntArray) -> bool:
    """Whether a clock is another one with its fractions."""
    return not in_whole_seconds(finer, number) and drift(us, finer, number) <= SECOND_US


def evenly(
    us: IntArray, order: IntArray | None, number: IntArray, name: str
) -> tuple[IntArray, Finding]:
    """Even intervals, if they explain times cut to whole seconds; else the times as they are.

    Raises
    ------
    MissingTiming
        If two images of a slice have the same time, and intervals are uneven.
    """
    tie = np.zeros_like(us) if order is None else order * _direction(us, order, number)
    ranks = ranks_in_slice(us, number, tie)
    step, spread = _best_step(us, ranks, number)
    if spread < SECOND_US:
        rest = us - step * ranks
        together = np.ptp(rest) < SECOND_US
        start = np.empty(len(us))
        for k in range(number.max() + 1):
            mine = slice(None) if together else number == k
            start[number == k] = (rest[mine].min() + rest[mine].max()) / 2
        even = np.round(start + step * ranks).astype(np.int64)
        return even, Finding(
            "timing-coarse",
            Grade.WARNING,
            f"Frame times are in whole seconds; even intervals of {step / SECOND_US:.3f} s explain "
            "all of them and were used.",
            "Compare the interval with the scan protocol.",
        )
    if distinct(us, number) < 1:
        raise MissingTiming(
            f"{name}: its frame times are cut to whole seconds, so that two frames have the same "
            f"one; {HOW_TO_GIVE_TIMES}."
        )
    return us, Finding(
        "timing-coarse",
        Grade.WARNING,
        "Frame times are in whole seconds: each may be wrong by up to 1 s.",
        "Export the exam without rounding its times.",
    )


def _direction(us: IntArray, order: IntArray, number: IntArray) -> int:
    """-1 where numbers fall as time goes on."""
    mine = number == 0
    rising = np.diff(order[mine][np.argsort(us[mine], kind="stable")]) > 0
    return 1 if 2 * rising.sum() >= len(rising) else -1


def _best_step(us: IntArray, ranks: IntArray, number: IntArray) -> tuple[float, float]:
    """Interval whose even ticks stay nearest to the times, us, and their largest spread around it.

    The spread is convex in the interval: three grids, each ten steps of the one before.
    """
    slots = [number == k for k in range(number.max() + 1)]

    def spread(step: float) -> float:
        return max(float(np.ptp(us[mine] - step * ranks[mine])) for mine in slots)

    count = max(1, int(ranks.max()))
    best = max(float(np.ptp(us[mine])) for mine in slots) / count
    around = SECOND_US / count
    for _ in range(GRIDS):
        grid = np.linspace(best - around, best + around, 2 * STEPS_EACH_WAY + 1)
        best = float(min(grid, key=spread))
        around /= STEPS_EACH_WAY / 2
    return best, spread(best)
