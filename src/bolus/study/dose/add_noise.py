"""Lower-dose exams: the exam's own noise is measured, and noise of the same texture is added.

CT noise is inversely proportional to the square root of the dose, so that an exam at a fraction d
of the dose has the variance sigma^2 / d, of which sigma^2 is already present.  Amount and texture
are those of the exam itself (as Divel & Pelc, IEEE Trans Med Imaging 2020;39:1369, measure both):
the differences of frames from their neighbours in time give a smooth map of the SD, and their
autocorrelation the texture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, ndimage

from bolus.anatomy.brain_mask import brain_mask
from bolus.curves.frame_noise import frame_weights
from bolus.errors import TooFewFrames, UsageError
from bolus.metrics import MAD_TO_SD
from bolus.types import BoolArray, Exam, Float32Array, Float64Array, Tissue

FEWEST_FRAMES = 5
"""Noise is distinguished from contrast by the differences between neighbouring frames."""
QUIET_SHARE = 0.25
"""Frames that deviate least from their neighbours: no bolus passes, the head is at rest."""
SD_SMOOTHING_MM = 15.0
"""Noise changes over the head as slowly as the head's thickness along the beam."""
OUTLIER_SD = 4.0
"""Deviations above this are vessels and moving edges."""
LAG_MM = 24.0
"""Noise further apart than this is taken as independent; from half of it on, correlations fade."""
LOWEST_HU, HIGHEST_HU = -1024.0, 3071.0
SD_AT_1_MAS = 103.09
"""K of sigma = K / sqrt(mAs), HU: measured in the brain at 80 kVp (7.5 HU at 190 mAs)."""


@dataclass(frozen=True)
class Noise:
    """The noise of an exam."""

    sd_hu: Float32Array
    """(Z, Y, X) SD of the noise of a usual frame, HU."""
    frame: Float64Array
    """(T,) SD of each frame over that of the usual frame."""
    correlation: Float64Array
    """(2 R + 1, 2 R + 1) autocorrelation within slices, for shifts of -R to R pixels; 1 at 0."""
    brain: BoolArray
    """(Z, Y, X) where it was measured."""

    @property
    def brain_sd_hu(self) -> float:
        """Median SD in the brain, HU."""
        return float(np.median(self.sd_hu[self.brain]))


def stated_sd_hu(exposure_mas: float) -> float:
    """Expected SD in the brain for a tube load at 80 kVp, HU."""
    return SD_AT_1_MAS / float(np.sqrt(exposure_mas))


def measure_noise(exam: Exam) -> Noise:
    """Amount and texture of an exam's noise.

    Raises
    ------
    TooFewFrames
        If the exam has fewer than 5.
    NoPerfusion
        If there is no brain in it.
    """
    if len(exam.frames) < FEWEST_FRAMES:
        raise TooFewFrames(
            f"the noise of {len(exam.frames)} frames can't be separated from contrast; at least "
            f"{FEWEST_FRAMES} are needed"
        )
    baseline = np.asarray(exam.frames[:3].mean(axis=0, dtype=np.float32))
    brain = brain_mask(baseline, exam.geometry)
    nowhere = np.zeros_like(brain)
    weight = frame_weights(exam, Tissue(baseline, brain, nowhere, nowhere))
    frame = 1 / np.sqrt(weight)
    departures = _departures(exam, frame, brain)  # (n, Z, Y, X)
    sd = _smooth_sd(departures, brain, exam.geometry.spacing_mm)
    correlation = _autocorrelation(departures / sd, brain, exam.geometry.spacing_mm[1:])
    return Noise(sd, frame, correlation, brain)


def with_noise(exam: Exam, dose: float, seed: int, noise: Noise | None = None) -> Exam:
    """The exam as it would be at a share of its dose.

    Parameters
    ----------
    exam : with T frames.
    dose : above 0, at most 1; at 1 the exam itself is returned.
    seed : random seed of the noise; the same noise, scaled up, at a lower dose.
    noise : of ``exam``, where it is known already.

    Raises
    ------
    UsageError
        If ``dose`` is outside this range.
    TooFewFrames, NoPerfusion
        If the exam's noise can't be measured.
    """
    if not 0 < dose <= 1:
        raise UsageError(
            f"a dose of {dose:g} can't be simulated from an exam; give a fraction up to 1"
        )
    if dose == 1:
        return exam
    noise = noise or measure_noise(exam)
    added = noise.sd_hu * np.float32(np.sqrt(1 / dose - 1))
    amplitude = _amplitudes(noise.correlation, exam.geometry.shape[1:])
    frames = np.empty_like(exam.frames)
    for t, frame in enumerate(exam.frames):
        # each frame has its own random stream, independent of the others
        white = np.random.default_rng([seed, t]).standard_normal(frame.shape, dtype=np.float32)
        coloured = fft.irfft2(fft.rfft2(white) * amplitude, s=frame.shape[1:])
        noisy = frame + np.float32(noise.frame[t]) * added * coloured
        frames[t] = np.clip(noisy, LOWEST_HU, HIGHEST_HU)
    scanner = exam.scanner
    if scanner.exposure_mas is not None:
        scanner = replace(scanner, exposure_mas=scanner.exposure_mas * dose)
    return replace(exam, frames=frames, scanner=scanner)


