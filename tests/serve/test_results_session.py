"""What the page reads is what the files and the command line say."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nibabel as nib
import numpy as np
import pytest
from conftest_serve import unpacked
from matplotlib import colormaps

from bolus.deconvolution.methods import METHODS
from bolus.errors import DamagedFile, NoReadableFiles
from bolus.lesion.measure import measure_lesion
from bolus.lesion.presets import DELAY_PRESETS, PRESET_NAMES, preset_for
from bolus.metrics import dice
from bolus.options import METHOD_NAMES, Choices
from bolus.pipeline import analyse
from bolus.preprocessing import Stages
from bolus.publish.voxels import read_voxels
from bolus.serve.colours import colour_tables
from bolus.serve.lesions import rules
from bolus.serve.open_results import Volumes, open_results
from bolus.serve.results_app import unique_names
from bolus.simulate.truth import Truth
from bolus.types import CNN, Exam, Results

JobDone = Callable[[httpx.Client, httpx.Response], dict[str, Any]]


def stored(out: Path, key: str) -> np.ndarray:
    """(X, Y, Z) values of a file."""
    return np.asarray(nib.load(out / f"{key}.nii.gz").dataobj)


def test_a_session_lists_its_exams_and_says_what_it_is_for(page: httpx.Client) -> None:
    session = page.get("/api/session").json()
    assert session["kind"] == "results"
    assert session["use"] == "Research use, not for diagnosis"
    assert session["exams"][0]["name"] == "small"


def test_the_manifest_lists_every_volume_of_the_folder(page: httpx.Client, out: Path) -> None:
    manifest = page.get("/api/exams/0").json()
    files = {p.relative_to(out).as_posix() for p in out.rglob("*.nii.gz")}
    assert {f"{one['key']}.nii.gz" for one in manifest["volumes"]} == files
    for one in manifest["volumes"]:
        assert page.get(one["url"]).content == (out / f"{one['key']}.nii.gz").read_bytes()
        assert one["low"] < one["high"]
    affine = nib.load(out / "brain.nii.gz").affine
    np.testing.assert_allclose(manifest["affine_xyz_to_ras"], affine, atol=1e-3)
    assert manifest["methods"] == ["nlr", "cnn"]
    assert len(manifest["motion"]["time_s"]) == len(manifest["motion"]["kept"])
    assert manifest["has_curves"]
    assert manifest["can_recompute"]


def test_a_browser_loads_a_volume_once(page: httpx.Client) -> None:
    url = "/api/exams/0/volumes/nlr/cbf.nii.gz"
    first = page.get(url)
    again = page.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_voxel_has_the_numbers_of_the_files_to_the_last_bit(
    page: httpx.Client, out: Path, ran: Results
) -> None:
    voxels = np.argwhere(ran.curves.voxels)
    for z, y, x in voxels[:: len(voxels) // 12]:
        found = page.get(f"/api/exams/0/voxel/{x}/{y}/{z}").json()
        for key, value in found["values"].items():
            assert value == float(stored(out, key)[x, y, z]), key
        place = ran.geometry.affine @ [z, y, x, 1]
        np.testing.assert_allclose(found["position_lps_mm"], place[:3], atol=1e-3)
        row = int(ran.curves.voxels.ravel()[: np.ravel_multi_index((z, y, x),
                  ran.geometry.shape)].sum())  # fmt: skip
        expected = ran.curves.tissue_hu[row].astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(np.float32(found["curve_hu"]), expected)
        np.testing.assert_array_equal(found["time_s"], ran.curves.times_s[:, z])


def test_the_box_model_runs_through_the_measured_curve(page: httpx.Client, ran: Results) -> None:
    voxels = np.argwhere(ran.curves.voxels & ran.tissue.parenchyma)
    left, whole = 0.0, 0.0
    for z, y, x in voxels[:: len(voxels) // 12]:
        found = page.get(f"/api/exams/0/voxel/{x}/{y}/{z}").json()
        assert list(found["fits"]) == ["nlr"]  # the network has no model
        fit = np.interp(found["time_s"], found["fit_time_s"], found["fits"]["nlr"])
        curve = np.array(found["curve_hu"])
        left += float(((curve - fit) ** 2).sum())
        whole += float(((curve - curve.mean()) ** 2).sum())
    assert left < 0.25 * whole


def test_voxels_outside_the_volume_do_not_exist(page: httpx.Client) -> None:
    for place in ("-1/0/0", "0/0/6", "128/0/0", "0/100000000000000000000/0"):
        assert page.get(f"/api/exams/0/voxel/{place}").status_code in (404, 422), place


@pytest.mark.parametrize("method", ["nlr", "cnn"])
@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_a_preset_gives_the_lesion_of_the_command_line(
    page: httpx.Client, ran: Results, method: str, preset: str
) -> None:
    answer = page.post("/api/exams/0/lesion", json={"method": method, "preset": preset})
    expected = measure_lesion(ran.methods[method].maps, ran.tissue, ran.geometry, preset)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    np.testing.assert_array_equal(unpacked(found["mask"], ran.geometry.shape), expected.labels)
    assert found["core_ml"] == pytest.approx(expected.core_ml, abs=1e-9)
    assert found["hypoperfused_ml"] == pytest.approx(expected.hypoperfused_ml, abs=1e-9)
    assert found["side"] == expected.side
    assert (found["mismatch_ratio"] is None) == (expected.mismatch_ratio is None)
    assert "mistar" in DELAY_PRESETS


def test_thresholds_by_hand_are_a_presets_where_the_numbers_are(
    page: httpx.Client, ran: Results
) -> None:
    by_method = {name: preset_for("calibrated", name) for name in ("nlr", "cnn")}
    # relative CBF and Tmax are meant where no map is named
    numbers = {
        name: {"hypoperfused_above": rule.hypoperfused_above, "core_below": rule.core_below}
        for name, rule in by_method.items()
    }
    asked = {"method": "nlr", **numbers["nlr"], "others": {"cnn": numbers["cnn"]}}
    found = page.post("/api/exams/0/lesion", json=asked).json()
    nlr, cnn = (ran.methods[name].lesion for name in ("nlr", "cnn"))
    assert found["core_ml"] == pytest.approx(nlr.core_ml, abs=1e-9)
    assert found["hypoperfused_ml"] == pytest.approx(nlr.hypoperfused_ml, abs=1e-9)
    assert found["dice"]["core"]["cnn vs nlr"] == dice(nlr.labels == 2, cnn.labels == 2)
    assert found["dice"]["hypoperfused"]["cnn vs nlr"] == dice(nlr.labels > 0, cnn.labels > 0)


@pytest.mark.parametrize("method", ["nlr", "cnn"])
@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_the_rule_of_a_preset_put_in_by_hand_gives_its_lesion(
    page: httpx.Client, ran: Results, method: str, preset: str
) -> None:
    """So sliders that show a preset's maps and thresholds show what it does."""
    rule = page.get("/api/exams/0/rules").json()[method][preset]
    asked = {
        "method": method,
        "core_map": rule["core"]["map"],
        "core_below": rule["core"]["below"],
        "hypoperfused_map": rule["hypoperfused"]["map"],
        "hypoperfused_above": rule["hypoperfused"]["above"],
    }
    found = page.post("/api/exams/0/lesion", json=asked).json()
    expected = measure_lesion(ran.methods[method].maps, ran.tissue, ran.geometry, preset)
    np.testing.assert_array_equal(unpacked(found["mask"], ran.geometry.shape), expected.labels)
    assert rule["core"]["text"] == expected.core_rule
    assert rule["hypoperfused"]["text"] == expected.hypoperfused_rule
    assert rule["source"] == expected.rule_source


