"""The report says everything that summary.json says, by itself, and nothing about the patient."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bolus.plain_text import RESEARCH_USE
from bolus.publish.method_agreement import agreements
from bolus.publish.report import numbers, plots, sentences
from bolus.publish.report.page import report_html
from bolus.publish.windows import WINDOWS, se_window
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
    assert len(images) == 2 + 5 + 4  # lesions, maps side by side, vessels and motion
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
    assert RESEARCH_USE == "Research use, not for diagnosis"
    assert text.count(RESEARCH_USE) == 2  # at the top and at the end


def test_the_report_has_the_numbers_of_the_summary(html: str, results: Results) -> None:
    text = Page(html).text
    for name, method in results.methods.items():
        lesion = method.lesion
        assert name in text
        assert f" {lesion.core_ml:.1f} " in text
        for bound_ml in (lesion.hypoperfused_ml, lesion.mismatch_ml, *lesion.tmax_ml.values()):
            assert f"≥ {bound_ml:.1f} " in text
        assert f"≈ {lesion.mismatch_ratio:.2f}, uncertain" in text
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


def test_a_lesion_inside_the_scan_has_exact_volumes(results: Results) -> None:
    method = results.methods["nlr"]
    lesion = replace(method.lesion, hypoperfused_lower_bound=False, findings=())
    inside = replace(results, methods={"nlr": replace(method, lesion=lesion)})
    cells = [cell for row in numbers.volume_rows(inside) for cell in row.cells]
    assert f"{lesion.mismatch_ratio:.2f}" in cells
    assert not [cell for cell in cells if "≥" in cell or "≈" in cell]
    assert sentences.edge_notes(inside) == []


def test_the_slab_edge_is_named_next_to_the_figures(html: str) -> None:
    text = Page(html).text
    assert text.index("Mismatch ratio") < text.index("reaches the top slice")
    assert text.index("reaches the top slice") < text.index("Baseline CT with lesion")


def test_penumbra_and_mismatch_are_one_row(results: Results) -> None:
    labels = [row.label for row in numbers.volume_rows(results)]
    assert [label for label in labels if "enumbra" in label or "Mismatch v" in label] == [
        "Penumbra = mismatch volume",
        "Hypoperfused (core + penumbra)",
    ]


def test_long_texts_are_said_once_per_distinct_text(results: Results) -> None:
    assert sentences.volume_notes(results) == [
        "Reference tissue: mean of normal tissue",
        "Source of thresholds: a trial & its paper",
    ]
    osvd = results.methods["osvd"]
    other = replace(osvd, lesion=replace(osvd.lesion, reference="all"))
    said = sentences.volume_notes(replace(results, methods={**results.methods, "osvd": other}))
    assert said[:2] == [
        "Reference tissue: all (osvd)",
        "Reference tissue: mean of normal tissue (nlr)",
    ]


@pytest.mark.parametrize("methods", [2, 6])
def test_every_lesion_is_shown_once_and_up_to_five_at_the_top(
    results: Results, methods: int
) -> None:
    method = results.methods["nlr"]
    many = replace(results, methods={f"m{i}": method for i in range(methods)})
    alts = [attributes["alt"] for tag, attributes in Page(report_html(many)).tags if tag == "img"]
    lesions = [i for i, alt in enumerate(alts) if "Core and penumbra" in (alt or "")]
    assert len(lesions) == methods
    top = min(methods, 5)
    assert lesions[:top] == list(range(top))


def test_limits_of_absolute_flow_are_said_beneath_the_maps(html: str, averaged: Results) -> None:
    limit = "about half the true CBF and about twice the true MTT"
    assert Page(html).text.count(limit) == 2 + 1  # CBF and MTT of both methods; definitions
    assert "cbf_se.nii.gz" not in html
    text = Page(report_html(averaged)).text
    assert limit not in text
    assert "Absolute flow with standard errors in cbf_se.nii.gz" in text


def test_several_methods_are_shown_on_the_same_slices_with_their_differences(
    html: str, results: Results
) -> None:
    alts = [a["alt"] or "" for tag, a in Page(html).tags if tag == "img"]
    compared = [alt for alt in alts if "and differences" in alt]
    assert compared == [
        f"{name} by nlr, osvd, and differences"
        for name in (*(w.name for w in WINDOWS.values()), "Time to peak")
    ]
    text = Page(html).text
    (agreement,) = agreements(results)
    low, high = (f"{v:+.2f}".replace("-", "−") for v in
                 (agreement.maps["cbf"].low, agreement.maps["cbf"].high))  # fmt: skip
    assert f"CBF, limits of agreement ml/100g/min {low} to {high}" in text
    assert f"Hypoperfused, overlap Dice {agreement.hypoperfused_dice:.2f}" in text
    alone = report_html(replace(results, methods={"nlr": results.methods["nlr"]}))
    assert "differences" not in Page(alone).text.lower()


def test_maps_without_an_artery_are_reported_all_the_same(averaged: Results) -> None:
    maps = replace(averaged.methods["bma"].maps, method="cnn")
    method = replace(averaged.methods["bma"], maps=maps)
    html = report_html(replace(averaged, arteries=None, methods={"cnn": method}))
    text = Page(html).text
    assert "None were found. The network (cnn) computes its maps without them." in text
    assert "Standard error of CBF by cnn" in html
    assert "Enhancement over time" not in text


def test_tmax_is_defined_for_each_family(html: str) -> None:
    text = Page(html).text
    assert text.count(sentences.TMAX_BY_MODEL) == 1
    assert text.count(sentences.TMAX_BY_IMPULSE) == 1
    assert "uncalibrated time scale" in text


def test_standard_errors_are_shown_for_flow_and_tmax(html: str, averaged: Results) -> None:
    images = [a["alt"] for tag, a in Page(report_html(averaged)).tags if tag == "img"]
    shown = [alt for alt in images if alt and "tandard error" in alt]
    assert shown == ["Standard error of CBF by bma", "Standard error of Tmax by bma"]
    assert "tandard error" not in html
    window = se_window(WINDOWS["tmax"])
    assert (window.low, window.high, window.ticks[-1]) == (0, 6, 6)


def test_page_and_exam_belong_together_without_naming_anybody(results: Results) -> None:
    key = hashlib.sha256(b"1.2.3.4").hexdigest()[-8:]
    html = report_html(results)
    assert (
        f"<title>CT perfusion: Maker Model 64, 4 slices, 30 frames, {key} – bolus</title>" in html
    )
    assert f"Exam {key}" in html[html.index("<footer>") :]
    nameless = report_html(replace(results, dicom_identity={}))
    assert "SHA-256" not in nameless


def test_names_of_programs_are_written_as_their_makers_do(html: str) -> None:
    assert "Python 3.12.3" in Page(html).text


def test_words_are_not_broken_in_names_of_parameters() -> None:
    css = (Path(numbers.__file__).parent / "report.css").read_text(encoding="utf-8")
    rules = [rule for rule in css.split("}") if "overflow-wrap: anywhere" in rule]
    assert [rule.split("{")[0].strip() for rule in rules] == [".parameters td"]


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
    found = results.arteries
    assert found is not None
    assert plots.curves_png(results, found) == plots.curves_png(results, found)
    assert plots.curves_png(results, found) != plots.curves_png(other, found)
    still = replace(results, motion=replace(results.motion, kept=np.ones(30, bool)))
    assert plots.motion_png(results) != plots.motion_png(still)


def test_plots_leave_no_trace_in_matplotlib(results: Results) -> None:
    import matplotlib.pyplot as plt

    plots.motion_png(results)
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
        ("cbv_prior_ml_100g", "CBV prior, ml/100g"),
        ("delay_prior_sd_s", "Delay prior SD, s"),
        ("preset", "Preset"),
        ("lambda", "Lambda"),
    ],
)
def test_names_are_written_as_the_field_writes_them(name: str, written: str) -> None:
    assert numbers.title(name) == written


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
    assert numbers.check_value(Check("noise", Grade.NOTE, value, unit, "")) == written


def test_places_are_named_by_the_patients_sides(results: Results) -> None:
    (aif, _, _, place), (vof, *_) = numbers.vessel_rows(results)
    assert (aif, vof) == ("AIF", "VOF")
    assert place.startswith("R 3")
    assert ", A 2" in place
