"""Agreement of two methods: differences of their maps, overlap of their lesions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bolus.metrics import LIMITS_SD, dice, pearson
from bolus.types import MAP_UNITS, BoolArray, Float32Array, Maps, Results


@dataclass(frozen=True)
class Pair:
    """Two methods that are compared."""

    first: str
    second: str

    @property
    def name(self) -> str:
        """Of the folder with the differences: "cnn-minus-nlr"."""
        return f"{self.second}-minus-{self.first}"


@dataclass(frozen=True)
class MapAgreement:
    """Differences of two maps, second minus first, in the map's unit."""

    mean: float
    low: float
    high: float
    """Limits of agreement."""
    r: float | None
    """Pearson's; None for a map that is the same everywhere."""


@dataclass(frozen=True)
class Agreement:
    """The second method against the first."""

    pair: Pair
    voxels: int
    """Parenchyma with flow in both: large vessels would dominate."""
    maps: dict[str, MapAgreement]
    """Empty without such voxels."""
    core_dice: float | None
    hypoperfused_dice: float | None
    """None if both lesions are empty."""
    core_difference_ml: float
    hypoperfused_difference_ml: float


def pairs(results: Results) -> tuple[Pair, ...]:
    """Every other method against the first one of the run."""
    first, *others = results.methods
    return tuple(Pair(first, second) for second in others)


def agreements(results: Results) -> tuple[Agreement, ...]:
    """Agreement of each of `pairs`."""
    return tuple(_agreement(results, pair) for pair in pairs(results))


def difference(first: Maps, second: Maps, key: str) -> Float32Array:
    """(Z, Y, X) second minus first where both have flow, 0 elsewhere."""
    apart = getattr(second, key) - getattr(first, key)
    return np.where(both_flow(first, second), apart, 0).astype(np.float32)


def both_flow(first: Maps, second: Maps) -> BoolArray:
    """(Z, Y, X) where both methods found flow."""
    return np.asarray((first.cbf > 0) & (second.cbf > 0))


def _agreement(results: Results, pair: Pair) -> Agreement:
    one, two = results.methods[pair.first], results.methods[pair.second]
    where = results.tissue.parenchyma & both_flow(one.maps, two.maps)
    maps = (
        {key: _of_maps(one.maps, two.maps, key, where) for key in MAP_UNITS} if where.any() else {}
    )
    dices = [_dice(one.lesion.labels >= least, two.lesion.labels >= least) for least in (2, 1)]
    return Agreement(
        pair=pair,
        voxels=int(where.sum()),
        maps=maps,
        core_dice=dices[0],
        hypoperfused_dice=dices[1],
        core_difference_ml=two.lesion.core_ml - one.lesion.core_ml,
        hypoperfused_difference_ml=two.lesion.hypoperfused_ml - one.lesion.hypoperfused_ml,
    )


def _of_maps(first: Maps, second: Maps, key: str, where: BoolArray) -> MapAgreement:
    a, b = (getattr(maps, key)[where].astype(np.float64) for maps in (first, second))
    mean, reach = float((b - a).mean()), LIMITS_SD * float((b - a).std())
    r = pearson(a, b)
    return MapAgreement(mean, mean - reach, mean + reach, None if math.isnan(r) else r)


def _dice(first: BoolArray, second: BoolArray) -> float | None:
    """Overlap; None, not 1, if both masks are empty: then there is no lesion to agree on."""
    return dice(first, second) if first.any() or second.any() else None
