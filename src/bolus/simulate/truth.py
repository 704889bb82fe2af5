"""The ground truth of a simulated exam, on the exam's grid."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bolus.data import WithArrays
from bolus.errors import OutputError
from bolus.simulate.bolus import Bolus
from bolus.simulate.nifti import write_image
from bolus.simulate.recipe import Recipe
from bolus.simulate.slab import MARGIN, mean_over_sub_slices, without_margin
from bolus.simulate.subject import Subject
from bolus.types import BoolArray, Float32Array, Float64Array, Geometry, Motion

TMAX_LIMIT_S = 6.0
CORE_SHARE = 0.30
VESSEL_LIMIT = 0.01
"""Voxels with more blood of large vessels than this don't count."""
MAINLY_VESSEL = 0.3
MAINLY_OTHER = 0.5
OLD_INFARCT, CALCIFICATION = 5, 6


@dataclass(frozen=True, eq=False, repr=False)
class Truth(WithArrays):
    """Maps are (Z, Y, X); float maps are 0 outside the brain.

    hypo: valid and Tmax > 6 s.  core: hypo and CBF < 30 % of the mean CBF of valid voxels outside
    the painted lesion.  An old infarct has almost no flow, but its cavity is not tissue, so it is
    neither valid nor hypo nor core; the same holds for calcifications.
    """

    geometry: Geometry
    cbf: Float32Array
    """ml/100g/min."""
    cbv: Float32Array
    """ml/100g."""
    mtt: Float32Array
    """s."""
    delay: Float32Array
    """s after the internal carotid artery, mean of the dispersion included."""
    tmax: Float32Array
    """delay + MTT / 2, s."""
    ttp: Float32Array
    """Time of the maximum of the noise-free tissue curve, s after the first frame."""
    tissue: NDArray[np.uint8]
    """0 none, 1 grey matter, 2 white matter, 3 CSF, 4 vessel, 5 old infarct, 6 calcification."""
    painted: NDArray[np.uint8]
    """0 none, 1 oligaemia, 2 penumbra, 3 core, as painted."""
    brain: BoolArray
    """Everything inside the skull."""
    valid: BoolArray
    """Brain with CSF < 0.3 and without large vessels: compare maps here only."""
    hypo: BoolArray
    core: BoolArray
    vessel_fraction: Float32Array
    """Share of the voxel that is blood of large vessels."""
    baseline: Float32Array
    """Noise-free HU before the bolus."""
    bolus: Bolus
    """True arterial and venous curves."""
    times_s: Float64Array
    """(T, Z)"""
    motion: Motion
    normal_cbf: float
    """Mean CBF of valid voxels outside the painted lesion, ml/100g/min."""
    seed: int
    recipe: Recipe

    @property
    def hypo_ml(self) -> float:
        """Volume with Tmax > 6 s, ml."""
        return float(self.hypo.sum() * self.geometry.voxel_ml)

    @property
    def core_ml(self) -> float:
        """Volume of the core, ml."""
        return float(self.core.sum() * self.geometry.voxel_ml)


def make_truth(
    subject: Subject,
    ttp: Float32Array,
    bolus: Bolus,
    times_s: Float64Array,
    motion: Motion,
    seed: int,
    recipe: Recipe,
) -> Truth:
    """Collect the truth on the exam's grid and apply the definitions of hypo and core."""
    inner = slice(MARGIN, MARGIN + recipe.slices)
    perfusion = subject.perfusion
    cbf, cbv, mtt, delay = (
        values[inner] for values in (perfusion.cbf, perfusion.cbv, perfusion.mtt, perfusion.delay)
    )
    tmax = np.where(mtt > 0, delay + mtt / 2, 0).astype(np.float32)
    blood, painted = subject.blood[inner], subject.painted[inner] * subject.brain[inner]
    valid = subject.parenchyma[inner] & (blood < VESSEL_LIMIT)
    normal_cbf = float(cbf[valid & (painted == 0)].mean(dtype=np.float64))
    hypo = valid & (tmax > TMAX_LIMIT_S)
    baseline = mean_over_sub_slices(subject.fine_baseline, subject.slab.sub)[inner]
    return Truth(
        geometry=without_margin(subject.slab),
        cbf=cbf,
        cbv=cbv,
        mtt=mtt,
        delay=delay,
        tmax=tmax,
        ttp=ttp[inner],
        tissue=_labels(subject)[inner],
        painted=painted,
        brain=subject.brain[inner],
        valid=valid,
        hypo=hypo,
        core=hypo & (cbf < CORE_SHARE * normal_cbf),
        vessel_fraction=blood,
        baseline=np.maximum(baseline, subject.rest),
        bolus=bolus,
        times_s=times_s,
        motion=motion,
        normal_cbf=normal_cbf,
        seed=seed,
        recipe=recipe,
    )


def _labels(subject: Subject) -> NDArray[np.uint8]:
    """Predominant tissue of each voxel, see `Truth.tissue`."""
    csf = 1 - subject.gm - subject.wm
    most = np.argmax(np.stack([subject.gm, subject.wm, csf]), axis=0) + 1
    labels = np.where(subject.blood > MAINLY_VESSEL, 4, np.where(subject.brain, most, 0))
    labels[subject.brain & (subject.cavity > MAINLY_OTHER)] = OLD_INFARCT
    labels[subject.brain & (subject.calcified > MAINLY_OTHER)] = CALCIFICATION
    return labels.astype(np.uint8)


MAPS = ("cbf", "cbv", "mtt", "delay", "tmax", "ttp", "vessel_fraction", "baseline")
MASKS = ("tissue", "painted", "brain", "valid", "hypo", "core")


def write_truth(truth: Truth, folder: Path) -> None:
    """Write the maps as NIfTI and everything else as ``truth.json``.

    Files are the same, byte for byte, each time.

    Raises
    ------
    OutputError
        The folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in MAPS:
            write_image(getattr(truth, name), truth.geometry, folder / f"{name}.nii.gz")
        for name in MASKS:
            labels = getattr(truth, name).astype(np.uint8)
            write_image(labels, truth.geometry, folder / f"{name}.nii.gz")
        text = json.dumps(_summary(truth), indent=1, sort_keys=True)
        (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: the truth can't be written ({error.strerror}).") from error


def _summary(truth: Truth) -> dict[str, object]:
    rounded = {
        "arterial_hu": truth.bolus.artery_hu,
        "venous_hu": truth.bolus.vein_hu,
        "curve_times_s": truth.bolus.time_s,
        "slice_times_s": truth.times_s,
        "rotation_deg": truth.motion.rotation_deg,
        "translation_mm": truth.motion.translation_mm,
        "displacement_mm": truth.motion.displacement_mm,
    }
    return {
        "seed": truth.seed,
        "recipe": {k: v if v != float("inf") else None for k, v in asdict(truth.recipe).items()},
        "hypo_ml": round(truth.hypo_ml, 3),
        "core_ml": round(truth.core_ml, 3),
        "normal_cbf": round(truth.normal_cbf, 4),
        **{name: np.round(values, 4).tolist() for name, values in rounded.items()},
    }
