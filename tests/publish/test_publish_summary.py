"""summary.json holds every number, in a form that any program can read."""

from __future__ import annotations

import csv
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bolus.publish.summary import SCHEMA, summary_json
from bolus.publish.write import publish
from bolus.quality.verdict import verdict
from bolus.types import Finding, Grade, Results

NUMBER = (int, float)
MAYBE = (int, float, type(None))

CANDIDATE: dict[str, Any] = {
    "voxels_xyz": [list],
    "centre_lps_mm": [float],
    "peak_hu": NUMBER,
    "confidence": NUMBER,
    "manual": bool,
    "score": NUMBER,
    "parts": dict,
    "fraction": NUMBER,
    "delay_s": NUMBER,
    "diameter_mm": MAYBE,
    "curve_hu": [NUMBER],
}

SHAPE: dict[str, Any] = {
    "schema": str,
    "use": str,
    "verdict": {"grade": str, "text": str, "reasons": [str]},
    "methods": {
        "*": {
            "lesion": {
                "preset": str,
                "thresholds": {"core": str, "hypoperfused": str, "source": str},
                "side": str,
                "core_ml": NUMBER,
                "core_lower_bound": bool,
                "penumbra_ml": NUMBER,
                "hypoperfused_ml": NUMBER,
                "hypoperfused_lower_bound": bool,
                "mismatch_ml": NUMBER,
                "mismatch_ratio": MAYBE,
                "hir": MAYBE,
                "tmax_above_ml": {"4": NUMBER, "6": NUMBER, "8": NUMBER, "10": NUMBER},
                "cbv_index": MAYBE,
                "reference": str,
                "reference_cbf": NUMBER,
                "findings": [{"code": str, "grade": str, "message": str, "remedy": str}],
            },
            "parameters": dict,
        }
    },
    "agreement": [
        {
            "first": str,
            "second": str,
            "voxels": int,
            "maps": {
                key: {"mean_difference": NUMBER, "limits_of_agreement": [NUMBER], "r": MAYBE}
                for key in ("cbf", "cbv", "mtt", "tmax", "ttp")
            },
            "core_dice": MAYBE,
            "hypoperfused_dice": MAYBE,
            "core_difference_ml": NUMBER,
            "hypoperfused_difference_ml": NUMBER,
        }
    ],
    "arteries": {
        name: {
            "voxels_xyz": [list],
            "centre_lps_mm": [float],
            "peak_hu": NUMBER,
            "confidence": NUMBER,
            "manual": bool,
        }
        for name in ("aif", "vof")
    }
    | {
        "scale": NUMBER,
        "arrival_s": NUMBER,
        "candidates": {kind: [CANDIDATE] for kind in ("aif", "vof")},
    },
    "checks": [
        {"name": str, "grade": str, "value": MAYBE, "unit": str, "message": str, "remedy": str}
    ],
    "findings": [{"code": str, "grade": str, "message": str, "remedy": str}],
    "motion": {
        "median_displacement_mm": MAYBE,
        "max_displacement_mm": NUMBER,
        "max_translation_mm": NUMBER,
        "max_rotation_deg": NUMBER,
        "dropped_frames": [int],
        "frames": {
            "time_s": [NUMBER],
            "displacement_mm": [NUMBER],
            "rotation_deg": [[NUMBER]],
            "translation_mm": [[NUMBER]],
            "kept": [bool],
        },
    },
    "exam": {
        "frames": int,
        "slices": int,
        "duration_s": NUMBER,
        "frame_interval_s": MAYBE,
        "grid_interval_s": NUMBER,
    },
    "scanner": {
        "source": str,
        "manufacturer": str,
        "model": str,
        "kernel": str,
        "kvp": MAYBE,
        "exposure_mas": MAYBE,
        "slice_thickness_mm": MAYBE,
    },
    "geometry": {
        "shape_xyz": [int],
        "spacing_xyz_mm": [float],
        "coverage_mm": NUMBER,
        "voxel_ml": NUMBER,
        "affine_xyz_to_lps_mm": [list],
    },
    "dicom_identity": {"*": str},
    "deidentified": bool,
    "parameters": {"*": dict},
    "timings_s": {"*": NUMBER},
    "versions": {"*": str},
    "files": [str],
}


