"""Nothing that was drawn is lost, whatever happens to the page, the server or the disk."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pydicom
import pytest
from conftest_serve import serving, started, unpacked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bolus.errors import OutputError
from bolus.files.output_folder import check_output
from bolus.publish.dicom_seg import seg_bytes
from bolus.serve.results_app import results_app
from bolus.types import Geometry

SHAPE = (6, 128, 128)
MINE = "/api/exams/0/outlines/anna"


def disc(value: int, radius: float = 20) -> bytes:
    y, x = np.mgrid[:128, :128]
    return ((np.hypot(y - 60, x - 50) < radius) * value).astype(np.uint8).tobytes()


def put(
    client: httpx.Client, z: int, body: bytes, revision: int, who: str = MINE
) -> httpx.Response:
    asked = {"revision": revision, "active_s": 1.5 * (revision + 1)}
    return client.put(f"{who}/slices/{z}", params=asked, content=body)


def test_a_stroke_is_on_the_disk_when_it_is_answered(drawing: httpx.Client, own: Path) -> None:
    assert drawing.get(MINE).status_code == 404
    assert put(drawing, 2, disc(1), 0).json() == {"revision": 1}
    assert put(drawing, 3, disc(2), 1).json() == {"revision": 2}
    image = nib.load(own / "outlines/anna/outline.nii.gz")
    assert image.get_data_dtype() == np.uint8
    labels = np.asarray(image.dataobj).transpose(2, 1, 0)
    assert labels[2].tobytes() == disc(1)
    assert labels[3].tobytes() == disc(2)
    assert not labels[[0, 1, 4, 5]].any()
    np.testing.assert_array_equal(image.affine, nib.load(own / "brain.nii.gz").affine)
    record = json.loads((own / "outlines/anna/outline.json").read_text())
    assert (record["rater"], record["revision"], record["active_s"]) == ("anna", 2, 3.0)
    assert record["software"].startswith("bolus ")
    shown = drawing.get(MINE).json()
    assert shown["revision"] == 2
    np.testing.assert_array_equal(unpacked(shown["mask"], SHAPE), labels)
    assert drawing.get("/api/exams/0/outlines").json() == {"raters": ["anna"]}


@pytest.mark.parametrize("name", ["con", "nul", "com1", "lpt9"])
def test_names_that_windows_keeps_for_devices_are_refused(
    drawing: httpx.Client, own: Path, name: str
) -> None:
    url = f"/api/exams/0/outlines/{name}"
    for answer in (drawing.get(url), put(drawing, 1, disc(1), 0, url)):
        assert answer.status_code == 422
        assert f"{name} is the name of a device on Windows" in answer.json()["error"]
    assert not (own / "outlines").exists()
    assert put(drawing, 1, disc(1), 0, f"{url}-a").status_code == 200


def test_a_second_page_does_not_overwrite_the_first(drawing: httpx.Client) -> None:
    assert put(drawing, 2, disc(1), 0).status_code == 200
    late = put(drawing, 2, disc(2), 0)
    assert late.status_code == 409
    assert late.json()["revision"] == 1
    labels = unpacked(drawing.get(MINE).json()["mask"], SHAPE)
    assert labels[2].tobytes() == disc(1)


def test_another_server_goes_on_where_the_first_stopped(own: Path) -> None:
    with serving(results_app([own])) as url, httpx.Client(base_url=url) as client:
        put(client, 2, disc(1), 0)
    with serving(results_app([own])) as url, httpx.Client(base_url=url) as client:
        assert client.get(MINE).json()["revision"] == 1
        assert put(client, 1, disc(2), 1).json() == {"revision": 2}


def test_bolus_run_leaves_a_folder_with_outlines_alone(drawing: httpx.Client, own: Path) -> None:
    put(drawing, 2, disc(1), 0)
    with pytest.raises(OutputError, match="holds outlines that were drawn"):
        check_output(own)


def test_outlines_become_a_dicom_segmentation(drawing: httpx.Client, own: Path) -> None:
    assert drawing.post(f"{MINE}/export").status_code == 404
    put(drawing, 2, disc(1), 0)
    put(drawing, 3, disc(2, 9), 1)
    assert "outlines/anna/outline.dcm" in drawing.post(f"{MINE}/export").json()["files"]
    found = pydicom.dcmread(own / "outlines/anna/outline.dcm")
    assert found.SOPClassUID == pydicom.uid.SegmentationStorage
    assert [s.SegmentLabel for s in found.SegmentSequence] == ["Core", "Penumbra"]
    assert found.ContentCreatorName == "anna^"
    identity = json.loads((own / "summary.json").read_text())["dicom_identity"]
    if "StudyInstanceUID" in identity:
        assert found.StudyInstanceUID == identity["StudyInstanceUID"]


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_every_voxel_of_a_segmentation_lies_where_it_was_drawn(tilt: float) -> None:
    affine = np.array([[0, 0, 0.5, -20], [tilt * 5, 0.6, 0, -30], [5.0, 0, 0, 7], [0, 0, 0, 1]])
    geometry = Geometry((5, 20, 30), affine)
    labels = np.random.default_rng(3).integers(0, 3, geometry.shape).astype(np.uint8)
    labels[[0, 3]] = 0
    identity = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    content = seg_bytes(labels, geometry, identity, rater="anna", description="by hand")
    found = pydicom.dcmread(io.BytesIO(content))
    assert (found.StudyInstanceUID, found.FrameOfReferenceUID) == ("1.2.3", "1.2.4")
    assert (str(found.PatientName), found.PatientID, found.PatientBirthDate) == ("", "", "")
    assert "ReferencedSeriesSequence" not in found
    frames = found.pixel_array.reshape(-1, 20, 30)
    back = np.zeros_like(labels)
    inverse = np.linalg.inv(affine)
    for frame, groups in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        index = inverse @ [*map(float, position), 1]
        np.testing.assert_allclose(index[1:3], 0, atol=1e-4)
        segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        back[round(index[0])][frame > 0] = {1: 2, 2: 1}[segment]
    np.testing.assert_array_equal(back, labels)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_a_dicom_validator_finds_no_error(tmp_path: Path) -> None:
    geometry = Geometry((2, 8, 8), np.diag([5.0, 1, 1, 1])[[2, 1, 0, 3]])
    labels = np.zeros(geometry.shape, np.uint8)
    labels[1, 2:5, 2:5] = 1
    path = tmp_path / "outline.dcm"
    path.write_bytes(seg_bytes(labels, geometry, {}, rater="anna", description="by hand"))
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
    assert "Segmentation" in done.stderr  # it was recognised, so that its rules were asked
    assert "Error" not in done.stdout + done.stderr


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(st.binary(max_size=300), st.binary(min_size=16384, max_size=16384),
                   st.sampled_from([disc(1), disc(3), b"", disc(1) + b"\0"])),
    z=st.one_of(st.integers(-2, 8), st.sampled_from(["x", "1e3", "../2", "%00", "9" * 30])),
    revision=st.one_of(st.integers(-(2**70), 2**70), st.sampled_from(["", "NaN", "0x0"])),
    active=st.one_of(st.floats(), st.sampled_from(["", "-1", "1e999", "nan"])),
    rater=st.one_of(st.text(max_size=40), st.sampled_from(["anna", "..", "../x", "A", "a" * 33])),
)  # fmt: skip
def test_no_mask_makes_the_server_fail_or_break_what_was_drawn(
    page_of_own: tuple[httpx.Client, Path], body: bytes, z: object, revision: object,
    active: object, rater: str,
) -> None:  # fmt: skip
    client, folder = page_of_own
    try:
        url = httpx.URL(f"/api/exams/0/outlines/{rater}/slices/{z}")
    except (httpx.InvalidURL, ValueError, UnicodeError):
        return
    asked = {"revision": str(revision), "active_s": str(active)}
    answer = client.put(url, params=asked, content=body)
    assert answer.status_code in (200, 307, 404, 405, 409, 422), (answer.status_code, answer.text)
    if answer.status_code in (404, 409, 422):
        assert answer.json()["error"]
    labels = np.asarray(nib.load(folder / "outlines/anna/outline.nii.gz").dataobj)
    assert labels.shape == SHAPE[::-1]
    assert labels.max() <= 2
    drawn = {p.relative_to(folder).parts[1] for p in (folder / "outlines").rglob("outline.json")}
    assert all(p.islower() or "-" in p or p.isdigit() for p in drawn)


@pytest.fixture
def page_of_own(drawing: httpx.Client, own: Path) -> tuple[httpx.Client, Path]:
    """With an outline that is there already."""
    assert put(drawing, 0, disc(1), 0).status_code == 200
    return drawing, own


def test_a_server_killed_amid_strokes_loses_none_that_it_answered(own: Path) -> None:
    """Killed at different moments: the disk holds the last answered stroke, or the next one."""
    acknowledged = 0
    rng = np.random.default_rng(5)
    for delay_s in (0.0, 0.004, 0.011, 0.03):
        server, url = started(own)
        with httpx.Client(base_url=url) as client:
            found = client.get(MINE)
            revision = found.json()["revision"] if found.status_code == 200 else 0
            assert revision in (acknowledged, acknowledged + 1)
            kill_at = time.monotonic() + delay_s + 0.15
            sent = {}
            try:
                while True:
                    body = rng.integers(0, 3, 128 * 128).astype(np.uint8).tobytes()
                    sent[revision + 1] = body
                    if time.monotonic() > kill_at:
                        killer = subprocess.Popen(
                            [sys.executable, "-c",
                             f"import os,time; time.sleep({delay_s}); os.kill({server.pid}, 9)"]
                        )  # fmt: skip
                        kill_at = float("inf")
                    revision = put(client, 4, body, revision).json()["revision"]
            except httpx.TransportError:
                pass
            killer.wait()
        assert server.wait() == -signal.SIGKILL
        assert server.stdout is not None
        server.stdout.close()
        labels = np.asarray(nib.load(own / "outlines/anna/outline.nii.gz").dataobj)
        on_disk = labels.transpose(2, 1, 0)[4].tobytes()
        assert on_disk in (sent[revision], sent.get(revision + 1))
        record = json.loads((own / "outlines/anna/outline.json").read_text())
        assert record["revision"] in (revision, revision + 1)
        acknowledged = revision
