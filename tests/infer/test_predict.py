"""The network's maps are maps like any other's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_slab import a_slab
from test_features import with_blood
from test_resolution import repeated

from bolus.infer.features import Sampled
from bolus.infer.model import Model, load_model
from bolus.infer.predict import Prediction, predict
from bolus.types import MAP_UNITS, Grade


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model()


@pytest.fixture(scope="module")
def slab() -> Sampled:
    return a_slab()


@pytest.fixture(scope="module")
def made(slab: Sampled, model: Model) -> Prediction:
    return predict(slab, model)


def test_every_voxel_has_all_maps_and_nothing_lies_outside(slab: Sampled, made: Prediction) -> None:
    maps = made.maps
    assert maps.delay is not None
    for values in (maps.cbf, maps.cbv, maps.mtt, maps.tmax, maps.ttp, maps.delay):
        assert values.dtype == np.float32
        assert values.shape == slab.voxels.shape
        assert np.isfinite(values).all()
        assert not values[~slab.voxels].any()
    assert (maps.cbf[slab.voxels] > 0).all()
    np.testing.assert_array_equal(maps.cbv, maps.cbf * maps.mtt / np.float32(60))
    np.testing.assert_array_equal(maps.delay, np.maximum(maps.tmax - maps.mtt / 2, 0))


def test_standard_errors_belong_to_every_map(slab: Sampled, made: Prediction) -> None:
    assert set(made.maps.se) == set(MAP_UNITS)
    for values in made.maps.se.values():
        assert (values[slab.voxels] > 0).all()
        assert not values[~slab.voxels].any()


def test_the_results_name_the_model(made: Prediction, model: Model) -> None:
    assert made.maps.method == "cnn"
    assert made.maps.parameters["sha256"] == model.sha256
    assert made.maps.parameters["pixel_mm"] == 1.0


def test_a_brain_with_half_of_the_blood_of_another_has_half_of_flow_and_volume_and_its_times(
    slab: Sampled, model: Model
) -> None:
    little, half = (predict(with_blood(slab, share), model) for share in (0.7, 0.35))
    tissue = slab.voxels & ~slab.vessel
    for name in ("cbf", "cbv"):
        ratio = getattr(half.maps, name)[tissue] / getattr(little.maps, name)[tissue]
        assert np.median(ratio) == pytest.approx(0.5, abs=0.02)
        errors = half.maps.se[name][tissue] / little.maps.se[name][tissue]
        assert np.median(errors) == pytest.approx(0.5, abs=0.1)
    for name in ("mtt", "tmax", "ttp"):
        found, other = (getattr(one.maps, name)[tissue] for one in (half, little))
        assert np.abs(found - other).mean() < 0.1
    for one in (little, half):
        assert {f.code: f.grade for f in one.findings}["blood-volume"] is Grade.WARNING
    ratio = [float(one.maps.parameters["blood_volume"]) for one in (half, little)]
    assert ratio[0] / ratio[1] == pytest.approx(0.5, rel=1e-3)


def test_a_brain_with_the_usual_blood_is_not_flagged_for_it(made: Prediction) -> None:
    assert made.maps.parameters["blood_volume"] == 1
    assert "blood-volume" not in {f.code for f in made.findings}


def test_late_tissue_is_late(slab: Sampled, made: Prediction) -> None:
    half = slab.voxels.shape[2] // 2
    tissue = slab.voxels & ~slab.vessel
    early, late = (np.zeros_like(tissue) for _ in range(2))
    early[..., : half - 3], late[..., half + 3 :] = True, True
    ttp = made.maps.ttp
    assert ttp[tissue & late].mean() > ttp[tissue & early].mean() + 1


def test_a_later_start_of_the_scan_moves_nothing_but_the_time_of_the_peak(
    slab: Sampled, made: Prediction, model: Model
) -> None:
    later = replace(slab, times_s=slab.times_s + 7, arrival_s=slab.arrival_s + 7)
    moved = predict(later, model).maps
    inside = slab.voxels
    np.testing.assert_allclose(moved.cbf, made.maps.cbf, rtol=1e-4)
    np.testing.assert_allclose(moved.ttp[inside], made.maps.ttp[inside] + 7, atol=1e-3)


def test_what_lies_around_the_head_changes_nothing(
    slab: Sampled, made: Prediction, model: Model
) -> None:
    """The brain's box is cut out, so the field of view has no say."""
    around = ((0, 0), (9, 4), (2, 11))
    wide = replace(slab, voxels=np.pad(slab.voxels, around), vessel=np.pad(slab.vessel, around))
    maps = predict(wide, model).maps
    np.testing.assert_array_equal(maps.cbf[:, 9:-4, 2:-11], made.maps.cbf)


def test_finer_pixels_give_the_same_maps(slab: Sampled, made: Prediction, model: Model) -> None:
    fine = predict(repeated(replace(slab, spacing_mm=(5.0, 0.8, 0.8)), 2), model).maps
    coarse = predict(replace(slab, spacing_mm=(5.0, 0.8, 0.8)), model).maps
    assert fine.parameters["pixel_mm"] == pytest.approx(0.8)
    assert fine.cbf.shape == (3, 60, 52)
    for name in MAP_UNITS:
        back = getattr(fine, name).reshape(3, 30, 2, 26, 2).mean(axis=(2, 4))
        there = getattr(coarse, name)
        apart = np.abs(back - there)[slab.voxels & ~slab.vessel]
        # linear interpolation rounds the steps between neighbours a little
        assert apart.mean() < 0.1 * there[slab.voxels].mean()
    np.testing.assert_array_equal(fine.cbf > 0, slab.voxels.repeat(2, axis=1).repeat(2, axis=2))


def test_an_absurd_exam_is_flagged_and_its_standard_errors_are_wider(
    slab: Sampled, model: Model
) -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(len(slab.times_s))
    absurd = replace(slab, curves_hu=np.ascontiguousarray(slab.curves_hu[:, order]) * 4)
    found = predict(absurd, model)
    (finding,) = found.findings
    assert finding.code == "unlike-training"
    assert finding.grade == Grade.FAIL
    assert float(found.maps.parameters["unlike_training"]) > 2


def test_the_same_exam_gives_the_same_bytes(slab: Sampled, made: Prediction, model: Model) -> None:
    again = predict(slab, model).maps
    for name in MAP_UNITS:
        assert getattr(again, name).tobytes() == getattr(made.maps, name).tobytes()


def test_a_slab_without_large_vessels_has_maps(slab: Sampled, model: Model) -> None:
    maps = predict(replace(slab, vessel=np.zeros_like(slab.vessel)), model).maps
    assert np.isfinite(maps.cbf).all()
    np.testing.assert_array_equal(maps.cbf > 0, slab.voxels)


def test_a_slice_without_brain_stays_empty(slab: Sampled, made: Prediction, model: Model) -> None:
    empty = np.zeros((1, *slab.voxels.shape[1:]), bool)
    more = replace(
        slab,
        voxels=np.concatenate([slab.voxels, empty]),
        vessel=np.concatenate([slab.vessel, empty]),
        times_s=np.concatenate([slab.times_s, slab.times_s[:, -1:]], axis=1),
    )
    maps = predict(more, model).maps
    assert not maps.cbf[-1].any()
    np.testing.assert_array_equal(maps.cbf[:-1], made.maps.cbf)
