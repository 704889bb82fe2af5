"""Exam -> Curves: time grid, baseline and arrival, masks, arteries, enhancement, noise."""

from bolus.curves.arteries import find_arteries
from bolus.curves.baseline import Baseline, baseline_and_arrival
from bolus.curves.denoise import denoise
from bolus.curves.enhancement import tissue_curves
from bolus.curves.timing import common_grid, resample
from bolus.curves.tissue import segment

__all__ = [
    "Baseline",
    "baseline_and_arrival",
    "common_grid",
    "denoise",
    "find_arteries",
    "resample",
    "segment",
    "tissue_curves",
]