def _departures(exam: Exam, frame_sd: Float64Array, brain: BoolArray) -> Float32Array:
    """(n, Z, Y, X) quiet frames minus what their neighbours in time interpolate to, scaled to the
    SD of a usual frame's noise."""
    times = exam.times_s.mean(axis=1)
    after = (times[1:-1] - times[:-2]) / (times[2:] - times[:-2])
    variance = (
        frame_sd[1:-1] ** 2 + ((1 - after) * frame_sd[:-2]) ** 2 + (after * frame_sd[2:]) ** 2
    )
    scale = 1 / np.sqrt(variance)

    def departure(i: int) -> Float32Array:
        share = np.float32(after[i])
        between = (1 - share) * exam.frames[i] + share * exam.frames[i + 2]
        return np.asarray((exam.frames[i + 1] - between) * np.float32(scale[i]))

    strength = [float(np.median(np.abs(departure(i)[brain]))) for i in range(after.size)]
    count = max(3, int(np.ceil(QUIET_SHARE * after.size)))
    quiet = np.sort(np.argsort(strength, kind="stable")[:count])
    return np.stack([departure(int(i)) for i in quiet])


def _smooth_sd(
    departures: Float32Array, brain: BoolArray, spacing_mm: tuple[float, float, float]
) -> Float32Array:
    """(Z, Y, X) SD from the departures of the brain, carried on beyond its edge."""
    slice_sd = np.full(len(brain), np.nan)
    for z in np.flatnonzero(brain.any(axis=(1, 2))):
        slice_sd[z] = MAD_TO_SD * np.median(np.abs(departures[:, z, brain[z]]))
    seen = np.flatnonzero(np.isfinite(slice_sd))
    slice_sd = np.interp(np.arange(len(brain)), seen, slice_sd[seen])
    limit = OUTLIER_SD * slice_sd[:, None, None]
    inlying = (np.abs(departures) < limit) & brain
    power = np.where(inlying, departures, 0).astype(np.float32) ** 2
    widths = (0.0, SD_SMOOTHING_MM / spacing_mm[1], SD_SMOOTHING_MM / spacing_mm[2])
    # a small weight of the slice's mean everywhere, the only information far from the brain
    little = 1e-4
    count = ndimage.gaussian_filter(inlying.sum(axis=0).astype(np.float32), widths) + little
    total = ndimage.gaussian_filter(power.sum(axis=0), widths)
    total += little * np.asarray(slice_sd**2, np.float32)[:, None, None]
    return np.asarray(np.sqrt(total / count), np.float32)


def _autocorrelation(
    relative: Float32Array, brain: BoolArray, pixel_mm: tuple[float, float]
) -> Float64Array:
    """(2 Ry + 1, 2 Rx + 1) of departures over their SD, from all pairs of pixels in the brain."""
    shape = brain.shape[1:]
    # padded, so that pairs don't wrap around the edge
    padded = tuple(int(fft.next_fast_len(2 * n, real=True)) for n in shape)
    pairs = np.zeros(padded)
    product = np.zeros(padded)
    for departure in relative:
        for plane, mask in zip(departure, brain, strict=True):
            inlying = mask & (np.abs(plane) < OUTLIER_SD)
            if not inlying.any():
                continue
            # CT has no noise at frequency zero; a drift of all pixels is contrast
            level = plane[inlying].mean()
            pairs += _correlate(inlying.astype(np.float64), padded)
            product += _correlate(np.where(inlying, plane - level, 0.0), padded)
    reach = [min(int(LAG_MM / mm), n // 2 - 1) for mm, n in zip(pixel_mm, shape, strict=True)]
    lags = np.ix_(*(np.arange(-r, r + 1) for r in reach))
    correlation = product[lags] / np.maximum(pairs[lags], 1)
    correlation /= correlation[reach[0], reach[1]]
    mm = np.hypot(lags[0] * pixel_mm[0], lags[1] * pixel_mm[1])
    fade = np.clip(2 - 2 * mm / LAG_MM, 0, 1)
    return np.asarray(correlation * np.sin(np.pi / 2 * fade) ** 2)


def _correlate(plane: Float64Array, padded: tuple[int, ...]) -> Float64Array:
    """Sum over all pairs of pixels at each shift; shift 0 stands first."""
    spectrum = fft.rfft2(plane, padded)
    return np.asarray(fft.irfft2(np.abs(spectrum) ** 2, padded))


def _amplitudes(correlation: Float64Array, shape: tuple[int, ...]) -> Float32Array:
    """(Y, X // 2 + 1) for a real FFT: white noise of SD 1 to noise of this texture and SD 1."""
    reach_y, reach_x = (n // 2 for n in correlation.shape)
    whole = np.zeros(shape)
    y, x = np.arange(-reach_y, reach_y + 1) % shape[0], np.arange(-reach_x, reach_x + 1) % shape[1]
    np.add.at(whole, np.ix_(y, x), correlation)
    # chance makes some powers negative; that of frequency zero is unknown and negligible
    full = np.maximum(fft.fft2(whole).real, 0)
    full *= full.size / full.sum()
    return np.asarray(np.sqrt(full[:, : shape[1] // 2 + 1]), np.float32)
