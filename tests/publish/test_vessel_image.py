"""Everything that competed for AIF and VOF is shown where it lies, with what it lacked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bolus.publish import palette
from bolus.publish.orientation import view_of
from bolus.publish.report import numbers
from bolus.publish.report.page import report_html
from bolus.publish.report.vessel_image import candidate_image
from bolus.types import Results


def ring_centre(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere(np.abs(image - colour).max(axis=-1) <= 1).mean(axis=0)


def test_rings_are_around_their_vessels(results: Results) -> None:
    view = view_of(results.geometry, results.tissue.brain)
    arteries = results.arteries
    picture = candidate_image(
        results.peak_hu, arteries.candidates[:1], arteries.vein_candidates, view, 300
    )
    image = np.asarray(picture.convert("RGB")).astype(int)
    artery = ring_centre(image, palette.ARTERY)
    vein = ring_centre(image, palette.VEIN)
    assert artery[1] < 130  # the patient's right
    assert artery[0] < 0.5 * len(image)  # and front
    assert abs(vein[1] - 150) < 10  # midline
    assert vein[0] > 0.8 * len(image)  # and back


def test_the_table_names_the_marks_that_cost_most(results: Results) -> None:
    names = [name for name, *_ in numbers.candidate_rows(results)]
    assert names == ["A1", "A2", "V1"]
    assert numbers.weakest_marks(results.arteries.candidates[1]) == "earliness 0.62"
    assert numbers.weakest_marks(results.arteries.candidates[0]) == numbers.NONE
    page = report_html(results)
    assert "<strong>Candidates" in page
    assert "earliness 0.62" in page
    assert "<td>47 %</td>" in page


def test_a_report_without_candidates_has_no_empty_table(results: Results) -> None:
    alone = replace(results.arteries, candidates=(), vein_candidates=())
    assert "<strong>Candidates" not in report_html(replace(results, arteries=alone))
