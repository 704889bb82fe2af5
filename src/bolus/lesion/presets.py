"""Named threshold presets: definitions of core and hypoperfused tissue, with their sources.

Thresholds are specific to the software they were derived with: the same number gives another volume
after another deconvolution.  The published presets are offered unchanged; ``calibrated`` has
thresholds for each deconvolution of bolus, chosen by ``benchmarks/calibrate.py`` on simulated
exams so that volumes equal those of true Tmax > 6 s and true CBF < 30 % of normal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from bolus.types import CNN

CALIBRATED = "calibrated"
CALIBRATION_FILE = "calibration.json"

CoreMap = Literal["relative CBF", "CBV"]
HypoperfusedMap = Literal["Tmax", "relative MTT", "delay"]


@dataclass(frozen=True)
class Preset:
    """Core is where ``core_map`` is below ``core_below`` inside the hypoperfused tissue."""

    core_map: CoreMap
    core_below: float
    """Fraction of the reference tissue's mean for relative CBF; ml/100g for CBV."""
    hypoperfused_map: HypoperfusedMap
    hypoperfused_above: float
    """s for Tmax and delay; fraction of the reference tissue's mean for relative MTT."""
    source: str

    @property
    def core_text(self) -> str:
        """The core's rule in words."""
        if self.core_map == "CBV":
            return f"CBV < {self.core_below:g} ml/100g"
        return f"CBF < {100 * self.core_below:g} % of normal tissue"

    @property
    def hypoperfused_text(self) -> str:
        """The hypoperfused tissue's rule in words."""
        if self.hypoperfused_map == "relative MTT":
            return f"MTT > {100 * self.hypoperfused_above:g} % of normal tissue"
        return f"{self.hypoperfused_map} > {self.hypoperfused_above:g} s"


PRESETS: dict[str, Preset] = {
    "rapid": Preset(
        "relative CBF", 0.30, "Tmax", 6.0,
        "RAPID as used in DEFUSE 3 and EXTEND (CBF < 30 %, Tmax > 6 s)",
    ),
    "campbell": Preset(
        "relative CBF", 0.31, "Tmax", 6.0, "core: Campbell et al., Stroke 2011;42:3435"
    ),
    "cereda": Preset(
        "relative CBF", 0.38, "Tmax", 6.0,
        "core: Cereda et al., J Cereb Blood Flow Metab 2016;36:1780",
    ),
    "bivard": Preset(
        "relative CBF", 0.45, "Tmax", 6.0, "core: Bivard et al., Brain 2011;134:3408"
    ),
    "syngo": Preset(
        "CBV", 1.14, "Tmax", 6.0,
        "syngo.via setting A: CBV < 1.2 ml/100ml (1.14 ml/100g), Tmax > 6 s",
    ),
    "mistar": Preset(
        "relative CBF", 0.30, "delay", 3.0,
        "MIStar (CBF < 30 % within delay > 3 s), for methods that fit the delay",
    ),
    "wintermark": Preset(
        "CBV", 2.0, "relative MTT", 1.45, "Wintermark et al., Stroke 2006;37:979"
    ),
}  # fmt: skip

DEFINED = Preset(
    "relative CBF", 0.30, "Tmax", 6.0,
    "cnn gives absolute maps: the definitions themselves (CBF < 30 %, Tmax > 6 s)",
)  # fmt: skip
"""``calibrated`` for the network, which was trained on true maps and needs no calibration."""

PRESET_NAMES = (CALIBRATED, *PRESETS)
DELAY_PRESETS = tuple(name for name, rule in PRESETS.items() if rule.hypoperfused_map == "delay")
"""Presets for methods that fit the delay."""


@cache
def calibration() -> dict[str, Any]:
    """The table written by ``benchmarks/calibrate.py``, with its provenance."""
    text = files("bolus.lesion").joinpath(CALIBRATION_FILE).read_text()
    return dict(json.loads(text))


def preset_for(name: str, method: str) -> Preset:
    """The thresholds that a preset of `PRESET_NAMES` has for a method's maps."""
    if name != CALIBRATED:
        return PRESETS[name]
    if method == CNN:
        return DEFINED
    table = calibration()
    row = table["methods"][method]
    return Preset(
        "relative CBF",
        row["relative_cbf"],
        "Tmax",
        row["tmax_s"],
        f"calibrated for {method} on {table['exams']} simulated exams to the volumes of true "
        "Tmax > 6 s and true CBF < 30 %",
    )
