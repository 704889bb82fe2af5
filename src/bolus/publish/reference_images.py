"""The CT behind the maps: before the bolus, and at its maximum."""

from __future__ import annotations

from bolus.publish.windows import Window
from bolus.types import Results

BASELINE = Window("baseline", "Baseline", "Before the bolus", "HU", 0.0, 80.0, (0, 40, 80), "brain")
MAXIMUM = Window(
    "maximum", "Maximum", "Maximum enhancement", "HU", 0.0, 200.0, (0, 100, 200), "vessels"
)


def image_volumes(results: Results, by: str) -> dict[str, bytes]:
    """``baseline.nii.gz`` and ``maximum.nii.gz``, HU float32, by name."""
    from bolus.volumes import nifti_bytes

    before = results.tissue.baseline
    images = ((BASELINE, before), (MAXIMUM, before + results.peak_hu))
    return {
        f"{window.key}.nii.gz": nifti_bytes(
            volume, results.geometry, f"{window.name} HU, {by}", window.shown
        )
        for window, volume in images
    }
