"""Segmentation of brain, CSF and large vessels, by levels taken from the exam."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bolus.anatomy.baseline import Baseline, mean_frames
from bolus.anatomy.brain_mask import brain_mask, histogram_mode
from bolus.anatomy.time_course import Change, change_over_time
from bolus.types import BoolArray, Exam, Float32Array, Geometry, Tissue

# Light smoothing before CSF is separated from tissue; 1.5-2 mm is usual on a baseline image, whose
# noise is higher.
CSF_SMOOTHING_MM = 1.0
# CSF lies 20-30 HU below tissue at any kVp; oedema and infarct no more than 10 HU.
CSF_BELOW_TISSUE_HU = (18.0, 45.0)
CSF_BOUNDARY_HU = (10.0, 20.0)
DEFAULT_CSF_BOUNDARY_HU = 12.0
TISSUE_HALF_RANGE_HU = 14.0
# The largest sinus stands for pure blood: 1 voxel in 1000 is enough of it in any slab.
BLOOD_PERCENTILE = 99.9
# Grey matter has 5 % blood, large vessels from 12 % on (CBV above 8-9 ml/100g).
VESSEL_SHARE = 0.12
MIN_VESSEL_VOXELS = 3
RIM_MM = 1.0
# Fresh blood and clots are up to 40 HU denser than tissue, calcifications 40 to 200 HU, at 5 mm
# with partial volume; bone's edge is denser than either.
CALCIFIED_ABOVE_TISSUE_HU = 50.0


def segment(exam: Exam, baseline: Baseline) -> Tissue:
    """Brain, CSF and large vessels.

    Calcifications, and voxels that change in ways contrast cannot explain, are not brain.

    Parameters
    ----------
    exam : Exam
        Free of motion, not filtered.
    baseline : Baseline

    Returns
    -------
    Tissue

    Raises
    ------
    NoPerfusion
        If there is no brain.
    """
    brain = brain_mask(baseline.image, exam.geometry)
    change = change_over_time(exam, brain)
    disturbed = _spread(change.disturbed, brain)
    vessel = vessel_mask(change, brain, exam.geometry)
    brain &= ~(disturbed | calcified(baseline.image, brain) & ~vessel)
    # the mean of all frames has several times less noise than the baseline, and tissue enhances,
    # which CSF does not: thin sulci show
    mean = mean_frames(exam.frames, len(exam.frames))
    csf = csf_mask(mean, brain & ~vessel, exam.geometry)
    return Tissue(baseline.image, brain, csf, vessel)


def csf_mask(image: Float32Array, brain: BoolArray, geometry: Geometry) -> BoolArray:
    """Voxels nearer to the CSF mode than to the tissue mode.

    Tissue's mode is taken per slice (cupping and kVp raise it towards the skull base); CSF's mode
    is sought over the slab at 18 to 45 HU below it.

    Parameters
    ----------
    image : (Z, Y, X) float32, HU
    brain : (Z, Y, X) bool
        Voxels to look at; large vessels are better left out.
    geometry : Geometry

    Returns
    -------
    (Z, Y, X) bool
    """
    below = _below_tissue(_masked_smooth(image, brain, CSF_SMOOTHING_MM, geometry), brain)
    return np.asarray(brain & (below > _csf_boundary(below[brain])))


def vessel_mask(change: Change, brain: BoolArray, geometry: Geometry) -> BoolArray:
    """Large vessels with a rim of one millimetre, by how much contrast changes them over time.

    Bone that moved in next to a vessel is not part of its rim.

    Parameters
    ----------
    change : Change
        Of the brain's voxels.
    brain : (Z, Y, X) bool
    geometry : Geometry

    Returns
    -------
    (Z, Y, X) bool
    """
    variance = np.where(change.like_bolus, change.variance, 0)
    blood = float(np.percentile(variance, BLOOD_PERCENTILE)) - change.usual_hu2
    core = _spread(variance > change.usual_hu2 + VESSEL_SHARE**2 * blood, brain)
    labels, count = ndimage.label(core, np.ones((3, 3, 3), bool))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    core &= (sizes >= MIN_VESSEL_VOXELS)[labels]
    disturbed = _spread(change.disturbed, brain)
    return np.asarray(brain & _grown(core, RIM_MM, geometry) & ~disturbed)


def calcified(image: Float32Array, brain: BoolArray) -> BoolArray:
    """Voxels of the brain that are too dense for tissue, clot or fresh blood.

    Parameters
    ----------
    image : (Z, Y, X) float32, HU
        Unenhanced.
    brain : (Z, Y, X) bool

    Returns
    -------
    (Z, Y, X) bool
    """
    tissue = histogram_mode(image[brain])
    return np.asarray(brain & (image > tissue + CALCIFIED_ABOVE_TISSUE_HU))


def _spread(values: BoolArray, mask: BoolArray) -> BoolArray:
    """(V,) values of the mask's voxels as an image (Z, Y, X)."""
    image = np.zeros(mask.shape, bool)
    image[mask] = values
    return image


def _below_tissue(image: Float32Array, brain: BoolArray) -> Float32Array:
    """How far each voxel lies below the mode of its slice's tissue, HU."""
    overall = histogram_mode(image[brain])
    below = np.zeros_like(image)
    for z, plane in enumerate(brain):
        # a slice full of ventricle must not mistake CSF for tissue
        tissue = image[z][plane & (np.abs(image[z] - overall) < TISSUE_HALF_RANGE_HU)]
        mode = histogram_mode(tissue) if tissue.size >= 1000 else overall
        below[z] = mode - image[z]
    return below


def _csf_boundary(below: Float32Array) -> float:
    """HU below the tissue's mode at which CSF begins: halfway to its mode, if it has one."""
    near, far = CSF_BELOW_TISSUE_HU
    candidates = below[(below > near) & (below < far)]
    if candidates.size < 100:
        return DEFAULT_CSF_BOUNDARY_HU
    mode = histogram_mode(candidates)
    if mode < near + 2:  # the flank of the tissue's own peak: no CSF mode of its own
        return DEFAULT_CSF_BOUNDARY_HU
    return float(np.clip(0.5 * mode, *CSF_BOUNDARY_HU))


def _masked_smooth(
    image: Float32Array, mask: BoolArray, sd_mm: float, geometry: Geometry
) -> Float32Array:
    """Gaussian smoothing inside the mask only (normalised convolution), so bone can't bleed in."""
    sigma = [0.0, sd_mm / geometry.spacing_mm[1], sd_mm / geometry.spacing_mm[2]]
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    blurred = ndimage.gaussian_filter(np.where(mask, image, 0).astype(np.float32), sigma)
    return np.where(mask, blurred / np.maximum(weight, 1e-6), 0).astype(np.float32)


def _grown(mask: BoolArray, radius_mm: float, geometry: Geometry) -> BoolArray:
    """In-plane dilation by the radius, at least one pixel."""
    _, dy, dx = geometry.spacing_mm
    radius = max(radius_mm, dy, dx)
    ry, rx = int(radius / dy), int(radius / dx)
    yy, xx = np.mgrid[-ry : ry + 1, -rx : rx + 1]
    disk = (yy * dy) ** 2 + (xx * dx) ** 2 <= radius**2 * (1 + 1e-6)
    return np.asarray(ndimage.binary_dilation(mask, disk[None]))
