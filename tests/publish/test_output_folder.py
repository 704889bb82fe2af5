"""Results appear whole or not at all, and never on top of somebody's work."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alone import possible
from bolus.errors import OutputError
from bolus.files.folder_lock import in_use
from bolus.files.output_folder import check_output, staged
from bolus.publish.report import page
from bolus.publish.write import publish
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
    again = content(tmp_path / "out")
    # the summary holds the time that the report took
    assert again.pop("summary.json")
    assert before.pop("summary.json")
    assert again == before


def test_a_failure_while_publishing_leaves_everything_as_it_was(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    make_former_results(out)
    before = content(out)

    def broken(_: Results) -> bytes:
        raise RuntimeError("a fault in drawing")

    monkeypatch.setattr(page.plots, "motion_png", broken)
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
        if self.name == "new.txt":
            raise OSError(errno.EBUSY, "busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)

    def run() -> None:
        with staged(out) as folder:
            (folder / "brain.nii.gz").write_text("moved in before the failure")
            (folder / "new.txt").write_text("new")

    with pytest.raises(OutputError):
        run()
    assert content(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("former", [False, True])
def test_a_folder_that_exists_stays_the_same_folder(tmp_path: Path, former: bool) -> None:
    """It may be a mount point, which can't be renamed, or the current directory of a shell."""
    out = tmp_path / "out"
    make_former_results(out) if former else out.mkdir()
    before = out.stat()
    tmp_path.chmod(0o500)  # nothing can be made or renamed beside it, unless by root
    with staged(out) as folder:
        (folder / "new.txt").write_text("new")
        assert folder.parent == out
    tmp_path.chmod(0o700)
    assert (out.stat().st_ino, out.stat().st_dev) == (before.st_ino, before.st_dev)
    assert [p.name for p in out.iterdir()] == ["new.txt"]


def test_an_empty_folder_is_empty_again_after_a_failure(tmp_path: Path) -> None:
    def interrupted() -> None:
        with staged(tmp_path) as folder:
            (folder / "new.txt").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_the_summary_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sees summary.json may trust that everything that it lists is there."""
    order = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        order.append(Path(target).name)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    with staged(tmp_path) as folder:
        for name in ("summary.json", "report.html", "vof.csv"):
            (folder / name).write_text(name)
    assert order == ["report.html", "vof.csv", "summary.json"]


def test_folders_of_the_disk_itself_stay(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    check_output(tmp_path)
    with staged(tmp_path) as folder:
        (folder / "new.txt").write_text("new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lost+found", "new.txt"]


@pytest.mark.skipif(os.name == "nt", reason="processes can't be asked there")
@pytest.mark.parametrize("inside", [False, True])
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path, inside: bool) -> None:
    """Killed without mercy while it waits; a run that still works keeps its folder."""
    out = tmp_path / "out"
    if inside:
        make_former_results(out)
    code = (
        "import os, pathlib, signal, sys\n"
        "from bolus.files.output_folder import staged\n"
        "with staged(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half.txt').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    around = out if inside else tmp_path
    assert len(list(around.glob(".out.new-*"))) == 1
    living = around / ".out.new-0123abcd"
    living.mkdir()
    check_output(out)
    with in_use(living), staged(out) as folder:
        (folder / "new.txt").write_text("new")
    assert list(around.glob(".out.*")) == [living]
    assert {name for name in content(out) if not name.startswith(".")} == {"new.txt"}


def test_results_of_a_run_killed_while_moving_in_are_not_mistaken_for_somebodys_work(
    tmp_path: Path,
) -> None:
    gone = "12345-0123abcd"  # as former versions named it
    stage, aside = tmp_path / f".out.new-{gone}", tmp_path / f".out.old-{gone}"
    make_former_results(aside)
    (aside / "old.txt").rename(tmp_path / "old.txt")
    stage.mkdir()
    listed = {"schema": "bolus-summary/1", "files": ["brain.nii.gz", "summary.json"]}
    (stage / "summary.json").write_text(json.dumps(listed))
    (tmp_path / "brain.nii.gz").write_text("moved in")
    check_output(tmp_path)
    with staged(tmp_path) as folder:
        (folder / "new.txt").write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["new.txt"]


@pytest.mark.skipif(not possible(), reason="containers are not allowed here")
def test_containers_with_the_same_process_numbers_leave_each_other_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import os, pathlib, sys\n"
        "from bolus.files.output_folder import staged\n"
        "assert os.getpid() == 1\n"
        "with staged(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / sys.argv[2]).write_text('whole')\n"
        "    print('working', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    container = ["unshare", "--map-root-user", "--pid", "--fork", sys.executable, "-P", "-c", code]
    first, second = (
        subprocess.Popen(
            [*container, str(out), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name in ("first", "second")
    )
    for one in (first, second):
        assert one.stdout is not None
        assert one.stdout.readline() == b"working\n"
    first.communicate(b"\n", timeout=60)
    assert (out / "first").read_text() == "whole"
    assert first.returncode == 0
    second.communicate(b"\n", timeout=60)


def test_what_somebody_puts_next_to_results_while_they_are_made_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make_former_results(out)
    making = staged(out, check_output)
    (making.__enter__() / "new.txt").write_text("new")
    (out / "notes.txt").write_text("an hour of work")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        making.__exit__(None, None, None)
    assert (out / "notes.txt").read_text() == "an hour of work"
    assert not list(tmp_path.glob(".out*"))


def test_a_circle_of_links_is_no_place_for_results(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for out in (tmp_path / "a", tmp_path / "a" / "out", Path("nul\0")):
        with pytest.raises(OutputError, match="another"):
            check_output(out)


def test_the_root_of_the_file_system_is_refused() -> None:
    with pytest.raises(OutputError, match="root of the file system"):
        check_output(Path("/"))


def test_a_name_that_no_file_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be written"):
        check_output(tmp_path / ("x" * 300) / "out")


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


def test_outlines_are_never_replaced_and_the_error_says_why(
    results: Results, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    publish(results, out)
    drawn = out / "outlines" / "anna" / "outline.nii.gz"
    drawn.parent.mkdir(parents=True)
    drawn.write_bytes(b"hours of work")
    before = (out / "summary.json").read_bytes()
    with pytest.raises(OutputError, match="holds outlines that were drawn on its maps"):
        check_output(out)
    with pytest.raises(OutputError, match="outlines"), staged(out) as stage:
        (stage / "summary.json").write_text("{}")
    assert drawn.read_bytes() == b"hours of work"
    assert (out / "summary.json").read_bytes() == before
