"""`bolus compare` scores any two sets of masks or maps, and says what it can't compare."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from reading_study import AFFINE, GRID, SHAPE, write_results

from bolus.cli import app
from bolus.errors import BadGeometry, BolusError, DamagedFile, NoReadableFiles, UsageError
from bolus.files.voxel_grid import same_grid
from bolus.study.agreement.compare import compare, write_comparison
from bolus.types import Geometry
from bolus.volumes import Volume, nifti_bytes, on_grid, read_volume


def save(path: Path, values: np.ndarray, geometry: Geometry = GRID) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(nifti_bytes(values, geometry, "test"))
    return path


def labels(shift: int = 0) -> np.ndarray:
    made = np.zeros(SHAPE, np.uint8)
    made[1:5, 20:32, 20 + shift : 34 + shift] = 1
    made[2:4, 24:28, 24 + shift : 30 + shift] = 2
    return made


def test_two_masks_are_scored_as_simpleitk_scores_them(tmp_path: Path) -> None:
    one, two = save(tmp_path / "a.nii.gz", labels()), save(tmp_path / "b.nii.gz", labels(2))
    (agreed,) = compare(one, two).masks.values()
    images = [SimpleITK.ReadImage(str(path)) for path in (one, two)]
    for region, low in (("core", 2), ("hypoperfused", 1)):
        found = agreed.pairs[0].regions[region]
        masks = [image >= low for image in images]
        measures = SimpleITK.LabelOverlapMeasuresImageFilter()
        measures.Execute(*masks)
        assert found.dice == pytest.approx(measures.GetDiceCoefficient(1))
        for mask, ml in zip(masks, (found.first_ml, found.second_ml), strict=True):
            voxels = int(SimpleITK.GetArrayFromImage(mask).sum())
            assert ml == pytest.approx(voxels * np.prod(mask.GetSpacing()) / 1000, rel=1e-5)
    assert agreed.pairs[0].regions["core"].hd95_mm == pytest.approx(2 * 3.5, rel=1e-5)


def test_a_set_of_masks_has_all_statistics(tmp_path: Path) -> None:
    for number in range(5):
        grown = labels()
        grown[1, 10 : 12 + number, 20:30] = 1
        grown[2, 30 : 31 + number, 20:22] = 2
        save(tmp_path / "a" / f"case-{number}.nii.gz", labels(number))
        save(tmp_path / "b" / f"case-{number}.nii.gz", grown)
    found = compare(tmp_path / "a", tmp_path / "b")
    core, _, hypoperfused = found.masks["all"].regions
    assert core.pairs == hypoperfused.pairs == 5
    apart_ml = np.array([2, 4, 6, 8, 10]) * GRID.voxel_ml
    assert core.limits.bias.value == pytest.approx(apart_ml.mean())
    assert core.absolute_ml.value == pytest.approx(apart_ml.mean())
    assert core.r.value is None  # the first volumes are all the same
    assert len(found.masks["all"].trials) == 5
    write_comparison(found, tmp_path / "out")
    text = (tmp_path / "out" / "agreement.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["region"] for row in rows] == ["core", "penumbra", "hypoperfused"]
    assert float(rows[0]["bias_ml"]) == pytest.approx(apart_ml.mean(), rel=1e-5)
    assert "Research use, not for diagnosis" in (tmp_path / "out" / "compare.html").read_text()


def test_masks_of_one_label_are_one_region(tmp_path: Path) -> None:
    one = save(tmp_path / "a.nii.gz", (labels() > 0).astype(np.uint8))
    two = save(tmp_path / "b.nii.gz", (labels(1) > 0).astype(np.uint8))
    (agreed,) = compare(one, two).masks.values()
    assert [region.region for region in agreed.regions] == ["hypoperfused"]
    assert agreed.trials == ()


def test_maps_are_compared_over_the_mask(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one = rng.uniform(10, 60, SHAPE).astype(np.float32)
    two = (one + 2 + rng.normal(0, 1, SHAPE)).astype(np.float32)
    where = np.zeros(SHAPE, np.uint8)
    where[1:4, 10:40, 10:30] = 1
    two[where == 0] = 1000
    paths = [save(tmp_path / f"{n}.nii.gz", v) for n, v in (("a", one), ("b", two), ("m", where))]
    (found,) = compare(*paths).maps
    apart = (two.astype(float) - one)[where > 0]
    assert found.voxels == where.sum()
    assert found.mean == pytest.approx(apart.mean())
    assert found.high == pytest.approx(apart.mean() + 1.96 * apart.std())
    assert found.mae == pytest.approx(np.abs(apart).mean())
    assert found.r == pytest.approx(np.corrcoef(one[where > 0], two[where > 0])[0, 1])
    assert found.ccc is not None
    assert found.ccc < found.r


def test_outside_of_both_and_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    one, two = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    one[2, 10:20, 10:20] = 5.5
    two[2, 10:20, 10:20] = 7.5
    two[2, 10, 10] = np.nan
    paths = [save(tmp_path / f"{n}.nii.gz", v) for n, v in (("a", one), ("b", two))]
    (found,) = compare(*paths).maps
    assert (found.voxels, found.mean, found.mae) == (99, 2.0, 2.0)


def test_two_results_are_compared_by_method(tmp_path: Path) -> None:
    one = write_results(tmp_path / "one", 1)
    two = write_results(tmp_path / "two", 1)
    found = compare(one, two)
    assert set(found.masks) == {"nlr/lesion", "cnn/lesion"}
    assert {m.name for m in found.maps} == {
        f"{method}/{key}"
        for method in ("nlr", "cnn")
        for key in ("cbf", "cbv", "mtt", "tmax", "ttp")
    }
    brain = read_volume(one / "brain.nii.gz").values
    assert all(m.voxels == brain.sum() for m in found.maps)
    assert all((m.mean, m.r) == (0, pytest.approx(1)) for m in found.maps)
    assert all(r.dice.value == 1 for a in found.masks.values() for r in a.regions)


def test_two_methods_of_one_exam_are_two_folders(tmp_path: Path) -> None:
    result = write_results(tmp_path / "one", 1)
    found = compare(result / "nlr", result / "cnn")
    assert len(found.maps) == 5
    assert found.masks["all"].pairs[0].regions["hypoperfused"].difference_ml > 0


def test_many_results_are_one_set(tmp_path: Path) -> None:
    for side in ("a", "b"):
        for n in range(3):
            write_results(tmp_path / side / f"exam-{n}", n, ("nlr",))
            save(tmp_path / side / f"exam-{n}" / "outlines" / side / "outline.nii.gz", labels())
    found = compare(tmp_path / "a", tmp_path / "b")
    assert {name: len(agreed.pairs) for name, agreed in found.masks.items()} == {"nlr/lesion": 3}
    assert len(found.maps) == 15


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a" / "case-1.nii.gz", labels())
    save(tmp_path / "a" / "case-2.nii.gz", labels())
    save(tmp_path / "b" / "case-1.nii.gz", labels())
    save(tmp_path / "b" / "other.nii.gz", labels())
    with pytest.raises(UsageError) as caught:
        compare(tmp_path / "a", tmp_path / "b")
    assert "case-2.nii.gz" in str(caught.value)
    assert "other.nii.gz" in str(caught.value)
    assert "case-1" not in str(caught.value)


def refused(kind: type[BolusError], first: Path, second: Path, mask: Path | None = None) -> str:
    with pytest.raises(kind) as caught:
        compare(first, second, mask)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_compared_is_one_clear_error(tmp_path: Path) -> None:
    mask = save(tmp_path / "mask.nii.gz", labels())
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    a_map = save(tmp_path / "map.nii.gz", values)
    empty = tmp_path / "empty"
    empty.mkdir()
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(mask.read_bytes()[:200])
    text = tmp_path / "text.nii"
    text.write_text("no image")
    four = tmp_path / "four.nii.gz"
    nib.Nifti1Image(np.zeros((3, 4, 5, 6), np.uint8), np.eye(4)).to_filename(four)
    flat = tmp_path / "flat.nii.gz"
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.uint8), None)
    image.header["sform_code"], image.header["srow_x"] = 1, 0
    image.header["srow_y"] = image.header["srow_z"] = 0
    image.to_filename(flat)
    assert "missing" in refused(NoReadableFiles, mask, tmp_path / "none.nii.gz")
    assert "no NIfTI files" in refused(NoReadableFiles, empty, empty)
    assert "a file and a folder" in refused(UsageError, mask, empty)
    assert "a mask and a map" in refused(UsageError, mask, a_map)
    assert "cut.nii.gz" in refused(DamagedFile, mask, cut)
    assert "text.nii" in refused(DamagedFile, text, mask)
    assert "(3, 4, 5, 6)" in refused(DamagedFile, mask, four)
    assert "flat.nii.gz" in refused(BadGeometry, flat, mask)
    nothing = save(tmp_path / "nothing.nii.gz", np.zeros(SHAPE, np.uint8))
    assert "no voxel" in refused(NoReadableFiles, a_map, a_map, nothing)


def shifted(mm: tuple[float, float, float]) -> Geometry:
    affine = AFFINE.copy()
    affine[:3, 3] += mm
    return Geometry(SHAPE, affine)


def test_another_grid_is_resampled_and_said_so(tmp_path: Path) -> None:
    one = save(tmp_path / "a.nii.gz", labels())
    fine = Geometry((SHAPE[0], 2 * SHAPE[1], 2 * SHAPE[2]), AFFINE.copy())
    fine.affine[:3, 1:3] /= 2
    fine.affine[:2, 3] -= 3.5 / 4  # the same place in the patient
    two = save(tmp_path / "b.nii.gz", labels().repeat(2, axis=1).repeat(2, axis=2), fine)
    found = compare(one, two)
    assert found.masks["files"].regions[0].dice.value == 1
    (note,) = found.notes
    assert "96 × 112 × 6" in note
    assert "48 × 56 × 6" in note


def test_the_same_grid_in_another_order_is_the_same_mask(tmp_path: Path) -> None:
    one = save(tmp_path / "a.nii.gz", labels())
    turned = nib.load(one).as_reoriented([[0, -1], [1, 1], [2, -1]])
    turned.to_filename(tmp_path / "b.nii.gz")
    found = compare(one, tmp_path / "b.nii.gz")
    assert all(r.dice.value == 1 for r in found.masks["files"].regions)
    assert len(found.notes) == 1


def test_grids_that_do_not_meet_are_refused(tmp_path: Path) -> None:
    one = save(tmp_path / "a.nii.gz", labels())
    two = save(tmp_path / "b.nii.gz", labels(), shifted((1000, 0, 0)))
    assert "b.nii.gz does not overlap" in refused(BadGeometry, one, two)


@given(st.tuples(*[st.integers(-3, 3)] * 3))
def test_a_mask_on_a_grid_moved_by_whole_voxels_stays_in_its_place(
    voxels: tuple[int, int, int],
) -> None:
    moved = shifted(tuple(AFFINE[:3, :3] @ voxels))
    found = on_grid(Volume(labels(), GRID), moved, "mask")
    index = np.argwhere(found.values) + voxels
    inside = np.argwhere(labels())
    reach = np.array(SHAPE) + voxels
    kept = (inside >= voxels).all(axis=1) & (inside < reach).all(axis=1)
    assert sorted(map(tuple, index)) == sorted(map(tuple, inside[kept]))


def test_rounded_headers_are_the_same_grid_and_half_a_voxel_is_not() -> None:
    assert same_grid(GRID, shifted((1e-3, 0, 0)))
    assert not same_grid(GRID, shifted((1.7, 0, 0)))


def test_the_command_prints_and_writes_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = write_results(tmp_path / "one", 1), write_results(tmp_path / "two", 2)
    outputs = []
    for out in ("x", "y"):
        app(
            ["compare", str(one), str(two), "-o", str(tmp_path / out)], result_action="return_value"
        )
        outputs.append({p.name: p.read_bytes() for p in (tmp_path / out).iterdir()})
    assert outputs[0] == outputs[1]
    printed = capsys.readouterr().out
    assert "Dice" in printed
    assert "Research use, not for diagnosis." in printed


def test_a_study_goes_from_init_to_report_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exams = [str(write_results(tmp_path / f"exam-{n}", n)) for n in range(3)]
    study, out = str(tmp_path / "study"), str(tmp_path / "report")
    call = ["study", "raters"]
    made = [
        "init",
        study,
        "--exams",
        *exams,
        "--maps",
        "nlr,cnn",
        "--raters",
        "2",
        "--repeats",
        "1",
    ]
    for words in (made, ["simulate", study, "--seed", "1"], ["report", study, "-o", out]):
        app([*call, *words], result_action="return_value")
    printed = capsys.readouterr().out
    assert "shown only now" in printed
    assert "Simulated raters: rater-1, rater-2" in printed
    assert (tmp_path / "report" / "report.html").is_file()
