"""Maps and results as a notebook shows them."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image

from bolus.plain_text import RESEARCH_USE
from bolus.publish.orientation import View, view_of
from bolus.publish.report.mosaic import map_mosaic
from bolus.publish.windows import WINDOWS, ttp_window
from bolus.quality.verdict import verdict
from bolus.types import BoolArray, Geometry, Maps, Results

WIDTH = 900
"""Pixels of a strip of slices."""


def maps_html(maps: Maps, geometry: Geometry | None) -> str:
    """All five maps as strips of slices; maps without geometry as text."""
    if geometry is None or maps.cbf.ndim != 3 or not (maps.cbf > 0).any():
        return f"<pre>{escape(repr(maps))}</pre>"
    mapped = maps.cbf > 0
    return _strips(maps, view_of(geometry, mapped), mapped)


def results_html(results: Results) -> str:
    """Verdict with its reasons, volumes, and the maps of each method."""
    found = verdict(results)
    reasons = "".join(f"<li>{escape(one.message)}</li>" for one in found.reasons)
    parts = [f"<p><b>Quality: {escape(found.word)}</b></p><ul>{reasons}</ul>"]
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{one.lesion.core_ml:.1f}</td>"
        f"<td>{one.lesion.hypoperfused_ml:.1f}</td><td>{one.lesion.mismatch_ml:.1f}</td></tr>"
        for name, one in results.methods.items()
    )
    heads = "".join(
        f"<th>{head}</th>" for head in ("", "core, ml", "hypoperfused, ml", "mismatch, ml")
    )
    parts.append(f"<table><tr>{heads}</tr>{rows}</table>")
    view = view_of(results.geometry, results.tissue.brain)
    for name, one in results.methods.items():
        mapped = results.tissue.brain & (one.maps.cbf > 0)
        parts.append(f"<h4>{escape(name)}</h4>{_strips(one.maps, view, mapped)}")
    return "".join(parts) + f"<p>{RESEARCH_USE}.</p>"


def _strips(maps: Maps, view: View, mapped: BoolArray) -> str:
    columns = min(len(view.slices), 8)
    windows = (*WINDOWS.values(), ttp_window([maps.ttp], mapped))
    strips = []
    for window in windows:
        values = np.asarray(getattr(maps, window.key), np.float32)
        image = map_mosaic(values, mapped, view, window, columns, WIDTH // columns)
        name = f"{window.name} by {maps.method}, {window.unit}"
        caption = f"<figcaption>{escape(name)}</figcaption>"
        strips.append(f"<figure>{caption}{_image(image, name)}</figure>")
    return "".join(strips)


def _image(image: Image.Image, what: str) -> str:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    uri = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{escape(what)}, all slices" src="data:image/png;base64,{uri}">'
