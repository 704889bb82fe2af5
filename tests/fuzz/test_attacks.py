"""Some hundreds of hostile inputs of every kind; ``benchmarks/attacks.py`` tries thousands."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from attack import Allowed, Attack
from attacker import Attacker
from dicom_attacks import damaged_bytes, damaged_enhanced, odd_values, rearranged
from dicomfactory import FRAMES, times, truth
from kinds import KINDS
from nifti_attacks import damaged_nifti
from oracle import OUTCOMES, Fault, check_message, judge
from sidecar_attacks import hostile_sidecar
from untouched import (
    SLICES,
    as_read,
    dicom_files,
    enhanced_file,
    joined,
    named_files,
    nifti_gz,
    split,
    write,
)
from zip_attacks import hostile_zip

from bolus.acquire.exam import read_exam

SEED, INPUTS = 2, 330


@pytest.fixture(scope="module")
def attacker() -> Iterator[Attacker]:
    """A child process that tries inputs."""
    one = Attacker()
    yield one
    one.close()


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_input_ends_in_a_named_error_or_as_what_it_is(
    kind: str, attacker: Attacker
) -> None:
    whole = sum(one.share for one in KINDS.values())
    for number in range(max(4, INPUTS * KINDS[kind].share // whole)):
        found = attacker(kind, SEED, number)
        again = f'python benchmarks/attacks.py --seed {SEED} --again "{kind}" {number}'
        assert "failure" not in found, f"{again}\n{found['failure']}"
        assert found["outcome"] in OUTCOMES


def test_an_input_that_ends_its_process_is_counted_and_the_next_one_tried(
    attacker: Attacker,
) -> None:
    attacker._child.kill()
    assert attacker("NIfTI", SEED, 0)["failure"] == "it crashed"
    assert "failure" not in attacker("NIfTI", SEED, 0)


@pytest.mark.parametrize(
    "make",
    [
        damaged_bytes,
        odd_values,
        damaged_enhanced,
        rearranged,
        hostile_zip,
        damaged_nifti,
        hostile_sidecar,
    ],
)
def test_a_seed_gives_the_same_input(
    make: Callable[[random.Random, Path], Attack], tmp_path: Path
) -> None:
    made = []
    for name in ("first", "second"):
        attack = make(random.Random(4), tmp_path / name)
        files = {p.relative_to(tmp_path / name): p for p in (tmp_path / name).rglob("*")}
        content = {inside: p.read_bytes() for inside, p in files.items() if p.is_file()}
        made.append((attack.allowed, attack.what, content))
    assert made[0] == made[1]


def test_untouched_exams_are_read_as_what_they_are(tmp_path: Path) -> None:
    exams = (
        write(tmp_path / "classic", named_files()),
        write(tmp_path / "enhanced", {"a.dcm": enhanced_file()}),
        write(tmp_path / "rejoined", {n: joined(*split(d)) for n, d in named_files().items()}),
    )
    for path in exams:
        exam = read_exam(path)
        assert np.array_equal(exam.frames, truth(FRAMES, SLICES))
        assert np.allclose(exam.times_s, times(FRAMES, SLICES))
        assert exam.findings == ()
        assert judge(Attack(path, Allowed.SAME, "nothing")) == "same"
    nifti = write(
        tmp_path / "n", {"head.nii.gz": nifti_gz(), "head.json": b'{"VolumeTiming": [0]}'}
    )
    assert np.array_equal(as_read("nifti").frames, truth(FRAMES, SLICES))
    assert judge(Attack(nifti, Allowed.NOTICED, "times missing", "nifti")) == "refused"


def test_content_that_changed_in_silence_is_a_failure(tmp_path: Path) -> None:
    files = named_files()
    name = random.Random(1).choice(list(files))
    files[name] = files[name][:-200] + bytes(100) + files[name][-100:]
    attack = Attack(write(tmp_path / "exam", files), Allowed.NOTICED, "pixels set to zero")
    with pytest.raises(Fault, match="no finding says so: 50 values"):
        judge(attack)
    assert judge(replace(attack, allowed=Allowed.ANYTHING)) == "changed"


def test_a_refused_input_that_should_be_read_is_a_failure(tmp_path: Path) -> None:
    files = dict(list(named_files().items())[:10])
    with pytest.raises(Fault, match="refused"):
        judge(Attack(write(tmp_path / "exam", files), Allowed.SAME, "frames missing"))


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("something is wrong", "names neither"),
        ("exam: \x1b[2J is wrong", "not printable"),
        ("exam: SECRET^PERSON is wrong", "holds 'SECRET'"),
        ('exam: File "exam.py", line 3', "holds 'File"),
        ("exam: " + "x" * 2000, "2000 signs|2002 signs"),
    ],
)
def test_messages_that_nobody_should_see_are_failures(
    message: str, wrong: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "exam", {"IM1": dicom_files()[0]})
    with pytest.raises(Fault, match=wrong):
        check_message(message, path)
    check_message("IM1: is no image", path)
