"""The brain mask: soft tissue that bone surrounds, found from the image's own grey levels.

Where the skull was removed before, the brain is what was left.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bolus.errors import ImplausibleValues, NoPerfusion
from bolus.metrics import robust_sd
from bolus.types import BoolArray, Float32Array, Float64Array, Geometry

# Range in which the mode of soft tissue is sought, HU: any kVp, any cupping, no fat, no bone.
SOFT_RANGE_HU = (-20.0, 120.0)
# Denser than soft tissue by this is bone or metal for certain.
BONE_ABOVE_SOFT_HU = 150.0
# The skull's edge lies at this share of the way from soft tissue to the median bone: thin plates
# are dimmed by partial volume, so less than half of it.
BONE_SHARE = 0.25
BONE_LEVEL_HU = (150.0, 350.0)
# CSF is some 30 HU below brain tissue and fat 130 HU.
SOFT_BELOW_MODE_HU = 45.0
# Fresh blood, and vessels still enhanced by an earlier injection; trabecular bone is denser.
SOFT_ABOVE_MODE_HU = 75.0
SMOOTHING_MM = 1.0
# Foramina and fissures are narrower than twice this, the brain's own bridges are wider.
OPENING_MM = 3.0
# Share of the rays from a point that meet bone: 1 inside a closed skull, about 0.5 just outside.
MIN_ENCLOSED_POINT = 0.55
MIN_ENCLOSED_PART = 0.8
# A part this large against the largest is brain even under an open skull.
OPEN_SKULL_PART = 0.25
# Islands that the slab doesn't connect (poles of temporal lobes, cerebellum) need to be this large.
ISLAND_SHARE = 0.1
# Smaller parts of a slice's interior are orbits, air cells and marrow more often than brain.
MIN_PART_MM2 = 100.0
MAX_HOLE_MM2 = 100.0
MIN_BRAIN_ML = 10.0
# Skulls of men hold 1,473 +/- 117 ml, measured on CT (Abbott 2000,
# doi:10.1097/00001665-200011030-00002); this is 7 SD more.  A section of 14 x 18 cm has 200 cm2.
MAX_BRAIN_ML = 2300.0
MAX_SECTION_CM2 = 280.0
MIN_BONE_SHARE = 0.002
# Stripped exams have one value all around the head: over at least this share of the rim, and the
# same but for the rounding of resampled frames.
OUTSIDE_SHARE = 0.5
OUTSIDE_HU = 0.05
# Or little noise about one value, out to so many SD, if it is neither air's, which has such noise
# around whole heads too, nor the brain's own.
NOISE_SDS, MOST_SD_HU = 4.0, 1.0
AIR_BELOW_HU, BRAIN_HU = -800.0, (5.0, 80.0)
# Bone fills 10 to 25 % of the section of a head, trabeculae of a defaced one included; what a
# stripping tool leaves is less.
SKULL_HU = 250.0
SKULL_SHARE = 0.05
# What is left of bone lies at the border of a brain; deep inside, it is a spine in another organ.
SPINE_SHARE, INNER_PART = 0.01, 16
# Skin and its partial volume lie between bone and what surrounds a whole head: 0 there, 0.04 to
# 0.1 without the face, 0.3 and more where a mask follows the skull.
CUT_BONE_SHARE, MUCH_CUT_BONE_SHARE = 0.03, 0.2
CROSS = np.array([[[0] * 3] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0] * 3] * 3], bool)

# 16 directions, closed under mirroring in x and y, so that a mirrored head has a mirrored mask.
RAYS = tuple(
    (sy * dy, sx * dx)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1))
    for sy in ((1, -1) if dy else (1,))
    for sx in ((1, -1) if dx else (1,))
)


def brain_mask(image: Float32Array, geometry: Geometry) -> BoolArray:
    """Everything inside the skull, down to a fraction of a millimetre from the bone.

    Bone closed per slice, interior flood, small parts removed: the usual recipe (Muschelli 2015,
    doi:10.1016/j.neuroimage.2015.03.074, after grey-level thresholds), with the levels taken from
    the image and "interior" measured by rays, so that an open skull or a slice through the orbits
    doesn't flood outwards.

    Parameters
    ----------
    image : (Z, Y, X) float32, HU
        Unenhanced, averaged over a few frames.
    geometry : Geometry

    Returns
    -------
    (Z, Y, X) bool

    Raises
    ------
    NoPerfusion
        If there is no skull with a brain in it, and no brain left of a stripped head either.
    ImplausibleValues
        If it is larger than any brain, so that the size of its voxels must be wrong.
    """
    head = stripped_head(image)
    mask = _inside_skull(image, geometry) if head is None else _left_over(image, head, geometry)
    _check_size(mask, geometry, "lie inside a skull" if head is None else "are left of the head")
    return mask


def stripped_head(image: Float32Array) -> BoolArray | None:
    """What is left of a head whose skull was removed before; None if the skull is there.

    Parameters
    ----------
    image : (Z, Y, X) float32, HU
        Around a stripped head it has one value, whichever, or one that isn't air's with little
        noise.

    Returns
    -------
    (Z, Y, X) bool, or None
    """
    rim = _rim(image)
    value = float(np.median(rim))
    reach = OUTSIDE_HU
    if np.mean(np.abs(rim - value) < reach) < OUTSIDE_SHARE:
        spread = robust_sd(rim - value)
        natural = value < AIR_BELOW_HU or BRAIN_HU[0] <= value <= BRAIN_HU[1]
        if natural or spread > MOST_SD_HU:
            return None
        reach = NOISE_SDS * spread
    head = np.abs(image - value) >= reach
    bone = image > SKULL_HU
    inner = ndimage.binary_erosion(head, CROSS, iterations=max(1, image.shape[1] // INNER_PART))
    spine = np.count_nonzero(bone & inner) > SPINE_SHARE * np.count_nonzero(inner)
    whole = np.count_nonzero(bone & head) >= SKULL_SHARE * np.count_nonzero(head)
    return None if whole or spine else head


def cut_share(image: Float32Array) -> float:
    """How much bone borders on a constant outside of the head: 0 in whole heads, which have skin.

    Parameters
    ----------
    image : (Z, Y, X) float32, HU

    Returns
    -------
    Share of the border's voxels that are bone; 0 where no value is constant at the rim.
    """
    found, counts = np.unique(_rim(image), return_counts=True)
    outside = np.abs(image - found[counts.argmax()]) < OUTSIDE_HU
    border = ndimage.binary_dilation(outside, CROSS) & ~outside
    return float(np.mean(image[border] > SKULL_HU)) if border.any() else 0.0


def _rim(image: Float32Array) -> Float32Array:
    """Outermost pixels of all slices."""
    sides = image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]
    return np.concatenate([side.ravel() for side in sides])


def _left_over(image: Float32Array, head: BoolArray, geometry: Geometry) -> BoolArray:
    """The brain of a stripped head: all of its soft tissue in large parts."""
    spacing = geometry.spacing_mm[1:]
    sigma = (0, *(SMOOTHING_MM / step for step in spacing))
    # inside the head only, so that the value around it can't bleed in
    weight = ndimage.gaussian_filter(head.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(np.where(head, image, 0).astype(np.float32), sigma)
    smooth = np.where(head, smooth / np.maximum(weight, 1e-6), 0)
    mode = _soft_mode(smooth[head], head.size)
    bone = ndimage.binary_dilation(image > mode + BONE_ABOVE_SOFT_HU, np.ones((1, 3, 3), bool))
    soft = head & ~bone & (smooth > mode - SOFT_BELOW_MODE_HU)
    soft &= smooth < mode + SOFT_ABOVE_MODE_HU
    labels, count = ndimage.label(_eroded(soft, OPENING_MM, spacing))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    seeds = (labels > 0) & (sizes >= max(1, ISLAND_SHARE * sizes.max()))[labels]
    brain = soft & _dilated(seeds, OPENING_MM + max(spacing), spacing)
    return _filled(brain, MAX_HOLE_MM2 / (spacing[0] * spacing[1]))


def _inside_skull(image: Float32Array, geometry: Geometry) -> BoolArray:
    """All soft tissue that bone surrounds."""
    _, dy, dx = geometry.spacing_mm
    smooth = ndimage.gaussian_filter(image, (0, SMOOTHING_MM / dy, SMOOTHING_MM / dx))
    mode, bone_level = grey_levels(smooth)
    bone = _large_parts(smooth > bone_level)
    box = _box(bone)
    smooth = smooth[box]
    enclosed = enclosure(bone[box])
    soft = (smooth > mode - SOFT_BELOW_MODE_HU) & (smooth < mode + SOFT_ABOVE_MODE_HU)
    soft &= enclosed >= MIN_ENCLOSED_POINT
    seeds = _brain_parts(_eroded(soft, OPENING_MM, (dy, dx)), enclosed, MIN_PART_MM2 / (dy * dx))
    brain = soft & _dilated(seeds, OPENING_MM + max(dy, dx), (dy, dx))
    mask = np.zeros(image.shape, bool)
    mask[box] = _filled(brain, MAX_HOLE_MM2 / (dy * dx))
    return mask


def _check_size(mask: BoolArray, geometry: Geometry, where: str) -> None:
    """Raise NoPerfusion or ImplausibleValues if the mask is smaller or larger than any brain."""
    volume_ml = float(mask.sum()) * geometry.voxel_ml
    if volume_ml < MIN_BRAIN_ML:
        raise NoPerfusion(
            f"no brain found: {volume_ml:.1f} ml of soft tissue {where}, at least "
            f"{MIN_BRAIN_ML:.0f} ml are needed; check that this is a CT of the head"
        )
    section_cm2 = (
        float(mask.sum(axis=(1, 2)).max()) * geometry.voxel_ml / (geometry.spacing_mm[0] / 10)
    )
    if volume_ml > MAX_BRAIN_ML or section_cm2 > MAX_SECTION_CM2:
        raise ImplausibleValues(
            f"the brain in these images has {volume_ml:.0f} ml, {section_cm2:.0f} cm2 in its "
            f"largest slice; no brain has over {MAX_BRAIN_ML:.0f} ml or {MAX_SECTION_CM2:.0f} cm2: "
            "the pixel size or the distance of the slices is wrong, correct it at the source"
        )


def _box(bone: BoolArray) -> tuple[slice, slice, slice]:
    """Rows and columns of the head: outside, bone is seen in fewer than half the directions."""
    spans = [np.flatnonzero(bone.any(axis=axes)) for axes in ((0, 2), (0, 1))]
    y, x = (slice(max(int(s[0]) - 2, 0), int(s[-1]) + 3) for s in spans)
    return slice(None), y, x


def grey_levels(image: Float32Array) -> tuple[float, float]:
    """Mode of soft tissue and level of the skull's edge, HU; raises NoPerfusion without either."""
    mode = _soft_mode(image, image.size)
    bone = image[image > mode + BONE_ABOVE_SOFT_HU]
    if bone.size < MIN_BONE_SHARE * image.size:
        raise NoPerfusion(
            f"no brain found: no skull, only {100 * bone.size / image.size:.2f} % of the voxels "
            f"are denser than {mode + BONE_ABOVE_SOFT_HU:.0f} HU; check that this is a CT of "
            "the head, and if its skull was removed, give all voxels around the brain one value, "
            "such as -1024"
        )
    level = mode + BONE_SHARE * (float(np.median(bone)) - mode)
    return mode, float(np.clip(level, *(mode + np.array(BONE_LEVEL_HU))))


