"""``report.html``: one file that holds everything a reader needs, images included."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from io import BytesIO

import jinja2
from markupsafe import Markup
from PIL import Image

from bolus.plain_text import RESEARCH_USE
from bolus.publish.method_agreement import agreements, both_flow, difference, pairs
from bolus.publish.orientation import View, view_of
from bolus.publish.report import numbers, plots, sentences
from bolus.publish.report.method_rows import NAME_COLUMN, Strip, comparison
from bolus.publish.report.mosaic import BAR_COLUMN, GAP, lesion_mosaic, map_mosaic, vessel_mosaic
from bolus.publish.report.vessel_image import candidate_image
from bolus.publish.windows import SE_KEYS, WINDOWS, Window, difference_window, se_window, ttp_window
from bolus.quality.verdict import verdict
from bolus.types import Arteries, Float32Array, Results

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
class MapPicture:
    """A map, or the same map by several methods."""

    window: Window
    image: Picture
    notes: tuple[str, ...]
    """What the reader must know about it."""
    method: str = ""
    """Named where it is not obvious."""


@dataclass(frozen=True)
class MethodPictures:
    """The images of one method."""

    name: str
    core_rule: str
    hypoperfused_rule: str
    lesion: Picture
    maps: tuple[MapPicture, ...]
    """Empty where several methods are shown side by side."""


@dataclass(frozen=True)
class VesselPictures:
    """Location and curves of AIF and VOF, and the other candidates."""

    places: Picture
    curves: Picture
    candidates: Picture | None


def report_html(results: Results) -> str:
    """The report as one HTML page without scripts, links or anything to be loaded.

    Everything that comes from the exam is escaped; nothing identifies the patient.
    """
    view = view_of(results.geometry, results.tissue.brain)
    judgement = verdict(results)
    page = _template().render(
        title=numbers.page_title(results),
        exam_key=numbers.exam_key(results),
        style=Markup(_package_file("report.css")),
        research_only=RESEARCH_USE,
        verdict=judgement,
        exam_facts=numbers.exam_facts(results),
        key_figures=numbers.key_figures(results),
        edge_notes=sentences.edge_notes(results),
        volume_rows=numbers.volume_rows(results),
        volume_notes=sentences.volume_notes(results),
        most_lesions=MOST_LESIONS,
        methods=_method_pictures(results, view),
        comparisons=_comparisons(results, view),
        pairs=[f"{p.second} {numbers.MINUS} {p.first}" for p in pairs(results)],
        agreement_rows=numbers.agreement_rows(agreements(results)),
        slices_note=sentences.slices_note(view),
        vessels=_vessels(results, view),
        vessel_rows=numbers.vessel_rows(results),
        candidate_rows=numbers.candidate_rows(results),
        motion=_plot(plots.motion_png(results), "Motion of the head over time"),
        motion_note=sentences.motion_note(results),
        checks=results.checks,
        findings=results.all_findings,
        parameters=numbers.parameters(results),
        timings=numbers.timings(results),
        versions=numbers.versions(results),
        bolus_version=results.versions.get("bolus", ""),
    )
    return page + "\n"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = numbers.number
    environment.filters["measured"] = numbers.check_value
    environment.filters["title"] = numbers.title
    return environment.from_string(_package_file("report.html.j2"))


def _package_file(name: str) -> str:
    return resources.files("bolus.publish.report").joinpath(name).read_text(encoding="utf-8")


def _method_pictures(results: Results, view: View) -> list[MethodPictures]:
    grid = _overlay_grid(view, len(results.methods))
    alone = len(results.methods) == 1
    pictures = []
    for name, method in results.methods.items():
        overlay = lesion_mosaic(results.tissue, method.lesion.labels, view, *grid)
        lesion = _picture(overlay, f"Core and penumbra by {name} on the baseline CT")
        shown = _windows(results) if alone else ()
        maps = tuple(_map_pictures(results, view, name, shown))
        rules = (method.lesion.core_rule, method.lesion.hypoperfused_rule)
        pictures.append(MethodPictures(name, *rules, lesion, maps))
    return pictures


def _windows(results: Results) -> tuple[Window, ...]:
    """Of all five maps, the same for all methods."""
    parenchyma = results.tissue.parenchyma
    ttp = ttp_window((m.maps.ttp for m in results.methods.values()), parenchyma)
    return (*WINDOWS.values(), ttp)


def _map_pictures(
    results: Results, view: View, name: str, windows: tuple[Window, ...]
) -> Iterator[MapPicture]:
    """Each map, followed by its standard error where the method has one."""
    maps = results.methods[name].maps
    for window in windows:
        picture = _one_map(results, view, name, getattr(maps, window.key), window)
        yield MapPicture(window, picture, (sentences.map_note(name, window),))
        yield from _se_picture(results, view, name, window)


def _se_picture(results: Results, view: View, name: str, window: Window) -> Iterator[MapPicture]:
    se = results.methods[name].maps.se
    if window.key in SE_KEYS and window.key in se:
        of_se = se_window(window)
        picture = _one_map(results, view, name, se[window.key], of_se)
        yield MapPicture(of_se, picture, (), name)


def _one_map(
    results: Results, view: View, name: str, values: Float32Array, window: Window
) -> Picture:
    # a voxel that a method could not fit has no flow and therefore no times
    fitted = results.tissue.brain & (results.methods[name].maps.cbf > 0)
    image = map_mosaic(values, fitted, view, window, *_strip_grid(view))
    return _picture(image, f"{window.name} by {name}")


def _strip_grid(view: View) -> tuple[int, int]:
    """Columns and pixels per slice of a strip of slices with its scale."""
    columns = _columns(len(view.slices), STRIP_COLUMNS)
    return columns, min((PAGE_WIDTH - BAR_COLUMN - NAME_COLUMN) // columns, 280) - GAP


def _columns(slices: int, most: int) -> int:
    """Columns of rows that are as equally long as can be: 12 slices are 6 and 6, not 8 and 4."""
    rows = -(-slices // most)
    return -(-slices // rows)


def _comparisons(results: Results, view: View) -> list[MapPicture]:
    """Each map by all methods, with differences, and then its standard errors."""
    if len(results.methods) < 2:
        return []
    names = list(results.methods)
    pictures = []
    for window in _windows(results):
        strips = list(_strips(results, window))
        image = comparison(strips, view, window, difference_window(window), *_strip_grid(view))
        alt = f"{window.name} by {', '.join(names)}, and differences"
        said = tuple(sentences.comparison_notes(names, window))
        pictures.append(MapPicture(window, _picture(image, alt), said))
        for name in names:
            pictures.extend(_se_picture(results, view, name, window))
    return pictures


def _strips(results: Results, window: Window) -> Iterator[Strip]:
    """Maps of all methods, then differences to the first one's."""
    brain = results.tissue.brain
    for name, method in results.methods.items():
        yield Strip((name,), getattr(method.maps, window.key), brain & (method.maps.cbf > 0))
    for pair in pairs(results):
        one, two = (results.methods[name].maps for name in (pair.first, pair.second))
        apart = difference(one, two, window.key)
        # the images' font has no minus sign
        yield Strip(
            (pair.second, f"- {pair.first}"), apart, brain & both_flow(one, two), is_difference=True
        )


