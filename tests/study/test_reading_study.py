"""A reading study hides the methods, keeps outlines, and says what is wrong with its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from reading_study import GRID, SHAPE, write_outline, write_results

from bolus.errors import BolusError, DamagedFile, NoReadableFiles, OutputError, UsageError
from bolus.study.raters.make import create
from bolus.study.raters.pairs import comparisons, gather
from bolus.study.raters.readings import progress, read_outline, reading_state, reopen, start
from bolus.study.raters.report import write_report
from bolus.study.raters.signin import signed_in
from bolus.study.raters.store import Study, open_study
from bolus.volumes import nifti_bytes, read_volume

METHODS, RATERS = ("nlr", "cnn"), ("anna", "ben")
EXAMS, REPEATS = 6, 4


@pytest.fixture(scope="module")
def exams(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("results")
    return [write_results(folder / f"patient-{n}", n) for n in range(EXAMS)]


@pytest.fixture(scope="module")
def made(
    exams: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("study") / "study"
    return folder, create(folder, exams, METHODS, RATERS, repeats=REPEATS, seed=3)


@pytest.fixture
def study(made: tuple[Path, dict[str, str]], tmp_path: Path) -> Study:
    return open_study(Path(shutil.copytree(made[0], tmp_path / "study")))


def outline(seed: int = 0) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 20:30, 28 + seed % 3 : 36] = 1
    labels[2:4, 23:27, 30:34] = 2
    return labels


def key(study: Study) -> dict[str, dict[str, dict[str, object]]]:
    return dict(json.loads((study.folder / "key.json").read_text())["readings"])


def test_every_rater_reads_everything_once_and_the_repeats_twice(study: Study) -> None:
    assert study.raters == RATERS
    for rater in RATERS:
        lines = key(study)[rater]
        assert list(lines) == [one.reading for one in study.worklist(rater)]
        firsts = {(v["exam"], v["method"]) for v in lines.values() if not v["repeat"]}
        again = {(v["exam"], v["method"]) for v in lines.values() if v["repeat"]}
        assert firsts == {(exam, method) for exam in range(EXAMS) for method in METHODS}
        assert len(again) == REPEATS
        assert again <= firsts
        assert sum(m == "nlr" for _, m in again) == REPEATS / 2


def test_orders_differ_between_raters_and_no_exam_follows_itself(study: Study) -> None:
    orders = []
    for rater in RATERS:
        lines = list(key(study)[rater].values())
        orders.append([(v["exam"], v["method"]) for v in lines])
        assert all(a["exam"] != b["exam"] for a, b in pairwise(lines))
        half = len(lines) // 2
        assert not any(v["repeat"] for v in lines[:half])
        for line in lines:
            if line["repeat"]:
                assert orders[-1].index((line["exam"], line["method"])) < half
    assert orders[0] != orders[1]


def test_nothing_a_rater_needs_names_the_method_or_the_exam(study: Study) -> None:
    served = [p for p in study.folder.rglob("*") if p.name not in ("key.json", "study.json")]
    texts = {}
    for path in served:
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".gz":
            image = nib.load(path)
            content = bytes(image.header.binaryblock) + str(image.header.extensions).encode()
        texts[path] = path.name.encode() + content
    for path, text in texts.items():
        for word in (b"nlr", b"cnn", b"patient", b"repeat"):
            assert word not in text.lower(), path


def test_folders_of_images_look_alike_for_all_methods(study: Study) -> None:
    folders = list((study.folder / "images").iterdir())
    assert len(folders) == EXAMS * len(METHODS) + REPEATS
    assert len({tuple(sorted(p.name for p in f.iterdir())) for f in folders}) == 1
    headers = {bytes(nib.load(f / "cbf.nii.gz").header.binaryblock) for f in folders}
    assert len(headers) == 1


def test_what_is_seen_is_what_the_results_hold(study: Study, exams: list[Path]) -> None:
    for reading, line in key(study)["anna"].items():
        folder = study.images_of("anna", reading)
        source = exams[int(str(line["exam"]))]
        for name in ("cbf", "tmax"):
            seen = read_volume(folder / f"{name}.nii.gz")
            made = read_volume(source / str(line["method"]) / f"{name}.nii.gz")
            assert (seen.values == made.values).all()
            assert np.allclose(seen.geometry.affine, GRID.affine)
        assert study.geometry_of("anna", reading).shape == SHAPE


def test_the_key_is_not_needed_to_read(study: Study) -> None:
    (study.folder / "key.json").unlink()
    fresh = open_study(study.folder)
    write_outline(fresh, "anna", "r0001", outline(), active_s=1, done=True)
    assert progress(fresh) == {"anna": (1, 16), "ben": (0, 16)}


def test_the_same_seed_makes_the_same_study_but_other_codes(
    made: tuple[Path, dict[str, str]], exams: list[Path], tmp_path: Path
) -> None:
    codes = create(tmp_path / "again", exams, METHODS, RATERS, repeats=REPEATS, seed=3)
    other = create(tmp_path / "other", exams, METHODS, RATERS, repeats=REPEATS, seed=4)
    assert codes != made[1]
    assert set(codes.values()).isdisjoint(other.values())
    for path in sorted(made[0].rglob("*")):
        if path.is_file() and path.name != "raters.json":
            there = tmp_path / "again" / path.relative_to(made[0])
            assert there.read_bytes() == path.read_bytes()
    one, two = ((folder / "key.json").read_text() for folder in (made[0], tmp_path / "other"))
    assert one != two


def test_only_ones_own_code_signs_in(made: tuple[Path, dict[str, str]]) -> None:
    study, codes = open_study(made[0]), made[1]
    assert signed_in(study, "anna", codes["anna"])
    assert signed_in(study, "anna", f" {codes['anna'].upper()} ")
    assert not signed_in(study, "anna", codes["ben"])
    assert not signed_in(study, "anna", "")
    assert not signed_in(study, "carl", codes["anna"])
    kept = (made[0] / "raters.json").read_text()
    assert not any(code in kept for code in codes.values())


def test_an_outline_comes_back_as_it_was_drawn(study: Study) -> None:
    assert read_outline(study, "anna", "r0002") is None
    assert reading_state(study, "anna", "r0002").state == "new"
    assert write_outline(study, "anna", "r0002", outline(), active_s=5, done=False) == 1
    assert write_outline(study, "anna", "r0002", outline(1), active_s=9.5, done=False) == 2
    assert (read_outline(study, "anna", "r0002") == outline(1)).all()
    state = reading_state(study, "anna", "r0002")
    assert (state.state, state.revision, state.active_s) == ("open", 2, 9.5)
    image = nib.load(study.folder_of("anna", "r0002") / "outline.nii.gz")
    assert np.allclose(image.affine, np.diag([-1, -1, 1, 1]) @ GRID.affine[:, [2, 1, 0, 3]])


def test_a_finished_reading_stays_unless_it_is_reopened(study: Study) -> None:
    write_outline(study, "ben", "r0001", outline(), active_s=60, done=True)
    with pytest.raises(UsageError, match="finished"):
        write_outline(study, "ben", "r0001", outline(1), active_s=70, done=False)
    assert (read_outline(study, "ben", "r0001") == outline()).all()
    reopen(study, "ben", "r0001")
    assert progress(study)["ben"][0] == 0
    write_outline(study, "ben", "r0001", outline(1), active_s=1, done=True)
    state = reading_state(study, "ben", "r0001")
    assert (state.revision, state.active_s) == (2, 60)  # time worked never falls
    with pytest.raises(UsageError, match="not finished"):
        reopen(study, "ben", "r0002")


def test_a_finished_outline_is_a_dicom_segmentation_too(study: Study) -> None:
    path = study.folder_of("anna", "r0004") / "outline.dcm"
    write_outline(study, "anna", "r0004", outline(), active_s=1, done=False)
    assert not path.exists()
    write_outline(study, "anna", "r0004", outline(), active_s=1, done=True)
    found = dcmread(path)
    frames = found.pixel_array
    segments = [
        item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for item in found.PerFrameFunctionalGroupsSequence
    ]
    names = {item.SegmentNumber: item.SegmentLabel for item in found.SegmentSequence}
    for label, name in ((2, "Core"), (1, "Penumbra")):
        drawn = sum(
            int(frame.sum())
            for frame, number in zip(frames, segments, strict=True)
            if names[number] == name
        )
        assert drawn == (outline() == label).sum()
    assert not found.PatientName
    reopen(study, "anna", "r0004")
    write_outline(study, "anna", "r0004", outline(1), active_s=1, done=False)
    assert not path.exists()  # it was of another outline


def test_opening_is_noted_once(study: Study) -> None:
    start(study, "anna", "r0003")
    first = reading_state(study, "anna", "r0003")
    assert (first.state, first.revision) == ("open", 0)
    start(study, "anna", "r0003")
    assert reading_state(study, "anna", "r0003") == first


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((6, 56, 47), np.uint8),
        np.zeros(SHAPE, np.float32),
        np.full(SHAPE, 3, np.uint8),
        np.zeros(SHAPE[1:], np.uint8),
        np.zeros((0, 0, 0), np.uint8),
    ],
)
def test_what_is_no_outline_is_refused_and_nothing_is_kept(
    study: Study, labels: np.ndarray
) -> None:
    with pytest.raises(UsageError, match="outline"):
        write_outline(study, "anna", "r0001", labels, active_s=0, done=True)
    assert read_outline(study, "anna", "r0001") is None


NAMES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["..", "../key.json", "/etc", "anna/../ben", "r0001/..", "", ".", "\0"]),
)


@given(rater=NAMES, reading=NAMES)
def test_no_name_leads_out_of_the_study(
    made: tuple[Path, dict[str, str]], rater: str, reading: str
) -> None:
    study = open_study(made[0])
    for call in (read_outline, reading_state, start, reopen):
        with pytest.raises(UsageError):
            call(study, rater, reading)
    with pytest.raises(UsageError):
        write_outline(study, "anna", reading, outline(), active_s=0, done=False)
    assert not signed_in(study, rater, "code")


@pytest.mark.parametrize("name", ["con", "nul", "aux", "prn", "com1", "lpt9"])
def test_names_that_windows_keeps_for_devices_are_refused(
    exams: list[Path], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "study"
    with pytest.raises(UsageError, match=f"{name} is the name of a device on Windows"):
        create(folder, exams[:1], METHODS, ("anna", name), repeats=0, seed=1)
    assert not folder.exists()
    create(folder, exams[:1], METHODS, ("anna", f"{name}a", f"{name}-1"), repeats=0, seed=1)


@pytest.mark.parametrize("active_s", [-1.0, float("nan"), float("inf")])
def test_time_is_a_number_of_seconds(study: Study, active_s: float) -> None:
    with pytest.raises(UsageError, match="seconds"):
        write_outline(study, "anna", "r0001", outline(), active_s=active_s, done=False)


def refused_init(exams: list[Path], folder: Path, **changes: object) -> str:
    asked: dict[str, object] = {"methods": METHODS, "raters": RATERS, "repeats": 2, "seed": 0}
    asked |= changes
    methods, raters = asked.pop("methods"), asked.pop("raters")
    with pytest.raises(BolusError) as caught:
        create(folder, exams, methods, raters, **asked)
    return str(caught.value)


def test_what_makes_no_study_is_refused(exams: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert "Anna" in refused_init(exams, folder, raters=("Anna",))
    assert ".." in refused_init(exams, folder, raters=("..",))
    assert "each once" in refused_init(exams, folder, raters=("anna", "anna"))
    assert "each exam once" in refused_init([exams[0], exams[0]], folder)
    assert "0 to 12" in refused_init(exams, folder, repeats=13)
    assert "--seed" in refused_init(exams, folder, seed=-1)
    assert "--method bma" in refused_init(exams, folder, methods=("nlr", "bma"))
    assert "summary.json" in refused_init([tmp_path], folder)
    assert not folder.exists()
    folder.mkdir()
    (folder / "mine.txt").touch()
    assert "new folder" in refused_init(exams, folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_maps_on_two_grids_make_no_study(exams: list[Path], tmp_path: Path) -> None:
    results = Path(shutil.copytree(exams[0], tmp_path / "exam"))
    small = nifti_bytes(np.ones((3, 4, 5), np.float32), GRID, "small")
    (results / "cnn" / "tmax.nii.gz").write_bytes(small)
    message = refused_init([results], tmp_path / "study")
    assert "tmax.nii.gz is not on the grid" in message
    assert not (tmp_path / "study").exists()


def finish_all(study: Study) -> None:
    for rater in study.raters:
        for number, one in enumerate(study.worklist(rater)):
            labels = outline(number)
            write_outline(study, rater, one.reading, labels, active_s=60, done=True)


def test_pairs_share_everything_but_what_is_compared(study: Study) -> None:
    """Outlines that encode their reading tell which were paired."""
    truth = key(study)
    for rater in study.raters:
        for one in study.worklist(rater):
            line = truth[rater][one.reading]
            labels = np.zeros(SHAPE, np.uint8)
            size = 1 + int(str(line["exam"])) * 8 + RATERS.index(rater)
            size += 2 * METHODS.index(str(line["method"])) + 4 * bool(line["repeat"])
            labels.flat[:size] = 2
            write_outline(study, rater, one.reading, labels, active_s=0, done=True)
    by_kind: dict[str, list[float]] = {"maps": [], "raters": [], "repeat": []}
    for one in comparisons(gather(study)):
        pairs = one.agreement.pairs
        assert len(pairs) == (REPEATS if one.kind == "repeat" else EXAMS)
        by_kind[one.kind] += [pair.regions["core"].difference_ml for pair in pairs]
    apart = {kind: {round(v / GRID.voxel_ml) for v in values} for kind, values in by_kind.items()}
    assert apart == {"maps": {2}, "raters": {1}, "repeat": {4}}


def test_unfinished_readings_are_listed_and_left_out(study: Study, tmp_path: Path) -> None:
    finish_all(study)
    reopen(study, "anna", "r0003")
    gathered = write_report(study, tmp_path / "report")
    assert [(one.rater, one.reading, one.state) for one in gathered.unfinished] == [
        ("anna", "r0003", "open")
    ]
    assert len(gathered.finished) == 31
    assert "anna r0003 (open)" in (tmp_path / "report" / "report.html").read_text()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


HOSTILE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no study": ("study.json", lambda p: (p / "study.json").unlink()),
    "truncated study": ("study.json", lambda p: truncate(p / "study.json")),
    "a list for a study": ("study.json", lambda p: (p / "study.json").write_text("[]")),
    "another schema": (
        "study.json", lambda p: rewrite(p / "study.json", lambda c: c.update(schema="x/2")),
    ),
    "a rater that leads outside": (
        "study.json", lambda p: rewrite(p / "study.json", lambda c: c.update(raters=["../x"])),
    ),
    "no raters": ("study.json", lambda p: rewrite(p / "study.json", lambda c: c.update(raters=[]))),
    "a seed that is text": (
        "study.json", lambda p: rewrite(p / "study.json", lambda c: c.update(seed="1")),
    ),
    "deep json": ("study.json", lambda p: (p / "study.json").write_text("[" * 100_000)),
    "no worklist": ("anna.json", lambda p: (p / "worklists" / "anna.json").unlink()),
    "images that lead outside": (
        "ben.json",
        lambda p: rewrite(
            p / "worklists" / "ben.json", lambda c: c["readings"][0].update(images="../../etc")
        ),
    ),
    "a reading twice": (
        "ben.json",
        lambda p: rewrite(
            p / "worklists" / "ben.json", lambda c: c["readings"].append(c["readings"][0])
        ),
    ),
    "truncated key": ("key.json", lambda p: truncate(p / "key.json")),
    "a key of another study": (
        "key.json", lambda p: rewrite(p / "key.json", lambda c: c["readings"].pop("ben")),
    ),
    "an unknown method in the key": (
        "key.json",
        lambda p: rewrite(
            p / "key.json", lambda c: c["readings"]["ben"]["r0001"].update(method="x")
        ),
    ),
    "truncated record": (
        "reading.json", lambda p: truncate(p / "readings" / "anna" / "r0001" / "reading.json"),
    ),
    "a record without state": (
        "reading.json",
        lambda p: rewrite(
            p / "readings" / "anna" / "r0001" / "reading.json", lambda c: c.pop("state")
        ),
    ),
    "missing outline": (
        "outline.nii.gz", lambda p: (p / "readings" / "anna" / "r0001" / "outline.nii.gz").unlink(),
    ),
    "truncated outline": (
        "outline.nii.gz", lambda p: truncate(p / "readings" / "anna" / "r0001" / "outline.nii.gz"),
    ),
    "outline of a wrong shape": (
        "outline.nii.gz",
        lambda p: (p / "readings" / "anna" / "r0001" / "outline.nii.gz").write_bytes(
            nifti_bytes(np.zeros((2, 3, 4), np.uint8), GRID, "wrong")
        ),
    ),
    "outline of other labels": (
        "outline.nii.gz",
        lambda p: (p / "readings" / "anna" / "r0001" / "outline.nii.gz").write_bytes(
            nifti_bytes(np.full(SHAPE, 7, np.uint8), GRID, "wrong")
        ),
    ),
    "no grid": ("info.json", lambda p: [truncate(f) for f in (p / "images").rglob("info.json")]),
}  # fmt: skip


@pytest.mark.parametrize("damage", HOSTILE)
def test_a_damaged_study_is_one_clear_error(finished: Path, tmp_path: Path, damage: str) -> None:
    file, harm = HOSTILE[damage]
    folder = Path(shutil.copytree(finished, tmp_path / "study"))
    harm(folder)
    with pytest.raises((DamagedFile, NoReadableFiles)) as caught:
        write_report(open_study(folder), tmp_path / "report")
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report").exists()


@pytest.fixture(scope="module")
def finished(exams: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "study"
    create(folder, exams[:3], METHODS, RATERS, repeats=1, seed=0)
    finish_all(open_study(folder))
    return folder


def test_a_report_replaces_a_report_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    write_report(open_study(finished), out)
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    write_report(open_study(finished), out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        write_report(open_study(finished), out)
    assert (out / "thesis.tex").read_text() == "mine"


def test_a_study_of_people_is_not_called_simulated(finished: Path, tmp_path: Path) -> None:
    write_report(open_study(finished), tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "imulated" not in page
    assert "Research use, not for diagnosis" in page
