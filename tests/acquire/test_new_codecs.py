"""HTJ2K is decoded; JPEG XL is where imagecodecs is installed, and else refused with a remedy."""

from __future__ import annotations

import base64
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import exam, save
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from bolus.acquire.dicom.decoder_process import Decoder
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.pixels import StoredBytes
from bolus.acquire.dicom.scan import read_slices
from bolus.acquire.exam import read_exam
from bolus.acquire.sources import open_files
from bolus.errors import DamagedFile

ROWS, COLUMNS = np.mgrid[:24, :24]
IMAGE = (1024 + 40 * ROWS + COLUMNS**2).astype(np.uint16)
HTJ2K = base64.b64decode(
    "/0//UQApQAAAAAAYAAAAGAAAAAAAAAAAAAAAGAAAABgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUE"
    "BEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAOoAAf+TwAAm"
    "o/QFB3QAwAATQAATAFr+Agd0AFr9Aod0AMAAE0AAEwCtrQELdABt+wACNADAABXwAAVQ/3+Hgvr4gPoMFuCI+bcA"
    "bNmy/cAxgf62AMAAFvQAAVz/fz8ceLz/fx8OPN7/fw8HHu9AnesvO9ZcQWoxvACyMplMJvv0EPYhAey4AMAALuYA"
    "AWyA/38/CDDs/38HAYb9/38gwLD/fx8EGPb/f4MAw/7/PxBg2BOAA1OAA1OAA1OAA1OAA0ELFSpUrbcBTsdxHMdx"
    "HMdx/v9iAQge/YQge/YQgey/AP/Z"
)
"""`IMAGE` by imagecodecs 2026.3.6, htj2k_encode (lossless)."""
JPEG_XL = base64.b64decode(
    "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAAJanhsbAoAAAEBanhsY/8KRfADFC0CCAQBAKwDSzho"
    "mMKD9yUUTDIyoo2MTkVEREVGRUbHGBUzXgzKGFyRdEGMiMEzY4yOMTqG0YcgdzAGgDrSsGxpZ8jvqcnn/xFJ/481"
    "gWezA6mlpa8pJ1h6R4a/NJJEIuTeQxuIwvEoCjKMKAqVTRIoTq4fa4JJckAEM3220860S1JUouBVkg4Q+miRH/Jk"
    "Lr0vTFIvbKMnSbyRdmcxnJDkuIavTlJ8npgOyUsAQJdIdj4g3mBmRdIPZMUJScoxgZweaUkim/FVJ+mZGvMeSXUA"
    "cmTu0ElyRM9ZJ2knDn6PJNlgIWm0h0nq0w71IMk4FtyKBA=="
)
"""`IMAGE` by imagecodecs 2026.3.6, jpegxl_encode(lossless=True)."""
OF_HTJ2K = [f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203)]
OF_JPEG_XL = [f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112)]


def packed(folder: Path, codestream: bytes, syntax: str, count: int | None = None) -> Path:
    """The factory's exam, every image of which is `IMAGE`."""
    images = exam()[:count]
    for one in images:
        one.Rows, one.Columns = IMAGE.shape
        one.file_meta.TransferSyntaxUID = UID(OF_HTJ2K[0])
        one.PixelData = encapsulate([codestream])
        one["PixelData"].VR = "OB"
        one["PixelData"].is_undefined_length = True
    save(folder, images)
    for path in folder.iterdir():  # pydicom 3.0 writes no JPEG XL
        path.write_bytes(path.read_bytes().replace(OF_HTJ2K[0].encode(), syntax.encode()))
    return folder


def first_slice(folder: Path) -> tuple[Slice, bytes]:
    with open_files(folder) as files:
        slices, _ = read_slices(files, folder)
        return slices[0], StoredBytes().file_of(slices[0])


@pytest.mark.parametrize("syntax", OF_HTJ2K)
def test_htj2k_is_decoded_without_loss(tmp_path, syntax):
    one, data = first_slice(packed(tmp_path, HTJ2K, syntax, 1))
    with Decoder() as decoder:
        assert np.array_equal(decoder.decode(one, data), IMAGE)


@pytest.mark.parametrize("syntax", OF_JPEG_XL)
@pytest.mark.skipif(find_spec("imagecodecs") is None, reason="imagecodecs is not installed")
def test_jpeg_xl_is_decoded_without_loss(tmp_path, syntax):
    one, data = first_slice(packed(tmp_path, JPEG_XL, syntax, 1))
    with Decoder() as decoder:
        assert np.array_equal(decoder.decode(one, data), IMAGE)


@pytest.mark.skipif(find_spec("imagecodecs") is None, reason="imagecodecs is not installed")
def test_damaged_jpeg_xl_is_a_damaged_file(tmp_path):
    one, data = first_slice(packed(tmp_path, JPEG_XL[:-100] + bytes(100), OF_JPEG_XL[0], 1))
    with Decoder() as decoder, pytest.raises(DamagedFile, match="can't be decoded"):
        decoder.decode(one, data)


@pytest.mark.parametrize("syntax", OF_JPEG_XL)
@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="imagecodecs is installed")
def test_jpeg_xl_without_its_decoder_says_what_to_do(tmp_path, syntax):
    packed(tmp_path, JPEG_XL, syntax)
    with pytest.raises(DamagedFile, match=r"JPEG XL.*pip install imagecodecs.*dcm2dcm"):
        read_exam(tmp_path)
