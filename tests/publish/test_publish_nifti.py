"""Volumes keep their values, units and places on their way into NIfTI files."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bolus.axes import to_nifti
from bolus.publish.windows import WINDOWS
from bolus.types import Geometry, Results
from bolus.volumes import nifti_bytes


def read(content: bytes) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


@pytest.mark.parametrize("grid", ["axial", "flipped", "sheared"])
def test_a_marker_stays_at_its_place_in_the_patient(
    results_on: Callable[[str], Results], grid: str
) -> None:
    geometry = results_on(grid).geometry
    volume = np.zeros(geometry.shape, np.float32)
    z, y, x = 3, 11, 40
    volume[z, y, x] = 7.5
    image = read(nifti_bytes(volume, geometry, "marker"))
    found = np.argwhere(image.get_fdata() == 7.5)
    assert len(found) == 1
    ras = nib.affines.apply_affine(image.affine, found[0])
    lps = (geometry.affine @ [z, y, x, 1])[:3]
    np.testing.assert_allclose(ras, lps * [-1, -1, 1], atol=1e-3)


def test_qform_is_set_only_where_it_can_hold_the_grid(
    results_on: Callable[[str], Results],
) -> None:
    volume = np.zeros(results_on("axial").geometry.shape, np.float32)
    for grid in ("axial", "flipped"):
        geometry = results_on(grid).geometry
        header = read(nifti_bytes(volume, geometry, "")).header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
        np.testing.assert_allclose(header.get_qform(), to_nifti(geometry.affine), atol=1e-3)
    header = read(nifti_bytes(volume, results_on("sheared").geometry, "")).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)


def test_values_type_description_and_window_survive(results: Results) -> None:
    cbf = results.methods["nlr"].maps.cbf
    image = read(nifti_bytes(cbf, results.geometry, "CBF ml/100g/min", WINDOWS["cbf"].shown))
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), cbf)
    assert image.header["descrip"].item() == b"CBF ml/100g/min"
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (float(image.header["cal_min"]), float(image.header["cal_max"])) == (0.0, 60.0)


def test_the_gzip_header_holds_neither_time_nor_name(results: Results) -> None:
    content = nifti_bytes(results.tissue.brain.astype(np.uint8), results.geometry, "")
    flags, mtime = content[3], content[4:8]
    assert flags == 0
    assert mtime == b"\0\0\0\0"


@settings(max_examples=30, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 10.0)] * 3),
    origin=st.tuples(*[st.floats(-300.0, 300.0)] * 3),
)
def test_oblique_grids_keep_every_position(
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
) -> None:
    a, b, c = angles
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    roll = np.array([[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]])
    affine = np.eye(4)
    affine[:3, :3] = (turn @ nod @ roll)[:, ::-1] * spacing  # z, y, x
    affine[:3, 3] = origin
    geometry = Geometry((2, 3, 4), affine)
    image = read(nifti_bytes(np.zeros((2, 3, 4), np.float32), geometry, ""))
    for z, y, x in np.ndindex(2, 3, 4):
        ras = nib.affines.apply_affine(image.affine, (x, y, z))
        lps = (affine @ [z, y, x, 1])[:3]
        np.testing.assert_allclose(ras * [-1, -1, 1], lps, atol=2e-3)