def _soft_mode(values: Float32Array, voxels: int) -> float:
    """Mode of the soft tissue among ``values``, of an image of so many voxels."""
    soft = values[(values > SOFT_RANGE_HU[0]) & (values < SOFT_RANGE_HU[1])]
    if soft.size < MIN_BONE_SHARE * voxels:
        raise NoPerfusion(
            f"no brain found: only {100 * soft.size / voxels:.2f} % of the voxels are soft "
            f"tissue ({SOFT_RANGE_HU[0]:.0f} to {SOFT_RANGE_HU[1]:.0f} HU); check the HU scaling "
            "and that this is a CT of the head"
        )
    return histogram_mode(soft)


def histogram_mode(values: Float32Array | Float64Array) -> float:
    """Most frequent value, HU, from a histogram of 1 HU bins smoothed with an SD of 2 HU."""
    low, high = float(np.floor(values.min())), float(np.ceil(values.max())) + 1
    edges = np.arange(low, high + 1)
    counts, _ = np.histogram(values, edges)
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), 2.0, mode="constant")
    return float(edges[int(smooth.argmax())] + 0.5)


def enclosure(bone: BoolArray) -> Float32Array:
    """Share of 16 in-plane rays from each voxel that meet bone.

    Parameters
    ----------
    bone : (Z, Y, X) bool

    Returns
    -------
    (Z, Y, X) float32, 0..1
    """
    # three pixels thick, so that oblique steps can't jump over a thin plate
    wall = ndimage.binary_dilation(bone, np.ones((1, 3, 3), bool))
    share = np.zeros(bone.shape, np.float32)
    for dy, dx in RAYS:
        share += _meets(wall, dy, dx)
    return np.asarray(share / np.float32(len(RAYS)))


