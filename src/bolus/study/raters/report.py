"""The report of a reading study: tables, figures, one page; same study, same bytes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from bolus.files.output_folder import staged
from bolus.study.agreement.figure import agreement_png
from bolus.study.agreement.page import Section, Table, check_out, page, picture_uri, trial_table
from bolus.study.agreement.tables import (
    HEADINGS,
    NONE,
    RESEARCH,
    TRIAL_HEADINGS,
    Compared,
    Row,
    csv_text,
    latex_table,
    number,
    pair_rows,
    region_cells,
    region_rows,
    trial_cells,
    trial_rows,
)
from bolus.study.raters.gava2023 import GROUND_TRUTH, NETWORK, PUBLISHED
from bolus.study.raters.pairs import (
    KINDS,
    Comparison,
    Finished,
    Gathered,
    comparisons,
    exam_name,
    gather,
)
from bolus.study.raters.store import Study

PAGE = "report.html"
TABLES = ("agreement", "eligibility")
FILES = (
    PAGE, "pairs.csv", "readings.csv",
    *(f"{name}.{kind}" for name in TABLES for kind in ("csv", "tex")),
    *(f"{kind}.png" for kind in KINDS),
)  # fmt: skip


def write_report(study: Study, out: Path) -> Gathered:
    """Write the report of all finished readings into a folder, whole or not at all.

    ::

        OUT/report.html                  one page for people
        OUT/agreement.csv, .tex          by comparison and region
        OUT/eligibility.csv, .tex        by comparison and trial
        OUT/pairs.csv, readings.csv      each pair of outlines; each reading
        OUT/maps.png, raters.png, repeat.png

    Parameters
    ----------
    out : new, empty, or a former report, which is replaced.

    Raises
    ------
    DamagedFile
        A file of the study is missing, cut off or doesn't fit the others.
    OutputError
        ``out`` holds something else, or can't be written.
    """
    check_out(out, FILES)
    gathered = gather(study)
    found = comparisons(gathered)
    pictures = {kind: _picture(found, kind) for kind in KINDS}
    contents: dict[str, bytes] = {f"{k}.png": png for k, png in pictures.items() if png}
    lines = [_line(one) for one in found]
    caption = f"Agreement of outlines. {_who(gathered)}{RESEARCH}"
    texts = {
        "agreement.csv": csv_text(region_rows(lines)),
        "eligibility.csv": csv_text(trial_rows(lines)),
        "pairs.csv": csv_text(pair_rows(lines)),
        "readings.csv": csv_text([_reading_row(one) for one in gathered.finished]),
        "agreement.tex": latex_table(
            ["comparison", *HEADINGS],
            [[c.name, *region_cells(r)] for c in found for r in c.agreement.regions], caption,
        ),
        "eligibility.tex": latex_table(
            ["comparison", *TRIAL_HEADINGS],
            [[c.name, *trial_cells(t)] for c in found for t in c.agreement.trials], caption,
        ),
        PAGE: _page(gathered, found, pictures),
    }  # fmt: skip
    contents |= {name: text.encode() for name, text in texts.items()}
    with staged(out) as stage:
        for name, content in contents.items():
            (stage / name).write_bytes(content)
    return gathered


def _page(gathered: Gathered, found: Sequence[Comparison], pictures: dict[str, bytes]) -> str:
    study = gathered.study
    return page(
        "raters",
        title="Reading study",
        facts=_facts(gathered),
        simulated=gathered.simulated,
        people=[r for r in study.raters if r not in gathered.simulated],
        unfinished=gathered.unfinished,
        finished=len(gathered.finished),
        paper=paper_rows(found),
        sections=[
            _section(kind, [c for c in found if c.kind == kind], pictures[kind])
            for kind in KINDS
            if any(c.kind == kind for c in found)
        ],
        eligibility=trial_table([(c.name, c.agreement) for c in found]),
        readings=_reading_table(gathered),
        definitions=[],
        seed=study.seed,
    )


def _facts(gathered: Gathered) -> list[tuple[str, str]]:
    study = gathered.study
    total = len(gathered.finished) + len(gathered.unfinished)
    return [
        ("Exams", str(study.exams)),
        ("Maps by", ", ".join(study.methods)),
        ("Raters", ", ".join(study.raters)),
        ("Readings finished", f"{len(gathered.finished)} of {total}"),
        ("Repeated readings per rater", str(study.repeats)),
        ("Seed", str(study.seed)),
        ("Outlines by", ", ".join(sorted({f.state.software for f in gathered.finished})) or NONE),
        ("Study made by", f"bolus {study.version}"),
    ]


def paper_rows(found: Sequence[Comparison]) -> list[tuple[str, str, str, list[tuple[str, str]]]]:
    """Quantity, the paper's value, its source, and ours by region."""
    rows = []
    for published in PUBLISHED:
        here = [c for c in found if c.kind == published.kind and _is_papers(c)]
        if not here:
            continue
        regions = [region.region for region in here[0].agreement.regions]
        ours = []
        for place, region in enumerate(regions):
            estimates = [getattr(c.agreement.regions[place], published.ours) for c in here]
            values = [number(e.value, 2) for e in estimates]
            names = [c.where for c in here]
            text = ", ".join(f"{v} ({n})" for v, n in zip(values, names, strict=True))
            ours.append((region, text))
        rows.append((published.quantity, published.value, published.source, ours))
    return rows


