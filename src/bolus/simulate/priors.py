"""Distribution of clinical exams: the recipe of each case of a simulated cohort.

Ranges of the bolus are those of 93 clinical pairs of arterial and venous curves (ISLES 2018); of
motion, noise and timing, those of published protocols.  They are deliberately wide: a network
trained on a cohort must not specialise on one scanner.
"""

from __future__ import annotations

import numpy as np

from bolus.simulate.noise import SD_AT_1_MAS
from bolus.simulate.recipe import Recipe, Side, Timing, generator
from bolus.simulate.residue import RESIDUES

TIMINGS: tuple[Timing, ...] = ("volume", "cine", "shuttle", "two-rate")
TIMING_SHARES = (0.3, 0.35, 0.25, 0.1)
SIDES: tuple[Side, ...] = ("left", "right", "both", "none")
SIDE_SHARES = (0.42, 0.42, 0.06, 0.10)
NO_CORE_SHARE = 0.1
MATRICES, MATRIX_SHARES = (128, 192, 256), (0.25, 0.4, 0.35)
RISE_S = (8.0, 0.2, 5.5, 13.0)
"""Arrival to peak: median, relative SD and limits (clinical p5-p95: 5.8-12.4 s)."""
NOISE_HU = (4.0, 18.0)
"""In the brain's centre per frame: 200 to 30 mAs and kernels of both kinds."""
LATE_ARRIVAL_S, EARLY_ARRIVAL_S, EARLY_SHARE = (4.0, 14.0), (0.5, 4.0), 0.15
"""Some exams have hardly any baseline."""
DURATION_S, SHORT_DURATION_S, SHORT_SHARE = (42.0, 70.0), (27.0, 42.0), 0.15
"""Some exams end before the bolus has left."""
INTERVALS_S = ((0.5, 0.5), (1.0, 3.0), (3.0, 6.0))
INTERVAL_SHARES = (0.15, 0.65, 0.20)
"""Cine with two frames per second, usual intervals, and protocols with few frames."""
FEWEST_FRAMES = 8
"""What `bolus.acquire` accepts as a perfusion exam."""
RESIDUE_SPREAD = 0.6
MOVING_SHARE, MOTION_MM = 0.35, (0.5, 8.0)


CASES = 100_000
"""More cases than a cohort has, so that no two cohorts share a head."""


def case_seed(seed: int, number: int) -> int:
    """Seed of case ``number`` of cohort ``seed``."""
    return seed * CASES + number


def clinical_case(seed: int) -> Recipe:
    """The recipe of the case with this seed; the same seed gives the same recipe."""
    rng = generator(seed, "case")
    matrix = int(rng.choice(MATRICES, p=MATRIX_SHARES))
    slice_mm = float(rng.choice([5.0, 6.0, 8.0, 10.0], p=[0.7, 0.1, 0.1, 0.1]))
    dt_s = float(rng.uniform(*INTERVALS_S[int(rng.choice(3, p=INTERVAL_SHARES))]))
    timing = TIMINGS[int(rng.choice(len(TIMINGS), p=TIMING_SHARES))]
    if timing == "two-rate":
        dt_s = min(dt_s, 2.0)
    early = rng.uniform() < EARLY_SHARE
    arrival_s = float(rng.uniform(*(EARLY_ARRIVAL_S if early else LATE_ARRIVAL_S)))
    short = rng.uniform() < SHORT_SHARE
    duration_s = float(rng.uniform(*(SHORT_DURATION_S if short else DURATION_S)))
    frames = int(np.ceil(duration_s / dt_s))
    if timing == "two-rate":
        frames = int(np.ceil(30.0 / dt_s + max(duration_s - 30.0, 0.0) / (2 * dt_s)))
    frames = max(frames, FEWEST_FRAMES)
    median_s, spread, least_s, most_s = RISE_S
    side = SIDES[int(rng.choice(len(SIDES), p=SIDE_SHARES))]
    no_core = rng.uniform() < NO_CORE_SHARE
    means = np.array([one.share for one in RESIDUES.values()])
    shares = means * np.exp(RESIDUE_SPREAD * rng.standard_normal(len(means)))
    low, high = np.log(NOISE_HU)
    # 4 to 8 cm of brain, in slices of the protocol's thickness
    slices = round(float(rng.uniform(40, 64)) / slice_mm)
    if matrix == 128:
        pixel_mm = float(rng.uniform(1.6, 1.9))
    else:
        pixel_mm = float(rng.uniform(205, 245)) / matrix
    return Recipe(
        matrix=matrix,
        pixel_mm=pixel_mm,
        slices=max(slices, 4),
        slice_mm=slice_mm,
        bottom_mm=float(rng.uniform(-24, 8)),
        frames=frames,
        dt_s=dt_s,
        timing=timing,
        mas=(SD_AT_1_MAS / float(np.exp(rng.uniform(low, high)))) ** 2,
        arrival_s=arrival_s,
        peak_hu=float(rng.uniform(120, 480)),
        rise_s=float(np.clip(median_s * np.exp(spread * rng.standard_normal()), least_s, most_s)),
        bolus_shape=float(np.clip(rng.normal(4.0, 1.2), 2.0, 7.0)),
        recirculation=float(rng.uniform(0.45, 0.75)),
        flow=float(np.exp(0.12 * rng.standard_normal())),
        transit=float(np.exp(0.10 * rng.standard_normal())),
        residue_shares=tuple(float(s) for s in shares / shares.sum()),
        collateral_dispersion=float(rng.uniform(0.15, 0.5)),
        noise_frequency_per_mm=float(rng.uniform(0.13, 0.28)),
        side=side,
        core_ml=0.0 if no_core else float(rng.uniform(0, 90)),
        penumbra_ml=float(rng.uniform(10, 140)),
        oligaemia_ml=float(rng.uniform(10, 60)),
        motion_mm=float(rng.uniform(*MOTION_MM)) if rng.uniform() < MOVING_SHARE else 0.0,
        tilt_deg=tuple(float(d) for d in rng.normal(0, [5.0, 3.0, 5.0])),  # type: ignore[arg-type]
        offset_mm=(float(rng.normal(0, 4.0)), float(rng.normal(0, 4.0))),
        craniectomy="left" if rng.uniform() < 0.03 else "none",
        calcified=bool(rng.uniform() < 0.3),
        old_infarct_ml=float(rng.uniform(3, 25)) if rng.uniform() < 0.15 else 0.0,
        old_infarct_side="left" if rng.uniform() < 0.5 else "right",
        streaks_hu=float(rng.uniform(2, 12)) if rng.uniform() < 0.2 else 0.0,
    )
