"""No file can make bolus wait for ever, fill the memory or take minutes over nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import enhanced, exam, save, zipped
from niftifactory import save_nifti
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from bolus.acquire.budget import BudgetSpent
from bolus.acquire.describe import describe
from bolus.acquire.dicom.deflate import end_of_meta
from bolus.acquire.dicom.headers import Slice
from bolus.acquire.dicom.scan import read_slices
from bolus.acquire.dicom.select import select
from bolus.acquire.exam import read_exam
from bolus.acquire.memory import available_bytes, peak_bytes
from bolus.acquire.sources import open_files
from bolus.dataset.index import read_index
from bolus.errors import DamagedFile, NoReadableFiles, OutputError, TooLarge
from bolus.files.output_folder import check_output
from bolus.types import Finding

PATIENCE_S = 60.0


def in_time(job: Callable[[], object]) -> BaseException | None:
    """What ``job`` raises; fails where it doesn't end."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            job()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "it waits for ever"
    return raised[0] if raised else None


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "folder"])
def test_a_sidecar_that_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = save_nifti(tmp_path, sidecar=None)
    beside = tmp_path / "head.json"
    if kind == "pipe":
        os.mkfifo(beside)
    elif kind == "folder":
        beside.mkdir()
    else:
        beside.symlink_to(kind)
    error = in_time(lambda: read_exam(path))
    assert isinstance(error, DamagedFile)
    assert "head.json" in str(error)


@pytest.mark.parametrize("name", ["exam.zip", "head.nii.gz", "IM1.dcm"])
def test_a_pipe_in_the_place_of_an_exam_is_refused_at_once(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    assert isinstance(in_time(lambda: read_exam(tmp_path / name)), NoReadableFiles)


def test_a_file_swapped_for_a_pipe_while_an_exam_is_read_is_a_lost_image(tmp_path: Path) -> None:
    save(tmp_path, exam())
    with open_files(tmp_path) as files:
        path = tmp_path / "IM00031.dcm"
        path.unlink()
        os.mkfifo(path)
        findings: list[Finding] = []
        assert in_time(lambda: findings.extend(read_slices(files, tmp_path)[1])) is None
    assert [one.code for one in findings] == ["files-unreadable"]


def test_a_number_of_65500_digits_takes_no_time(tmp_path: Path) -> None:
    images = exam()
    for one in images[:20]:
        for number in (0x00181151, 0x00281053, 0x00200013, 0x00180050):
            tag, digits = Tag(number), b"9" * 65_499 + b"x"
            one[tag] = RawDataElement(tag, "DS", len(digits), digits, 0, False, True)
    save(tmp_path, images)
    assert in_time(lambda: describe(tmp_path)) is None


def deflated_bomb(megabytes: int) -> bytes:
    one = exam()[0]
    one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    one.PixelData = b""
    buffer = BytesIO()
    one.save_as(buffer)
    head = buffer.getvalue()
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(bytes(megabytes * 2**20)) + packer.flush()
    syntax = one.file_meta.TransferSyntaxUID.encode()
    return head[: head.index(syntax) + len(syntax)] + body


def test_deflate_bombs_have_one_budget_together(tmp_path: Path) -> None:
    bomb = deflated_bomb(60)  # each below what one file may unpack to
    assert len(bomb) < 100_000
    for number in range(20):
        (tmp_path / f"{number:02d}.dcm").write_bytes(bomb)
    with pytest.raises(BudgetSpent, match=r"\d\d\.dcm.*bomb"):
        read_exam(tmp_path)


@pytest.mark.parametrize(
    "element", [bytes(8), b"\x02\0\x10\0UI\0\0", b"\x09\0\x10\0UT\0\0\0\0\0\0"]
)
def test_a_header_of_millions_of_elements_is_none(element: bytes, tmp_path: Path) -> None:
    save(tmp_path, exam())
    path = tmp_path / "IM00031.dcm"
    whole = path.read_bytes()
    end = end_of_meta(whole)
    path.write_bytes(whole[:end] + element * 3_000_000 + whole[end:])
    findings: list[Finding] = []
    with open_files(tmp_path) as files:
        assert in_time(lambda: findings.extend(read_slices(files, tmp_path)[1])) is None
    assert [one.code for one in findings] == ["files-unreadable"]


def nested(items: int) -> bytes:
    """A sequence of undefined length with so many empty items."""
    head = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff"
    return head + b"\xfe\xff\0\xe0\0\0\0\0" * items + b"\xfe\xff\xdd\xe0\0\0\0\0"


def test_a_sequence_of_millions_of_items_is_none(tmp_path: Path) -> None:
    save(tmp_path, exam())
    path = tmp_path / "IM00031.dcm"
    whole = path.read_bytes()
    end = end_of_meta(whole)
    path.write_bytes(whole[:end] + nested(3_000_000) + whole[end:])
    findings: list[Finding] = []
    with open_files(tmp_path) as files:
        assert in_time(lambda: findings.extend(read_slices(files, tmp_path)[1])) is None
    assert [one.code for one in findings] == ["files-unreadable"]


def test_frames_that_are_millions_of_empty_items_are_none(tmp_path: Path) -> None:
    path = save(tmp_path, [enhanced()], ["enhanced.dcm"]) / "enhanced.dcm"
    whole, items = path.read_bytes(), b"\xfe\xff\0\xe0\0\0\0\0" * 3_000_000
    start, pixels = whole.index(b"\0\x52\x30\x92SQ"), whole.index(b"\xe0\x7f\x10\0")
    sequence = whole[start : start + 8] + len(items).to_bytes(4, "little") + items
    path.write_bytes(whole[:start] + sequence + whole[pixels:])
    error = in_time(lambda: read_exam(tmp_path))
    assert isinstance(error, DamagedFile)
    assert "more frames than any exam" in str(error)


def test_a_zip_member_nested_a_thousand_times_takes_no_time(tmp_path: Path) -> None:
    target = zipped(save(tmp_path / "exam", exam()), tmp_path / "exam.zip")
    with zipfile.ZipFile(target, "a") as archive:
        for number in range(20):
            archive.writestr("a/" * 32_000 + f"{number}", b"")
    findings: list[Finding] = []
    assert in_time(lambda: findings.extend(read_exam(target).findings)) is None
    assert [one.code for one in findings] == ["deep-folder"]


def test_overlapping_members_do_not_hide_a_zip_bomb(tmp_path: Path) -> None:
    target = tmp_path / "exam.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(50 * 2**20))
        first = archive.filelist[0]
        for number in range(2000):  # the same bytes under another name, as "better" bombs have it
            again = zipfile.ZipInfo(f"{number}.dcm")
            for name in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, name, getattr(first, name))
            archive.filelist.append(again)
    with pytest.raises(DamagedFile, match="zip bomb"):
        read_exam(target)


