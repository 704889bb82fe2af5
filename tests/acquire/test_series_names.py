"""The name of a series decides nothing; its type and its images do."""

from __future__ import annotations

import numpy as np
import pytest
from dicomfactory import SERIES, SLICES, STUDY, exam, save, store, tm, truth

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
def test_a_time_course_named_like_a_map_is_used(tmp_path, description):
    folder = save(tmp_path, named(description))
    found = read_exam(folder)
    assert np.array_equal(found.frames, truth())
    assert found.findings == ()
    assert [s.verdict for s in describe(folder).series] == ["used"]


@pytest.mark.parametrize("place", ["exam_maps", "NLR_CBV/a"])
def test_a_time_course_in_a_folder_named_like_maps_is_used(tmp_path, place):
    save(tmp_path / place, exam())
    assert read_exam(tmp_path).findings == ()


@pytest.mark.parametrize("kind", ["MIP", "AVERAGE", "CBF"])
def test_a_derived_type_is_refused_even_with_a_time_course(tmp_path, kind):
    images = named("VPCT 5.0", ImageType=["DERIVED", "SECONDARY", kind])
    with pytest.raises(NotCT, match=r"projection|map"):
        read_exam(save(tmp_path, images))


def test_maps_of_one_volume_each_never_add_up_to_a_time_course(tmp_path):
    images = exam()
    maps = exam(10)
    shapes = np.random.default_rng(1).uniform(0, 90, (10, 8, 8))
    for i, one in enumerate(maps):
        one.SeriesInstanceUID, one.SOPInstanceUID = f"{STUDY}.{i // SLICES + 20}", f"{STUDY}.8.{i}"
        one.AcquisitionTime = one.ContentTime = tm(36000 + 2.0 * (i // SLICES))
        store(one, np.kron(shapes[i // SLICES], np.ones((4, 4))).astype(int) + 1024)
    folder = save(tmp_path, [*images, *maps])
    assert np.array_equal(read_exam(folder).frames, truth())
    verdicts = {s.uid: s.verdict for s in describe(folder).series}
    assert verdicts.pop(SERIES) == "used"
    assert set(verdicts.values()) == {"volumes unlike each other: maps, not a time course"}
