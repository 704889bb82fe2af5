"""Two servers on one folder: whoever is answered 200 finds his stroke in the file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pytest
from conftest_serve import METHODS, started, unpacked

from bolus.errors import OutputError
from bolus.files.folder_lock import LOCK, Busy, locked
from bolus.files.output_folder import staged
from bolus.study.raters.make import create
from bolus.study.raters.readings import read_outline
from bolus.study.raters.store import open_study

SHAPE = (6, 128, 128)
STROKES = 12
MINE = "/api/exams/0/outlines/anna"


@contextmanager
def viewing(*folders: Path) -> Iterator[list[httpx.Client]]:
    """A client in front of a `bolus view` of its own for each folder."""
    servers = [started(folder) for folder in folders]
    clients = [httpx.Client(base_url=url, timeout=60) for _, url in servers]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
        for server, _ in servers:
            server.kill()
            server.communicate()


class Reader:
    """What a page does: knows an outline, draws on it, and takes over what others drew."""

    def __init__(self, client: httpx.Client, path: str) -> None:
        self.client, self.path = client, path
        self.refused = 0
        self.fetch()

    def fetch(self) -> None:
        answer = self.client.get(self.path)
        self.revision, self.labels = 0, np.zeros(SHAPE, np.uint8)
        if answer.status_code == 200:
            self.revision = answer.json()["revision"]
            self.labels = unpacked(answer.json()["mask"], SHAPE).copy()

    def dab(self, z: int, y: int, x: int) -> None:
        """One voxel, until it is acknowledged."""
        while True:
            self.labels[z, y, x] = 2
            asked = {"revision": self.revision, "active_s": 1.0}
            answer = self.client.put(
                f"{self.path}/slices/{z}", params=asked, content=self.labels[z].tobytes()
            )
            if answer.status_code == 200:
                self.revision = answer.json()["revision"]
                return
            assert answer.status_code == 409, answer.text
            assert answer.json()["revision"] != self.revision
            self.refused += 1
            self.fetch()


def both_draw(first: Reader, second: Reader, on_disk: Callable[[], np.ndarray]) -> None:
    """All strokes of two readers on one slice are on the disk at the end."""

    def work(reader: Reader, row: int) -> None:
        for n in range(STROKES):
            reader.dab(3, row, n)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, first, 10), pool.submit(work, second, 20)]:
            done.result()
    expected = np.zeros(SHAPE, np.uint8)
    expected[3, [[10], [20]], range(STROKES)] = 2
    np.testing.assert_array_equal(on_disk(), expected)
    assert first.refused + second.refused > 0
    first.fetch()
    second.fetch()
    assert first.revision == second.revision == 2 * STROKES


def test_strokes_of_two_servers_on_one_folder_of_results_are_all_kept(own: Path) -> None:
    def on_disk() -> np.ndarray:
        image = nib.load(own / "outlines/anna/outline.nii.gz")
        return np.asarray(image.dataobj).transpose(2, 1, 0)

    with viewing(own, own) as (one, two):
        both_draw(Reader(one, MINE), Reader(two, MINE), on_disk)
    assert not (own / LOCK).exists()


def test_strokes_of_two_servers_on_one_reading_study_are_all_kept(
    out: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    codes = create(folder, [out], METHODS, ["anna"], repeats=0, seed=4)
    path = "/api/readings/r0001"

    def on_disk() -> np.ndarray:
        labels = read_outline(open_study(folder), "anna", "r0001")
        assert labels is not None
        return labels

    with viewing(folder, folder) as clients:
        for client in clients:
            asked = {"rater": "anna", "code": codes["anna"]}
            assert client.post("/api/sign-in", json=asked).status_code == 200
            assert client.get(path).status_code == 200
        readers = [Reader(client, f"{path}/outline") for client in clients]
        both_draw(readers[0], readers[1], on_disk)
        # what one server finished, the other neither changes nor finishes again
        one, two = clients
        assert one.post(f"{path}/done", json={"active_s": 1}).status_code == 200
        late = two.put(
            f"{path}/outline/slices/1",
            params={"revision": readers[1].revision, "active_s": 2.0},
            content=bytes(128 * 128),
        )
        assert late.status_code == 409
        assert "finished" in late.json()["error"]
        assert two.post(f"{path}/done", json={"active_s": 1}).status_code == 409
        assert two.post(f"{path}/reopen").status_code == 200
        assert one.post(f"{path}/reopen").status_code == 409


KILLED_AFTER_THE_MASK = """
import os, sys
from pathlib import Path
from bolus.serve import outlines
from bolus.study.raters import readings
from bolus.serve.server import listen

def killing(write, name):
    def killed(path, content):
        write(path, content)
        if path.name == name:
            os.kill(os.getpid(), 9)
    return killed

