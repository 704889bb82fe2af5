"""The index file: it comes back as written, names nobody, and is refused if tampered with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from trees import NAME, dicom_exam, edit_dicom, simulated_case, truth, unitobrain_patient

from bolus.dataset.index import read_index, write_index
from bolus.dataset.layouts import index_folder
from bolus.errors import DamagedFile, NoReadableFiles


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort and its index; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    for number in range(2):
        simulated_case(folder / f"cohort/case-{number:05d}", seed=number)
    write_index(index_folder(folder / "cohort"), folder / "index.json")
    return folder


@pytest.fixture
def cohort(made: Path, tmp_path: Path) -> Path:
    """A cohort to be changed."""
    return shutil.copytree(made / "cohort", tmp_path / "cohort")


@pytest.fixture
def written(made: Path) -> Any:
    """Writes an index of the cohort after a change to its fields."""

    def write(change: Any) -> Path:
        fields = json.loads((made / "index.json").read_text())
        change(fields)
        path = made / "changed.json"
        path.write_text(json.dumps(fields))
        return path

    return write


def test_what_is_written_is_read(cohort: Path, tmp_path: Path) -> None:
    index = index_folder(cohort)
    write_index(index, tmp_path / "somewhere/index.json")
    assert read_index(tmp_path / "somewhere/index.json") == index
    assert [case.frames for case in index.cases] == [10, 10]
    assert [case.slices for case in index.cases] == [4, 4]
    assert index.of({"case-00001"}) == index.cases[1:]


def test_same_data_set_same_bytes(cohort: Path, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_index(index_folder(cohort), tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_data_set_and_index_can_be_moved_together(cohort: Path, tmp_path: Path) -> None:
    index = index_folder(cohort)
    write_index(index, cohort / "index.json")
    assert str(tmp_path) not in (cohort / "index.json").read_text()
    shutil.move(cohort, tmp_path / "elsewhere")
    moved = read_index(tmp_path / "elsewhere/index.json")
    assert moved.digest == index.digest
    assert moved.cases[0].exam == tmp_path / "elsewhere/case-00000/exam.nii.gz"


def test_data_set_that_has_gone_is_reported(cohort: Path, tmp_path: Path) -> None:
    write_index(index_folder(cohort), tmp_path / "index.json")
    shutil.rmtree(cohort)
    with pytest.raises(NoReadableFiles, match="no longer at"):
        read_index(tmp_path / "index.json")


def test_digest_changes_with_the_data(cohort: Path) -> None:
    before = index_folder(cohort).digest
    simulated_case(cohort / "case-00001", seed=7)
    assert index_folder(cohort).digest != before


def test_nothing_of_a_person_gets_into_the_index(tmp_path: Path) -> None:
    root = tmp_path / "set"
    unitobrain_patient(root, "MOL-002", seed=1, frames=8, slices=2)
    # an exam whose reading fails with a message that names files
    broken = dicom_exam(root / f"MOL-003/{NAME}", seed=2, frames=8, slices=2)
    for path in [*root.rglob("*.dcm"), *root.rglob("*.new")]:
        dates = {"PatientBirthDate": "19421105", "StudyDate": "20210716"}
        edit_dicom(path, PatientName=NAME, PatientID="4711", AccessionNumber="A815", **dates)
    for path in sorted(broken.iterdir())[::2]:
        edit_dicom(path, PatientID="4712")
    write_index(index_folder(root), tmp_path / "index.json")
    text = (tmp_path / "index.json").read_text()
    for secret in ("MUELLER", "4711", "4712", "A815", "1942", "20210716", "2.25."):
        assert secret not in text
    assert "exam-unreadable" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["cases"][0].update(patient="case-00001"),
        lambda fields: fields["cases"].pop(),
        lambda fields: fields["cases"][0].update(frames=89),
        lambda fields: fields.update(layout="unitobrain"),
        lambda fields: fields.pop("digest"),
    ],
)
def test_edited_index_is_refused(written: Any, change: Any) -> None:
    with pytest.raises(DamagedFile, match="make it again"):
        read_index(written(change))


@pytest.mark.parametrize(
    "path", ["../../secret", "a/../../b", "/etc/passwd", "", ".", "C:/x", "a\\..\\b", "a\0b", 7]
)
@pytest.mark.parametrize("key", ["exam", "truth", "raw"])
def test_path_out_of_the_data_set_is_refused(written: Any, path: object, key: str) -> None:
    changed = written(lambda fields: fields["cases"][0].update({key: path}))
    with pytest.raises(DamagedFile, match=r"leaves the data set|should be text"):
        read_index(changed)


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "{}", '{"schema": "bolus-split/1"}', "[" * 100_000, "\0", "NaN"],
)
def test_file_that_is_no_index_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "index.json"
    path.write_text(text)
    with pytest.raises(DamagedFile, match="bolus dataset index"):
        read_index(path)


@pytest.mark.parametrize("key", ["root", "layout", "cases", "findings"])
@pytest.mark.parametrize("value", [None, 3, {"a": 1}, [1]])
def test_fields_of_another_kind_are_refused(written: Any, key: str, value: object) -> None:
    with pytest.raises(DamagedFile, match="index of a data set"):
        read_index(written(lambda fields: fields.update({key: value})))


def test_missing_index_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NoReadableFiles, match="can't be read"):
        read_index(tmp_path / "index.json")


def test_truth_needs_its_json(cohort: Path) -> None:
    (cohort / "case-00001/truth/truth.json").unlink()
    cases = index_folder(cohort).cases
    assert [case.usable for case in cases] == [True, False]
    assert cases[1].findings[0].code == "truth-missing"
    truth(cohort / "case-00001/truth")
    assert index_folder(cohort).cases[1].usable
