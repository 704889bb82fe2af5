"""The recipe for all five maps: learns, resumes, and never depends on chance."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cnn_set import prepared_exam, small_steps

from bolus.errors import BolusError, DamagedFile, UsageError
from bolus.infer.features import blood
from bolus.train.cnn import data
from bolus.train.cnn import task as cnn_task
from bolus.train.cnn.network import PerfusionNet
from bolus.train.cnn.task import BolusTask, loss
from bolus.train.loop import LAST, Settings, fit, load
from bolus.train.prepare import read_prepared, write_prepared


@pytest.fixture
def exams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    small_steps(monkeypatch.setattr)
    paths = [tmp_path / "exams" / f"{number}.npz" for number in range(3)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        write_prepared(prepared_exam(number), path)
    return paths


def test_prepared_exams_come_back_as_they_were(tmp_path: Path) -> None:
    exam = prepared_exam(0)
    write_prepared(exam, tmp_path / "exam.npz")
    found = read_prepared(tmp_path / "exam.npz")
    np.testing.assert_allclose(found.curves_hu, exam.curves_hu, atol=0.15)
    np.testing.assert_array_equal(found.voxels, exam.voxels)
    assert found.spacing_mm == exam.spacing_mm


def test_what_an_older_bolus_prepared_or_a_full_disk_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "exam.npz"
    write_prepared(prepared_exam(0), path)
    whole = path.read_bytes()
    with np.load(path) as found:
        np.savez(path, **{name: found[name] for name in found.files if name != "clear"})
    with pytest.raises(DamagedFile, match=r"exam\.npz.*another version.*clear.*Delete it"):
        read_prepared(path)
    for length in (0, 100, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedFile, match=r"exam\.npz is broken"):
            read_prepared(path)


def test_blood_volume_is_flow_times_transit_time() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(2, data.slices(prepared_exam(0), None)[0][0].shape[0], 16, 24)
    context = torch.randn(2, len(data.slices(prepared_exam(0), None)[0][1]))
    maps, spread = PerfusionNet().eval()(pixels, context)
    assert maps.shape == spread.shape == (2, 5, 16, 24)
    torch.testing.assert_close(maps[:, 1], maps[:, 0] * maps[:, 2] / 60)
    assert (spread > 0).all()
    assert (maps[:, :3] >= 0).all()


def test_batches_depend_on_seed_and_epoch_alone(exams: list[Path]) -> None:
    def drawn(seed: int, epoch: int) -> torch.Tensor:
        return torch.cat([batch[0] for batch in data.batches(exams, seed, epoch, 2)])

    assert torch.equal(drawn(1, 1), drawn(1, 1))
    assert not torch.equal(drawn(1, 1), drawn(1, 2))
    assert not torch.equal(drawn(1, 1), drawn(2, 1))


def test_an_arrival_guessed_late_moves_the_target_of_ttp_and_nothing_else() -> None:
    exam = prepared_exam(0)
    late = replace(exam, arrival_s=exam.arrival_s + 1)
    for one, other in zip(data.slices(exam, None), data.slices(late, None), strict=True):
        np.testing.assert_allclose(one[2][4] - other[2][4], 1.0, atol=1e-5)
        # the grid moves, and with it the blood's volume a little
        np.testing.assert_allclose(one[2][:2], other[2][:2], rtol=1e-3)
        np.testing.assert_array_equal(one[2][2:4], other[2][2:4])


def test_targets_are_those_of_a_brain_with_the_usual_blood() -> None:
    exam = prepared_exam(0)
    vessel = exam.vessel[exam.voxels]
    share = np.where(vessel, 1, 0.2).astype(np.float32)
    less = np.array([0.2, 0.2, 1, 1, 1], np.float32)[:, None, None, None]
    poor = replace(exam, curves_hu=exam.curves_hu * share[:, None], targets=exam.targets * less)
    volume = blood(poor).volume
    assert volume < 0.6
    for one, other in zip(data.slices(poor, None), data.slices(exam, None), strict=True):
        np.testing.assert_allclose(one[2][:2], other[2][:2] * 0.2 / volume, rtol=1e-4)
        np.testing.assert_array_equal(one[2][2:], other[2][2:])


def test_frames_are_lost_from_curves_and_their_means_alike() -> None:
    exam, times = prepared_exam(0), set()
    for seed in range(20):
        less = data.with_frames_lost(exam, np.random.default_rng(seed))
        kept = np.isin(exam.times_s[:, 0], less.times_s[:, 0])
        assert len(less.weight) == kept.sum() >= 0.6 * kept.size
        np.testing.assert_array_equal(less.curves_hu, exam.curves_hu[:, kept])
        # these are means of the very curves here
        np.testing.assert_allclose(less.area_hu, less.curves_hu.mean(axis=1), atol=1e-4)
        after_s = less.times_s[:, 0] - exam.arrival_s
        np.testing.assert_allclose(
            less.moment_s, (less.curves_hu * after_s).mean(axis=1), atol=0.01
        )
        times.add(tuple(less.times_s[:, 0]))
    assert len(times) > 15
    short = replace(
        exam, curves_hu=exam.curves_hu[:, :8], times_s=exam.times_s[:8], weight=exam.weight[:8]
    )
    np.testing.assert_array_equal(
        data.with_frames_lost(short, np.random.default_rng(1)).times_s, short.times_s
    )


def test_some_exams_lose_frames_each_time_they_are_seen() -> None:
    def known(seed: int) -> bytes:
        return data.slices(prepared_exam(0), np.random.default_rng(seed))[0][1].tobytes()

    frames = [
        len(data.with_frames_lost(prepared_exam(0), np.random.default_rng(n)).weight)
        for n in range(9)
    ]
    assert min(frames) < 20 < max(frames)
    whole = len(prepared_exam(0).weight)
    # the context says how many frames there are
    seen = [data.slices(prepared_exam(0), np.random.default_rng(n))[0][1][-2] for n in range(60)]
    assert 4 <= sum(value != np.float32(np.log(whole / 30)) for value in seen) <= 24
    assert known(3) == known(3)


def test_an_exam_of_few_slices_is_learnt_from_and_one_without_truth_is_no_endless_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch.setattr)
    monkeypatch.setattr(data, "BATCH", 8)
    exam = prepared_exam(0)
    write_prepared(exam, tmp_path / "few.npz")
    pixels, *_ = next(iter(data.batches([tmp_path / "few.npz"], 1, 1, 1)))
    assert len(pixels) == 8
    nothing = replace(exam, valid=np.zeros_like(exam.valid))
    write_prepared(nothing, tmp_path / "nothing.npz")
    with pytest.raises(UsageError, match="none of 1 training exams has a slice"):
        list(data.batches([tmp_path / "nothing.npz"], 1, 1, 1))


def test_a_loss_that_is_no_number_ends_the_run_with_the_reason(
    exams: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = BolusTask(exams[:2], exams[2:], seed=1, epochs=2)
    monkeypatch.setattr(task, "validate", lambda bf16: {"loss": float("nan")})
    with pytest.raises(BolusError, match=r"run: the loss of epoch 1 is not a number"):
        fit(task, tmp_path / "run", Settings(2, 2, 1, "a"))
    assert not list((tmp_path / "run").iterdir())


def test_vessels_and_what_lies_outside_the_brain_teach_nothing() -> None:
    exam = prepared_exam(0)
    weight = data.weights(exam, 1)
    assert not weight[exam.vessel[1] & ~exam.valid[1]].any()
    assert not weight[~exam.voxels[1]].any()
    assert weight[exam.valid[1]].min() >= 1


def test_a_spread_of_the_mean_absolute_error_is_the_best_one() -> None:
    targets = torch.zeros(1, 5, 1, 1000)
    maps = torch.from_numpy(np.random.default_rng(0).laplace(0, 2, (1, 5, 1, 1000))).float()
    weight = torch.ones(1, 1, 1000)
    values = [
        float(loss(maps, torch.full_like(maps, spread), targets, weight)) for spread in (1, 2, 4)
    ]
    assert values[1] < min(values[0], values[2])


def test_the_network_learns(exams: list[Path], tmp_path: Path) -> None:
    task = BolusTask(exams[:2], exams[2:], seed=1, epochs=6)
    rows = fit(task, tmp_path / "run", Settings(6, 6, 1, "a"))
    assert rows[-1]["train_loss"] < 0.8 * rows[0]["train_loss"]


def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    exams: list[Path], tmp_path: Path
) -> None:
    whole = BolusTask(exams[:2], exams[2:], seed=1, epochs=3)
    fit(whole, tmp_path / "whole", Settings(3, 3, 1, "a"))
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(exams[0].parent), str(tmp_path / "killed")],
        cwd=Path(__file__).parent,
    )
    assert child.wait(timeout=120) == -signal.SIGKILL
    assert len(load(tmp_path / "killed" / LAST)["rows"]) == 1
    again = BolusTask(exams[:2], exams[2:], seed=1, epochs=3)
    fit(again, tmp_path / "killed", Settings(3, 3, 1, "a"))
    ours, theirs = whole.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


KILLED = """
import os, signal, sys
from pathlib import Path
from cnn_set import small_steps
from bolus.train.cnn.task import BolusTask
from bolus.train.cnn import task as cnn_task
from bolus.train.loop import Settings, fit
small_steps(setattr)
exams = sorted(Path(sys.argv[1]).glob("*.npz"))
task = BolusTask(exams[:2], exams[2:], seed=1, epochs=3)
step = task.step
def deadly(batch, bf16):
    if task.done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(batch, bf16)
