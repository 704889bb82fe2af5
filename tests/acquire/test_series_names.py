"""The name of a series makes it a second choice; only its type and its images rule it out."""

from __future__ import annotations

import numpy as np
import pytest
from dicomfactory import SLICES, STUDY, exam, save, tm, truth

from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.errors import NotCT

DESCRIPTIONS = ["CT Brain Perfusion 5s delay", "Perfusion 5.0 H20f MEAN mAs 180", "CBF CBV source"]


def named(description: str, number: int = 7, **values: object) -> list:
    images = exam()
    for one in images:
        one.SeriesDescription, one.SeriesNumber = description, number
        if number != 7:
            one.SeriesInstanceUID = f"{STUDY}.{number}"
            one.SOPInstanceUID += f".{number}"
        for key, value in values.items():
            setattr(one, key, value)
    return images


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_a_time_course_named_like_a_map_is_used_with_a_warning(tmp_path, description):
    folder = save(tmp_path, named(description))
    found = read_exam(folder)
    assert np.array_equal(found.frames, truth())
    assert [(f.code, f.grade.name) for f in found.findings] == [
        ("series-named-like-derived", "WARNING")
    ]
    assert [s.verdict for s in describe(folder).series] == ["used"]


@pytest.mark.parametrize("place", ["exam_maps", "NLR_CBV/a"])
def test_a_time_course_in_a_folder_named_like_maps_is_used_with_a_warning(tmp_path, place):
    save(tmp_path / place, exam())
    assert [f.code for f in read_exam(tmp_path).findings] == ["series-named-like-derived"]


def test_a_series_without_such_a_name_is_preferred_and_nothing_said(tmp_path):
    folder = save(tmp_path, [*named("5s delay", 3), *exam()])
    assert read_exam(folder).findings == ()
    assert {s.number: s.verdict for s in describe(folder).series} == {
        "3": "named like a perfusion map",
        "7": "used",
    }
    assert [f.code for f in read_exam(folder, series="3").findings] == ["series-named-like-derived"]


@pytest.mark.parametrize("kind", ["MIP", "AVERAGE", "CBF"])
def test_a_derived_type_is_refused_even_with_a_time_course(tmp_path, kind):
    images = named("VPCT 5.0", ImageType=["DERIVED", "SECONDARY", kind])
    with pytest.raises(NotCT, match=r"projection|map"):
        read_exam(save(tmp_path, images))


def test_maps_of_one_volume_each_never_add_up_to_a_time_course(tmp_path):
    images = exam(10)
    for i, one in enumerate(images):
        one.SeriesInstanceUID, one.SeriesDescription = f"{STUDY}.{i // SLICES + 20}", "CBF"
        one.AcquisitionTime = one.ContentTime = tm(36000 + 2.0 * (i // SLICES))
    with pytest.raises(NotCT, match="named like a perfusion map"):
        read_exam(save(tmp_path, images))
