"""Exams whose skull or face was removed before: the same maps, and what is less sure is said."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from bolus.acquire.checks import check_values
from bolus.acquire.exam import read_exam
from bolus.acquire.repair_values import repair_values
from bolus.anatomy.brain_mask import brain_mask, stripped_head
from bolus.errors import NoPerfusion
from bolus.metrics import dice
from bolus.options import Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.quality.verdict import verdict
from bolus.simulate.exam import simulate_exam
from bolus.simulate.nifti import write_image
from bolus.simulate.recipe import Recipe
from bolus.simulate.truth import Truth
from bolus.types import BoolArray, Exam, Float32Array, Grade, Results
from drawn_head import draw_head

HEADS = {
    "cine": Recipe(matrix=96, pixel_mm=2.3, slices=8, slice_mm=6.5, bottom_mm=-16.0, frames=28,
                   dt_s=2.0),
    "shuttle": Recipe(matrix=96, pixel_mm=2.3, slices=8, slice_mm=6.5, bottom_mm=-16.0, frames=28,
                      dt_s=2.0, timing="shuttle", side="right", core_ml=40.0),
}  # fmt: skip
SEEDS = {"cine": 5, "shuttle": 6}


@cache
def intact(name: str) -> tuple[Exam, Truth, Results]:
    exam, truth = simulate_exam(SEEDS[name], HEADS[name])
    return exam, truth, maps_of(exam)


def maps_of(exam: Exam) -> Results:
    return analyse(exam, Choices(methods=("nlr",)), Stages())


def with_values(exam: Exam, frames: Float32Array) -> Exam:
    """The exam as it would be read with these values."""
    frames = np.where(np.isfinite(frames), frames, np.float32(-1024))
    findings = (*repair_values(frames), *check_values(frames, "exam"))
    return replace(exam, frames=frames, findings=findings)


def stripped(exam: Exam, brain: BoolArray, outside_hu: float) -> Exam:
    frames = np.round(exam.frames)
    frames[:, ~brain] = outside_hu
    return with_values(exam, frames)


def codes(results: Results) -> set[str]:
    return {finding.code for finding in results.findings}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(
    ("outside_hu", "peeled"), [(0.0, 0), (-1024.0, 1), (float("nan"), 0), (-1000.0, 1)]
)
def test_a_stripped_exam_has_the_maps_of_the_whole_one(
    name: str, outside_hu: float, peeled: int
) -> None:
    exam, truth, whole = intact(name)
    brain = truth.brain
    if peeled:
        brain = ndimage.binary_erosion(brain, np.ones((1, 3, 3), bool), iterations=peeled)
    found = maps_of(stripped(exam, brain, outside_hu))
    assert {"skull-removed", "motion-not-assessed"} <= codes(found)
    assert verdict(found).grade >= Grade.WARNING
    one, other = found.methods["nlr"], whole.methods["nlr"]
    assert one.lesion.side == other.lesion.side
    assert dice(one.lesion.labels > 0, other.lesion.labels > 0) > 0.9
    assert one.lesion.hypoperfused_ml == pytest.approx(other.lesion.hypoperfused_ml, rel=0.08)
    assert one.lesion.core_ml == pytest.approx(other.lesion.core_ml, rel=0.1, abs=2)
    both = (one.maps.cbf > 0) & (other.maps.cbf > 0)
    assert np.median(np.abs(one.maps.tmax - other.maps.tmax)[both]) < 0.2
    assert found.tissue.brain.sum() > 0.9 * brain.sum()
    assert not (found.tissue.brain & ~brain).any()


@pytest.mark.parametrize("outside_hu", [0.0, -1024.0])
def test_the_border_of_the_mask_is_no_vessel_even_where_it_follows_the_head(
    outside_hu: float,
) -> None:
    exam, truth, whole = intact("cine")
    frames, border = np.round(exam.frames), np.zeros_like(truth.brain)
    for t, frame in enumerate(frames):
        brain = np.roll(truth.brain, (t % 3 - 1, t // 2 % 3 - 1), (1, 2))
        frame[~brain] = outside_hu
        border |= truth.brain & ~brain
    found = maps_of(with_values(exam, frames))
    for vessel in (found.arteries.aif, found.arteries.vof):
        assert truth.vessel_fraction[tuple(vessel.voxels.T)].mean() > 0.4
        assert not border[tuple(vessel.voxels.T)].any()
    false = found.tissue.vessel & (truth.vessel_fraction < 0.01)
    assert false.sum() <= 1.1 * (whole.tissue.vessel & (truth.vessel_fraction < 0.01)).sum()
    assert (
        dice(found.methods["nlr"].lesion.labels > 0, whole.methods["nlr"].lesion.labels > 0) > 0.9
    )


def test_a_stripped_exam_without_veins_next_to_the_skull_says_so_or_finds_another() -> None:
    exam, truth, whole = intact("cine")
    deep = ndimage.distance_transform_edt(truth.brain, sampling=exam.geometry.spacing_mm) > 7
    found = maps_of(stripped(exam, deep, 0.0))
    ratio = found.arteries.scale / whole.arteries.scale
    assert 0.7 < ratio < 1.4 or "vof-missing" in {f.code for f in found.arteries.findings}
    assert verdict(found).grade >= Grade.WARNING


@pytest.mark.parametrize("outside_hu", [0.0, -1000.0, float("nan")])
def test_a_head_without_its_face_is_a_head(outside_hu: float) -> None:
    exam, truth, whole = intact("cine")
    frames = np.round(exam.frames)
    front = int(np.nonzero(truth.brain.any(axis=(0, 2)))[0].min())
    frames[:, :3, : front - 1] = outside_hu
    found = maps_of(with_values(exam, frames))
    assert "skull-removed" not in codes(found)
    assert "motion-not-assessed" not in codes(found)
    one, other = found.methods["nlr"].lesion, whole.methods["nlr"].lesion
    assert dice(one.labels > 0, other.labels > 0) > 0.95
    assert dice(found.tissue.brain, whole.tissue.brain) > 0.95


def test_a_stripped_nifti_is_read_and_its_background_named(tmp_path: Path) -> None:
    exam, truth, _ = intact("cine")
    frames = np.round(exam.frames)
    frames[:, ~truth.brain] = 0
    path = tmp_path / "ctp.nii.gz"
    write_image(frames.astype(np.int16), exam.geometry, path, step_s=2.0)
    path.with_name("ctp.json").write_text('{"RepetitionTime": 2.0}')
    found = read_exam(path)
    assert "padding-undeclared" in {f.code for f in found.findings}
    assert found.frames[:, ~truth.brain].max() == -1024
    assert np.array_equal(found.frames[:, truth.brain], frames[:, truth.brain])


def test_a_stripped_head_is_told_from_a_whole_one_in_noiseless_air() -> None:
    exam, head = draw_head(noise_hu=0.0)
    image = exam.frames[0]
    assert stripped_head(image) is None
    left = np.where(head.brain, image, np.float32(0))
    found = stripped_head(left)
    assert found is not None
    assert dice(found, head.brain) == 1
    assert dice(brain_mask(left, exam.geometry), head.brain) > 0.97


def test_what_a_stripping_tool_left_of_the_skull_is_no_brain() -> None:
    exam, head = draw_head()
    image = exam.frames[:3].mean(axis=0)
    shell = ndimage.binary_dilation(head.brain, np.ones((1, 3, 3), bool)) & ~head.brain
    shell[:, :, 56:] = False  # on one side only
    left = np.where(head.brain | shell, image, np.float32(-1024))
    assert stripped_head(left) is not None
    mask = brain_mask(left, exam.geometry)
    assert dice(mask, head.brain) > 0.95
    assert not (mask & shell).any()


def in_noise(brain: BoolArray, outside_hu: float, noise_hu: float) -> Exam:
    exam, _, _ = intact("cine")
    around = np.random.default_rng(4).normal(outside_hu, noise_hu, exam.frames.shape)
    return with_values(exam, np.where(brain, exam.frames, around.astype(np.float32)))


def test_a_stripped_head_with_little_noise_around_it_has_its_maps() -> None:
    _, truth, whole = intact("cine")
    found = maps_of(in_noise(truth.brain, 0.0, 0.5))
    assert "skull-removed" in codes(found)
    one, other = found.methods["nlr"].lesion, whole.methods["nlr"].lesion
    assert dice(one.labels > 0, other.labels > 0) > 0.9
    assert found.tissue.brain.sum() > 0.9 * truth.brain.sum()


@pytest.mark.parametrize(("outside_hu", "noise_hu"), [(0.0, 5.0), (-1000.0, 10.0)])
def test_a_stripped_head_in_the_noise_of_air_or_brain_is_refused_with_a_remedy(
    outside_hu: float, noise_hu: float
) -> None:
    _, truth, _ = intact("cine")
    inner = ndimage.binary_erosion(truth.brain, np.ones((1, 3, 3), bool))
    with pytest.raises(NoPerfusion, match="give all voxels around the brain one value"):
        maps_of(in_noise(inner, outside_hu, noise_hu))


@pytest.mark.parametrize("outside_hu", [0.0, -1024.0])
@pytest.mark.parametrize("pixels", [1, 2])
def test_a_skull_that_a_wide_mask_left_in_part_is_named(pixels: int, outside_hu: float) -> None:
    exam, truth, whole = intact("cine")
    wide = ndimage.binary_dilation(truth.brain, np.ones((1, 3, 3), bool), iterations=pixels)
    found = {one.code: one for one in maps_of(stripped(exam, wide, outside_hu)).findings}
    assert found["head-cut"].grade == Grade.WARNING
    assert "head-cut" not in codes(whole)


@pytest.mark.parametrize("outside_hu", [0.0, -1024.0])
def test_a_front_that_was_cut_off_is_named(outside_hu: float) -> None:
    exam, _, _ = intact("cine")
    frames = np.round(exam.frames)
    frames[:, :, : frames.shape[2] // 3] = outside_hu
    assert "head-cut" in codes(maps_of(with_values(exam, frames)))
