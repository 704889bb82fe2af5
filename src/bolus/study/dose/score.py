"""Errors of maps and lesions against a reference: the truth, or another analysis of the exam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bolus.metrics import dice, mean_absolute_error, pearson
from bolus.types import MAP_UNITS, BoolArray, Float32Array, MethodResult, Tissue

MAPS = tuple(MAP_UNITS)
CORE = 2
"""Of `bolus.types.Lesion.labels`; everything above 0 is hypoperfused."""

Row = dict[str, float]
"""Scores by name; NaN where undefined."""


@dataclass(frozen=True)
class Reference:
    """What maps and lesions are compared with."""

    maps: dict[str, Float32Array]
    """(Z, Y, X) by the names of `MAPS`; TTP is s after the whole exam's first sample."""
    valid: BoolArray
    """(Z, Y, X) where maps are compared."""
    core: BoolArray
    hypoperfused: BoolArray
    """With the core."""
    voxel_ml: float
    is_truth: bool


def reference_of(result: MethodResult, tissue: Tissue, voxel_ml: float) -> Reference:
    """A method's own result as the reference, in all parenchyma it mapped."""
    return Reference(
        maps={name: getattr(result.maps, name) for name in MAPS},
        valid=tissue.parenchyma & (result.maps.mtt > 0),
        core=result.lesion.labels == CORE,
        hypoperfused=result.lesion.labels > 0,
        voxel_ml=voxel_ml,
        is_truth=False,
    )


def score(result: MethodResult, tissue: Tissue, reference: Reference, start_s: float = 0.0) -> Row:
    """Errors of maps, overlap of lesions and errors of their volumes.

    Parameters
    ----------
    result : maps and lesion of one method.
    tissue : masks of the same analysis; maps are compared in its parenchyma.
    reference : on the same grid.
    start_s : the analysed exam's first sample on the reference's clock, for TTP.

    Returns
    -------
    dict
        For each of `MAPS` ``_mae`` and ``_bias`` in the map's unit and Pearson's ``_r``, over the
        reference's valid voxels that were mapped, of which ``covered`` is the share.  For ``core``
        and ``hypoperfused``: ``_dice`` within the valid voxels (outside them the truth has no
        lesion), volumes ``_ml`` and ``_true_ml`` and their difference ``_error_ml`` in all voxels.
    """
    where = reference.valid & tissue.parenchyma & (result.maps.mtt > 0)
    row: Row = {"covered": _share(where, reference.valid)}
    for name in MAPS:
        found = getattr(result.maps, name)[where].astype(np.float64)
        true = reference.maps[name][where].astype(np.float64)
        row |= _errors(name, found + (start_s if name == "ttp" else 0.0), true)
    labels = result.lesion.labels
    lesions = (
        ("core", labels == CORE, reference.core),
        ("hypoperfused", labels > 0, reference.hypoperfused),
    )
    for name, found_mask, true_mask in lesions:
        found_ml = float(found_mask.sum()) * reference.voxel_ml
        true_ml = float(true_mask.sum()) * reference.voxel_ml
        row[f"{name}_dice"] = dice(found_mask & reference.valid, true_mask & reference.valid)
        row[f"{name}_ml"], row[f"{name}_true_ml"] = found_ml, true_ml
        row[f"{name}_error_ml"] = found_ml - true_ml
    return row


def _errors(name: str, found: np.ndarray, true: np.ndarray) -> Row:
    if not found.size:
        return {f"{name}_{kind}": float("nan") for kind in ("mae", "bias", "r")}
    return {
        f"{name}_mae": mean_absolute_error(found, true),
        f"{name}_bias": float((found - true).mean()),
        f"{name}_r": pearson(found, true),
    }


def _share(part: BoolArray, whole: BoolArray) -> float:
    return float(part.sum()) / float(whole.sum()) if whole.any() else float("nan")
