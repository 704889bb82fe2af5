"""The data that flows through bolus, in the order in which it is created.

One convention everywhere inside the package: arrays are indexed ``(t, z, y, x)``, positions are
DICOM patient coordinates in mm (LPS: +x left, +y posterior, +z superior), times are seconds after
the first frame of the exam, intensities are Hounsfield units.  NIfTI's RAS and nibabel's
``(x, y, z, t)`` exist only in `bolus.axes` and its callers.

Letters in shapes: T frames of the exam, N samples of the common time grid, Z slices, Y rows,
X columns, V brain voxels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bolus.data import WithArrays

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

Voxel = tuple[int, int, int]
"""x, y, z indices, as viewers show them for the maps."""

MAP_UNITS = {"cbf": "ml/100g/min", "cbv": "ml/100g", "mtt": "s", "tmax": "s", "ttp": "s"}
"""Unit of each of the five maps, everywhere."""
CNN = "cnn"
"""The name of the one method that is not a deconvolution: the network."""


class Grade(IntEnum):
    """Severity of a finding; the verdict on an exam is its worst grade."""

    NOTE = 0
    WARNING = 1
    FAIL = 2


@dataclass(frozen=True)
class Finding:
    """Something about the exam or its processing that the reader of the report must know."""

    code: str
    """Stable kebab-case name, for example ``timing-assumed``."""
    grade: Grade
    message: str
    """One plain sentence: what was seen, with the number and the limit."""
    remedy: str = ""
    """What to do about it; empty where nothing can be done."""


@dataclass(frozen=True, eq=False, repr=False)
class Geometry(WithArrays):
    """Where the voxels are: an evenly spaced, possibly sheared (tilted gantry) stack of slices."""

    shape: tuple[int, int, int]
    """(Z, Y, X)."""
    affine: Float64Array
    """(4, 4): index ``(z, y, x, 1)`` to LPS mm of the voxel's centre."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between slice positions, rows and columns, mm; measured across the slices."""
        z, y, x = (self.affine[:3, i] for i in range(3))
        normal = np.cross(y, x)
        normal = normal / np.linalg.norm(normal)
        return float(abs(z @ normal)), float(np.linalg.norm(y)), float(np.linalg.norm(x))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, ml, from positions (never from SliceThickness)."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


@dataclass(frozen=True)
class Scanner:
    """Acquisition parameters of the exam; nothing in here identifies a person."""

    source: str
    """"dicom", "nifti" or "unitobrain"."""
    manufacturer: str = ""
    model: str = ""
    kernel: str = ""
    kvp: float | None = None
    exposure_mas: float | None = None
    """Tube current x exposure time, mAs (the Exposure tag is not to be trusted)."""
    slice_thickness_mm: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Exam(WithArrays):
    """A CT perfusion exam, sorted by position and true time.

    One that is built from arrays is checked by the first step it is given to, which also counts its
    times from the earliest.
    """

    frames: Float32Array
    """(T, Z, Y, X), HU."""
    times_s: Float64Array
    """(T, Z), s after the earliest sample; strictly increasing along T.  Slices of a shuttle exam
    are measured at different times, so each has its own axis."""
    geometry: Geometry
    scanner: Scanner
    findings: tuple[Finding, ...] = ()
    dicom_identity: dict[str, str] = field(default_factory=dict)
    """UIDs needed to link results to their source (StudyInstanceUID, FrameOfReferenceUID...).
    Never names, numbers or dates of a person."""


@dataclass(frozen=True, eq=False, repr=False)
class Motion(WithArrays):
    """Rigid motion of each frame against the reference frame."""

    rotation_deg: Float64Array
    """(T, 3) about the patient's x, y and z axes."""
    translation_mm: Float64Array
    """(T, 3) of the head's centre along x, y and z (LPS)."""
    displacement_mm: Float64Array
    """(T,) mean displacement over the head: the one number to look at."""
    residual_hu: Float64Array
    """(T,) robust SD of the difference to the reference after correction."""
    kept: BoolArray
    """(T,) False where a frame could not be aligned and was dropped."""

    @property
    def largest_mm(self) -> float:
        """The largest mean displacement of a frame that was kept."""
        return float(self.displacement_mm[self.kept].max(initial=0.0))


