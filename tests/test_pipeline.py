"""Claims about the whole way from files to maps."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pydicom
import pytest

from bolus.errors import NoPerfusion, UsageError
from bolus.metrics import dice
from bolus.options import Choices
from bolus.pipeline import analyse, run_exam
from bolus.preprocessing import Stages
from bolus.simulate.dicom import write_dicom
from bolus.simulate.exam import simulate_exam
from bolus.simulate.recipe import Timing
from bolus.simulate.truth import Truth
from bolus.types import Exam, Grade, Results
from small_exam import SMALL

MAPS = ("cbf", "cbv", "mtt", "tmax", "ttp")
BOTH = Choices(methods=("nlr", "bsvd"))


def same_bytes(one: Results, two: Results) -> bool:
    return all(
        getattr(one.methods[m].maps, name).tobytes() == getattr(two.methods[m].maps, name).tobytes()
        and one.methods[m].lesion.labels.tobytes() == two.methods[m].lesion.labels.tobytes()
        for m in one.methods
        for name in MAPS
    )


@pytest.fixture(scope="module")
def folder(small: tuple[Exam, Truth], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exam")
    write_dicom(small[0], path)
    return path


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return run_exam(folder, BOTH)


def test_shuffled_renamed_and_nested_files_give_the_same_bytes(
    folder: Path, results: Results, tmp_path: Path
) -> None:
    files = sorted(folder.iterdir())
    random.Random(5).shuffle(files)
    for i, file in enumerate(files):
        place = tmp_path / f"p{i % 7}" / f"s{i % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i * 7919 % 10007:05d}").write_bytes(file.read_bytes())
    assert same_bytes(run_exam(tmp_path, BOTH), results)


@pytest.mark.parametrize("clock_s", [3600, 11 * 3600 + 59 * 60 + 30])
def test_the_hour_of_the_exam_changes_nothing_even_across_midnight(
    folder: Path, results: Results, tmp_path: Path, clock_s: int
) -> None:
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        shift_clock(data, clock_s)
        data.save_as(tmp_path / file.name)
    assert same_bytes(run_exam(tmp_path, BOTH), results)


def shift_clock(data: pydicom.Dataset, seconds: int) -> None:
    """Move every time of day; dates stay, as on a console whose clock is wrong."""
    for name in ("AcquisitionTime", "ContentTime", "SeriesTime", "StudyTime"):
        if name in data:
            text = str(data[name].value)
            whole, _, part = text.partition(".")
            clock = int(whole[:2]) * 3600 + int(whole[2:4]) * 60 + int(whole[4:6]) + seconds
            clock %= 86400
            shifted = f"{clock // 3600:02d}{clock // 60 % 60:02d}{clock % 60:02d}"
            data[name].value = f"{shifted}.{part}" if part else shifted
    for name in ("AcquisitionDateTime",):
        if name in data:
            del data[name]


def test_results_do_not_depend_on_the_number_of_threads(folder: Path, results: Results) -> None:
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert same_bytes(run_exam(folder, BOTH), results)
    finally:
        numba.set_num_threads(threads)


def test_a_mirrored_head_gives_mirrored_maps(small: tuple[Exam, Truth], results: Results) -> None:
    exam = small[0]
    mirrored = replace(exam, frames=np.ascontiguousarray(np.rint(exam.frames)[..., ::-1]))
    turned = analyse(mirrored, BOTH, Stages())
    for method in results.methods:
        here, there = results.methods[method], turned.methods[method]
        assert (here.lesion.side, there.lesion.side) == ("left", "right")
        assert dice(here.lesion.labels > 0, there.lesion.labels[..., ::-1] > 0) > 0.95
        brain = results.tissue.parenchyma & turned.tissue.parenchyma[..., ::-1]
        for name in ("cbf", "tmax"):
            a, b = getattr(here.maps, name)[brain], getattr(there.maps, name)[..., ::-1][brain]
            assert np.corrcoef(a, b)[0, 1] > 0.97


def test_the_lesion_is_where_the_simulator_put_it(
    small: tuple[Exam, Truth], results: Results
) -> None:
    truth = small[1]
    for result in results.methods.values():
        assert dice(result.lesion.labels > 0, truth.hypo) > 0.75
        assert result.lesion.side == "left"


def test_maps_are_zero_outside_the_brain_and_in_csf(results: Results) -> None:
    for result in results.methods.values():
        for name in MAPS:
            assert not getattr(result.maps, name)[~results.tissue.perfused].any()


@pytest.fixture(scope="module")
def drawn(small: tuple[Exam, Truth]) -> Results:
    """The network beside a deconvolution."""
    return analyse(small[0], Choices(methods=("nlr", "cnn")), Stages())


def test_the_network_finds_the_lesion(small: tuple[Exam, Truth], drawn: Results) -> None:
    result = drawn.methods["cnn"]
    assert dice(result.lesion.labels > 0, small[1].hypo) > 0.7
    assert result.lesion.side == "left"
    assert "predict cnn" in drawn.timings_s
    assert drawn.parameters["predict cnn"]["model"]
    inside = result.maps.cbf > 0
    np.testing.assert_array_equal(inside, drawn.tissue.perfused)


def test_the_network_needs_no_artery(
    small: tuple[Exam, Truth], drawn: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_there(*_: object, **__: object) -> None:
        raise NoPerfusion("no vessel to choose from")

    monkeypatch.setattr("bolus.pipeline.find_arteries", none_there)
    alone = analyse(small[0], Choices(methods=("cnn",)), Stages())
    assert alone.arteries is None
    maps = alone.methods["cnn"].maps
    assert maps.cbf.tobytes() == drawn.methods["cnn"].maps.cbf.tobytes()
    (finding,) = (f for f in alone.findings if f.code == "no-arterial-input")
    assert "no vessel to choose from" in finding.message
    assert finding.grade == Grade.WARNING
    with pytest.raises(NoPerfusion):
        analyse(small[0], Choices(methods=("nlr", "cnn")), Stages())


def test_mistars_threshold_works_on_the_networks_delay(drawn: Results) -> None:
    Choices(methods=("cnn",), preset="mistar").check()
    delay = drawn.methods["cnn"].maps.delay
    assert delay is not None
    assert (delay >= 0).all()


def test_a_model_without_its_method_is_refused() -> None:
    with pytest.raises(UsageError, match="--method cnn"):
        Choices(model=Path("mine.onnx")).check()


def test_unknown_methods_and_presets_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no method 'magic'; choose from nlr"):
        run_exam(tmp_path / "missing", Choices(methods=("magic",)))
    with pytest.raises(UsageError, match="no preset 'mine'; choose from calibrated"):
        run_exam(tmp_path / "missing", Choices(preset="mine"))


@pytest.mark.parametrize(
    ("timing", "dt_s"),
    [("volume", 1.0), ("volume", 2.0), ("volume", 3.0), ("shuttle", 2.0), ("shuttle", 3.0)],
)
def test_the_lesion_is_found_at_any_timing(timing: Timing, dt_s: float) -> None:
    recipe = replace(SMALL, timing=timing, dt_s=dt_s, frames=round(60 / dt_s))
    exam, truth = simulate_exam(11, recipe)
    results = analyse(exam, Choices(), Stages())
    lesion = results.methods["bma"].lesion
    assert dice(lesion.labels > 0, truth.hypo) > 0.75
    assert lesion.hypoperfused_ml == pytest.approx(
        truth.hypo.sum() * exam.geometry.voxel_ml, rel=0.2
    )
    assert float(results.parameters["curves"]["noise_hu"] or 0) < 2  # of 7 HU in the frames
