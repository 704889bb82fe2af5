"""Tables of agreement: CSV with every number, LaTeX and HTML with the main ones."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from bolus.plain_text import RESEARCH_USE
from bolus.study.agreement.bootstrap import Estimate
from bolus.study.agreement.outlines import Agreement, RegionAgreement, TrialAgreement

Row = Mapping[str, object]
RESEARCH = f"{RESEARCH_USE}."
DIGITS = 6
"""Significant ones in CSV."""
NONE = "–"


@dataclass(frozen=True)
class Compared:
    """One comparison: its name, and the agreement of the two sides."""

    labels: Mapping[str, str]
    """By column: what is compared, the first side, the second side."""
    agreement: Agreement


def region_rows(compared: Sequence[Compared]) -> list[Row]:
    """For CSV: one row per comparison and region, every number with its interval."""
    rows: list[Row] = []
    for one in compared:
        for region in one.agreement.regions:
            limits = region.limits
            estimates = {
                "dice": region.dice, "hd95_mm": region.hd95_mm,
                "absolute_difference_ml": region.absolute_ml,
                "relative_difference_percent": region.relative_percent,
                "pearson_r": region.r, "lin_ccc": region.ccc, "icc_2_1": region.icc,
                "bias_ml": limits.bias, "lower_limit_ml": limits.low, "upper_limit_ml": limits.high,
            }  # fmt: skip
            row: dict[str, object] = {
                **one.labels, "region": region.region, "pairs": region.pairs,
                "both_empty": region.both_empty, "one_empty": region.one_empty,
            }  # fmt: skip
            for name, estimate in estimates.items():
                row |= _spread(name, estimate)
            row |= {"dice_sd": region.dice_sd, "repeatability_ml": limits.repeatability}
            rows.append(row)
    return rows


def trial_rows(compared: Sequence[Compared]) -> list[Row]:
    """For CSV: one row per comparison and trial."""
    return [
        {
            **one.labels, "trial": trial.trial.name, "criterion": trial.trial.criterion,
            "source": trial.trial.source, "pairs": trial.pairs, "first_yes": trial.first_yes,
            "second_yes": trial.second_yes, "same": trial.same, **_spread("kappa", trial.kappa),
        }
        for one in compared
        for trial in one.agreement.trials
    ]  # fmt: skip


def pair_rows(compared: Sequence[Compared]) -> list[Row]:
    """For CSV: one row per pair of outlines and region."""
    return [
        {
            **one.labels, "exam": pair.exam, "region": name, "dice": region.dice,
            "hd95_mm": region.hd95_mm, "first_ml": region.first_ml, "second_ml": region.second_ml,
            "difference_ml": region.difference_ml, "relative_percent": region.relative_percent,
        }
        for one in compared
        for pair in one.agreement.pairs
        for name, region in pair.regions.items()
        if name in {r.region for r in one.agreement.regions}
    ]  # fmt: skip


HEADINGS = (
    "region", "pairs", "Dice", "HD95, mm", "|ΔV|, ml", "ΔV, %", "bias, ml", "95 % limits, ml",
    "CoR, ml", "r", "CCC", "ICC(2,1)",
)  # fmt: skip


def region_cells(region: RegionAgreement) -> list[str]:
    """For reading: the columns of `HEADINGS`."""
    limits = region.limits
    spread = f" ± {region.dice_sd:.2f}" if region.dice_sd is not None else ""
    between = (
        f"{number(limits.low.value, 1)} to {number(limits.high.value, 1)}"
        if limits.low.value is not None
        else NONE
    )
    return [
        region.region,
        str(region.pairs) + _empties(region),
        number(region.dice.value, 2) + spread + _interval(region.dice, 2),
        number(region.hd95_mm.value, 1) + _interval(region.hd95_mm, 1),
        number(region.absolute_ml.value, 1) + _interval(region.absolute_ml, 1),
        number(region.relative_percent.value, 0) + _interval(region.relative_percent, 0),
        number(limits.bias.value, 1) + _interval(limits.bias, 1),
        between,
        number(limits.repeatability, 1),
        *(number(one.value, 3) + _interval(one, 2) for one in (region.r, region.ccc, region.icc)),
    ]


def _empties(region: RegionAgreement) -> str:
    """Pairs without a distance of borders."""
    if not region.both_empty and not region.one_empty:
        return ""
    return f" (empty: {region.one_empty} one, {region.both_empty} both)"


TRIAL_HEADINGS = ("trial", "imaging criterion", "first yes", "second yes", "same", "kappa")


def trial_cells(trial: TrialAgreement) -> list[str]:
    """For reading: the columns of `TRIAL_HEADINGS`."""
    same = trial.same == trial.pairs > 0 and trial.first_yes in (0, trial.pairs)
    return [
        trial.trial.name,
        trial.trial.criterion,
        f"{trial.first_yes} of {trial.pairs}",
        f"{trial.second_yes} of {trial.pairs}",
        f"{trial.same} of {trial.pairs}",
        f"{NONE} (all decisions the same)"
        if same
        else number(trial.kappa.value, 2) + _interval(trial.kappa, 2),
    ]


def trial_matrix(compared: Sequence[tuple[str, Agreement]]) -> tuple[list[str], list[list[str]]]:
    """For reading: one line per comparison, one column per trial, and the headings."""
    found = [(name, agreed.trials) for name, agreed in compared if agreed.trials]
    if not found:
        return [], []
    headings = ["comparison", *(f"{t.trial.name} ({t.trial.criterion})" for t in found[0][1])]
    return headings, [[name, *(_decisions(trial) for trial in trials)] for name, trials in found]


def _decisions(trial: TrialAgreement) -> str:
    """Kappa, and in parentheses the decisions behind it."""
    kappa = trial.kappa
    parts = [f"yes {trial.first_yes}, {trial.second_yes}", f"same {trial.same} of {trial.pairs}"]
    if kappa.low is not None and kappa.high is not None:
        parts.insert(0, f"{number(kappa.low, 2)} to {number(kappa.high, 2)}")
    return f"{number(kappa.value, 2)} ({'; '.join(parts)})"


def csv_text(rows: Sequence[Row]) -> str:
    """RFC 4180: comma, dot, CRLF, a header line; empty where undefined."""
    text = StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_plain(row.get(name)) for name in names])
    return text.getvalue()


def latex_table(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A ``tabular`` with rules of booktabs, to be read into a paper."""
    lines = [
        r"% needs \usepackage{booktabs}; " + RESEARCH,
        r"\begin{table}",
        rf"\caption{{{_latex(caption)}}}",
        rf"\begin{{tabular}}{{{'l' * len(headings)}}}",
        r"\toprule",
        " & ".join(map(_latex, headings)) + r" \\",
        r"\midrule",
        *(" & ".join(map(_latex, row)) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int) -> str:
    """A number with a true minus sign, never "−0.0"; a dash where undefined."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def _interval(estimate: Estimate, digits: int) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f" ({number(estimate.low, digits)} to {number(estimate.high, digits)})"


def _spread(name: str, estimate: Estimate) -> dict[str, object]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _plain(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "−": "$-$", "±": r"$\pm$", "–": "--", "Δ": r"$\Delta$", "≥": r"$\geq$", "|": r"$|$",
    "<": r"$<$", ">": r"$>$",
}  # fmt: skip


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
