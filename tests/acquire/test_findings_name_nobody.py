"""File and folder names can be those of patients: errors show them, findings never do."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from dicomfactory import SERIES, STUDY, exam, save, truth, zipped
from niftifactory import save_nifti

from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.errors import NoReadableFiles

MARKER = "DOE^JOHN"


def marked_exam(root: Path) -> Path:
    """An exam with every odd file a folder can hold, all of them named after the patient."""
    folder = root / f"{MARKER} 19450101"
    thin = exam()
    for i, one in enumerate(thin):
        one.SeriesInstanceUID, one.SliceThickness, one.SeriesNumber = SERIES + "2", 1.5, 2
        one.ImagePositionPatient[2] = 40 + 1.5 * (i % 3)
        one.SOPInstanceUID += ".2"
    images = [*exam(40), *thin]
    for one in images:
        one.SeriesDescription = "perfusion MEAN"
        one.StudyInstanceUID = STUDY
    save(folder, images, [f"{MARKER}{i}.dcm" for i in range(len(images))])
    copy = folder / f"{MARKER} copy.dcm"
    copy.write_bytes((folder / f"{MARKER}5.dcm").read_bytes())
    for index, size in ((30, 600), (60, -500)):
        path = folder / f"{MARKER}{index}.dcm"
        path.write_bytes(path.read_bytes()[:size])
    (folder / f"{MARKER}.doc").write_text("x" * 500)
    (folder / f"{MARKER}.zip").write_bytes(b"PK")
    (folder / f"{MARKER} link").symlink_to(folder / "nowhere")
    save_nifti(folder / "mask", truth()[0].transpose(2, 1, 0), name=f"{MARKER}.nii", sidecar=None)
    return root


def texts(found) -> str:
    return " ".join(f.message + f.remedy for f in found.findings)


def test_no_finding_names_a_file_or_folder(tmp_path):
    root = marked_exam(tmp_path)
    os.mkfifo(root / f"{MARKER}.pipe")
    found = read_exam(root)
    assert {f.code for f in found.findings} >= {
        "dangling-link",
        "duplicates-dropped",
        "files-ignored",
        "files-unreadable",
        "frames-dropped",
        "images-damaged",
        "nested-zip",
        "not-a-file",
        "series-chosen",
    }
    assert MARKER not in texts(found)
    assert MARKER not in texts(describe(root))


def test_no_finding_names_a_member_of_a_zip(tmp_path):
    folder = save(tmp_path / MARKER, exam(), [f"{MARKER}{i}.dcm" for i in range(60)])
    path = zipped(folder, tmp_path / "exam.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"../{MARKER}.dcm", b"")
        archive.writestr(f"{MARKER}.zip", b"PK")
        archive.writestr(f"{MARKER}.doc", b"letter")
    found = read_exam(path)
    codes = [f.code for f in found.findings]
    assert sorted(codes) == ["files-ignored", "nested-zip", "unsafe-name"]
    assert MARKER not in texts(found)


def test_errors_still_name_the_file(tmp_path):
    (tmp_path / f"{MARKER}.zip").write_bytes(b"PK")
    with pytest.raises(NoReadableFiles, match=r"DOE\^JOHN\.zip"):
        read_exam(tmp_path)
