"""Tars, files gzipped on their own, and archives that want to harm: read, or one clear error."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicomfactory import exam, save, truth, zipped

from bolus.acquire import archives
from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.acquire.sources import open_files
from bolus.errors import BolusError, DamagedFile, NoReadableFiles, TooLarge
from bolus.types import Exam, Grade


def is_the_exam(found: Exam) -> bool:
    return bool(np.array_equal(found.frames, truth()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "exam", exam())


def tarred(folder: Path, target: Path, mode: str = "w", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(target, mode, format=form) as archive:  # type: ignore[call-overload]
        archive.add(folder, "study/exam")
    return target


@pytest.mark.parametrize(
    ("name", "mode"),
    [("e.tar", "w"), ("e.tar.gz", "w:gz"), ("e.tgz", "w:gz"), ("e", "w"), ("e.bin", "w:gz")],
)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_is_read_like_its_folder(folder, tmp_path, name, mode, form):
    path = tarred(folder, tmp_path / name, mode, form)
    found = read_exam(path)
    assert is_the_exam(found)
    assert found.findings == ()
    assert describe(path).frames == len(truth())


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_members_without_a_final_block_are_read(folder, tmp_path, mode):
    """Some programs leave the two empty blocks at the end out."""
    whole = tarred(folder, tmp_path / "whole.tar").read_bytes()
    data = whole.rstrip(b"\0")
    data += bytes(-len(data) % 512)
    (tmp_path / "e.tar").write_bytes(gzip.compress(data) if mode == "w:gz" else data)
    assert is_the_exam(read_exam(tmp_path / "e.tar"))


def test_files_gzipped_on_their_own_are_read(folder):
    for path in folder.iterdir():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    found = read_exam(folder)
    assert is_the_exam(found)
    assert found.findings == ()


def test_one_file_gzipped_among_others_is_one_of_them(folder, tmp_path):
    path = folder / "IM00031.dcm"
    (folder / "IM00031.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    (folder / "notes.txt.gz").write_bytes(gzip.compress(b"nothing"))
    assert read_exam(folder).findings == ()
    assert is_the_exam(read_exam(zipped(folder, tmp_path / "e.zip")))
    assert is_the_exam(read_exam(tarred(folder, tmp_path / "e.tgz", "w:gz")))


def test_a_gzipped_file_that_is_cut_off_is_lost_with_a_warning(folder):
    path = folder / "IM00031.dcm"
    (folder / "IM00031.dcm.gz").write_bytes(gzip.compress(path.read_bytes())[:-100])
    path.unlink()
    found = read_exam(folder)
    (lost,) = [f for f in found.findings if f.code == "files-unreadable"]
    assert lost.grade == Grade.WARNING
    assert len(found.frames) == len(truth()) - 1


def test_gzipped_files_that_unpack_to_too_much_are_refused(folder):
    bomb = gzip.compress(bytes(2**28), 9)
    (folder / "IM00061.dcm.gz").write_bytes(bomb)
    with pytest.raises(DamagedFile, match="decompression bomb"):
        read_exam(folder)


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_a_folder_with_nothing_but_an_archive_is_that_archive(folder, tmp_path, kind):
    sent = tmp_path / "sent"
    sent.mkdir()
    (sent / "readme.txt").write_text("sent by")
    if kind == "zip":
        zipped(folder, sent / "e.zip")
    else:
        tarred(folder, sent / f"e.{kind}", "w" if kind == "tar" else "w:gz")
    assert is_the_exam(read_exam(sent))


@pytest.mark.parametrize("name", ["late.zip", "late.tar", "late.tar.gz", "late.tgz"])
def test_an_archive_inside_an_exam_is_not_opened_and_said(folder, tmp_path, name):
    (folder / name).write_bytes(b"PK")
    for path in (folder, tarred(folder, tmp_path / "e.tar"), zipped(folder, tmp_path / "e.zip")):
        found = read_exam(path)
        (nested,) = [f for f in found.findings if f.code == "nested-zip"]
        assert nested.grade == Grade.WARNING
        assert name not in nested.message


# archives that want to harm


def with_member(folder: Path, target: Path, member: tarfile.TarInfo, data: bytes = b"") -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(folder, "exam")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return target


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "odd",
    [
        member("exam/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("exam/hard", tarfile.LNKTYPE, "exam/IM00001.dcm"),
        member("exam/pipe", tarfile.FIFOTYPE),
        member("exam/device", tarfile.CHRTYPE),
        member("exam/disk", tarfile.BLKTYPE),
    ],
    ids=lambda info: info.name,
)
def test_links_and_devices_are_not_followed(folder, tmp_path, odd):
    found = read_exam(with_member(folder, tmp_path / "e.tar", odd))
    assert is_the_exam(found)
    assert [f.code for f in found.findings] == ["not-a-file"]


@pytest.mark.parametrize("name", ["../../evil.dcm", "/etc/evil.dcm", "C:/evil.dcm", "a\\..\\..\\b"])
def test_names_that_lead_out_are_not_used(folder, tmp_path, name):
    path = with_member(folder, tmp_path / "e.tar", member(name), b"DICM" * 100)
    before = sorted(tmp_path.rglob("*"))
    found = read_exam(path)
    assert is_the_exam(found)
    assert [f.code for f in found.findings] == ["unsafe-name"]
    assert sorted(tmp_path.rglob("*")) == before


def test_two_members_of_one_name_are_two_files(folder, tmp_path):
    extra = (folder / "IM00001.dcm").read_bytes()
    path = with_member(folder, tmp_path / "e.tar", member("exam/IM00001.dcm"), extra)
    with open_files(path) as files:
        assert len({s.name for s in files.sources}) == len(files.sources) == 61


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def cut_in_the_last_file(data: bytes) -> bytes:
    return data.rstrip(b"\0")[:-600]


def header_damaged(data: bytes) -> bytes:
    at = data.index(b"ustar", 40_000) - 257
    return data[:at] + b"x" * 100 + data[at + 100 :]


@pytest.mark.parametrize("harm", [cut, cut_in_the_last_file, header_damaged])
@pytest.mark.parametrize("packed", [False, True], ids=["tar", "tar.gz"])
def test_a_damaged_tar_is_one_clear_error(folder, tmp_path, harm, packed):
    data = harm(tarred(folder, tmp_path / "whole.tar").read_bytes())
    path = tmp_path / ("e.tar.gz" if packed else "e.tar")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DamagedFile, match=r"e\.tar.*(readable tar|refused)"):
        read_exam(path)


@pytest.mark.parametrize("harm", [cut, lambda d: d[:-4], lambda d: d[:-6] + b"\1\1" + d[-4:]])
def test_a_damaged_gzip_around_a_tar_is_one_clear_error(folder, tmp_path, harm):
    path = tarred(folder, tmp_path / "e.tar.gz", "w:gz")
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DamagedFile, match=r"e\.tar\.gz: is not a readable tar"):
        read_exam(path)


def test_a_tar_that_unpacks_to_too_much_is_refused(folder, tmp_path):
    with tarfile.open(tmp_path / "e.tar.gz", "w:gz", compresslevel=9) as archive:
        archive.add(folder / "IM00001.dcm", "IM00001.dcm")
        info = member("zeros.dcm")
        info.size = 2**28
        archive.addfile(info, io.BytesIO(bytes(2**28)))
    with pytest.raises(DamagedFile, match="decompression bomb"):
        read_exam(tmp_path / "e.tar.gz")


def test_a_tar_that_claims_more_than_there_is_is_refused(folder, tmp_path):
    info = member("huge.dcm")
    info.size = 2**40
    path = tmp_path / "e.tar"
    path.write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(DamagedFile, match="refused"):
        read_exam(path)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_name_as_long_as_memory_is_refused(tmp_path, kind):
    info = member("name", kind)
    info.size = 2**27
    data = info.tobuf() + b"a" * 2**27
    (tmp_path / "e.tar.gz").write_bytes(gzip.compress(data, 9))
    (tmp_path / "e.tar").write_bytes(data)
    for name in ("e.tar", "e.tar.gz"):
        with pytest.raises(DamagedFile, match="too long"):
            read_exam(tmp_path / name)


def test_a_tar_with_too_many_files_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("bolus.acquire.sources.MAX_FILES", 50)
    with pytest.raises(BolusError, match="50 files"):
        read_exam(tarred(folder, tmp_path / "e.tar"))


def test_a_packed_tar_that_memory_does_not_hold_says_to_unpack_it(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MEMORY_SHARE", 1e-9)
    with pytest.raises(TooLarge, match="unpack it into a folder"):
        read_exam(tarred(folder, tmp_path / "e.tgz", "w:gz"))


def test_an_empty_tar_holds_nothing(tmp_path):
    with tarfile.open(tmp_path / "e.tar", "w"):
        pass
    with pytest.raises((NoReadableFiles, DamagedFile), match=r"e\.tar"):
        read_exam(tmp_path / "e.tar")


def test_text_named_tar_is_no_tar(tmp_path):
    (tmp_path / "e.tar").write_text("hello " * 500)
    with pytest.raises(DamagedFile, match=r"e\.tar: is not a readable tar"):
        read_exam(tmp_path / "e.tar")


def test_an_encrypted_member_of_a_zip_asks_for_its_password(folder, tmp_path):
    path = zipped(folder, tmp_path / "e.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match="password"):
        read_exam(path)
    assert zipfile.is_zipfile(path)


def test_nothing_is_written_anywhere(folder, tmp_path, monkeypatch):
    path = tarred(folder, tmp_path / "e.tar.gz", "w:gz")
    opened: list[object] = []
    plain: Callable[..., int] = os.open

    def watch(name: object, flags: int, *rest: int, **more: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            opened.append(name)
        return plain(name, flags, *rest, **more)

    monkeypatch.setattr(os, "open", watch)
    assert is_the_exam(read_exam(path))
    assert opened == []


# names that are wrong, and formats that are not read


def test_what_is_gzipped_is_told_by_its_bytes(folder, tmp_path):
    for path in sorted(folder.iterdir())[::2]:
        path.write_bytes(gzip.compress(path.read_bytes()))
    for path in sorted(folder.iterdir())[1::4]:
        path.rename(path.with_name(f"{path.name}.gz"))
    for form in (folder, zipped(folder, tmp_path / "e.zip"), tarred(folder, tmp_path / "e.tar")):
        found = read_exam(form)
        assert is_the_exam(found)
        assert found.findings == ()


def test_a_misnamed_gzipped_file_has_a_checksum(folder):
    path = folder / "IM00031.dcm"
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[-8] ^= 1
    path.write_bytes(packed)
    (lost,) = [f for f in read_exam(folder).findings if f.code == "files-unreadable"]
    assert lost.grade == Grade.WARNING


def test_the_refusal_of_a_zip_with_zips_says_to_unpack_them(folder, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    for name in ("a.zip", "b.zip"):
        zipped(folder, inner / name)
    with pytest.raises(NoReadableFiles, match=r"2 files are archives .*Unpack them first\."):
        read_exam(zipped(inner, tmp_path / "outer.zip"))


NIFTI = (348).to_bytes(4, "little") + bytes(340)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("e.tar.bz2", b"BZh91AY&SY", "packed with bzip2.*unpack it"),
        ("e.tar.xz", b"\xfd7zXZ\0\0\4", "packed with xz.*unpack it"),
        ("e.7z", b"7z\xbc\xaf\x27\x1c\0\4", "7-Zip.*unpack it"),
        ("e.rar", b"Rar!\x1a\x07\x01\0", "RAR.*unpack it"),
        ("e.hdr", NIFTI + b"ni1\0", r"two files \(\.hdr, \.img\).*convert"),
        ("e.hdr", NIFTI + b"\0\0\0\0", "Analyze.*convert"),
        ("e.nrrd", b"NRRD0004\ntype: short\n", "NRRD.*convert"),
        ("e.mha", b"ObjectType = Image\nNDims = 4\n", "MetaImage.*convert"),
        ("e.mgz", gzip.compress(b"\0\0\0\1\0\0\2\0" + bytes(500)), "FreeSurfer.*convert"),
        ("e", NIFTI + b"n+1\0" + bytes(500), r"NIfTI under another name; rename"),
        ("e.gz", gzip.compress(NIFTI + b"n+1\0" + bytes(9000)), "another name; rename"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("e") else "",
)
@pytest.mark.parametrize("alone", [True, False], ids=["file", "folder"])
def test_a_format_that_is_not_read_is_named_with_its_remedy(tmp_path, name, content, words, alone):
    path = tmp_path / "in" / name
    path.parent.mkdir()
    path.write_bytes(content.ljust(600, b"\0"))
    (tmp_path / "in" / "e.img").write_bytes(bytes(1000))
    with pytest.raises(NoReadableFiles, match=rf"{name}: is .*{words}"):
        read_exam(path if alone else path.parent)