def _is_papers(one: Comparison) -> bool:
    if one.kind == "maps":
        return (one.first, one.second) == (GROUND_TRUTH, NETWORK)
    return one.where in (GROUND_TRUTH, NETWORK)


NOTES = {
    "maps": "Each rater outlined both methods' maps of the same exam, blinded to "
    "the method. Differences are second minus first. {papers}",
    "raters": "Two raters' outlines on the same maps. Differences are second minus first rater.",
    "repeat": "The same rater's outlines on the same maps, in blinded repeated readings. All "
    "methods together.",
}
PAPERS = "The paper's ground truth are maps of the nlr type, that is, of another algorithm."


def _section(kind: str, found: Sequence[Comparison], png: bytes) -> Section:
    title = KINDS[kind]
    papers = kind == "maps" and any(_is_papers(c) for c in found)
    if papers:
        title = "Network’s maps against ground-truth maps, per rater"
    return Section(
        title=title,
        note=NOTES[kind].format(papers=PAPERS if papers else "").strip(),
        table=Table(
            HEADINGS, [(c.name, [region_cells(r) for r in c.agreement.regions]) for c in found]
        ),
        picture=picture_uri(png),
        alt=f"{title}: volumes of both sides, Bland-Altman plot and Dice, core above, hypoperfused "
        "below",
    )


def _picture(found: Sequence[Comparison], kind: str) -> bytes:
    here = [c for c in found if c.kind == kind and c.agreement.pairs]
    if not here:
        return b""
    sides = {(c.first, c.second) for c in here}
    both = sides.pop() if len(sides) == 1 else ("first", "second")
    names = [c.place if len(sides) == 0 else f"{c.place}: {c.first}, {c.second}" for c in here]
    return agreement_png([_line(c) for c in here], names, both)


def _line(one: Comparison) -> Compared:
    labels = {
        "kind": one.kind, "where": one.where, "first": one.first, "second": one.second,
        "simulated": "yes" if one.simulated else "no",
    }  # fmt: skip
    return Compared(labels, one.agreement)


def _reading_row(one: Finished) -> Row:
    return {
        "rater": one.rater, "reading": one.reading, "exam": exam_name(one.exam),
        "method": one.method, "repeat": int(one.repeat), "core_ml": one.core_ml,
        "hypoperfused_ml": one.hypoperfused_ml, "active_s": one.state.active_s,
        "simulated": int(one.state.simulated), "software": one.state.software,
    }  # fmt: skip


def _reading_table(gathered: Gathered) -> Table:
    headings = ("rater", "outlines by", "finished", "left out", "median active time, min")
    lines = []
    for rater in gathered.study.raters:
        mine = [one for one in gathered.finished if one.rater == rater]
        timed = [one.state.active_s for one in mine if not one.state.simulated]
        minutes = number(statistics.median(timed) / 60, 1) if timed else NONE
        drawn = sum(one.state.simulated for one in mine)
        by = "a program (simulated)" if drawn == len(mine) > 0 else "a person"
        if 0 < drawn < len(mine):
            by = f"a person; {drawn} by a program (simulated)"
        left = sum(one.rater == rater for one in gathered.unfinished)
        lines.append([rater, by if mine else NONE, str(len(mine)), str(left), minutes])
    return Table(headings, [("", lines)])


def _who(gathered: Gathered) -> str:
    if not gathered.simulated:
        return ""
    return f"Simulated raters: {', '.join(gathered.simulated)}. "
