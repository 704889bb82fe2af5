"""Files that are none neither hang bolus nor fill its memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bolus.files.regular_file import open_regular, read_regular


def test_a_regular_file_is_read_whole(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with open_regular(path) as stream:
        assert stream.read() == b"12345"


def test_a_link_to_a_regular_file_is_one(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_regular(tmp_path / "b", 1) == b"1"


def test_one_byte_too_many_is_refused(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"123456")
    with pytest.raises(OSError, match="more than 5 bytes"):
        read_regular(path, 5)


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str):
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        os.mkfifo(tmp_path / "pipe")
        path = tmp_path / "pipe"
        if kind != "pipe":
            (tmp_path / "a").symlink_to(path)
            path = tmp_path / "a"
    with pytest.raises(OSError, match="regular"):
        read_regular(path, 100)