def test_presets_that_need_a_delay_are_not_offered_without_one(out: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(out, tmp_path / "own"))
    (own / "nlr/delay.nii.gz").unlink()
    offered = rules(open_results(0, own, Volumes()))
    assert set(offered["cnn"]) - set(offered["nlr"]) == set(DELAY_PRESETS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "nlr"},
        {"method": "nlr", "preset": "no such"},
        {"method": "nlr", "hypoperfused_above": -1, "core_below": 0.3},
        {"method": "nlr", "hypoperfused_above": 1e300, "core_below": 0.3},
        {"method": "nlr", "hypoperfused_above": 6, "core_below": 0.3, "core_map": "TTP"},
        {"method": "nlr", "hypoperfused_above": 6, "core_below": 3, "core_map": "relative CBF"},
        {"method": "bma", "preset": "rapid"},
        {"preset": "rapid"},
        {"method": "nlr", "preset": "rapid", "others": {"svd": {"preset": "rapid"}}},
    ],
)
def test_thresholds_that_are_none_are_refused_in_one_sentence(
    page: httpx.Client, wrong: dict[str, Any]
) -> None:
    answer = page.post("/api/exams/0/lesion", json=wrong)
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]


def test_another_artery_gives_the_maps_of_the_command_line(
    page: httpx.Client, small: tuple[Exam, Truth], ran: Results, job_done: JobDone
) -> None:
    """What `--aif` gives from the exam, voxels.npz gives too, but for half precision."""
    assert ran.arteries is not None
    near = ran.arteries.candidates[-1].voxels[0]
    aif = (int(near[2]), int(near[1]), int(near[0]))
    expected = analyse(small[0], Choices(methods=("nlr",), aif=aif), Stages())
    begun = page.post("/api/exams/0/recompute", json={"method": "nlr", "aif": aif})
    state = job_done(page, begun)
    assert state["state"] == "done", state
    name = state["exam"]
    manifest = page.get(f"/api/exams/{name}").json()
    assert expected.arteries is not None
    voxels = [list(map(int, v[::-1])) for v in expected.arteries.aif.voxels]
    assert manifest["curves"]["aif_voxels_xyz"] == voxels
    np.testing.assert_allclose(
        manifest["curves"]["aif_scaled_hu"], expected.arteries.input_hu, rtol=2e-3, atol=0.5
    )
    maps = expected.methods["nlr"].maps
    assert not np.allclose(maps.tmax, ran.methods["nlr"].maps.tmax, atol=0.05)
    for key, step in (("cbf", 0.5), ("mtt", 0.2), ("tmax", 0.1)):
        url = f"/api/exams/{name}/volumes/nlr/{key}.nii.gz"
        image = nib.Nifti1Image.from_bytes(gzip.decompress(page.get(url).content))
        made = np.asarray(image.dataobj).transpose(2, 1, 0)
        off = np.abs(made - getattr(maps, key))[ran.curves.voxels]
        assert np.quantile(off, 0.99) < step, key
        assert np.median(off) < step / 20, key
    lesion = manifest["thresholds"]["nlr"]
    own = expected.methods["nlr"].lesion
    assert lesion["hypoperfused_ml"] == pytest.approx(own.hypoperfused_ml, rel=0.02, abs=0.5)
    text = ",".join(map(str, aif))
    assert manifest["name"] == f"small, nlr, AIF at {text}"
    # asked for again, the maps are the same and the name is another
    again = page.post("/api/exams/0/recompute", json={"method": "nlr", "aif": aif})
    twin = job_done(page, again)["exam"]
    names = {one["id"]: one["name"] for one in page.get("/api/session").json()["exams"]}
    assert names[name] == manifest["name"]
    assert names[twin] == f"small, nlr, AIF at {text} (2)"
    values = page.get(f"/api/exams/{name}/voxel/{aif[0]}/{aif[1]}/{aif[2]}").json()["values"]
    assert "nlr/cbf" in values


