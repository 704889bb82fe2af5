"""An exam that the network can't read is refused or called unreliable, never drawn confidently."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bolus.errors import NoPerfusion
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.simulate.nifti import write_exam
from bolus.simulate.truth import Truth
from bolus.types import Exam, Grade, Results
from unlike import METAL_HU, SPOILT

CNN_ALONE = Choices(methods=("cnn",))


def corrupted(exam: Exam, kind: str) -> Exam:
    changed = SPOILT[kind](exam, np.random.default_rng(1))
    return replace(changed, frames=np.rint(changed.frames))


def score(results: Results) -> float:
    return float(results.methods["cnn"].maps.parameters["unlike_training"])  # type: ignore[arg-type]


def median_se(results: Results) -> float:
    maps = results.methods["cnn"].maps
    assert maps.se is not None
    return float(np.median(maps.se["tmax"][maps.cbf > 0]))


@pytest.fixture(scope="module")
def as_it_was(small: tuple[Exam, Truth]) -> Results:
    return analyse(small[0], CNN_ALONE, Stages())


def test_an_exam_like_the_trainings_is_not_flagged(as_it_was: Results) -> None:
    assert score(as_it_was) < 1
    assert not [f for f in as_it_was.findings if f.code == "unlike-training"]


@pytest.mark.parametrize("kind", ["no contrast", "wrong organ"])
def test_what_is_no_perfusion_of_a_head_is_refused(small: tuple[Exam, Truth], kind: str) -> None:
    with pytest.raises(NoPerfusion):
        analyse(corrupted(small[0], kind), CNN_ALONE, Stages())


@pytest.mark.parametrize("kind", ["metal", "ends after 22 s", "frames reversed", "times a third"])
def test_standard_errors_rise_and_the_exam_does_not_pass(
    small: tuple[Exam, Truth], as_it_was: Results, kind: str
) -> None:
    results = analyse(corrupted(small[0], kind), CNN_ALONE, Stages())
    assert score(results) > 1 > score(as_it_was)
    assert median_se(results) > 1.3 * median_se(as_it_was)
    (finding,) = (f for f in results.findings if f.code == "unlike-training")
    assert finding.grade > Grade.NOTE
    assert results.grade > Grade.NOTE


def test_the_metal_is_metal(small: tuple[Exam, Truth]) -> None:
    assert corrupted(small[0], "metal").frames.max() == METAL_HU


WITHOUT_TORCH = """
import sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "onnx"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NotInstalled())
from bolus.cli import main
main()
"""


def test_the_network_draws_where_pytorch_is_not_installed(
    small: tuple[Exam, Truth], tmp_path: Path
) -> None:
    write_exam(small[0], tmp_path / "exam.nii.gz")
    command = ["run", str(tmp_path / "exam.nii.gz"), "-o", str(tmp_path / "out"), "-m", "cnn"]
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *command, "-q"], check=True)
    assert (tmp_path / "out" / "cnn" / "cbf.nii.gz").exists()
