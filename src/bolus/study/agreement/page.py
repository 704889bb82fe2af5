"""One self-contained HTML page of agreement, styled like the report of an exam."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from bolus import __version__
from bolus.errors import OutputError
from bolus.plain_text import RESEARCH_USE
from bolus.study.agreement.bootstrap import RESAMPLES
from bolus.study.agreement.outlines import Agreement
from bolus.study.agreement.tables import trial_matrix


@dataclass(frozen=True)
class Table:
    """A table for the page: groups of lines under a name."""

    headings: Sequence[str]
    groups: Sequence[tuple[str, Sequence[Sequence[str]]]]


@dataclass(frozen=True)
class Section:
    """One kind of comparison on the page."""

    title: str
    note: str
    table: Table
    picture: str
    """PNG as a data URI; empty if there is nothing to plot."""
    alt: str


def page(template: str, **values: object) -> str:
    """The page of ``templates/<template>.html.j2``; same values, same text."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _text("bolus.study", f"templates/{name}")),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    style = _text("bolus.publish.report", "report.css") + _text(
        "bolus.study", "templates/agreement.css"
    )
    return environment.get_template(f"{template}.html.j2").render(
        style=Markup(style),
        version=__version__,
        research=RESEARCH_USE,
        resamples=RESAMPLES,
        **values,
    )


def trial_table(compared: Sequence[tuple[str, Agreement]]) -> Table:
    """Eligibility by comparison and trial; no lines without the regions needed."""
    headings, lines = trial_matrix(compared)
    return Table(headings, [("", lines)] if lines else [])


def picture_uri(png: bytes) -> str:
    """A PNG for the page; empty for no picture."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}" if png else ""


def check_out(out: Path, ours: Sequence[str]) -> None:
    """Refuse a folder that holds anything but a previous report.

    Raises
    ------
    OutputError
        If it does, or is not a folder.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, not a folder; choose another place")
    others = [path.name for path in out.iterdir() if path.name not in ours] if out.exists() else []
    # remains of a killed run are hidden and removed by `staged`
    others = sorted(name for name in others if not name.startswith("."))
    if others:
        raise OutputError(
            f"{out} holds other files than a report ({others[0]}) and is left alone; choose "
            "another folder"
        )


def _text(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
