"""Maps to lesion: thresholds, reference tissue, volumes, and the verdict on the exam."""

from bolus.lesion.measure import measure_lesion
from bolus.lesion.presets import PRESETS, Preset
from bolus.lesion.verdicts import judge

__all__ = ["PRESETS", "Preset", "judge", "measure_lesion"]
