"""Patients of the UniToBrain layout: every series as known of the data set, and consistent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from bolus.acquire.exam import read_exam
from bolus.align.register import correct_motion
from bolus.errors import NotCT
from bolus.preprocessing import Stages, preprocess_still
from bolus.simulate.case import scan
from bolus.simulate.distributed import MAP_STYLES
from bolus.simulate.layouts import LAYOUTS
from bolus.simulate.priors import case_seed
from bolus.simulate.unitobrain import filter_and_map, protocol_case
from bolus.types import Exam, Float32Array, Maps

SEED, NUMBER, MATRIX = 12, 7, 96
PATIENT = "MOL-007"
REGISTERED = f"{PATIENT}_Registered"
FILTERED = f"{REGISTERED}_Filtered_3mm_20HU"
MAPS = f"{FILTERED}_Maps"
OWN_SEED = case_seed(SEED, NUMBER)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("DeepHealth")
    LAYOUTS["unitobrain"].write(folder, SEED, NUMBER, MATRIX)
    return folder


@pytest.fixture(scope="module")
def worked_out() -> tuple[Exam, Exam, Exam, Maps]:
    """The exam as scanned, registered and filtered, and its maps."""
    exam, _ = scan(OWN_SEED, protocol_case(OWN_SEED, MATRIX))
    still, motion = correct_motion(exam)
    quiet, maps = filter_and_map(preprocess_still(still, motion, Stages()))
    return exam, still, quiet, maps


def _read_map(folder: Path) -> tuple[Float32Array, list[FileDataset]]:
    images = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    values = [i.pixel_array * float(i.RescaleSlope) + float(i.RescaleIntercept) for i in images]
    return np.stack(values).astype(np.float32), images


def test_folders_and_files_have_the_names_of_the_data_set(data_set: Path) -> None:
    assert {p.name for p in data_set.iterdir()} == {
        PATIENT, REGISTERED, FILTERED, MAPS, f"{PATIENT}_Truth",
    }  # fmt: skip
    assert (data_set / PATIENT / "IM-0001-0001-0001.dcm").is_file()
    assert (data_set / REGISTERED / "Registered00001.dcm").is_file()
    assert (data_set / FILTERED / "Filtered00712.dcm").is_file()
    for name in (PATIENT, REGISTERED, FILTERED):
        assert len(list((data_set / name).iterdir())) == 712
    maps = sorted(str(p.relative_to(data_set / MAPS)) for p in (data_set / MAPS).rglob("*.dcm"))
    assert maps == sorted(
        f"{name}/{name}{z:05d}.dcm"
        for name in ("NLR_CBF", "NLR_CBV", "NLR_MTT", "NLR_TTP", "NLR_Delay")
        for z in range(1, 9)
    )
    assert (data_set / f"{PATIENT}_Truth" / "truth.json").is_file()


@pytest.mark.parametrize(
    ("series", "which", "step_hu"),
    [(PATIENT, 0, 0.0), (REGISTERED, 1, 0.1), (FILTERED, 2, 0.1)],
)
def test_each_series_reads_as_the_exam_it_holds(
    data_set: Path, worked_out: tuple[Exam, ...], series: str, which: int, step_hu: float
) -> None:
    read, meant = read_exam(data_set / series), worked_out[which]
    inside = meant.frames >= -1000  # lower values don't fit into the processed series
    assert np.abs(read.frames - meant.frames)[inside].max() <= step_hu / 2 + 1e-3
    assert read.times_s == pytest.approx(meant.times_s, abs=1e-6)
    assert read.geometry.affine == pytest.approx(meant.geometry.affine, abs=1e-3)
    assert read.frames.shape == (89, 8, MATRIX, MATRIX)
    assert read.geometry.spacing_mm == pytest.approx((5.0, 250 / MATRIX, 250 / MATRIX), rel=1e-4)


def test_the_time_of_a_raw_frame_is_in_the_private_tag_only(data_set: Path) -> None:
    first, last = (
        pydicom.dcmread(data_set / PATIENT / f"IM-0001-{n:04d}-0001.dcm") for n in (1, 712)
    )
    assert first.AcquisitionTime == last.AcquisitionTime
    assert first.ContentTime == last.ContentTime
    assert float(last[0x0019, 0x1024].value) - float(first[0x0019, 0x1024].value) == 44.0
    registered = pydicom.dcmread(data_set / REGISTERED / "Registered00001.dcm")
    assert float(registered.AcquisitionTime) - float(first.AcquisitionTime) == 10000  # one hour


def test_headers_are_those_known_of_the_data_set(data_set: Path) -> None:
    raw = pydicom.dcmread(data_set / PATIENT / "IM-0001-0001-0001.dcm")
    assert (raw.PixelRepresentation, raw.RescaleSlope, raw.RescaleIntercept) == (1, 1, -1024)
    for name, start in ((REGISTERED, "Registered"), (FILTERED, "Filtered")):
        image = pydicom.dcmread(data_set / name / f"{start}00001.dcm")
        assert (image.PixelRepresentation, image.BitsAllocated) == (0, 16)
        assert (image.RescaleSlope, image.RescaleIntercept) == (0.1, -1000)
        assert (image.RescaleType, image.WindowCenter, image.WindowWidth) == ("US", 40, 400)
        assert image.ImageType == ["ORIGINAL", "SECONDARY", "AXIAL"]
        assert image.SpacingBetweenSlices == 5
    cbv = pydicom.dcmread(data_set / MAPS / "NLR_CBV" / "NLR_CBV00001.dcm")
    assert (cbv.RescaleSlope, cbv.WindowCenter, cbv.WindowWidth) == (0.01, 2, 4)
    assert (cbv.PixelRepresentation, cbv.PixelPaddingValue) == (0, 63536)
    assert cbv.SOPClassUID == pydicom.uid.CTImageStorage


def test_all_series_are_one_study_without_a_patient(data_set: Path) -> None:
    folders = [p for p in data_set.rglob("*") if p.is_dir() and list(p.glob("*.dcm"))]
    images = [pydicom.dcmread(min(folder.glob("*.dcm"))) for folder in folders]
    assert len(images) == 8
    assert len({i.SeriesInstanceUID for i in images}) == 8
    for tag in ("StudyInstanceUID", "FrameOfReferenceUID"):
        assert len({i[tag].value for i in images}) == 1
    for image in images:
        assert image.PatientID == "SYNTHETIC-MOL-007"
        assert {str(e.value) for e in image if e.VR == "PN" and e.value} == {"SYNTHETIC^MOL-007"}
        assert (image.PatientBirthDate, image.PatientIdentityRemoved) == ("", "YES")
        assert {str(e.value) for e in image if e.VR == "DA" and e.value} == {"20000101"}
    uids = {pydicom.dcmread(p).SOPInstanceUID for p in (data_set / MAPS).rglob("*.dcm")}
    assert len(uids) == 40


def test_filtering_takes_noise_from_tissue_and_leaves_the_rest_alone(
    data_set: Path, worked_out: tuple[Exam, Exam, Exam, Maps]
) -> None:
    _, still, quiet, maps = worked_out
    changed = (quiet.frames != still.frames).any(axis=0)
    assert not (changed & (maps.cbv == 0) & (maps.mtt == 0)).any()
    tissue = changed & (maps.mtt > 0)
    assert tissue.sum() > 5000
    before = slice(0, 6)
    noise, left = (exam.frames[before][:, tissue].std(axis=0).mean() for exam in (still, quiet))
    assert left < 0.5 * noise
    # neither the level of tissue nor the height of the bolus is changed
    for part in (before, slice(None)):
        means = [exam.frames[part][:, tissue].mean() for exam in (still, quiet)]
        assert means[1] == pytest.approx(means[0], abs=0.2)


@pytest.mark.parametrize("name", MAP_STYLES)
def test_maps_are_those_of_the_pipeline_from_the_lowest_slice_up(
    data_set: Path, worked_out: tuple[Exam, Exam, Exam, Maps], name: str
) -> None:
    style = MAP_STYLES[name]
    values, images = _read_map(data_set / MAPS / name)
    meant = getattr(worked_out[3], style.field)
    assert np.abs(values - meant).max() <= float(style.slope) / 2 + 1e-4
    heights = [float(image.ImagePositionPatient[2]) for image in images]
    filtered = read_exam(data_set / FILTERED).geometry
    assert heights == pytest.approx(filtered.affine[2, 3] + 5.0 * np.arange(8), abs=1e-3)
    perfused = worked_out[3].mtt > 0
    shown = (values > style.low) & (values < style.high)
    assert shown[perfused].mean() > 0.4  # the window is of use
    assert not values[~perfused].any()


def test_maps_are_refused_as_an_exam(data_set: Path) -> None:
    with pytest.raises(NotCT, match="without _Maps"):
        read_exam(data_set / MAPS)


def test_nine_in_ten_are_of_the_cine_protocol_and_the_others_of_the_shuttle() -> None:
    recipes = [protocol_case(case_seed(3, n), 128) for n in range(300)]
    cine = [r for r in recipes if r.timing == "volume"]
    shuttle = [r for r in recipes if r.timing == "shuttle"]
    assert len(cine) + len(shuttle) == 300
    assert 18 <= len(shuttle) <= 45
    assert {(r.slices, r.frames, r.dt_s, r.slice_mm, r.mas) for r in cine} == {
        (8, 89, 0.5, 5.0, 100.0)
    }
    assert {(r.slices, r.frames, r.dt_s, r.slice_mm, r.mas) for r in shuttle} == {
        (16, 18, 2.81, 5.0, 200.0)
    }
    assert {r.matrix * r.pixel_mm for r in recipes} == {250.0}


def test_a_patient_of_the_shuttle_protocol_is_readable(tmp_path: Path) -> None:
    number = next(n for n in range(99) if protocol_case(case_seed(5, n), 64).timing == "shuttle")
    LAYOUTS["unitobrain"].write(tmp_path, 5, number, 64)
    exam = read_exam(tmp_path / f"MOL-{number:03d}_Registered_Filtered_3mm_20HU")
    assert exam.frames.shape == (18, 16, 64, 64)
    assert exam.times_s[-1, 0] == pytest.approx(47.77)
    assert np.ptp(exam.times_s, axis=1) == pytest.approx(1.405)
