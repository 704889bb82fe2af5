"""Data shown on a click on a voxel: its values, its curve and the fits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bolus.serve.errors import missing
from bolus.serve.open_results import Exam

NLR = "nlr"
"""The one method whose curve can't be drawn without its delay."""
LARGEST = 1000.0
"""CBV in ml/100g, MTT and delay in s: a voxel with more has no curve that could be drawn."""


def voxel_info(exam: Exam, x: int, y: int, z: int) -> dict[str, Any]:
    """Everything known about the voxel (x, y, z).

    Raises
    ------
    Refused
        It lies outside the volume.
    """
    shape = exam.geometry.shape
    if not all(0 <= i < n for i, n in zip((z, y, x), shape, strict=True)):
        raise missing("voxel")
    values = {key: _number(exam.volume(key)[z, y, x]) for key in exam.files}
    position = exam.geometry.affine @ [z, y, x, 1]
    answer: dict[str, Any] = {
        "values": values,
        "position_lps_mm": position[:3].tolist(),
        "time_s": [],
        "curve_hu": [],
        "fits": {},
        "fit_time_s": [],
    }
    if not exam.has_curves:
        return answer
    voxels = exam.voxels
    answer["time_s"] = voxels.curves.times_s[:, z].tolist()
    row = voxels.row(z, y, x)
    if row is None:
        return answer
    curve = voxels.curves.tissue_hu[row].astype(np.float32)
    answer["curve_hu"] = curve.tolist()
    return answer | _fits(exam, curve, (z, y, x))


def _number(value: Any) -> float | int | None:
    """A value as exact JSON: every float32 is a float64."""
    plain = value.item()
    return plain if isinstance(plain, int) or math.isfinite(plain) else None


def _fits(exam: Exam, curve: Any, place: tuple[int, int, int]) -> dict[str, Any]:
    """The curves that the maps of each method correspond to, where available."""
    from bolus.deconvolution.methods import FITTED
    from bolus.deconvolution.model import Measured

    columns, curves = exam.columns, exam.voxels.curves
    if columns is None or len(columns["time_s"]) != curves.grid_s.size:
        return {}
    fits = {}
    for method in exam.methods:
        at = {name: float(exam.volume(f"{method}/{name}")[place]) for name in ("cbv", "mtt")}
        delay = f"{method}/delay"
        delay_s = float(exam.volume(delay)[place]) if delay in exam.files else None
        if method not in FITTED or at["mtt"] <= 0 or (method == NLR and delay_s is None):
            continue
        # not a number is not below, either
        if not all(abs(value) <= LARGEST for value in (*at.values(), delay_s or 0.0)):
            continue
        fit = FITTED[method](
            Measured(
                curve_hu=curve,
                times_s=curves.times_s[:, place[0]],
                cbv=at["cbv"],
                mtt_s=at["mtt"],
                delay_s=delay_s,
                grid_s=curves.grid_s,
                input_hu=np.array(columns["aif_scaled_hu"]),
            )
        )
        if np.isfinite(fit).all():
            fits[method] = fit.tolist()
    return {"fits": fits, "fit_time_s": curves.grid_s.tolist()}