@dataclass(frozen=True, eq=False, repr=False)
class Tissue(WithArrays):
    """Anatomy of the slab, from the baseline image.  All (Z, Y, X)."""

    baseline: Float32Array
    """Mean of the frames before the bolus, HU."""
    brain: BoolArray
    """Everything inside the skull: parenchyma, CSF and vessels."""
    csf: BoolArray
    vessel: BoolArray
    """Voxels whose enhancement is that of a large vessel, with their rim."""

    @property
    def perfused(self) -> BoolArray:
        """Brain without CSF: where there is blood flow to map."""
        return self.brain & (~self.csf | self.vessel)

    @property
    def parenchyma(self) -> BoolArray:
        """Brain without CSF and without large vessels: where lesions are counted."""
        return self.brain & ~self.csf & ~self.vessel


@dataclass(frozen=True, eq=False, repr=False)
class Vessel(WithArrays):
    """An arterial input function or a venous output function and where it was taken."""

    curve_hu: Float64Array
    """(N,) enhancement over the common time grid, HU, as measured (not scaled)."""
    voxels: IntArray
    """(n, 3) indices z, y, x."""
    confidence: float
    """0..1 quality score of the choice; 1 for a curve with every feature of a vessel."""
    manual: bool = False
    fraction: float = 1.0
    """Share of blood in its voxels, measured against the VOF (partial volume)."""
    score: float = 0.0
    """0..1 ranking score of candidates: the product of ``parts``."""
    parts: dict[str, float] = field(default_factory=dict)
    """0..1 by feature, 1 for a perfect vessel."""
    delay_s: float = 0.0
    """Of its curve after that of the AIF."""
    diameter_mm: float | None = None
    """Of a straight vessel that would hold the blood found there; None for veins."""


@dataclass(frozen=True, eq=False, repr=False)
class Arteries(WithArrays):
    """The curves every deconvolution starts from."""

    aif: Vessel
    vof: Vessel
    scale: float
    """Factor by which the AIF is scaled to the area of the VOF (partial volume)."""
    findings: tuple[Finding, ...] = ()
    candidates: tuple[Vessel, ...] = ()
    """Distinct candidate arteries, the best first; an automatically chosen AIF comes first."""
    vein_candidates: tuple[Vessel, ...] = ()
    """Likewise for the VOF."""

    @property
    def input_hu(self) -> Float64Array:
        """(N,) scaled arterial input, HU."""
        return self.aif.curve_hu * self.scale


@dataclass(frozen=True, eq=False, repr=False)
class NearVessels(WithArrays):
    """Enhancement in and around large vessels as measured: used to choose another artery."""

    voxels: BoolArray
    """(Z, Y, X) mask with M true voxels."""
    enhancement_hu: NDArray[np.float16]
    """(M, T), not filtered, in C order of the mask; HU."""
    moved_mm: float
    """Largest displacement of the head."""


@dataclass(frozen=True, eq=False, repr=False)
class Curves(WithArrays):
    """Enhancement of the perfused voxels at the times at which it was measured."""

    grid_s: Float64Array
    """(N,) common time grid of the arterial input, evenly spaced, s after the first frame."""
    tissue_hu: Float32Array
    """(V, T) baseline-subtracted, motion-free enhancement, HU; first as measured, then denoised."""
    times_s: Float64Array
    """(T, Z) when each slice was measured, s after the first frame."""
    weight: Float64Array
    """(T,) information of each frame: inverse variance of its noise over the usual frame's."""
    voxels: BoolArray
    """(Z, Y, X) mask with V true voxels, in C order of ``tissue_hu``'s rows."""
    noise_hu: float
    """SD of the noise left in a sample of weight 1 of ``tissue_hu``, HU."""
    arrival_s: float
    """Time at which contrast arrives in the head, s after the first frame."""
    spacing_mm: tuple[float, float, float]
    """Distance of neighbouring voxels along z, y and x."""

    @property
    def dt_s(self) -> float:
        """Interval of the common time grid, s."""
        return float(self.grid_s[1] - self.grid_s[0])

    @property
    def frame_interval_s(self) -> float:
        """Median interval between frames, s."""
        return float(np.median(np.diff(self.times_s, axis=0)))

    @property
    def slices(self) -> IntArray:
        """(V,) slice of each row; rows of a slice lie together."""
        return np.repeat(np.arange(len(self.voxels)), self.voxels.sum(axis=(1, 2)))


