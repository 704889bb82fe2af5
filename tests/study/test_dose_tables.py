"""The tables and the figure of the dose study say what was found."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import EXAMS, made_up
from PIL import Image

from bolus.study.dose.figure import write_figure
from bolus.study.dose.rows import Condition, Study, by_condition, of_method
from bolus.study.dose.tables import MAIN, Measure, csv_text, markdown_text, summary

CBF = next(measure for measure in MAIN if measure.key == "cbf_mae")
CORE = next(measure for measure in MAIN if measure.key == "core_dice")


def cells(text: str, title: str, condition: str) -> list[str]:
    table = text.split(f"\n## {title}")[1].split("\n## ")[0]
    line = next(line for line in table.splitlines() if line.startswith(f"| {condition} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_spread_over_exams_and_over_phases_are_distinguished() -> None:
    rows = of_method(by_condition(made_up())[Condition("frames", 10, 1.0)], "bma")
    found = summary(rows, CBF)
    assert found is not None
    # exams 1, 2, 3 with phases +0, +0.1, +0.2 and 0.52 for 10 of 36 frames
    assert found.mean == pytest.approx(2 + 0.1 + 0.52)
    assert found.sd == pytest.approx(1)
    assert found.phase_sd == pytest.approx(0.1)
    text = markdown_text(made_up())
    assert cells(text, "CBF MAE", "10 frames")[-1] == "2.62 ± 1.00 (0.10)"


def test_overlap_of_small_lesions_is_left_out() -> None:
    rows = of_method(by_condition(made_up())[Condition("full", 1, 1.0)], "bma")
    found = summary(rows, CORE)
    assert found is not None
    assert found.exams == 2  # the core of exam "one" has 5 ml


def test_errors_of_volumes_do_not_cancel_out() -> None:
    signed = Measure("", "core_error_ml", "ml", "+.1f")
    absolute = Measure("", "core_error_ml", "ml", ".1f", absolute=True)
    rows = [{"case": name, "core_error_ml": value} for name, value in (("a", -3.0), ("b", 3.0))]
    values = [summary(rows, measure) for measure in (signed, absolute)]
    assert [one.mean if one else None for one in values] == [0, 3]


def test_refused_analyses_are_counted_and_say_where_and_why() -> None:
    text = markdown_text(made_up())
    assert cells(text, "Conditions", "5 frames")[-4:] == ["**0**", "6", "0", "2"]
    assert cells(text, "CBF MAE", "5 frames")[-2:][0] == "-"
    refused = cells(text, "Refused analyses", "nlr")
    assert refused == ["nlr", "refused", "align", "NoPerfusion", "12", "3", "5 to 5",
                       "NoPerfusion: no bolus / in one"]  # fmt: skip


def test_a_dose_that_differs_between_protocols_is_reported_as_a_range() -> None:
    """Ten frames are a quarter of one exam's dose and a half of another's."""
    text = markdown_text(two_protocols())
    found = cells(text, "Conditions", "10 frames")
    assert found[3] == "10 of 18 to 36"
    assert found[5] == "0.37 (0.28 to 0.56)"
    assert cells(text, "CBF MAE", "10 frames")[1] == found[5]
    assert cells(text, "Conditions", "all frames, 25 % dose")[5] == "0.25"


def two_protocols() -> Study:
    """As `made_up`, but the last exam has half of the frames."""
    study = made_up()
    rows = [
        {**row, "frames_of": 18, "relative_dose": row["relative_dose"] * 2, "frames": row["value"]}
        if row["case"] == EXAMS[-1] and row["rule"] == "frames"
        else row
        for row in study.rows
    ]
    return replace(study, rows=tuple(rows))


def test_all_frames_of_some_exams_are_no_fewer_frames(tmp_path: Path) -> None:
    """Where only some exams have so many, their mean must not stand beside that of all exams."""
    study = two_protocols()
    whole = [
        {**row, "rule": "frames", "value": 36}
        for row in study.rows
        if row["rule"] == "full" and row["case"] != EXAMS[-1]
    ]
    write_figure(study, tmp_path / "a.png")
    write_figure(replace(study, rows=(*study.rows, *whole)), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_change_of_a_volume_is_against_the_methods_own_whole_exam() -> None:
    text = markdown_text(made_up())
    # 5 of 36 frames cost 1.24 ml, the later phase 0.3 ml more: -1.24 and -1.54 in every exam
    last = cells(text, "Hypoperfused volume: r over exams", "5 frames")[-1]
    assert last == "-1.4 ± 0.0 (0.2)"


def test_the_table_says_what_it_was_compared_with() -> None:
    assert "Accuracy on simulated exams" in markdown_text(made_up())
    whole = "whole exam"
    assert "not accuracy" in markdown_text(made_up((whole, whole, whole)))
    assert "1 simulated exams" in markdown_text(made_up(("truth", whole, whole)))
    assert "Research use, not for diagnosis." in markdown_text(made_up())


def test_every_row_stands_in_the_csv() -> None:
    study = made_up()
    read = list(csv.DictReader(io.StringIO(csv_text(study.rows))))
    assert len(read) == len(study.rows)
    assert {row["case"] for row in read} == set(EXAMS)
    refused = [row for row in read if row["outcome"] == "refused"]
    assert len(refused) == 12
    assert all(row["cbf_mae"] == "" and row["stage"] == "align" for row in refused)


def test_the_figure_is_drawn_the_same_each_time(tmp_path: Path) -> None:
    paths = tmp_path / "a.png", tmp_path / "b.png"
    for path in paths:
        write_figure(made_up(), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(paths[0]) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):  # both methods were drawn
        assert (pixels == colour).all(axis=1).sum() > 500