def test_an_exam_beyond_the_memory_is_refused_with_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "huge.nii"
    path.write_bytes(save_nifti(tmp_path, name="small.nii").read_bytes()[:352])
    header = bytearray(path.read_bytes())
    header[40:50] = np.array([4, 512, 512, 320, 60], "<i2").tobytes()
    path.write_bytes(header)
    os.truncate(path, 352 + 512 * 512 * 320 * 60 * 2)  # no byte of it takes room on the disk
    (tmp_path / "huge.json").write_text(json.dumps({"RepetitionTime": 1.0}))
    with pytest.raises(TooLarge, match=r"huge\.nii: 19200 images of 512 x 512 need 84\.\d GiB"):
        read_exam(path)


def test_the_memory_that_a_process_may_take_counts(tmp_path: Path) -> None:
    save(tmp_path / "exam", exam())
    limit = peak_bytes(0)
    code = (
        "import resource, sys; from pathlib import Path; from bolus.acquire.exam import read_exam\n"
        "from bolus.errors import TooLarge\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))\n"
        "try: read_exam(Path(sys.argv[1]))\n"
        "except TooLarge as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path / "exam")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "60 images of 32 x 32 need 0.5 GiB" in done.stdout
    assert available_bytes() > peak_bytes(0)


def one_series_each(count: int, slices: int, tmp_path: Path) -> list[Slice]:
    """Headers of an exam every image of which has a series of its own."""
    save(tmp_path, exam()[:1])
    with open_files(tmp_path) as files:
        (first,), _ = read_slices(files, tmp_path)
    made = []
    for number in range(count):
        frame, z = divmod(number, slices)
        us = 1_000_000_000 + 2_200_000 * frame + 1000 * z
        x, y, _ = first.position
        made.append(
            replace(
                first,
                series=f"1.{number}",
                instance=f"2.{number}",
                position=(x, y, 40 + 0.5 * z),
                clock=replace(first.clock, acquisition_us=us, content_us=us),
            )
        )
    return made


def calls(job: Callable[[], object]) -> int:
    """How many functions are called; the same in each run, unlike seconds."""
    count = 0

    def counted(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        job()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("slices", [1, 300])
def test_the_work_grows_with_the_number_of_series_not_with_its_square(
    slices: int, tmp_path: Path
) -> None:
    few, many = (one_series_each(n, slices, tmp_path / str(n)) for n in (3000, 12_000))
    assert len(select(many, "exam").slices) == len(many)
    work = [calls(lambda images=images: select(images, "exam")) for images in (few, many)]
    assert work[1] < 5 * work[0]


@pytest.mark.parametrize("place", ["results beside an exam", "an index", "former results"])
def test_a_pipe_in_the_place_of_a_json_file_is_refused_at_once(place: str, tmp_path: Path) -> None:
    if place == "results beside an exam":
        save(tmp_path, exam())
        (tmp_path / "out").mkdir()
        os.mkfifo(tmp_path / "out" / "summary.json")
        assert in_time(lambda: read_exam(tmp_path)) is None
    elif place == "an index":
        os.mkfifo(tmp_path / "index.json")
        error = in_time(lambda: read_index(tmp_path / "index.json"))
        assert isinstance(error, NoReadableFiles)
    else:
        os.mkfifo(tmp_path / "summary.json")
        assert isinstance(in_time(lambda: check_output(tmp_path)), OutputError)
