"""Scores say by how much and in which direction maps and lesions are wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.study.dose.score import MAPS, Reference, score
from bolus.types import Float32Array, Lesion, Maps, MethodResult, Tissue

SHAPE = (2, 6, 7)
RNG = np.random.default_rng(1)


def plane(low: float, high: float) -> Float32Array:
    return RNG.uniform(low, high, SHAPE).astype(np.float32)


TRUE = {"cbf": plane(10, 60), "cbv": plane(1, 4), "mtt": plane(3, 9), "tmax": plane(1, 9),
        "ttp": plane(10, 30)}  # fmt: skip
VALID = RNG.uniform(size=SHAPE) < 0.7
CORE = VALID & (RNG.uniform(size=SHAPE) < 0.2)
HYPOPERFUSED = CORE | (VALID & (RNG.uniform(size=SHAPE) < 0.3))
REFERENCE = Reference(TRUE, VALID, CORE, HYPOPERFUSED, 0.5, True)
NOWHERE = np.zeros(SHAPE, bool)
TISSUE = Tissue(TRUE["cbf"], ~NOWHERE, NOWHERE, NOWHERE)


def result(maps: dict[str, Float32Array], labels: np.ndarray) -> MethodResult:
    lesion = Lesion(
        labels.astype(np.uint8), "rapid", "", "", "", "left", 50.0, "", 0, 0, 0, 0, None, None, {},
        None, False, False,
    )  # fmt: skip
    return MethodResult(Maps("bsvd", **maps), lesion)


LABELS = HYPOPERFUSED.astype(np.uint8) + CORE

PERFECT = result(TRUE, LABELS)


def test_the_truth_has_no_error() -> None:
    row = score(PERFECT, TISSUE, REFERENCE)
    assert row["covered"] == 1
    for name in MAPS:
        assert (row[f"{name}_mae"], row[f"{name}_bias"]) == (0, 0)
        assert row[f"{name}_r"] == pytest.approx(1)
    assert (row["core_dice"], row["hypoperfused_dice"]) == (1, 1)
    assert (row["core_error_ml"], row["hypoperfused_error_ml"]) == (0, 0)
    assert row["core_true_ml"] == CORE.sum() / 2


@given(st.sampled_from(MAPS), st.floats(-2, 2, width=16))
def test_a_shift_of_one_map_is_its_bias_and_nobody_elses(name: str, shift: float) -> None:
    shifted = TRUE | {name: np.asarray(TRUE[name] + np.float32(shift), np.float32)}
    row = score(result(shifted, LABELS), TISSUE, REFERENCE)
    assert row[f"{name}_bias"] == pytest.approx(shift, abs=1e-5)
    assert row[f"{name}_mae"] == pytest.approx(abs(shift), abs=1e-5)
    assert all(row[f"{other}_mae"] == 0 for other in MAPS if other != name)


def test_ttp_is_reported_on_the_whole_exams_clock() -> None:
    late = TRUE | {"ttp": np.asarray(TRUE["ttp"] - np.float32(4.5), np.float32)}
    row = score(result(late, LABELS), TISSUE, REFERENCE, start_s=4.5)
    assert row["ttp_mae"] == pytest.approx(0, abs=1e-5)


def test_only_valid_voxels_that_were_mapped_count() -> None:
    corrupted = {name: values.copy() for name, values in TRUE.items()}
    for values in corrupted.values():
        values[~VALID] = 1e6
    unmapped = VALID & (np.arange(SHAPE[2]) == 3)
    for values in corrupted.values():
        values[unmapped] = 0
    row = score(result(corrupted, LABELS), TISSUE, REFERENCE)
    assert all(row[f"{name}_mae"] == 0 for name in MAPS)
    assert row["covered"] == pytest.approx(1 - unmapped.sum() / VALID.sum())
    csf = replace(TISSUE, csf=unmapped)
    assert score(PERFECT, csf, REFERENCE)["covered"] == row["covered"]


def test_volumes_count_every_voxel_and_overlap_the_valid_ones() -> None:
    everywhere = result(TRUE, np.full(SHAPE, 2))
    row = score(everywhere, TISSUE, REFERENCE)
    assert row["core_ml"] == 0.5 * np.prod(SHAPE)
    assert row["core_error_ml"] == row["core_ml"] - CORE.sum() / 2
    assert row["core_dice"] == pytest.approx(2 * CORE.sum() / (CORE.sum() + VALID.sum()))


def test_nothing_to_measure_is_no_number() -> None:
    nothing = replace(REFERENCE, valid=NOWHERE)
    row = score(PERFECT, TISSUE, nothing)
    assert np.isnan(row["covered"])
    assert all(np.isnan(row[f"{name}_{kind}"]) for name in MAPS for kind in ("mae", "bias", "r"))