@dataclass(frozen=True, eq=False, repr=False)
class Maps(WithArrays):
    """Perfusion maps of one method, (Z, Y, X) float32, 0 outside the brain and in CSF.

    CBV = CBF x MTT / 60 holds exactly.  Tmax is s after the arterial input: for `nlr`, `bma` and
    `cnn` the centre of the residue function (delay + MTT/2), for the SVD family the maximum of the
    impulse response, which regularisation shifts to about the same time.  TTP is s after the first
    frame.
    """

    method: str
    cbf: Float32Array
    """ml/100g/min."""
    cbv: Float32Array
    """ml/100g."""
    mtt: Float32Array
    """s."""
    tmax: Float32Array
    """s."""
    ttp: Float32Array
    """s."""
    delay: Float32Array | None = None
    """Arrival of tissue after the arterial input, s; None where a method can't estimate it."""
    parameters: dict[str, float | str] = field(default_factory=dict)
    """Every number the method used, for the report and summary.json."""
    se: dict[str, Float32Array] = field(default_factory=dict)
    """Standard errors by map name, in the map's unit; empty where a method knows none."""


@dataclass(frozen=True, eq=False, repr=False)
class Lesion(WithArrays):
    """Core and penumbra by the thresholds of a named preset."""

    labels: NDArray[np.uint8]
    """(Z, Y, X): 0 none, 1 penumbra, 2 core."""
    preset: str
    core_rule: str
    """The threshold of the core in words, for example "CBF < 30 % of normal tissue"."""
    hypoperfused_rule: str
    rule_source: str
    """Source of the thresholds."""
    side: str
    """Side of the lesion: "left", "right", "both" or "none" (the patient's sides)."""
    reference_cbf: float
    """Mean CBF of the reference tissue, ml/100g/min."""
    reference: str
    """How the reference tissue was found."""
    core_ml: float
    hypoperfused_ml: float
    """Core + penumbra."""
    penumbra_ml: float
    mismatch_ml: float
    mismatch_ratio: float | None
    """Hypoperfused / core; None where the core is below 1 ml and the ratio has no meaning."""
    hir: float | None
    """Hypoperfusion intensity ratio V(Tmax > 10 s) / V(Tmax > 6 s); None without lesion."""
    tmax_ml: dict[str, float]
    """Volumes above Tmax 4, 6, 8 and 10 s, ml, keys "4", "6", "8", "10"."""
    cbv_index: float | None
    """Mean CBV of hypoperfused tissue / mean CBV of normal tissue."""
    core_lower_bound: bool
    """The core touches the first or last slice: the true volume may be larger."""
    hypoperfused_lower_bound: bool
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Check:
    """One quality check and its verdict; NOTE means passed."""

    name: str
    """"timing", "coverage", "motion", "noise", "bolus", "truncation", "aif" or "vof"."""
    grade: Grade
    value: float | None
    """The measured number, in ``unit``; None where there is nothing to measure."""
    unit: str
    message: str
    """One plain sentence for the reader, with the limit."""
    remedy: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class MethodResult(WithArrays):
    """Results of one method."""

    maps: Maps
    lesion: Lesion


@dataclass(frozen=True, eq=False, repr=False)
class Results(WithArrays):
    """Everything ``bolus run`` found, ready to be published; of 4D data only brain curves."""

    geometry: Geometry
    scanner: Scanner
    dicom_identity: dict[str, str]
    times_s: Float64Array
    """(T, Z) of the exam as acquired."""
    grid_s: Float64Array
    """(N,) the common time grid of all curves."""
    arrival_s: float
    motion: Motion
    tissue: Tissue
    peak_hu: Float32Array
    """(Z, Y, X) maximum enhancement over time, HU, 0 where nothing is perfused: shows vessels."""
    arteries: Arteries | None
    """None where none were found and no method needed them."""
    methods: Mapping[str, MethodResult]
    """By method name, in the order asked for."""
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    """Every finding of every stage, in order."""
    parameters: dict[str, dict[str, float | int | str | None]]
    """By stage: every parameter that affects the result."""
    timings_s: dict[str, float]
    """Wall time by stage, s, in order."""
    versions: dict[str, str]
    """bolus, Python and the libraries that do arithmetic."""
    curves: Curves | None = None
    """Denoised, as used for the maps; None where they are not kept for viewing."""
    near_vessels: NearVessels | None = None
    """None where no artery was found."""

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Findings of the exam, the arteries and every method, each once, the worst first."""
        of_methods = [f for method in self.methods.values() for f in method.lesion.findings]
        of_arteries = self.arteries.findings if self.arteries else ()
        unique = dict.fromkeys((*self.findings, *of_arteries, *of_methods))
        return tuple(sorted(unique, key=lambda finding: -finding.grade))

    @property
    def grade(self) -> Grade:
        """The worst grade of all checks and findings."""
        of_checks = (check.grade for check in self.checks)
        return max((*of_checks, *(f.grade for f in self.all_findings)), default=Grade.NOTE)
