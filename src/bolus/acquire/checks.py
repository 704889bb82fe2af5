"""Graded plausibility checks: a readable exam is not yet a CT perfusion exam.

Errors are for data that allow no perfusion map, findings for what its reader must know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from bolus.acquire.dicom.groups import MIN_FRAMES
from bolus.acquire.dicom.headers import Protocol, Slice
from bolus.acquire.dicom.phases import MAX_PAUSE_US
from bolus.acquire.dicom.pixels import AIR_HU, LOSSY
from bolus.acquire.given_times import INTERVAL_LIMITS_S
from bolus.errors import AmbiguousExam, ImplausibleValues, MissingTiming, TooFewFrames
from bolus.types import Finding, Float32Array, Float64Array, Grade, Scanner

COARSE_INTERVAL_S = 3.5
"""CBF by deconvolution is 2-9 % low at 3 s and 8-17 % low at 4 s."""
MAX_PAUSE_S = MAX_PAUSE_US / 1e6
MAX_DURATION_S = 600.0
"""First-pass scans last 40 to 90 s, with a permeability phase 4 minutes."""
LARGEST_LAG = 2.0
"""Slices of a frame that a shuttling table scans in turn are within one interval of each other."""
GAP_S = 4.0
"""Interpolating a curve over more than this invents its course."""
UNEVEN_RATIO = 1.5
EVENLY, MOST_MISSING = 0.05, 0.1
"""Deviation of even intervals, as a share of them; share of long ones that are lost frames."""
SHORTEST_S = 0.2
"""The fastest gantries rotate in 0.25 s."""
SHORT_SCAN_S = 40.0
"""Scans of 48 s cut off the tissue curve in two thirds of large-vessel occlusions."""
FEW_FRAMES = 15

CENTRE = 0.4
"""Share of the image's width and height that is brain in every head CT."""
BRAIN_LIMITS_HU = (-50.0, 150.0)
BRAIN_WITHOUT_AIR_HU = 80.0
"""Upper limit where no air confirms the scale: uncalibrated grey levels reach 120 in brain."""
BRAIN_USUAL_HU = (5.0, 80.0)
"""Median over the brain: CSF is near 5 HU, grey matter near 40, enhanced grey matter near 55."""
AIR_BELOW_HU = -800.0
LARGEST_SLOPE = 100.0
LARGEST_INTERCEPT = 1e5
LARGEST_HU = 1e5
"""Extended scales of CT end at some 64,000 HU."""
UNLIKE_HU = 100.0
"""Contrast changes the median over the brain by some 10 HU; a wrong scale by hundreds."""
THINNED = 4
"""Every 4th row and column is enough for a median."""
SATURATED_HU = 3071.0
SATURATED_SHARE = 1e-3
CUT_OFF_SHARE = 0.02
"""Bone and what is denser are 10 to 15 % of a head's image; few voxels have exactly one value."""
DOUBLED_BRAIN_HU, CLIPPED_SHARE = 50.0, 0.95
"""Least median over an unenhanced brain whose slope is doubled, and share of the air that this
takes below the end of the scale: it has 25 to 40 HU at any tube voltage."""