outlines.keep = killing(outlines.keep, "outline.nii.gz")
readings.write_whole = killing(readings.write_whole, "outline.nii.gz")
listen([Path(sys.argv[1])], host="127.0.0.1", port=0, browser=False)
"""


@contextmanager
def killed_after_the_mask(folder: Path) -> Iterator[httpx.Client]:
    """A client of a server that is killed as soon as it has written a mask, before its record."""
    server = subprocess.Popen(
        [sys.executable, "-c", KILLED_AFTER_THE_MASK, folder], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    url = server.stdout.readline().split()[-1]
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client
    assert server.wait(timeout=30) == -9
    server.stdout.close()


def test_a_mask_whose_record_was_never_written_counts_as_changed_elsewhere(own: Path) -> None:
    with viewing(own) as (client,):
        Reader(client, MINE).dab(2, 5, 5)
    with killed_after_the_mask(own) as client:
        unlucky = Reader(client, MINE)
        with suppress(httpx.TransportError):
            unlucky.dab(2, 6, 6)
    with viewing(own) as (client,):
        # a page from before that knows revision 1 may not overwrite what it hasn't seen
        assert unlucky.revision == 1
        stale = client.put(
            f"{MINE}/slices/2",
            params={"revision": 1, "active_s": 1.0},
            content=bytes(128 * 128),
        )
        assert (stale.status_code, stale.json()["revision"]) == (409, 2)
        again = Reader(client, MINE)
        assert again.revision == 2
        assert again.labels[2, 5, 5] == again.labels[2, 6, 6] == 2
        again.dab(2, 7, 7)
        assert again.revision == 3
        assert again.refused == 0


def test_so_it_does_in_a_reading_study(out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = create(folder, [out], METHODS, ["anna"], repeats=0, seed=4)
    path = "/api/readings/r0001/outline"

    def reader(client: httpx.Client) -> Reader:
        asked = {"rater": "anna", "code": codes["anna"]}
        assert client.post("/api/sign-in", json=asked).status_code == 200
        return Reader(client, path)

    with viewing(folder) as (client,):
        reader(client).dab(2, 5, 5)
    with killed_after_the_mask(folder) as client:
        unlucky = reader(client)
        with suppress(httpx.TransportError):
            unlucky.dab(2, 6, 6)
    with viewing(folder) as (client,):
        again = reader(client)
        assert (unlucky.revision, again.revision) == (1, 2)
        assert again.labels[2, 5, 5] == again.labels[2, 6, 6] == 2
        again.dab(2, 7, 7)
        assert (again.revision, again.refused) == (3, 0)


def test_a_mask_that_another_program_changed_is_not_overwritten_unseen(own: Path) -> None:
    with viewing(own) as (client,):
        reader = Reader(client, MINE)
        reader.dab(2, 5, 5)
        path = own / "outlines/anna/outline.nii.gz"
        image = nib.load(path)
        labels = np.asarray(image.dataobj).copy()
        labels[9, 8, 2] = 1
        nib.save(nib.Nifti1Image(labels, image.affine, image.header), path)
        reader.dab(2, 6, 6)
        assert reader.refused == 1
        assert reader.labels[2, 8, 9] == 1


HOLDER = """
import sys, time
from pathlib import Path
from bolus.files.folder_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_a_lock_ends_with_its_process_and_leaves_nothing(tmp_path: Path) -> None:
    with held(tmp_path) as holder:
        with pytest.raises(Busy, match="another process is writing"), locked(tmp_path, 0.2):
            pass
        holder.kill()
        holder.wait()
        begin = time.monotonic()
        with locked(tmp_path):
            assert time.monotonic() - begin < 5
    assert list(tmp_path.iterdir()) == []


def test_a_lock_makes_no_folder_and_follows_no_link(tmp_path: Path) -> None:
    with pytest.raises(OutputError), locked(tmp_path / "gone"):
        pass
    assert list(tmp_path.iterdir()) == []
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / LOCK).symlink_to(elsewhere)
    with pytest.raises(OutputError), locked(tmp_path / "own"):
        pass
    assert not elsewhere.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_who_is_stopped_while_drawing_does_not_hold_up_others_forever(own: Path) -> None:
    with viewing(own) as (client,), held(own):
        begin = time.monotonic()
        asked = {"revision": 0, "active_s": 1.0}
        answer = client.put(f"{MINE}/slices/2", params=asked, content=bytes(128 * 128))
        assert answer.status_code == 409
        assert "another process is writing" in answer.json()["error"]
        assert time.monotonic() - begin < 30


def test_a_run_waits_for_a_stroke_and_then_leaves_it_alone(own: Path) -> None:
    """`bolus run` into results on which somebody begins to draw just before they are replaced."""

    def stroke() -> None:
        time.sleep(0.3)
        (own / "outlines/anna").mkdir(parents=True)
        (own / "outlines/anna/outline.nii.gz").write_bytes(b"drawn")

    with ThreadPoolExecutor(1) as pool:

        def run() -> None:
            with staged(own) as stage:
                (stage / "summary.json").write_text("{}")
                pool.submit(_while_locked, own, stroke)
                time.sleep(0.1)

        with pytest.raises(OutputError, match="holds outlines"):
            run()
    assert (own / "outlines/anna/outline.nii.gz").read_bytes() == b"drawn"
    assert (own / "voxels.npz").exists()


def _while_locked(folder: Path, work: Callable[[], None]) -> None:
    with locked(folder):
        work()