def test_an_artery_that_is_none_is_refused_with_the_reason(
    page: httpx.Client, ran: Results, job_done: JobDone
) -> None:
    quiet = np.argwhere(ran.tissue.brain & ~ran.near_vessels.voxels)[0]
    for place, reason in (
        (quiet, "no vessel runs there"),
        ((0, 0, 0), "outside the brain"),
        ((99, 0, 0), "outside the image"),
    ):
        z, y, x = (int(n) for n in place)
        begun = page.post("/api/exams/0/recompute", json={"method": "nlr", "aif": [x, y, z]})
        state = job_done(page, begun)
        assert state["state"] == "failed"
        assert reason in state["error"]
    refused = page.post("/api/exams/0/recompute", json={"method": "cnn", "aif": [1, 1, 1]})
    assert "needs no artery" in refused.json()["error"]
    assert page.post("/api/exams/0/recompute", json={"method": "nlr"}).status_code == 422


def test_folders_of_one_name_are_distinguished_by_those_above(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a/x/out", "b/x/out", "b/other")]
    assert unique_names(folders) == ["a/x/out", "b/x/out", "other"]
    assert unique_names(folders[1:]) == ["out", "other"]


def test_what_is_written_down_for_speed_is_what_it_stands_for() -> None:
    """Colours and names that would take a second to import."""
    even = np.linspace(0.0, 1.0, 256)
    expected = (colormaps["viridis"](even)[:, :3] * 255).round().astype(int)
    assert colour_tables()["uniform"] == expected.tolist()
    assert set(METHOD_NAMES) - set(METHODS) == {CNN}


def test_curves_survive_the_file(out: Path, ran: Results) -> None:
    voxels = read_voxels(out / "voxels.npz")
    half = ran.curves.tissue_hu.astype(np.float16)
    np.testing.assert_array_equal(voxels.curves.tissue_hu, half)
    for name in ("brain", "csf", "vessel"):
        np.testing.assert_array_equal(getattr(voxels, name), getattr(ran.tissue, name))
    np.testing.assert_array_equal(voxels.geometry.affine, ran.geometry.affine)
    np.testing.assert_array_equal(voxels.near_vessels.voxels, ran.near_vessels.voxels)


@pytest.mark.parametrize("cut", [0, 100, 5000, -30])
def test_damaged_curves_are_distinguished_from_good_ones(
    out: Path, tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "voxels.npz"
    path.write_bytes((out / "voxels.npz").read_bytes()[:cut])
    with pytest.raises(DamagedFile, match="run the exam again"):
        read_voxels(path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoReadableFiles, match="is missing"):
        open_results(0, tmp_path, Volumes())
    for text in ("{", "[]", '{"schema": "bolus-summary/1"}', '{"schema": 5}', "[" * 100000):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(DamagedFile, match="damaged"):
            open_results(0, tmp_path, Volumes())
