"""Results appear whole or not at all, and never on top of somebody's work."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from bolus.errors import OutputError
from bolus.publish import check_output, publish
from bolus.publish import report as report_module
from bolus.publish.place import staged
from bolus.types import Results


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_former_results(out: Path) -> None:
    out.mkdir()
    (out / "old.txt").write_text("old")
    files = ["old.txt", "summary.json"]
    (out / "summary.json").write_text(json.dumps({"schema": "bolus-summary/1", "files": files}))


def test_missing_folders_are_made(results: Results, tmp_path: Path) -> None:
    publish(results, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "report.html").is_file()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    check_output(out)
    with staged(out) as folder:
        (folder / "new.txt").write_text("new")
    assert content(out) == {"new.txt": b"new"}


def test_former_results_are_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make_former_results(out)
    check_output(out)
    with staged(out) as folder:
        (folder / "new.txt").write_text("new")
        assert (out / "old.txt").exists()
    assert content(out) == {"new.txt": b"new"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_publishing_twice_is_allowed(results: Results, tmp_path: Path) -> None:
    publish(results, tmp_path / "out")
    before = content(tmp_path / "out")
    (tmp_path / "out" / ".DS_Store").write_text("litter")
    publish(results, tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_failure_while_publishing_leaves_everything_as_it_was(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    make_former_results(out)
    before = content(out)

    def broken(_: Results) -> bytes:
        raise RuntimeError("a fault in drawing")

    monkeypatch.setattr(report_module.plots, "motion_png", broken)
    with pytest.raises(RuntimeError, match="drawing"):
        publish(results, out)
    assert content(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_failure_removes_the_folders_made_on_the_way(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "a" / "b" / "out"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "full"), (errno.EACCES, "permission"), (errno.EIO, "can't be written")],
)
def test_what_the_file_system_refuses_is_said_plainly(
    tmp_path: Path, number: int, words: str
) -> None:
    with pytest.raises(OutputError, match=words), staged(tmp_path / "out"):
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_old_results_come_back_if_the_new_ones_cannot_take_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    make_former_results(out)
    before = content(out)
    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if ".new-" in self.name:
            raise OSError(errno.EBUSY, "busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(OutputError), staged(out) as folder:
        (folder / "new.txt").write_text("new")
    assert content(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "summary",
    [
        None,
        "not json",
        "[]",
        '{"schema": "other/1", "files": ["thesis.docx", "summary.json"]}',
        '{"schema": "bolus-summary/1"}',
        '{"schema": "bolus-summary/1", "files": ["summary.json"]}',
    ],
)
def test_a_folder_with_other_files_is_refused(tmp_path: Path, summary: str | None) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    if summary is not None:
        (tmp_path / "summary.json").write_text(summary)
    with pytest.raises(OutputError, match="not results of bolus"):
        check_output(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        check_output(tmp_path / "file")
    with pytest.raises(OutputError, match="is a file"):
        check_output(tmp_path / "file" / "out")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission"):
        check_output(tmp_path / "out")
