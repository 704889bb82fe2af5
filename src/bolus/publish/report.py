"""``report.html``: one file that holds everything a reader needs, images included."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from io import BytesIO

import jinja2
from markupsafe import Markup
from PIL import Image

from bolus.publish import facts, notes, plots
from bolus.publish.candidates import candidate_image
from bolus.publish.mosaic import BAR_COLUMN, GAP, lesion_mosaic, map_mosaic, vessel_mosaic
from bolus.publish.summary import RESEARCH_ONLY
from bolus.publish.verdict import all_findings, verdict
from bolus.publish.view import View, view_of
from bolus.publish.windows import SE_KEYS, WINDOWS, Window, se_window, ttp_window
from bolus.types import Float32Array, MethodResult, Results

DENSITY = 1.22
"""Pixels of an image per CSS pixel: finer than the scan itself, small enough to mail."""

PAGE_WIDTH = 1496
"""Pixels of an image as wide as the page."""

STRIP_COLUMNS = 8
"""All maps have the same slice in the same column."""

MOST_LESIONS = 5
"""Methods whose lesions are shown together at the top."""

VESSEL_WIDTH = 362

CANDIDATES_WIDTH = 520


@dataclass(frozen=True)
class Picture:
    """An image of the report with its size on the page."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class MethodPictures:
    """The images of one method."""

    name: str
    core_rule: str
    hypoperfused_rule: str
    lesion: Picture
    maps: tuple[tuple[Window, Picture, str], ...]
    """Each with what the reader must know about it."""


def report_html(results: Results) -> str:
    """The report as one HTML page without scripts, links or anything to be loaded.

    Everything that comes from the exam is escaped; nothing identifies the patient.
    """
    view = view_of(results.geometry, results.tissue.brain)
    doubts = verdict(results)
    page = _template().render(
        title=facts.page_title(results),
        exam_key=facts.exam_key(results),
        style=Markup(_package_file("report.css")),
        research_only=RESEARCH_ONLY,
        verdict=doubts,
        exam_facts=facts.exam_facts(results),
        key_figures=facts.key_figures(results),
        edge_notes=notes.edge_notes(results),
        volume_rows=facts.volume_rows(results),
        volume_notes=notes.volume_notes(results),
        most_lesions=MOST_LESIONS,
        methods=_method_pictures(results, view),
        slices_note=notes.slices_note(view),
        vessels=_vessels(results, view),
        vessel_rows=facts.vessel_rows(results),
        candidates=_candidates(results, view),
        candidate_rows=facts.candidate_rows(results),
        curves=_plot(plots.curves_png(results), "AIF and VOF over time"),
        motion=_plot(plots.motion_png(results), "Motion of the head over time"),
        motion_note=notes.motion_note(results),
        checks=results.checks,
        findings=all_findings(results),
        parameters=facts.parameters(results),
        timings=facts.timings(results),
        versions=facts.versions(results),
        bolus_version=results.versions.get("bolus", ""),
    )
    return page + "\n"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = facts.number
    environment.filters["measured"] = facts.check_value
    environment.filters["title"] = facts.title
    return environment.from_string(_package_file("report.html.j2"))


def _package_file(name: str) -> str:
    return resources.files("bolus.publish").joinpath(name).read_text(encoding="utf-8")


def _method_pictures(results: Results, view: View) -> list[MethodPictures]:
    tissue = results.tissue
    ttp = ttp_window((m.maps.ttp for m in results.methods.values()), tissue.parenchyma)
    windows = (*WINDOWS.values(), ttp)
    columns = min(STRIP_COLUMNS, len(view.slices))
    draw = _map_painter(results, view, columns)
    pictures = []
    grid = _overlay_grid(view, len(results.methods))
    for name, method in results.methods.items():
        overlay = lesion_mosaic(tissue, method.lesion.labels, view, *grid)
        lesion = _picture(overlay, f"Core and penumbra by {name} on the baseline CT")
        maps = tuple(
            (window, draw(method, values, window), notes.map_note(name, window))
            for window, values in _shown_maps(method, windows)
        )
        rules = (method.lesion.core_rule, method.lesion.hypoperfused_rule)
        pictures.append(MethodPictures(name, *rules, lesion, maps))
    return pictures


def _shown_maps(
    method: MethodResult, windows: tuple[Window, ...]
) -> Iterator[tuple[Window, Float32Array]]:
    """Each map, followed by its standard error where the method knows it."""
    for window in windows:
        yield window, getattr(method.maps, window.key)
        if window.key in SE_KEYS and window.key in method.maps.se:
            yield se_window(window), method.maps.se[window.key]


def _map_painter(
    results: Results, view: View, columns: int
) -> Callable[[MethodResult, Float32Array, Window], Picture]:
    width = min((PAGE_WIDTH - BAR_COLUMN) // columns, 280) - GAP

    def draw(method: MethodResult, values: Float32Array, window: Window) -> Picture:
        # a voxel that a method could not fit has no flow and therefore no times
        fitted = results.tissue.brain & (method.maps.cbf > 0)
        image = map_mosaic(values, fitted, view, window, columns, width)
        return _picture(image, f"{window.name} by {method.maps.method}")

    return draw


def _overlay_grid(view: View, methods: int) -> tuple[int, int]:
    """Columns and pixels per slice of the overlay: larger than the maps, unless there are many."""
    several = STRIP_COLUMNS if methods > 1 else 4 if len(view.slices) <= 8 else 6
    columns = min(several, len(view.slices))
    return columns, min(PAGE_WIDTH // columns, 400) - GAP


def _vessels(results: Results, view: View) -> Picture:
    vessels = (("AIF", results.arteries.aif), ("VOF", results.arteries.vof))
    image = vessel_mosaic(results.peak_hu, vessels, view, VESSEL_WIDTH)
    return _picture(image, "Maximum enhancement with the places of AIF and VOF")


def _candidates(results: Results, view: View) -> Picture | None:
    """Where everything that competed lies; None where nothing did."""
    arteries, veins = results.arteries.candidates, results.arteries.vein_candidates
    if not arteries and not veins:
        return None
    image = candidate_image(results.peak_hu, arteries, veins, view, CANDIDATES_WIDTH)
    return _picture(image, "All arteries and veins that competed, on maximum enhancement")


def _picture(image: Image.Image, alt: str) -> Picture:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    width, height = image.size
    return _embed(buffer.getvalue(), round(width / DENSITY), round(height / DENSITY), alt)


def _plot(png: bytes, alt: str) -> Picture:
    with Image.open(BytesIO(png)) as image:
        width, height = image.size
        colours = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    buffer = BytesIO()
    colours.save(buffer, "PNG")
    scale = plots.DPI / 100
    return _embed(buffer.getvalue(), round(width / scale), round(height / scale), alt)


def _embed(png: bytes, width: int, height: int, alt: str) -> Picture:
    uri = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Picture(uri, width, height, alt)
