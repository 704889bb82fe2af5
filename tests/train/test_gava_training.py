"""The recipe learns, the same each time, and stops by validation alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_set import WIDTH, slices

from bolus.metrics import image_agreement
from bolus.train.gava2021.task import GavaTask, predict
from bolus.train.gava2021.windows import MEAN, SD, share
from bolus.train.loop import BEST, LAST, Settings, fit, load


def losses(seed: int, *, bf16: bool = False, epochs: int = 3) -> list[float]:
    task = GavaTask(slices(10), slices(1), seed=seed, width=WIDTH)
    return [task.step(batch, bf16) for e in range(1, epochs + 1) for batch in task.steps(e)]


def test_two_slices_are_learnt_by_heart() -> None:
    pair = slices(2)
    task = GavaTask(pair, pair, seed=0, width=4)
    # the recipe's own rate is for days of training
    task.optimiser.param_groups[0]["lr"] = 1e-2
    found = [task.step(batch, False) for epoch in range(70) for batch in task.steps(epoch)]
    assert found[-1] < found[0] / 10


def test_the_same_seed_gives_the_same_losses() -> None:
    assert losses(3) == losses(3)
    assert losses(3) != losses(4)


def test_every_slice_comes_once_an_epoch_in_batches_of_8() -> None:
    training = slices(19)
    task = GavaTask(training, slices(1), seed=0, width=WIDTH)
    seen = [batch[1].numpy() for batch in task.steps(1)]
    assert [len(batch) for batch in seen] == [8, 8, 3]
    sums = sorted(np.concatenate(seen).astype(int).sum(axis=(1, 2)))
    assert sums == sorted(training.target.astype(int).sum(axis=(1, 2)))
    other = np.concatenate([batch[1].numpy() for batch in task.steps(2)])
    assert not np.array_equal(np.concatenate(seen), other)


def test_mixed_precision_gives_nearly_the_same_losses() -> None:
    half, full = losses(0, bf16=True), losses(0)
    assert half != full
    np.testing.assert_allclose(half, full, rtol=0.02)


def test_the_loss_is_the_mean_square_over_the_whole_image() -> None:
    """By hand, from the constants of the public code; background included."""
    data = slices(3)
    task = GavaTask(data, data, seed=0, width=WIDTH)
    image = torch.from_numpy((data.inputs / 255 - MEAN) / SD).float()
    task.model.train()
    with torch.no_grad():
        found = task.model(image).sigmoid()[:, 0].numpy()
    expected = np.square(found - data.target / 255).mean()
    (batch,) = task.steps(1)
    task = GavaTask(data, data, seed=0, width=WIDTH)
    task.model.train()
    assert task.step(batch, False) == pytest.approx(expected, rel=1e-4)


def test_a_plateau_of_validation_ends_training_though_training_still_gains(tmp_path: Path) -> None:
    """Targets of validation that the network leaves further behind with each step."""
    training = slices(4)
    against = replace(training, target=np.full_like(training.target, 255))
    task = GavaTask(replace(training, target=training.target // 8), against, seed=0, width=WIDTH)
    rows = fit(task, tmp_path, Settings(epochs=60, patience=60, seed=0, identity="x"))
    best = min(rows, key=lambda row: row["loss"])["epoch"]
    rates = [row["learning_rate"] for row in rows]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    # three plateaus of 6 epochs each after the best one: 5e-5, 5e-6, 5e-7, stop
    assert len(rows) == best + 18
    assert sorted({f"{rate:.0e}" for rate in rates}) == ["5e-05", "5e-06", "5e-07"]
    assert load(tmp_path / BEST)["epoch"] == best
    assert len(load(tmp_path / LAST)["rows"]) == len(rows)


def test_agreement_by_hand() -> None:
    target = np.array([[[0.0, 0.2], [0.4, 0.6]]], np.float32)
    found = np.array([[[0.0, 0.4], [0.6, 0.8]]], np.float32)
    result = image_agreement(found, target, target > 0)
    assert result["mse"] == pytest.approx(0.03)
    assert result["r"] == pytest.approx(1.0)
    assert result["r_all"] == pytest.approx(np.corrcoef(found.ravel(), target.ravel())[0, 1])


def test_some_slices_are_predicted_as_among_all() -> None:
    data = slices(5)
    task = GavaTask(data, data, seed=0, width=WIDTH)
    everything = predict(task.model, data)
    np.testing.assert_allclose(
        predict(task.model, data, only=[3, 1]), everything[[3, 1]], rtol=1e-5
    )
    assert everything.shape == share(data.target).shape
