"""Files appear whole, with nothing beside them, or the former one stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from bolus.errors import OutputError
from bolus.files.atomic import keep, remove, whole_file, write_whole


def test_a_file_replaces_the_former_one_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "map.bin"
    for content in (b"first", b"second"):
        keep(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
    remove(path)
    remove(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_fails_on_the_way_leaves_the_former_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "map.bin"
    write_whole(path, b"former")

    def fail() -> None:
        with whole_file(path) as part:
            part.write_bytes(b"half of")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "map.bin"
    with pytest.raises(OutputError, match=r"map\.bin can't be written"):
        write_whole(path, b"")
    assert not path.parent.exists()


def test_where_a_folder_is_in_the_way_no_part_is_left(tmp_path: Path) -> None:
    path = tmp_path / "map.bin"
    path.mkdir()
    with pytest.raises(OutputError):
        write_whole(path, b"")
    assert list(tmp_path.iterdir()) == [path]
