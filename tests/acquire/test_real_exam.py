"""The shared exam with a real skull, where the checkout has it beside it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bolus.acquire.exam import read_exam

EXAM = Path(__file__).parents[3] / "shared" / "exams" / "hybrid-mca.zip"


@pytest.mark.skipif(not EXAM.exists(), reason="shared/exams is not beside this checkout")
def test_shared_exam_is_its_files_sorted_by_position_and_time():
    found = read_exam(EXAM)
    with zipfile.ZipFile(EXAM) as archive:
        files = [
            pydicom.dcmread(io.BytesIO(archive.read(name)))
            for name in archive.namelist()
            if name.endswith(".dcm")
        ]
    files.sort(key=lambda f: (float(f.AcquisitionTime), float(f.ImagePositionPatient[2])))
    by_slice: dict[float, list] = {}
    for file in sorted(files, key=lambda f: float(f.ImagePositionPatient[2])):
        by_slice.setdefault(float(file.ImagePositionPatient[2]), []).append(file)
    assert found.frames.shape == (36, 8, 256, 256)
    for z, images in enumerate(by_slice.values()):
        images.sort(key=lambda f: float(f.AcquisitionTime))
        stored = np.stack([f.pixel_array for f in images]).astype(np.float32)
        assert np.array_equal(found.frames[:, z], stored - 1024)
    assert np.allclose(np.diff(found.times_s, axis=0), 1.6, atol=1e-6)
    assert np.ptp(found.times_s[0]) == pytest.approx(0.28)
    assert found.geometry.spacing_mm == pytest.approx((5.0, 0.898438, 0.898438))
    assert found.findings == ()