def check_times(times_s: Float64Array, where: str) -> list[Finding]:
    """Grade the time axes.

    Parameters
    ----------
    times_s : (T, Z) float64, s

    Raises
    ------
    TooFewFrames
        Below 8 frames.
    MissingTiming
        If times don't increase, or intervals, lags or duration are not those of a perfusion scan.
    AmbiguousExam
        If a pause shows that these are two scans.
    """
    count = len(times_s)
    if count < MIN_FRAMES:
        raise TooFewFrames(f"{where}: has {count} frames; at least {MIN_FRAMES} are needed.")
    if not np.isfinite(times_s).all():
        raise MissingTiming(f"{where}: a frame time is not a number; correct it at the source.")
    steps = np.diff(times_s, axis=0)
    if steps.min() <= 0:
        raise MissingTiming(f"{where}: its frame times don't increase; correct them at the source.")
    interval = float(np.median(steps))
    low, high = INTERVAL_LIMITS_S
    if not low <= interval <= high:
        raise MissingTiming(
            f"{where}: a frame every {interval:.4g} s is not a perfusion scan ({low} to {high} s); "
            "the time tags are wrong, or in another unit than seconds."
        )
    if steps.max() > MAX_PAUSE_S:
        raise AmbiguousExam(
            f"{where}: {steps.max():.0f} s pass between two of its frames, so it holds two scans; "
            "put the files of one of them into a separate folder."
        )
    lag = float(np.ptp(times_s, axis=1).max())
    if lag > LARGEST_LAG * float(steps.max()):
        raise MissingTiming(
            f"{where}: slices of one frame are {lag:.4g} s apart, frames {interval:.4g} s; the "
            "time tags are wrong, or the slices were scanned one after the other."
        )
    duration = float(np.median(times_s[-1] - times_s[0]))
    if duration > MAX_DURATION_S:
        raise MissingTiming(
            f"{where}: its frames span {duration:.0f} s, longer than any perfusion scan (at most "
            f"{MAX_DURATION_S:.0f} s); the time tags are wrong, or these are several scans."
        )
    return _sampling(steps, interval) + _length(count, duration)


def _sampling(steps: Float64Array, interval: float) -> list[Finding]:
    longest = float(steps.max())
    findings = []
    if interval > COARSE_INTERVAL_S:
        findings.append(
            Finding(
                "sampling-coarse",
                Grade.WARNING,
                f"A frame every {interval:.1f} s is coarse: above {COARSE_INTERVAL_S} s CBF "
                "is too low by about 10 % or more.",
            )
        )
    if longest > max(GAP_S, UNEVEN_RATIO * interval):
        findings.append(
            Finding(
                "sampling-gap",
                Grade.WARNING,
                f"Up to {longest:.1f} s pass between two frames (usually {interval:.1f} s).",
                "Check that no frames are missing; curves in the gap are interpolated.",
            )
        )
    elif longest > UNEVEN_RATIO * interval or float(steps.min()) < interval / UNEVEN_RATIO:
        message = (
            f"Frames are {steps.min():.2f} to {longest:.2f} s apart (usually {interval:.2f} s)."
        )
        # an image that carries the time of another one appears too early or too late
        wrong = float(steps.min()) < SHORTEST_S
        lost = _missing(steps, interval)
        remedy = f"{lost} frames seem to be missing: send the exam again." if lost else ""
        if wrong:
            remedy = "No gantry rotates that fast: export the exam again."
        grade = Grade.WARNING if wrong or lost else Grade.NOTE
        findings.append(Finding("sampling-uneven", grade, message, remedy))
    return findings


def _missing(steps: Float64Array, interval: float) -> int:
    """Frames that even intervals lack: single steps of twice the interval, or three times.

    Two-rate and shuttle protocols have other steps too, or many long ones.
    """
    ratio = np.median(steps, axis=1) / interval
    whole = np.round(ratio)
    even = np.abs(ratio - whole) <= EVENLY
    few = np.sum(whole > 1) <= max(1, MOST_MISSING * len(ratio))
    return int(np.sum(whole - 1)) if even.all() and few and whole.min() >= 1 else 0


def _length(count: int, duration: float) -> list[Finding]:
    findings = []
    if duration < SHORT_SCAN_S:
        findings.append(
            Finding(
                "scan-short",
                Grade.WARNING,
                f"The scan lasts {duration:.1f} s; below {SHORT_SCAN_S:.0f} s late enhancement "
                "is cut off and the core looks larger than it is.",
                "Scan for 60 to 70 s.",
            )
        )
    if count < FEW_FRAMES:
        message = f"The exam has {count} frames; fewer than {FEW_FRAMES} give noisy maps."
        findings.append(Finding("few-frames", Grade.WARNING, message))
    return findings