task.step = deadly
fit(task, Path(sys.argv[2]), Settings(3, 3, 1, "a"))
"""


def test_another_runs_folder_is_left_alone(exams: list[Path], tmp_path: Path) -> None:
    task = BolusTask(exams[:2], exams[2:], seed=1, epochs=1)
    fit(task, tmp_path / "run", Settings(1, 1, 1, "a"))
    before = (tmp_path / "run" / LAST).read_bytes()
    with pytest.raises(Exception, match="other data or settings"):
        fit(task, tmp_path / "run", Settings(1, 1, 1, "b"))
    assert (tmp_path / "run" / LAST).read_bytes() == before


def test_training_stops_when_validation_gains_nothing(
    exams: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = BolusTask(exams[:2], exams[2:], seed=1, epochs=9)
    losses = iter([3.0, 2.0, 2.5, 2.4, 2.3, 1.0, 1.0])
    monkeypatch.setattr(task, "validate", lambda bf16: {"loss": next(losses)})
    rows = fit(task, tmp_path / "run", Settings(9, 2, 1, "a"))
    assert [row["loss"] for row in rows] == [3.0, 2.0, 2.5, 2.4]
    assert load(tmp_path / "run" / "best.pt")["epoch"] == 2
    assert cnn_task.STEPS_PER_EPOCH == 2
