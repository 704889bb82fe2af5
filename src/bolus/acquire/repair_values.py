"""Values that are not Hounsfield units, although the file says so: repaired where the images prove
what was meant, left to `bolus.acquire.checks.check_values` to refuse where they don't.

Each repair needs evidence from the whole head, never from one value: metal is as dense as anything
a scale can hold, but it doesn't surround the head.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bolus.acquire.checks import (
    AIR_BELOW_HU,
    BRAIN_LIMITS_HU,
    BRAIN_USUAL_HU,
    CENTRE,
    THINNED,
    no_air,
)
from bolus.acquire.dicom.pixels import AIR_HU
from bolus.types import BoolArray, Finding, Float32Array, Grade

BEYOND_CT_HU = 31743.0
"""Highest value of a signed 16-bit scale with an intercept of -1024.  Metal on extended scales
reaches 30,710 HU (12 bits in steps of 10 HU)."""
WRAP_16, WRAP_12 = 65536, 4096
"""Negative numbers stored in fields of 16 or 12 bits without a sign are too high by these."""
LOWEST_HU = -8192.0
"""Padding below air: -2000 and -3024 (GE), -8192 (Siemens, extended field of view)."""
TOP_12_HU = 1023.0
"""Highest value of 12 bits with a sign and an intercept of -1024."""
BELOW_AIR_HU = -1200.0
"""Noise takes air no lower."""
STEP_HU, CONTINUED = 200.0, 0.1
"""Over so many HU the number of bone's voxels falls by less than this factor."""
OFFSETS_HU = (1024.0, 8192.0)
"""What scanners add before they store a value; a file without intercept still holds it."""
AIR_NEAR_HU = (-1000.0, 12.0)
"""Air, and how far its median may be from it: an intercept of -1000 differs from -1024 by 24."""
AIR_SHARE = 0.03
"""Least share of a head's image that is air around it."""
DENSE_HU = 300.0
"""Skull, with the partial volume of thick slices."""
RIM_SHARE = 0.02
"""Least share of the images' outermost pixels that a constant outside of the head fills."""
CONSTANT, OFTEN = 0.9, 0.25
"""Least share of the frames in which a voxel has that value: padding, and the border of a mask that
follows the head.  Noise of 1 HU gives a whole number of HU a share of 0.4."""
NOISE_HU = 3.0
"""So near to the value is not the value, but noise about it."""
IN_PLANE = np.array([[[0] * 3] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0] * 3] * 3], bool)
CORNERS = 0.5
"""Least share of the images' corners that padding fills if it is as dense as metal or brain."""
PADDED_SHARE = 0.01
"""Least share of the volume that it fills."""
GAP_SHARE = 0.01
"""Most voxels in a range that is empty in any head: 2048 to 3071 HU, before unwrapping."""


def looks_like_head_ct(image: Float32Array) -> bool:
    """Whether values look like the Hounsfield units of a head: brain, skull, and air around it.

    Perfusion maps, grey levels and other units have nothing at -1000.

    Parameters
    ----------
    image : (Y, X) or (Z, Y, X) float32, HU
        One slice or one frame; every 4th row and column is enough.
    """
    stack = image if image.ndim == 3 else image[None]
    if not np.isfinite(stack).all() or stack.max() > BEYOND_CT_HU:
        return False
    low, high = BRAIN_USUAL_HU
    brain = float(np.median(_centre(stack)))
    air = float(np.mean(stack < AIR_BELOW_HU))
    return low <= brain <= high and air >= AIR_SHARE and bool((stack > DENSE_HU).any())


def repair_values(frames: Float32Array, *, unclipped: bool = False) -> list[Finding]:
    """Repair the values of an exam in place.

    Wrapped negative numbers, Hounsfield units without their intercept, and padding outside of the
    head that no element declares.

    Parameters
    ----------
    frames : (T, Z, Y, X) float32, HU
        At least -1024 afterwards.
    unclipped
        Whether values below -1024 may still be there, as of signed 12-bit images.

    Returns
    -------
    list of Finding
        One for each kind of repair.
    """
    findings = _without_sign(frames) if unclipped else []
    if unclipped:
        np.maximum(frames, np.float32(AIR_HU), out=frames)
    findings += _wrapped_16(frames) + _wrapped_12(frames) + _without_intercept(frames)
    return findings + _constant_outside(frames)


def _centre(stack: Float32Array) -> Float32Array:
    rows, columns = (
        slice(round(n * (1 - CENTRE) / 2), max(1, round(n * (1 + CENTRE) / 2)))
        for n in stack.shape[-2:]
    )
    return stack[..., rows, columns]


def _sample(frames: Float32Array) -> Float32Array:
    """(T, Z, y, x) every 4th row and column, a view."""
    return frames[:, :, ::THINNED, ::THINNED]


def _rim(frames: Float32Array) -> Float32Array:
    """(T, Z, N) outermost pixels of each image."""
    sides = frames[:, :, 0], frames[:, :, -1], frames[:, :, 1:-1, 0], frames[:, :, 1:-1, -1]
    return np.concatenate(sides, axis=2)


