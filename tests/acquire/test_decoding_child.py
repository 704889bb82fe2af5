"""A decoder that dies or hangs costs one clear error, never the program."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import compress, exam, truth
from pydicom.uid import JPEGLSLossless

from bolus.acquire.dicom import decoder_process
from bolus.acquire.dicom.decoder_process import Decoder
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.scan import read_slices
from bolus.acquire.sources import open_files
from bolus.errors import DamagedFile


@pytest.fixture
def one_image(tmp_path: Path) -> tuple[Slice, bytes]:
    """The first image of an exam in JPEG-LS, and its file's bytes."""
    first = exam()[0]
    compress(first, JPEGLSLossless)
    buffer = io.BytesIO()
    first.save_as(buffer)
    (tmp_path / "first.dcm").write_bytes(buffer.getvalue())
    with open_files(tmp_path) as files:
        slices, _ = read_slices(files, tmp_path)
    return slices[0], buffer.getvalue()


def test_child_decodes_stored_values(one_image):
    one, data = one_image
    with Decoder() as decoder:
        first, second = (decoder.decode(one, data) for _ in range(2))
    assert np.array_equal(first, truth()[0, 0].astype(int) + 1024)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("plugin", ["pyjpegls", "gdcm"])
def test_jpeg_ls_has_the_same_pixels_where_pyjpegls_is_missing(one_image, plugin, monkeypatch):
    one, data = one_image
    monkeypatch.setitem(decoder_process.PLUGINS, JPEGLSLossless, plugin)
    with Decoder() as decoder:
        assert np.array_equal(decoder.decode(one, data), truth()[0, 0].astype(int) + 1024)


def test_dead_child_names_the_file(one_image):
    with Decoder() as decoder:
        decoder.decode(*one_image)
        decoder._child.kill()
        with pytest.raises(DamagedFile, match=r"first\.dcm.*crashed"):
            decoder.decode(*one_image)


def test_another_child_takes_the_place_of_a_dead_one(one_image):
    one, data = one_image
    with Decoder() as decoder:
        first = decoder.decode(one, data)
        decoder._child.kill()
        with pytest.raises(DamagedFile):
            decoder.decode(one, data)
        assert np.array_equal(decoder.decode(one, data), first)


def test_hanging_child_is_ended(one_image, monkeypatch):
    monkeypatch.setattr(decoder_process, "DECODE_TIMEOUT_S", 0.2)
    with Decoder() as decoder:
        decoder.decode(*one_image)
        os.kill(decoder._child.pid, signal.SIGSTOP)
        with pytest.raises(DamagedFile, match=r"first\.dcm.*crashed"):
            decoder.decode(*one_image)


def test_child_limits_its_own_memory(one_image):
    one, data = one_image
    with Decoder() as decoder:
        decoder.decode(one, data)
        limits = Path(f"/proc/{decoder._child.pid}/limits")
        if not limits.exists():
            pytest.skip("no /proc on this system")
        (line,) = [x for x in limits.read_text().splitlines() if x.startswith("Max address space")]
    assert int(line.split()[3]) <= 4 * 2**30
