"""The curves for every tool, and the truth for the table only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bolus.deconvolution.model import CBV_SCALE
from bolus.simulate import kudo
from bolus.timegrid import resample
from bolus.types import Curves
from kudo import SEED, curves_of
from peers.adapters.bolus import fields
from speed import brain

NOISE_HU = 8.0
DELAYS_S = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
DELAY_MTT_S = (3.4, 4.0, 4.8, 6.0, 8.0)
DELAY_CBV = 4.0
LATE_S = 3.0
"""The artery of the delay case is late by this, so that no tissue is reached before the baseline
ends."""
TRUTHS = ("cbf", "cbv", "mtt", "tmax", "delay")


@dataclass(frozen=True)
class Case:
    """One array of curves with its truth."""

    name: str
    curves: Curves
    aif: np.ndarray
    """(N,) arterial input on the common time grid, scaled, HU."""
    truth: dict[str, np.ndarray]
    """(V,) by map name; empty where only speed is measured."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Input of the tools, without the truth."""
        common = {"time_s": self.curves.grid_s, "curves": gridded(self.curves), "aif": self.aif}
        return {**common, "scale": np.array(CBV_SCALE), **fields(self.curves)}


def gridded(curves: Curves) -> np.ndarray:
    """(V, N) samples on the common time grid."""
    return resample(curves.tissue_hu, curves.slices, curves.times_s, curves.grid_s)


def all_cases() -> Iterator[Case]:
    """Kudo phantom, delays and brain, one after the other."""
    for shape in kudo.SHAPES:
        yield from_phantom(f"kudo-{shape}", kudo.kudo_phantom(shape, seed=SEED))
    for shape in kudo.SHAPES:
        yield from_phantom(f"delay-{shape}", delay_phantom(shape))
    curves, aif = brain()
    yield Case("brain", curves, aif, {})


def from_phantom(name: str, phantom: kudo.KudoPhantom) -> Case:
    """The phantom prepared as in the benchmark of bolus's own methods."""
    curves, aif = curves_of(phantom, "Gaussian")
    truth = {key: getattr(phantom, key)[curves.voxels].astype(float) for key in TRUTHS}
    return Case(name, curves, aif, truth)


def delay_phantom(shape: kudo.Shape) -> kudo.KudoPhantom:
    """Tiles of tissue that blood reaches 3 s before the artery's bolus to 3 s after it.

    The grid, noise and measured arteries are the Kudo phantom's; rows of tiles are delays, columns
    MTT.
    """
    rng = np.random.default_rng(SEED)
    times = np.arange(kudo.FRAMES) * kudo.INTERVAL_S
    share = DELAY_CBV / kudo.CBV_SCALE
    tiles = np.stack([
        [share / m * kudo.residue_curve(shape, m, times - LATE_S - d) for m in DELAY_MTT_S]
        for d in DELAYS_S
    ])  # (7, 5, T)  # fmt: skip
    tile = np.ones((1, kudo.TILE_PX, kudo.TILE_PX))
    clean = np.kron(np.moveaxis(tiles, 2, 0), tile)[:, None]
    aif = kudo.blood_hu(times - LATE_S)
    mtt = np.kron(np.broadcast_to(DELAY_MTT_S, tiles.shape[:2]), tile)
    delay = np.kron(np.broadcast_to(np.array(DELAYS_S)[:, None], tiles.shape[:2]), tile)
    return kudo.KudoPhantom(
        shape=shape,
        frames=(clean + rng.normal(0.0, NOISE_HU, clean.shape)).astype(np.float32),
        times_s=times,
        aif_hu=aif,
        vof_hu=aif,
        cbf=60 * DELAY_CBV / mtt,
        cbv=np.full(mtt.shape, DELAY_CBV),
        mtt=mtt,
        delay=delay,
    )