def _padding_value(rim: Float32Array) -> float | None:
    """The most frequent value of the rim that isn't air's, if it fills enough of it."""
    other = rim[(rim > AIR_BELOW_HU) | (rim < AIR_HU)]
    if other.size < RIM_SHARE * rim.size:
        return None
    found, counts = np.unique(other, return_counts=True)
    most = int(counts.argmax())
    return float(found[most]) if counts[most] >= RIM_SHARE * rim.size else None


def _without_sign(frames: Float32Array) -> list[Finding]:
    """Unsigned 12-bit values read as signed: above 1023 HU bone turned into less than air."""
    rim = _rim(frames[[0, len(frames) // 2, -1]])
    padding = np.unique(rim[rim < BELOW_AIR_HU])
    first = frames[0][~np.isin(frames[0], padding)]
    # wrapped bone continues the bone below: as many voxels above the limit of 12 bits as under it
    below = np.count_nonzero((first > TOP_12_HU - STEP_HU) & (first <= TOP_12_HU))
    above = np.count_nonzero(
        (first + WRAP_12 > TOP_12_HU) & (first + WRAP_12 <= TOP_12_HU + STEP_HU)
    )
    if above < max(1.0, CONTINUED * below):
        return []
    count = 0
    for frame in frames:
        low = (frame < BELOW_AIR_HU) & ~np.isin(frame, padding)
        count += int(np.count_nonzero(low))
        frame[low] += WRAP_12
    return [
        Finding(
            "values-wrapped",
            Grade.WARNING,
            f"{_voxels(count, frames)} were stored without a sign, but declared as signed: bone "
            f"had become less dense than air; they were raised by {WRAP_12}.",
            "Check the skull on the baseline image; export the exam again as the scanner made it.",
        )
    ]


def _wrapped_16(frames: Float32Array) -> list[Finding]:
    """Negative 16-bit values read as unsigned: padding alone, or all of an image's."""
    rim = _rim(frames)
    if float(rim.max()) <= BEYOND_CT_HU:
        return []
    # where air is as it should be, only the padding outside of it is wrong
    right = np.mean(_sample(frames) < AIR_BELOW_HU, axis=(2, 3)) >= AIR_SHARE
    beyond = rim[right]
    padding = float(beyond.min(initial=np.inf, where=beyond > BEYOND_CT_HU))
    padded = wrapped = 0
    for frame, as_it_should in zip(frames, right, strict=True):
        high = (frame >= padding) & as_it_should[:, None, None]
        padded += int(np.count_nonzero(high))
        frame[high] = AIR_HU
        high = (frame > BEYOND_CT_HU) & ~as_it_should[:, None, None]
        wrapped += int(np.count_nonzero(high))
        unwrapped = frame[high] - np.float32(WRAP_16)
        frame[high] = np.where(unwrapped >= LOWEST_HU, np.maximum(unwrapped, AIR_HU), AIR_HU)
    findings = [_padding(padded, frames, "above any CT number")] if padded else []
    if wrapped:
        findings.append(
            Finding(
                "values-wrapped",
                Grade.WARNING,
                f"{_voxels(wrapped, frames)} are negative numbers that were stored or declared "
                f"without a sign; they were lowered by {WRAP_16}{_in_images(~right)}.",
                "Export the exam again as the scanner made it.",
            )
        )
    return findings


def _wrapped_12(frames: Float32Array) -> list[Finding]:
    """Negative 12-bit values read as unsigned: air lies at 3096."""
    sample = _sample(frames)
    chosen = (sample.min(axis=(2, 3)) >= 0) & (sample.max(axis=(2, 3)) < WRAP_12)
    if not chosen.any():
        return []
    low, high = BRAIN_LIMITS_HU
    brain = np.median(_centre(sample), axis=(2, 3))
    chosen &= (low <= brain) & (brain <= high)
    if not chosen.any():
        return []
    least, padding = WRAP_12 + AIR_HU, _padding_value(_rim(frames))
    between = (sample > WRAP_12 / 2) & (sample < least) & (sample != padding)
    chosen &= between.mean(axis=(2, 3)) <= GAP_SHARE
    images = sample[chosen]
    air = (images >= least) & (images < WRAP_12 + AIR_BELOW_HU)
    if not air.size or air.mean() < AIR_SHARE:
        return []
    count = 0
    for frame, images_of_it in zip(frames, chosen, strict=True):
        wrapped = (frame >= least) & images_of_it[:, None, None]
        count += int(np.count_nonzero(wrapped))
        frame[wrapped] -= WRAP_12
    return [
        Finding(
            "values-wrapped",
            Grade.WARNING,
            f"{_voxels(count, frames)}, air among them, are negative numbers stored in 12 bits "
            f"without a sign; they were lowered by {WRAP_12}{_in_images(chosen)}.",
            "Export the exam again as the scanner made it.",
        )
    ]


def _without_intercept(frames: Float32Array) -> list[Finding]:
    """Stored values taken for HU: brain near 1064, air near 24; in all images, or in some."""
    sample = _sample(frames)
    level = np.median(_centre(sample), axis=(2, 3))
    low, high = BRAIN_USUAL_HU
    usual, apart = AIR_NEAR_HU
    for offset in OFFSETS_HU:
        chosen = (low <= level - offset) & (level - offset <= high)
        if not chosen.any():
            continue
        images, rim = sample[chosen], _rim(frames)[chosen]
        # at both ends of the scale are padding, or values that were cut off there
        around = images[_above_padding(images, offset)]
        if around.size < AIR_SHARE * images.size:
            continue
        air = float(np.median(around))
        if abs(air - offset - usual) > apart:
            continue
        # a slice that grazes the skull has a dense middle too, but air of its own around it
        if not chosen.all() and _above_padding(rim, offset).mean() < RIM_SHARE:
            continue
        brain = float(np.median(level[chosen]))
        for frame, images_of_it in zip(frames, chosen, strict=True):
            frame[images_of_it] = np.maximum(frame[images_of_it] - np.float32(offset), AIR_HU)
        some = not chosen.all()
        return [
            Finding(
                "intercept-missing",
                Grade.WARNING,
                f"The values lack their intercept: brain lies at {brain:.0f} and air at {air:.0f}; "
                f"they were lowered by {offset:.0f} HU{_in_images(chosen)}.",
                "Check that the brain has 20 to 50 HU on the baseline image"
                + (", in all slices and frames." if some else "."),
            )
        ]
    return []


def _above_padding(values: Float32Array, offset: float) -> BoolArray:
    """Where air of values without their intercept lies."""
    return np.asarray((values > AIR_HU) & (values != 0) & (values < offset + AIR_BELOW_HU))


def _in_images(chosen: BoolArray) -> str:
    """Which images of (T, Z), for a message; nothing if all."""
    if chosen.all():
        return ""
    frame, number = np.argwhere(chosen)[0] + 1
    return (
        f" in {np.count_nonzero(chosen)} of {chosen.size} images, the first of which is slice "
        f"{number} of frame {frame}"
    )


def _constant_outside(frames: Float32Array) -> list[Finding]:
    """Where one value that isn't air's stands again and again from the rim to the head: air."""
    rim = _rim(frames)
    value = _padding_value(rim)
    if value is None:
        return []
    padded = np.mean(rim == value, axis=2) >= RIM_SHARE
    low, high = BRAIN_USUAL_HU
    # metal and brain may leave the field of view, but not at its corners
    if value > DENSE_HU or low <= value <= high:
        corners = frames[:, :, [0, 0, -1, -1], [0, -1, 0, -1]][padded]
        if np.mean(corners == value) < CORNERS:
            return []
    inside = _centre(_sample(frames))
    inside = inside[inside != value]
    if not inside.size or not low <= float(np.median(inside)) <= high:
        return []
    outside = _outside(frames, value, padded)
    count = int(np.count_nonzero(outside))
    if count < PADDED_SHARE * outside.size:
        return []
    lowest = float(frames[0].min())
    frames[:, outside] = AIR_HU
    return [_padding(count * len(frames), frames, f"at a constant {value:g} HU"), *no_air(lowest)]


def _outside(frames: Float32Array, value: float, padded: BoolArray) -> BoolArray:
    """(Z, Y, X) what is padding in some of the images (T, Z) that have it."""
    times, near = np.zeros((2, *frames.shape[1:]), np.int32)
    for frame, images in zip(frames, padded, strict=True):
        times[images] += frame[images] == value
        near[images] += np.abs(frame[images] - np.float32(value)) <= NOISE_HU
    of = padded.sum(axis=0)[:, None, None]
    constant = (of > 0) & (times >= CONSTANT * of)
    # where a mask follows the head, its border comes and goes; noise about the value does too,
    # but is near it at other times
    border = (of > 0) & (times >= OFTEN * of) & (near - times <= (1 - CONSTANT) * of)
    outside = _connected(constant, _sides(constant))
    return _connected(outside | border, outside)


def _sides(mask: BoolArray) -> BoolArray:
    """The mask at the rim of each slice."""
    out = mask.copy()
    out[:, 1:-1, 1:-1] = False
    return out


def _connected(mask: BoolArray, seeds: BoolArray) -> BoolArray:
    """Parts of the mask's slices that hold a seed."""
    labels, count = ndimage.label(mask, IN_PLANE)
    held = np.zeros(count + 1, bool)
    held[labels[seeds]] = True
    held[0] = False
    return np.asarray(held[labels])


def _padding(count: int, frames: Float32Array, what: str) -> Finding:
    return Finding(
        "padding-undeclared",
        Grade.NOTE,
        f"{_voxels(count, frames)} around the head lie {what}; they are padding that the file "
        "does not declare, and were treated as air.",
    )


def _voxels(count: int, frames: Float32Array) -> str:
    """How many, in a frame."""
    return f"{count / len(frames):.0f} voxels of each frame ({count / frames.size:.1%})"
