"""Maps to lesion: thresholds, reference tissue, volumes, and the verdict on the exam."""

from bolus.lesion.measure import measure_lesion
from bolus.lesion.presets import DELAY_PRESETS, PRESET_NAMES, preset_for
from bolus.lesion.verdicts import judge

__all__ = ["DELAY_PRESETS", "PRESET_NAMES", "judge", "measure_lesion", "preset_for"]
