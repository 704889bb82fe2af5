"""JSON files that describe a NIfTI file: its own in any case, and in BIDS those above it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import FRAMES, zipped
from niftifactory import VOLUME_TIMING, save_nifti

import bolus
from bolus.acquire.nifti_exam import describing
from bolus.errors import DamagedFile, MissingTiming

NAME = "sub-01_ses-1_task-ctp_ct.nii.gz"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A BIDS tree with an exam that has no JSON file of its own."""
    root = tmp_path / "data"
    save_nifti(root / "sub-01" / "ses-1" / "ct", name=NAME, sidecar=None, step_s=0)
    (root / "dataset_description.json").write_text("{}")
    return root


@pytest.mark.parametrize(
    "where",
    ["task-ctp_ct", "ct", "sub-01/sub-01_ct", "sub-01/ses-1/sub-01_task-ctp_ct", "sub-01/ct"],
)
@pytest.mark.parametrize("named", [".", "sub-01", "sub-01/ses-1", f"sub-01/ses-1/ct/{NAME}"])
def test_times_are_inherited_whatever_level_is_named(root, where, named):
    (root / f"{where}.json").write_text(json.dumps(VOLUME_TIMING))
    found = bolus.read_exam(root / named)
    assert np.allclose(found.times_s[:, 0], VOLUME_TIMING["VolumeTiming"])


def test_times_are_inherited_in_an_archive(root, tmp_path):
    (root / "task-ctp_ct.json").write_text(json.dumps(VOLUME_TIMING))
    found = bolus.read_exam(zipped(root, tmp_path / "data.zip"))
    assert np.allclose(found.times_s[:, 0], VOLUME_TIMING["VolumeTiming"])


@pytest.mark.parametrize("where", ["task-rest_ct", "ctp", "sub-02_ct", "sub-02/ct", "notes"])
def test_what_describes_other_files_is_not_inherited(root, where):
    (root / "sub-02").mkdir()
    (root / f"{where}.json").write_text(json.dumps(VOLUME_TIMING))
    with pytest.raises(MissingTiming):
        bolus.read_exam(root)


def test_the_nearest_file_wins_field_by_field(root):
    (root / "ct.json").write_text(json.dumps({"RepetitionTime": 3.0, "Manufacturer": "M"}))
    (root / "task-ctp_ct.json").write_text(json.dumps({"RepetitionTime": 2.5}))
    (root / "sub-01" / "sub-01_ct.json").write_text(json.dumps({"RepetitionTime": 2.0}))
    found = bolus.read_exam(root)
    assert np.allclose(np.diff(found.times_s[:, 0]), 2.0)
    assert found.scanner.manufacturer == "M"


def test_names_without_entities_inherit_nothing():
    assert describing("deep/ctp.nii.gz", ["ctp.json", "deep/other.json"]) == []


@pytest.mark.parametrize(
    ("nifti", "sidecar"), [("H.NII", "H.JSON"), ("h.nii", "H.JSON"), ("H.NII", "h.json")]
)
@pytest.mark.parametrize("form", ["file", "folder", "zip"])
def test_the_case_of_names_does_not_matter(tmp_path, nifti, sidecar, form):
    path = save_nifti(tmp_path / "exam", name="plain.nii", sidecar=None, step_s=0)
    path = path.rename(path.with_name(nifti))
    path.with_name(sidecar).write_text(json.dumps(VOLUME_TIMING))
    if form != "file":
        path = path.parent if form == "folder" else zipped(path.parent, tmp_path / "e.zip")
    assert np.allclose(bolus.read_exam(path).times_s[:, 0], VOLUME_TIMING["VolumeTiming"])


def test_of_two_cases_the_exact_one_is_used(tmp_path):
    path = save_nifti(tmp_path, name="head.nii", sidecar=VOLUME_TIMING)
    (tmp_path / "HEAD.json").write_text('{"RepetitionTime": 9}')
    assert np.allclose(bolus.read_exam(path).times_s[:, 0], VOLUME_TIMING["VolumeTiming"])


@pytest.mark.parametrize("volumes", [False, True], ids=["one file", "a file for each time point"])
def test_a_damaged_json_file_costs_no_exam_whose_times_are_given(tmp_path, volumes):
    path = save_nifti(tmp_path, sidecar="{bad")
    if volumes:
        data = np.asarray(bolus.read_exam(path, interval_s=2).frames).transpose(3, 2, 1, 0)
        for t in range(FRAMES):
            save_nifti(tmp_path / "v", data[..., t], sidecar="{bad", name=f"v{t:02d}.nii.gz")
        path = tmp_path / "v"
    with pytest.raises(DamagedFile, match="not valid JSON"):
        bolus.read_exam(path)
    found = bolus.read_exam(path, interval_s=2)
    assert np.allclose(np.diff(found.times_s[:, 0]), 2)
    (ignored,) = [f for f in found.findings if f.code == "json-ignored"]
    assert ignored.grade.name == "WARNING"