def check_values(frames: Float32Array, where: str) -> list[Finding]:
    """Grade the intensities against those of any head CT.

    Parameters
    ----------
    frames : (T, Z, Y, X) float32, HU

    Raises
    ------
    ImplausibleValues
        If the middle of the head is not brain, nothing changes with time, or a value is impossible.
    """
    first = frames[0]
    largest = float(frames.max())
    if largest > LARGEST_HU:
        raise ImplausibleValues(
            f"{where}: holds values of up to {largest:.4g} HU, which cannot occur in CT; slope or "
            "intercept are wrong, or the image is damaged."
        )
    low, high = float(first.min()), float(first.max())
    if low == high:
        raise ImplausibleValues(
            f"{where}: all pixels have the value {low:g}; the images are empty."
        )
    rows, columns = (
        slice(round(n * (1 - CENTRE) / 2), round(n * (1 + CENTRE) / 2)) for n in first.shape[1:]
    )
    centre = frames[:, :, rows, columns]
    brain = float(np.median(centre[0]))
    highest = BRAIN_LIMITS_HU[1] if low < AIR_BELOW_HU else BRAIN_WITHOUT_AIR_HU
    if not BRAIN_LIMITS_HU[0] <= brain <= highest:
        raise ImplausibleValues(
            f"{where}: the middle of the images has a median of {brain:.0f} HU (all: {low:.0f} to "
            f"{high:.0f}) where brain has 20 to 50; slope or intercept are wrong, the values are "
            "not Hounsfield units, or this is not a head."
        )
    if all(np.array_equal(first, frame) for frame in frames[1:]):
        raise ImplausibleValues(
            f"{where}: all frames are identical, so no bolus can be seen; the files "
            "are copies of one volume."
        )
    return [
        *_outliers(centre[..., ::THINNED, ::THINNED]),
        *_intensities(brain, low),
        *_ends(first, brain, high),
    ]


def _outliers(centre: Float32Array) -> list[Finding]:
    """Single images whose brain differs from the same slice at other times."""
    level = np.median(centre, axis=(2, 3))
    unlike = np.argwhere(np.abs(level - np.median(level, axis=0)) > UNLIKE_HU)
    if not len(unlike):
        return []
    frame, number = unlike[0] + 1
    return [
        Finding(
            "images-unlike-others",
            Grade.WARNING,
            f"{len(unlike)} images differ by over {UNLIKE_HU:.0f} HU from the same slice at other "
            f"times, the first is slice {number} of frame {frame}.",
            "Check the scaling of these images, and whether the head left the field of view.",
        )
    ]


def _intensities(brain: float, low: float) -> list[Finding]:
    findings = []
    if not BRAIN_USUAL_HU[0] <= brain <= BRAIN_USUAL_HU[1]:
        findings.append(
            Finding(
                "brain-unusual",
                Grade.WARNING,
                f"The middle of the head has a median of {brain:.0f} HU; brain has 20 to 50.",
                "Check the rescale slope and intercept.",
            )
        )
    return findings + no_air(low)


def _ends(frame: Float32Array, brain: float, high: float) -> list[Finding]:
    """What the voxels at the ends of the scale show, of a frame (Z, Y, X)."""
    findings = []
    saturated = float(np.mean(frame >= SATURATED_HU))
    cut_off = float(np.mean(frame == high)) if high < SATURATED_HU else 0.0
    if saturated > SATURATED_SHARE:
        message = (
            f"{saturated:.1%} of the voxels reach {SATURATED_HU:.0f} HU: metal, or cut-off values."
        )
        findings.append(Finding("values-saturated", Grade.NOTE, message))
    if cut_off > CUT_OFF_SHARE:
        findings.append(
            Finding(
                "values-cut-off",
                Grade.WARNING,
                f"{cut_off:.1%} of the voxels have the highest value, {high:.0f} HU: what was "
                "denser was cut off, as in images that were windowed for display.",
                "Use the images as the scanner reconstructed them.",
            )
        )
    if brain > DOUBLED_BRAIN_HU:
        air = frame[frame < AIR_BELOW_HU]
        if air.size and np.mean(air == AIR_HU) > CLIPPED_SHARE:
            findings.append(
                Finding(
                    "slope-doubtful",
                    Grade.WARNING,
                    f"The middle of the head has a median of {brain:.0f} HU, and air lies at the "
                    f"lowest value, {AIR_HU:.0f} HU, or was below it: the slope may be too large.",
                    "Compare the brain with the scanner's own display (20 to 50 HU before "
                    "contrast) and correct RescaleSlope or scl_slope at the source.",
                )
            )
    return findings


