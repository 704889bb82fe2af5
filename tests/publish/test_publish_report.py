"""The report says everything that summary.json says, by itself, and nothing about the patient."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bolus.publish import facts, plots
from bolus.publish.report import report_html
from bolus.publish.summary import RESEARCH_ONLY
from bolus.types import Check, Grade, Results

NEVER_CLOSED = {"meta", "img", "br", "path", "circle"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; unbalanced tags are an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in NEVER_CLOSED:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in NEVER_CLOSED:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)


@pytest.fixture(scope="module")
def html(results: Results) -> str:
    return report_html(results)


def test_the_report_needs_nothing_but_itself(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "://" not in html
    assert not re.search(r"@import|url\(", html)


def test_every_image_is_a_png_of_the_size_it_says(html: str) -> None:
    images = [attributes for tag, attributes in Page(html).tags if tag == "img"]
    assert len(images) == 2 * 6 + 3
    for attributes in images:
        source = attributes["src"] or ""
        head, data = source.split(",", 1)
        assert head == "data:image/png;base64"
        with Image.open(BytesIO(base64.b64decode(data))) as image:
            ratio = image.width / image.height
        assert ratio == pytest.approx(
            int(attributes["width"]) / int(attributes["height"]), rel=0.02
        )
        assert attributes["alt"]


def test_the_report_says_what_it_is_not_for(html: str) -> None:
    text = Page(html).text
    assert RESEARCH_ONLY == "Research use, not for diagnosis"
    assert text.count(RESEARCH_ONLY) == 2  # at the top and at the end


def test_the_report_has_the_numbers_of_the_summary(html: str, results: Results) -> None:
    text = Page(html).text
    for name, method in results.methods.items():
        lesion = method.lesion
        assert name in text
        volumes = (lesion.core_ml, lesion.penumbra_ml, lesion.mismatch_ml, *lesion.tmax_ml.values())
        for volume_ml in volumes:
            assert f" {volume_ml:.1f} " in text
        assert f"≥ {lesion.hypoperfused_ml:.1f}" in text
        assert f"{lesion.mismatch_ratio:.2f}" in text
        assert "0.42" in text  # HIR
        assert "0.81" in text  # CBV index
        for words in (lesion.preset, lesion.core_rule, lesion.hypoperfused_rule):
            assert words in text
        assert lesion.rule_source in text
    for check in results.checks:
        assert check.message in text
    for finding in results.findings:
        assert finding.message in text
    for fact in ("Maker Model 64", "80 kVp", "150 mAs", "30 in 58.4 s", "3.00 × 3.00 × 5.00 mm"):
        assert fact in text
    assert "5.75" in text  # total time
    assert "Dropped: 1 of 30 frames (number 18)" in text


def test_a_ratio_without_core_is_undefined(results: Results) -> None:
    method = results.methods["nlr"]
    lesion = replace(method.lesion, core_ml=0.4, mismatch_ratio=None, hir=None, cbv_index=None)
    html = report_html(replace(results, methods={"nlr": replace(method, lesion=lesion)}))
    assert "undefined: core < 1 ml" in Page(html).text


@pytest.mark.parametrize(
    ("grade", "words"),
    [(Grade.NOTE, "Passed"), (Grade.WARNING, "Read with care"), (Grade.FAIL, "Not reliable")],
)
def test_the_verdict_is_said_in_words(results: Results, grade: Grade, words: str) -> None:
    check = Check("noise", grade, 9.0, "HU", "Noise is 9 HU (limit 4 HU).", "Use more mAs.")
    one = {"nlr": results.methods["nlr"]}
    html = report_html(replace(results, checks=(check,), findings=(), methods=one))
    banner = Page(html).text
    headings = [w for w in ("Passed", "Read with care", "Not reliable") if w in banner]
    assert headings == [words]
    assert ("Do not rely on the volumes" in banner) == (grade == Grade.FAIL)


def test_hostile_strings_stay_text(hostile: Results) -> None:
    html = report_html(hostile)
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "b" not in {tag for tag, _ in page.tags}
    assert "<script>alert(1)</script>" in page.text
    assert "<b>bold</b> & 'quoted'" in page.text


def test_nothing_of_the_patient_is_in_the_report(hostile: Results) -> None:
    html = re.sub(r"base64,[^\"]+", "", report_html(hostile))
    for secret in ("DOE", "JANE", "4711", "1.2.3.4", "StudyInstanceUID"):
        assert secret not in html


def test_the_report_is_the_same_each_time(html: str, results: Results) -> None:
    assert report_html(results) == html


def test_plots_show_their_data(results: Results) -> None:
    """Other data, another picture; the same data, the same bytes."""
    other = replace(results, arrival_s=20.0)
    assert plots.curves_png(results) == plots.curves_png(results)
    assert plots.curves_png(results) != plots.curves_png(other)
    still = replace(results, motion=replace(results.motion, kept=np.ones(30, bool)))
    assert plots.motion_png(results) != plots.motion_png(still)


def test_plots_leave_no_trace_in_matplotlib(results: Results) -> None:
    import matplotlib.pyplot as plt

    plots.curves_png(results)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("grid_s", "Grid, s"),
        ("noise_hu", "Noise, HU"),
        ("core_rcbf_below", "Core rCBF below"),
        ("tmax_above_s", "Tmax above, s"),
        ("brain_density_g_ml", "Brain density, g/ml"),
        ("aif", "AIF"),
        ("preset", "Preset"),
        ("lambda", "Lambda"),
    ],
)
def test_names_are_written_as_the_field_writes_them(name: str, written: str) -> None:
    assert facts.title(name) == written


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (0.005282, "mm", "0.01 mm"),
        (23.85, "ratio", "23.9"),
        (268.4, "HU", "268 HU"),
        (1.0, "0-1", "1.00"),
        (None, "HU", "–"),
        (float("nan"), "HU", "–"),
    ],
)
def test_checks_show_no_more_digits_than_can_be_measured(
    value: float | None, unit: str, written: str
) -> None:
    assert facts.check_value(Check("noise", Grade.NOTE, value, unit, "")) == written


def test_places_are_named_by_the_patients_sides(results: Results) -> None:
    (aif, _, _, place), (vof, *_) = facts.vessel_rows(results)
    assert (aif, vof) == ("AIF", "VOF")
    assert place.startswith("R 3")
    assert ", A 2" in place