def _overlay_grid(view: View, methods: int) -> tuple[int, int]:
    """Columns and pixels per slice of the overlay: larger than the maps, unless there are many."""
    several = STRIP_COLUMNS if methods > 1 else 4 if len(view.slices) <= 8 else 6
    columns = _columns(len(view.slices), several)
    return columns, min(PAGE_WIDTH // columns, 400) - GAP


def _vessels(results: Results, view: View) -> VesselPictures | None:
    """None where no vessel was found."""
    found = results.arteries
    if found is None:
        return None
    vessels = (("AIF", found.aif), ("VOF", found.vof))
    places = vessel_mosaic(results.peak_hu, vessels, view, VESSEL_WIDTH)
    return VesselPictures(
        _picture(places, "Maximum enhancement with the locations of AIF and VOF"),
        _plot(plots.curves_png(results, found), "AIF and VOF over time"),
        _candidates(results.peak_hu, found, view),
    )


def _candidates(peak_hu: Float32Array, found: Arteries, view: View) -> Picture | None:
    """Locations of all candidates; None where there are none."""
    arteries, veins = found.candidates, found.vein_candidates
    if not arteries and not veins:
        return None
    image = candidate_image(peak_hu, arteries, veins, view, CANDIDATES_WIDTH)
    return _picture(image, "All candidate arteries and veins, on maximum enhancement")


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