def check_shape(value: Any, shape: Any, where: str = "summary") -> None:
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        if "*" in shape:
            for key, item in value.items():
                check_shape(item, shape["*"], f"{where}.{key}")
            return
        assert list(value) == list(shape), where
        for key, item in value.items():
            check_shape(item, shape[key], f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for item in value:
            check_shape(item, shape[0], where)
    else:
        assert isinstance(value, shape), f"{where} is {value!r}"


def keys_of(shape: Any) -> set[str]:
    if isinstance(shape, list):
        return keys_of(shape[0])
    if not isinstance(shape, dict):
        return set()
    inner = [keys_of(item) for item in shape.values()]
    return ({k for k in shape if k != "*"}).union(*inner)


@pytest.fixture(scope="module")
def out(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "out"
    publish(results, folder)
    return folder


def test_the_schema_is_kept(out: Path) -> None:
    content = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert content["schema"] == SCHEMA == "bolus-summary/1"
    check_shape(content, SHAPE)


def test_every_key_is_documented() -> None:
    page = Path(__file__).parents[2] / "docs" / "summary-schema.md"
    text = page.read_text(encoding="utf-8")
    assert SCHEMA in text
    assert [key for key in sorted(keys_of(SHAPE)) if f"`{key}`" not in text] == []


def test_the_numbers_are_those_of_the_results(out: Path, results: Results) -> None:
    content = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    for name, method in results.methods.items():
        lesion = content["methods"][name]["lesion"]
        for key in ("core_ml", "penumbra_ml", "hypoperfused_ml", "mismatch_ml", "reference_cbf"):
            assert lesion[key] == pytest.approx(getattr(method.lesion, key), rel=1e-5)
        assert method.maps.parameters == content["methods"][name]["parameters"]
    timings = content["timings_s"]
    assert (timings["acquire"], timings["align"]) == (2.5, 3.25)
    assert timings["report"] > 0
    assert timings["total"] == pytest.approx(5.75 + timings["report"], abs=1e-3)
    assert content["motion"]["dropped_frames"] == [17]
    frames = content["motion"]["frames"]
    assert [n for n, kept in enumerate(frames["kept"]) if not kept] == [17]
    assert frames["time_s"] == pytest.approx(results.times_s.mean(axis=1).tolist(), rel=1e-5)
    shown = frames["displacement_mm"]
    assert shown == pytest.approx(results.motion.displacement_mm.tolist(), rel=1e-5)
    assert content["arteries"]["vof"]["centre_lps_mm"] == pytest.approx([0, 66, 20], abs=2.6)
    assert content["geometry"]["spacing_xyz_mm"] == [3.0, 3.0, 5.0]


def test_a_voxel_of_the_summary_is_the_voxel_of_the_maps(out: Path, results: Results) -> None:
    """(x, y, z) of summary.json indexes the NIfTI files and lands on the artery's place."""
    content = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    image = nib.load(out / "brain.nii.gz")
    aif = content["arteries"]["aif"]
    ras = nib.affines.apply_affine(image.affine, np.array(aif["voxels_xyz"])).mean(axis=0)
    np.testing.assert_allclose(ras * [-1, -1, 1], aif["centre_lps_mm"], atol=0.01)


def test_candidates_keep_their_order_marks_and_curves(out: Path, results: Results) -> None:
    content = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    first, second = content["arteries"]["candidates"]["aif"]
    assert first["voxels_xyz"] == content["arteries"]["aif"]["voxels_xyz"]
    assert second["parts"] == {"peak": 0.97, "earliness": 0.62, "place": 1.0}
    assert len(second["curve_hu"]) == len(results.grid_s)
    assert (second["delay_s"], second["diameter_mm"]) == (0.55, 2.1)


def test_what_has_no_value_is_null_and_never_nan(results: Results) -> None:
    method = results.methods["nlr"]
    lesion = replace(method.lesion, mismatch_ratio=None, hir=float("nan"), cbv_index=None)
    odd = replace(results, methods={"nlr": replace(method, lesion=lesion)})
    text = summary_json(odd, [])
    assert "NaN" not in text
    assert json.loads(text)["methods"]["nlr"]["lesion"]["hir"] is None


def test_only_uids_of_the_identity_are_written(hostile: Results) -> None:
    text = summary_json(hostile, [])
    assert "1.2.3.4" in text
    assert "DOE" not in text
    assert "4711" not in text


def test_the_file_list_is_complete(out: Path) -> None:
    content = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    found = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert set(content["files"]) == found
    maps = {f"{k}.nii.gz" for k in ("cbf", "cbv", "mtt", "tmax", "ttp", "lesion")}
    methods = {f"{m}/{name}" for m in ("nlr", "osvd") for name in maps}
    methods |= {f"osvd-minus-nlr/{name}" for name in maps if "lesion" not in name}
    images = {f"{name}.nii.gz" for name in ("baseline", "brain", "maximum")}
    # made-up results hold no curves of voxels, so masks.npz stands in for voxels.npz
    assert found == methods | images | {"curves.csv", "masks.npz", "report.html", "summary.json"}


def test_same_results_give_the_same_bytes(out: Path, results: Results, tmp_path: Path) -> None:
    slower = replace(results, timings_s={"acquire": 9.0, "align": 1.0})
    publish(slower, tmp_path / "again")
    for path in [*sorted(out.rglob("*.nii.gz")), out / "curves.csv"]:
        assert (tmp_path / "again" / path.relative_to(out)).read_bytes() == path.read_bytes()
    first, second = (
        json.loads((folder / "summary.json").read_text()) for folder in (out, tmp_path / "again")
    )
    assert first.pop("timings_s") != second.pop("timings_s")
    assert first == second


def test_maps_carry_units_method_and_version(out: Path, results: Results) -> None:
    for key, unit in (("cbf", "CBF ml/100g/min"), ("cbv", "CBV ml/100g"), ("tmax", "Tmax s"),
                      ("mtt", "MTT s"), ("ttp", "TTP s")):  # fmt: skip
        image = nib.load(out / "osvd" / f"{key}.nii.gz")
        assert image.header["descrip"].item().decode() == f"{unit}, bolus 0.1.0 osvd"
        stored = np.asarray(image.dataobj).transpose(2, 1, 0)
        np.testing.assert_array_equal(stored, getattr(results.methods["osvd"].maps, key))
    labels = nib.load(out / "nlr" / "lesion.nii.gz")
    assert labels.get_data_dtype() == np.uint8
    values = np.asarray(labels.dataobj).transpose(2, 1, 0)
    np.testing.assert_array_equal(values, results.methods["nlr"].lesion.labels)
    assert set(np.unique(values)) == {0, 1, 2}


def test_standard_errors_are_files_where_the_method_knows_them(
    averaged: Results, tmp_path: Path
) -> None:
    publish(averaged, tmp_path / "out")
    listed = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["files"]
    named = [name for name in listed if "_se" in name]
    assert named == [f"bma/{key}_se.nii.gz" for key in ("cbf", "cbv", "mtt", "tmax")]
    text = (Path(__file__).parents[2] / "docs" / "summary-schema.md").read_text(encoding="utf-8")
    for name in named:
        image = nib.load(tmp_path / "out" / name)
        stored = np.asarray(image.dataobj).transpose(2, 1, 0)
        key = Path(name).name.removesuffix("_se.nii.gz")
        np.testing.assert_array_equal(stored, averaged.methods["bma"].maps.se[key])
        assert image.header["descrip"].item().decode().startswith("standard error of ")
        assert f"`{Path(name).name}`" in text


def test_curves_are_plain_csv(out: Path, results: Results) -> None:
    raw = (out / "curves.csv").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") == len(results.grid_s) + 1
    with (out / "curves.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["time_s", "aif_hu", "aif_scaled_hu", "vof_hu"]
    scaled = np.array([float(row["aif_scaled_hu"]) for row in rows])
    np.testing.assert_allclose(scaled, results.arteries.input_hu, atol=1e-4)


def test_compressed_files_are_valid_gzip(out: Path) -> None:
    for path in out.rglob("*.nii.gz"):
        assert len(gzip.decompress(path.read_bytes())) > 352


def test_the_verdict_is_the_worst_of_checks_and_findings(results: Results) -> None:
    assert verdict(results).word == "read with care"
    failed = replace(results, findings=(Finding("x", Grade.FAIL, "Nothing works."),))
    assert verdict(failed).word == "not reliable"
    assert verdict(failed).reasons[0].message == "Nothing works."
    fine = replace(results, checks=results.checks[:1], findings=())
    assert verdict(fine).word == "passed"
    assert verdict(fine).reasons == ()


def test_a_reason_is_named_once(results: Results) -> None:
    same = Finding("truncation", Grade.WARNING, results.checks[1].message)
    messages = [f.message for f in verdict(replace(results, findings=(same, same))).reasons]
    assert messages == [results.checks[1].message]


def test_no_machine_path_is_written(out: Path) -> None:
    text = (out / "summary.json").read_text() + (out / "report.html").read_text()
    assert not re.search(r"/(home|tmp|work|root|Users)/", text)


def test_without_an_artery_there_are_no_curves_but_all_keys(
    results: Results, tmp_path: Path
) -> None:
    one = {"nlr": results.methods["nlr"]}
    publish(replace(results, arteries=None, methods=one), tmp_path / "out")
    content = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert not (tmp_path / "out" / "curves.csv").exists()
    assert "curves.csv" not in content["files"]
    arteries = content["arteries"]
    assert (arteries["aif"], arteries["vof"], arteries["scale"]) == (None, None, None)
    assert arteries["arrival_s"] == results.arrival_s
    assert content["agreement"] == []
