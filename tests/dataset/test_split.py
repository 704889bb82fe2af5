"""No patient, and no copy of an exam, is ever on two sides of a split."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bolus.dataset.check import check_split
from bolus.dataset.duplicates import linked_patients
from bolus.dataset.index import Case, Index
from bolus.dataset.split import (
    Choice,
    Split,
    cross_validation,
    hold_out,
    read_split,
    read_splits,
    write_split,
)
from bolus.errors import DamagedFile, NoReadableFiles, UsageError
from bolus.types import Finding, Grade

ROOT = Path("/data")
FAIL = (Finding("exam-unreadable", Grade.FAIL, "broken"),)


def case(patient: str, number: int = 0, **more: object) -> Case:
    name = f"{patient}_{number}"
    return Case(name, patient, ROOT / name, {}, None, 89, 8, **more)  # type: ignore[arg-type]


def index_of(*cases: Case) -> Index:
    return Index(ROOT, "unitobrain", cases)


def patients(count: int) -> Index:
    return index_of(*(case(f"MOL-{k:03d}") for k in range(count)))


exams_per_patient = st.dictionaries(
    st.text("abcdefghij0123456789-", min_size=1, max_size=8),
    st.integers(1, 4),
    min_size=3,
    max_size=40,
)


def indexed(exams: dict[str, int]) -> Index:
    return index_of(*(case(patient, k) for patient, n in exams.items() for k in range(n)))


@given(exams_per_patient, st.integers(0, 2**31), st.data())
def test_hold_out_is_disjoint_complete_and_deterministic(
    exams: dict[str, int], seed: int, data: st.DataObject
) -> None:
    test = data.draw(st.integers(0, len(exams) - 1))
    validation = data.draw(st.integers(0, len(exams) - 1 - test))
    index = indexed(exams)
    (split,) = hold_out(index, test, validation, seed)
    assert (len(split.test), len(split.validation)) == (test, validation)
    assert sorted(split.train + split.validation + split.test) == sorted(exams)
    assert (split,) == hold_out(index, test, validation, seed)
    sides = [
        {c.name for c in index.of(side)} for side in (split.train, split.validation, split.test)
    ]
    assert len(set.union(*sides)) == sum(map(len, sides)) == len(index.cases)
    assert check_split([split], index) == []


@given(exams_per_patient, st.integers(0, 2**31), st.data())
def test_each_patient_is_tested_in_exactly_one_fold(
    exams: dict[str, int], seed: int, data: st.DataObject
) -> None:
    folds = data.draw(st.integers(2, len(exams)))
    splits = cross_validation(indexed(exams), folds, seed=seed)
    assert sorted(p for split in splits for p in split.test) == sorted(exams)
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    for split in splits:
        assert sorted(split.train + split.test) == sorted(exams)
    assert check_split(splits, indexed(exams)) == []


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=8), st.integers(0, 99))
def test_copies_stay_on_one_side(pairs: list[tuple[int, int]], seed: int) -> None:
    """Chains of copies, too: a copy of a copy is a copy."""
    content: dict[int, set[str]] = {k: {f"own{k}"} for k in range(12)}
    cases = [case(f"p{k:02d}", content=(f"own{k}",)) for k in range(12)]
    for pair in pairs:
        for k in pair:
            content[k].add(f"pair{pair}")
    cases += [
        case(f"p{k:02d}", number, content=(mark,))
        for k, marks in content.items()
        for number, mark in enumerate(sorted(marks), start=1)
    ]
    index = index_of(*cases)
    groups = linked_patients(index)
    assert sorted(p for group in groups for p in group) == sorted(index.patients)
    for one, other in pairs:
        assert any({f"p{one:02d}", f"p{other:02d}"} <= set(group) for group in groups)
    try:
        (split,) = hold_out(index, 3, seed=seed)
    except UsageError:
        return  # no groups with three patients together
    assert len(split.test) == 3
    assert all(len({split.side(p) for p in group}) == 1 for group in groups)


def test_the_papers_split() -> None:
    (split,) = hold_out(patients(115), test=15, seed=1)
    assert (len(split.train), len(split.test)) == (100, 15)
    (other,) = hold_out(patients(115), test=15, seed=2)
    assert split.test != other.test


def test_the_papers_split_of_a_larger_data_set(tmp_path: Path) -> None:
    """100 and 15 patients of one protocol, without those that the authors leave out."""
    shuttle = (case("MOL-200"), replace(case("MOL-201"), frames=18))
    index = index_of(*patients(140).cases, *shuttle)
    choice = Choice(frames=89, leave_out=("MOL-060", "MOL-061"))
    (split,) = hold_out(index, 15, 3, seed=1, train=100, choice=choice)
    assert (len(split.train), len(split.validation), len(split.test)) == (100, 3, 15)
    dealt = {*split.train, *split.validation, *split.test}
    assert not dealt & {"MOL-060", "MOL-061", "MOL-201"}
    write_split([split], index, tmp_path / "split.json")
    left_out = json.loads((tmp_path / "split.json").read_text())["left_out"]
    assert sorted(dealt | set(left_out)) == sorted(index.patients)
    folds = cross_validation(index, 3, choice=choice)
    assert sorted(p for fold in folds for p in fold.test) == sorted(choice.of(index))


def test_a_patient_who_is_not_there_cannot_be_left_out() -> None:
    with pytest.raises(UsageError, match="no patient MOL-999"):
        hold_out(patients(5), 1, choice=Choice(leave_out=("MOL-999",)))


def test_more_patients_to_learn_from_than_there_are() -> None:
    with pytest.raises(UsageError, match="--train"):
        hold_out(patients(20), 5, train=16)


def test_a_patient_more_leaves_the_order_of_the_others() -> None:
    """A new patient changes the test side by one patient at most."""
    before, after = hold_out(patients(40), 10)[0], hold_out(patients(41), 10)[0]
    assert len(set(before.test) - set(after.test)) <= 1


def test_unusable_cases_are_left_out(tmp_path: Path) -> None:
    index = index_of(case("a"), case("b"), case("c", findings=FAIL), case("b", 1, findings=FAIL))
    (split,) = hold_out(index, 1)
    assert sorted(split.train + split.test) == ["a", "b"]
    write_split([split], index, tmp_path / "split.json")
    assert json.loads((tmp_path / "split.json").read_text())["left_out"] == ["c"]


def test_partial_copies_are_copies_and_single_equal_slices_are_none() -> None:
    whole = tuple(f"slice{k}" for k in range(8))
    cut = case("cut", content=whole[:4])
    chance = case("chance", content=(whole[0], "x", "y", "z"))
    groups = linked_patients(index_of(case("whole", content=whole), cut, chance))
    assert groups == [("chance",), ("cut", "whole")]


def test_a_study_under_two_names_is_a_copy_but_an_anonymisers_constant_is_not() -> None:
    assert linked_patients(index_of(case("a", study="s"), case("b", study="s"))) == [("a", "b")]
    constant = index_of(*(case(f"p{k}", study="s") for k in range(9)))
    assert len(linked_patients(constant)) == 9


def test_split_file_round_trip(tmp_path: Path) -> None:
    index = patients(12)
    (split,) = hold_out(index, 3, 2, seed=5)
    write_split([split], index, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json", index=index) == split
    assert (split.seed, split.index) == (5, index.digest)
    fields = json.loads((tmp_path / "split.json").read_text())
    assert {"seed": 5, "index": index.digest}.items() <= fields.items()
    assert fields["bolus"]


def test_folds_are_chosen(tmp_path: Path) -> None:
    index = patients(12)
    splits = cross_validation(index, 3, validation=2)
    write_split(splits, index, tmp_path / "folds.json")
    assert read_splits(tmp_path / "folds.json") == splits
    assert read_split(tmp_path / "folds.json", fold=2) == splits[2]
    assert [len(split.validation) for split in splits] == [2, 2, 2]
    with pytest.raises(UsageError, match="3 folds"):
        read_split(tmp_path / "folds.json")
    with pytest.raises(UsageError, match="no fold 3"):
        read_split(tmp_path / "folds.json", fold=3)


def test_split_of_another_data_set_is_refused(tmp_path: Path) -> None:
    write_split(hold_out(patients(12), 3), patients(12), tmp_path / "split.json")
    with pytest.raises(UsageError, match="another data set"):
        read_split(tmp_path / "split.json", index=patients(13))


@given(st.sampled_from(["train", "validation", "test"]), st.sampled_from(["validation", "test"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_edited_split_with_a_patient_on_two_sides_is_refused(
    tmp_path: Path, source: str, target: str
) -> None:
    index = patients(12)
    write_split(hold_out(index, 3, 3), index, tmp_path / "split.json")
    fields = json.loads((tmp_path / "split.json").read_text())
    fields["folds"][0][target].append(fields["folds"][0][source][0])
    (tmp_path / "edited.json").write_text(json.dumps(fields))
    with pytest.raises(DamagedFile, match="twice"):
        read_split(tmp_path / "edited.json")


def test_leaks_of_an_edited_split_are_found() -> None:
    index = index_of(
        case("a", content=("1", "2")), case("b", content=("1", "2")), case("c"), case("d")
    )
    leak = Split(train=("a", "c"), validation=(), test=("b",))
    assert [f.code for f in check_split([leak], index)] == ["leak"]
    stranger = Split(train=("a", "b"), validation=(), test=("e",))
    assert [f.code for f in check_split([stranger], index)] == ["split-strangers"]
    twice = [Split(("a", "b"), (), ("c",)), Split(("a", "b"), (), ("c",))]
    assert [f.code for f in check_split(twice, index)] == ["tested-twice"]


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "bolus-split/1"}', "nonsense", '{"a": 1}'])
def test_file_that_is_no_split_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DamagedFile, match="bolus dataset split"):
        read_split(tmp_path / "split.json")
    with pytest.raises(NoReadableFiles):
        read_split(tmp_path / "missing.json")


def test_what_cannot_be_split_is_reported() -> None:
    for ask in (
        lambda: hold_out(patients(3), 4),
        lambda: hold_out(patients(3), 3),
        lambda: hold_out(patients(3), -1),
        lambda: cross_validation(patients(3), 4),
        lambda: cross_validation(patients(3), 1),
        lambda: cross_validation(patients(3), 3, validation=2),
        lambda: hold_out(
            index_of(case("a", content=("1",)), case("b", content=("1",)), case("c")), 3
        ),
    ):
        with pytest.raises(UsageError):
            ask()