def no_air(lowest: float) -> list[Finding]:
    """A finding if the lowest value of a frame is not air's."""
    if lowest <= AIR_BELOW_HU:
        return []
    return [
        Finding(
            "no-air",
            Grade.WARNING,
            f"The lowest value is {lowest:.0f} HU: there is no air around the head, or the values "
            "are not Hounsfield units.",
            "Use the images as the scanner reconstructed them.",
        )
    ]


def check_protocol(slices: Sequence[Slice]) -> list[Finding]:
    """Grade what should be the same in all images of a scan."""
    findings = []
    for code, grade, what, key in _CONSTANT:
        values = {key(s) for s in slices}
        if len(values) > 1:
            shown = ", ".join(sorted(map(str, values))[:4])
            message = f"{what} differs between the images of the scan ({shown})."
            findings.append(Finding(code, grade, message))
    if all("DERIVED" in s.image_type for s in slices):
        findings.append(
            Finding("derived-images", Grade.NOTE, "The images are marked as derived, not original.")
        )
    if any(s.protocol.lossy or s.encoding.syntax in LOSSY for s in slices):
        findings.append(
            Finding(
                "lossy-compression",
                Grade.WARNING,
                "The images went through lossy compression, which changes their values.",
                "Export the exam uncompressed or losslessly compressed.",
            )
        )
    return findings


_CONSTANT: tuple[tuple[str, Grade, str, Callable[[Slice], object]], ...] = (
    ("mixed-kvp", Grade.WARNING, "The tube voltage (kV)", lambda s: s.protocol.kvp),
    ("mixed-kernel", Grade.WARNING, "The reconstruction kernel", lambda s: s.protocol.kernel),
    ("mixed-thickness", Grade.WARNING, "SliceThickness (mm)", lambda s: s.protocol.thickness_mm),
    (
        "mixed-mas",
        Grade.NOTE,
        "Tube current x time (mAs), and so the noise,",
        lambda s: s.protocol.mas,
    ),
    ("mixed-bits", Grade.WARNING, "BitsStored", lambda s: s.encoding.bits_stored),
    ("mixed-rescale-type", Grade.WARNING, "RescaleType", lambda s: s.rescale_type or "HU"),
    ("mixed-position", Grade.WARNING, "PatientPosition", lambda s: s.protocol.patient_position),
)


def check_scaling(slices: Sequence[Slice]) -> None:
    """Refuse images whose rescaling is impossible.

    Raises
    ------
    ImplausibleValues
        Naming an image with a slope of zero or less, or far beyond any CT.
    """
    for image in slices:
        slope, intercept = image.encoding.slope, image.encoding.intercept
        if not 0 < slope <= LARGEST_SLOPE or not abs(intercept) <= LARGEST_INTERCEPT:
            raise ImplausibleValues(
                f"{image.name}: its RescaleSlope {slope:g} and RescaleIntercept {intercept:g} are "
                "impossible in CT; the header is damaged."
            )


def scanner(slices: Sequence[Slice], source: str) -> Scanner:
    """The most common protocol of the images."""

    def most(key: Callable[[Protocol], object]) -> object:
        counts = Counter(key(s.protocol) for s in slices)
        return min(counts, key=lambda value: (-counts[value], str(value)))

    return Scanner(
        source=source,
        manufacturer=str(most(lambda p: p.manufacturer)),
        model=str(most(lambda p: p.model)),
        kernel=str(most(lambda p: p.kernel)),
        kvp=_number(most(lambda p: p.kvp)),
        exposure_mas=_number(most(lambda p: p.mas)),
        slice_thickness_mm=_number(most(lambda p: p.thickness_mm)),
    )


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None
