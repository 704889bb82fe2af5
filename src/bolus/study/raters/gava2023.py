"""Results of the paper's two raters (Gava et al., Front Neuroinform 2023;17:852105).

These are the numbers of its abstracts; no others are published.
"""

from __future__ import annotations

from dataclasses import dataclass

from bolus.types import CNN

PREPRINT = "arXiv 2101.05992, abstract"
FINAL = "Front Neuroinform 2023, 10.3389/fninf.2023.852105, abstract"
GROUND_TRUTH, NETWORK = "nlr", CNN
"""bolus's methods of the same kind: box-shaped non-linear regression, and a network."""


@dataclass(frozen=True)
class Published:
    """One number of the paper, to be compared with this study's."""

    quantity: str
    value: str
    source: str
    ours: str
    """Attribute of `bolus.study.agreement.outlines.RegionAgreement`."""
    kind: str
    """Of `bolus.study.raters.pairs.KINDS`."""


PUBLISHED = (
    Published("Mean Dice of two raters, network's maps against ground-truth maps", "0.80 to 0.87",
              FINAL, "dice", "maps"),
    Published("The same, preprint", "> 0.70", PREPRINT, "dice", "maps"),
    Published("Pearson's r of lesion volumes, network's maps against ground-truth maps",
              "0.99, 0.98 (“respectively”)", f"{FINAL}; {PREPRINT}", "r", "maps"),
    Published("Concordance of the raters", "“high”, no number", f"{FINAL}; {PREPRINT}", "ccc",
              "raters"),
)  # fmt: skip