def _meets(wall: BoolArray, dy: int, dx: int) -> BoolArray:
    """Whether a ray that leaves each voxel in steps of (-dy, -dx) meets the wall."""
    if dy == 0:
        flip = slice(None, None, dx)
        return np.asarray(np.logical_or.accumulate(wall[:, :, flip], axis=2)[:, :, flip])
    hit = wall.copy()
    rows = range(dy, wall.shape[1]) if dy > 0 else range(wall.shape[1] - 1 + dy, -1, -1)
    to, source = (slice(dx, None), slice(None, -dx)) if dx > 0 else (slice(None, dx or None),) * 2
    if dx < 0:
        source = slice(-dx, None)
    for y in rows:
        hit[:, y, to] |= hit[:, y - dy, source]
    return hit


def _large_parts(mask: BoolArray) -> BoolArray:
    """Parts of at least a tenth of the largest: the skull without a head rest's rods."""
    labels, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.asarray((sizes >= 0.1 * sizes.max())[labels] & mask)


def _eroded(mask: BoolArray, radius_mm: float, spacing: tuple[float, float]) -> BoolArray:
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    depth = [ndimage.distance_transform_edt(plane, sampling=spacing) for plane in padded]
    return np.asarray(np.stack(depth)[:, 1:-1, 1:-1] > radius_mm)


def _dilated(mask: BoolArray, radius_mm: float, spacing: tuple[float, float]) -> BoolArray:
    planes = [
        ndimage.distance_transform_edt(~plane, sampling=spacing) <= radius_mm
        if plane.any()
        else plane
        for plane in mask
    ]
    return np.stack(planes)


def _brain_parts(interior: BoolArray, enclosed: Float32Array, least: float) -> BoolArray:
    """Parts of the slices' interior that are brain, not orbit, nose or muscle.

    A part of a slice counts if it has ``least`` pixels and bone surrounds it, or if it is so large
    that it must be brain under an open skull.  Of these, the largest body through all slices is
    kept, and islands that are both large and well enclosed.
    """
    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1] = True
    labels, count = ndimage.label(interior, in_plane)
    if not count:
        return interior
    index = np.arange(1, count + 1)
    size = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    around = ndimage.mean(enclosed, labels, index)
    good = (around >= MIN_ENCLOSED_PART) & (size >= least)
    good |= size >= OPEN_SKULL_PART * size.max()
    kept = np.concatenate([[False], good])[labels]
    bodies, count = ndimage.label(kept)
    if not count:
        return kept
    index = np.arange(1, count + 1)
    size = np.bincount(bodies.ravel(), minlength=count + 1)[1:]
    around = ndimage.mean(enclosed, bodies, index)
    weight = size * around
    best = (weight == weight.max()) | ((size >= ISLAND_SHARE * size.max()) & (around >= 0.95))
    return np.asarray(np.concatenate([[False], best])[bodies])


def _filled(mask: BoolArray, max_hole: float) -> BoolArray:
    """The mask with its small holes (calcifications, clips) filled, slice by slice."""
    out = mask.copy()
    for plane in out:
        labels, count = ndimage.label(ndimage.binary_fill_holes(plane) & ~plane)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        plane |= (labels > 0) & (sizes <= max_hole)[labels]
    return out
