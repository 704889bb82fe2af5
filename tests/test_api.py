"""The public Python API: the same steps as the command line, on paths, exams and plain arrays."""

from __future__ import annotations

import ast
import csv
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import nibabel as nib
import numpy as np
import pytest

import bolus
from bolus import types
from bolus.quality.verdict import WORDS
from bolus.serve.summaries import read_summary
from bolus.simulate.dicom import write_dicom
from bolus.types import Exam, Grade

NIFTI = "*.nii.gz"
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def exam(small: tuple[Exam, object]) -> Exam:
    return small[0]


@pytest.fixture(scope="module")
def results(exam: Exam) -> bolus.Results:
    return bolus.run(exam, ["nlr", "cnn"])


@pytest.fixture(scope="module")
def preprocessed(exam: Exam) -> bolus.Preprocessed:
    return bolus.preprocess(exam)


@pytest.fixture
def saved(results: bolus.Results, tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    results.save(folder)
    return folder


def test_what_is_offered_is_sorted_exists_and_is_all_that_dir_shows() -> None:
    constants = [name for name in bolus.__all__ if name.isupper()]
    others = [name for name in bolus.__all__ if name not in constants]
    assert bolus.__all__ == sorted(constants) + sorted(others)
    assert dir(bolus) == sorted(bolus.__all__)
    for name in bolus.__all__:
        assert getattr(bolus, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'reed_exam'"):
        _ = bolus.reed_exam  # type: ignore[attr-defined]


READ = (
    "Arteries", "Baseline", "Check", "Curves", "Description", "Exam", "Finding", "Geometry",
    "Lesion", "Maps", "MethodResult", "Motion", "NearVessels", "Prediction", "Preprocessed",
    "Results", "Scanner", "Series", "SliceTimes", "Tissue", "Vessel",
)  # fmt: skip


def kinds(annotation: object) -> set[type]:
    found = {annotation} if isinstance(annotation, type) else set()
    return found.union(*map(kinds, get_args(annotation)))


@pytest.mark.parametrize("name", READ)
def test_what_an_exam_and_its_results_are_made_of_is_offered(name: str) -> None:
    offered = {getattr(bolus, one) for one in bolus.__all__}
    parts = set().union(*map(kinds, get_type_hints(getattr(bolus, name)).values()))
    ours = {one for one in parts if one.__module__.startswith("bolus.")}
    assert ours <= offered
    assert f".. autoclass:: {name}\n" in (ROOT / "docs" / "reference" / "api.md").read_text()


def test_no_type_in_the_reference_runs_into_its_description() -> None:
    """What follows a parameter's name is set as its type, in one line; sentences come below."""
    for name in bolus.__all__:
        text = inspect.getdoc(getattr(bolus, name)) or ""
        if callable(getattr(bolus, name)) and "Parameters\n---" in text:
            part = text.split("Parameters\n----------\n")[1].split("\n\n")[0]
            below = [line.strip() for line in part.splitlines() if line.startswith(" ")]
            starts = [line for line, last in zip(below, [".", *below], strict=False)
                      if last.endswith(".")]  # fmt: skip
            assert all(line[0].isupper() or line[0] == "`" for line in starts), name


def test_editors_are_told_every_name() -> None:
    tree = ast.parse(Path(bolus.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.asname or alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told | {"__version__"} == set(bolus.__all__)


def test_importing_bolus_loads_nothing_that_computes() -> None:
    code = "import sys, bolus; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "bolus" in loaded
    assert not {"numpy", "numba", "scipy", "pydicom", "nibabel", "onnxruntime"} & set(loaded)


def test_no_public_function_is_hidden_by_the_module_it_lives_in() -> None:
    code = (
        "import bolus, bolus.api, bolus.cli, bolus.pipeline, bolus.serve.app, bolus.train.loop\n"
        "assert all(callable(getattr(bolus, n)) for n in ('deconvolve', 'preprocess', 'run'))\n"
        "import sys\n"
        "for name, module in [m for m in sys.modules.items() if m[0].startswith('bolus.')]:\n"
        "    above, _, last = name.rpartition('.')\n"
        "    assert getattr(sys.modules[above], last) is module, name"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_a_run_from_python_writes_the_same_bytes_as_the_command_line(
    exam: Exam, tmp_path: Path
) -> None:
    path = tmp_path / "exam.zip"
    write_dicom(exam, path)
    bolus.run(str(path), "cnn").save(str(tmp_path / "python"))
    command = [sys.executable, "-P", "-m", "bolus", "run", path, "-o", tmp_path / "shell"]
    subprocess.run([*command, "-m", "cnn", "-q"], check=True)
    names = sorted(p.relative_to(tmp_path / "shell") for p in (tmp_path / "shell").rglob(NIFTI))
    assert len(names) > 10
    for name in [*names, Path("curves.csv"), Path("voxels.npz")]:
        one, two = (tmp_path / side / name for side in ("python", "shell"))
        assert one.read_bytes() == two.read_bytes(), name


def test_steps_one_by_one_give_the_maps_of_the_run(
    preprocessed: bolus.Preprocessed, results: bolus.Results
) -> None:
    arteries = bolus.find_arteries(preprocessed)
    maps = bolus.deconvolve(preprocessed, arteries, "nlr")
    assert maps == results["nlr"].maps
    np.testing.assert_array_equal(maps.cbf, results["nlr"].cbf)
    np.testing.assert_array_equal(bolus.predict(preprocessed).maps.cbf, results["cnn"].cbf)
    lesion = bolus.measure_lesion(maps, preprocessed.tissue, preprocessed.exam.geometry)
    assert lesion == results["nlr"].lesion
    by_array = bolus.deconvolve(preprocessed.curves, arteries.input_hu, "nlr")
    assert by_array == bolus.deconvolve(preprocessed.curves, arteries, "nlr")
    np.testing.assert_array_equal(by_array.cbf, maps.cbf)


def test_an_exam_that_was_read_is_run_like_its_path(exam: Exam, tmp_path: Path) -> None:
    write_dicom(exam, tmp_path / "exam.zip")
    read = bolus.read_exam(str(tmp_path / "exam.zip"))
    one, two = bolus.run(read, "bsvd"), bolus.run(tmp_path / "exam.zip", ["bsvd"])
    assert one["bsvd"] == two["bsvd"]
    assert bolus.describe(str(tmp_path / "exam.zip")).frames == len(read.frames)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"methods": "b"}, "no method 'b'; choose from nlr, bma"),
        ({"methods": ["bma", "svd"]}, "no method 'svd'; choose from nlr, bma"),
        ({"methods": []}, "no method is given"),
        ({"methods": {"nlr", "cnn"}}, "a list of names in their order"),
        ({"methods": None}, "a list of names in their order"),
        ({"aif": (np.inf, 1, 1)}, "three whole numbers"),
        ({"preset": "mine"}, "no preset 'mine'; choose from calibrated, rapid"),
        ({"aif": (1, 2)}, "three whole numbers"),
        ({"aif": (1.5, 2, 3)}, "three whole numbers"),
        ({"vof": "here"}, "three whole numbers"),
        ({"aif": (-1, 2, 3)}, "three whole numbers"),
        ({"series": 3}, "choose it in read_exam"),
        ({"methods": "bma", "model": "mine.onnx"}, "a model requires"),
    ],
)
def test_wrong_arguments_say_what_would_be_right(
    exam: Exam, arguments: dict[str, object], said: str
) -> None:
    with pytest.raises(bolus.UsageError, match=said):
        bolus.run(exam, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("nothing", [None, 3, "", (1, 2)])
def test_what_is_no_path_is_said_to_be_none(nothing: object, results: bolus.Results) -> None:
    for call in (bolus.run, bolus.read_exam, bolus.load_results, bolus.describe, results.save):
        with pytest.raises(bolus.UsageError, match="path"):
            call(nothing)  # type: ignore[operator]


def test_a_home_is_a_home_everywhere(
    results: bolus.Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    results.save("~/saved")
    assert (tmp_path / "saved" / "summary.json").exists()
    assert list(bolus.load_results("~/saved")) == ["nlr", "cnn"]


def test_a_missing_path_is_one_error_of_bolus(tmp_path: Path) -> None:
    with pytest.raises(bolus.NoReadableFiles, match="nowhere"):
        bolus.run(str(tmp_path / "nowhere"))


def test_a_method_that_was_not_run_is_named_with_those_that_were(results: bolus.Results) -> None:
    assert list(results) == ["nlr", "cnn"]
    assert "cnn" in results
    assert "bma" not in results
    with pytest.raises(bolus.UsageError, match="choose from nlr, cnn"):
        results["bma"]


def test_progress_is_silent_a_bar_or_a_function(
    exam: Exam, capfd: pytest.CaptureFixture[str]
) -> None:
    bolus.run(exam, "bsvd")
    assert capfd.readouterr() == ("", "")
    stages = []
    bolus.run(exam, "bsvd", progress=lambda stage, seconds: stages.append((stage, seconds)))
    began = [stage for stage, seconds in stages if seconds is None]
    assert began == [stage for stage, seconds in stages if seconds is not None]
    assert began[0] == "align"
    assert began[-1] == "lesion"
    assert capfd.readouterr() == ("", "")
    bolus.run(exam, "bsvd", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "deconvolve bsvd" in err


def test_results_are_reloaded_with_the_same_bits(results: bolus.Results, saved: Path) -> None:
    again = bolus.load_results(str(saved))
    for name in results:
        assert again[name].maps.volumes().keys() == results[name].maps.volumes().keys()
        for key, volume in results[name].maps.volumes().items():
            np.testing.assert_array_equal(again[name].maps.volume(key), volume)
        lesion, former = again[name].lesion, results[name].lesion
        np.testing.assert_array_equal(lesion.labels, former.labels)
        assert lesion.core_ml == pytest.approx(former.core_ml, rel=1e-5)
        assert lesion.core_rule == former.core_rule
        assert lesion.tmax_ml == pytest.approx(former.tmax_ml, rel=1e-5)
        assert lesion.findings == former.findings
    assert again.geometry == results.geometry
    assert again.tissue == results.tissue
    assert again.findings == results.findings
    assert [c.grade for c in again.checks] == [c.grade for c in results.checks]
    assert again.verdict == results.verdict
    np.testing.assert_allclose(again.times_s, results.times_s)
    assert again.arteries is not None
    assert results.arteries is not None
    np.testing.assert_allclose(again.arteries.input_hu, results.arteries.input_hu, atol=0.01)
    np.testing.assert_array_equal(again.arteries.aif.voxels, results.arteries.aif.voxels)


def test_reloaded_results_are_saved_with_the_same_volumes(saved: Path, tmp_path: Path) -> None:
    bolus.load_results(saved).save(tmp_path / "again")
    for path in sorted(saved.rglob(NIFTI)):
        other = tmp_path / "again" / path.relative_to(saved)
        assert other.read_bytes() == path.read_bytes(), path.name


def test_each_methods_findings_are_reloaded_with_it(results: bolus.Results, tmp_path: Path) -> None:
    """Also from files of former versions, which keep them with those of the exam only."""
    found = bolus.Finding("side-unclear", Grade.WARNING, "Both sides are late.", "Look again.")
    lesion = replace(results["nlr"].lesion, findings=(found,))
    methods = dict(results.items()) | {"nlr": replace(results["nlr"], lesion=lesion)}
    replace(results, methods=methods).save(tmp_path / "saved")
    again = bolus.load_results(tmp_path / "saved")
    assert again["nlr"].lesion.findings == (found,)
    assert again["cnn"].lesion.findings == results["cnn"].lesion.findings
    assert found in again.findings

    def former(summary: dict[str, Any]) -> None:
        for method in summary["methods"].values():
            del method["lesion"]["findings"]

    rewrite(tmp_path / "saved", former)
    assert bolus.load_results(tmp_path / "saved")["nlr"].lesion.findings == ()


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    change(summary)
    (folder / "summary.json").write_text(json.dumps(summary))


def test_results_without_their_curves_are_reloaded_without(
    results: bolus.Results, tmp_path: Path
) -> None:
    replace(results, curves=None).save(tmp_path / "saved")
    again = bolus.load_results(tmp_path / "saved")
    assert again.curves is None
    assert again.tissue == results.tissue
    assert again.near_vessels == results.near_vessels
    assert again.arrival_s == pytest.approx(results.arrival_s, rel=1e-5)
    np.testing.assert_array_equal(again.grid_s, results.grid_s)
    np.testing.assert_array_equal(again["nlr"].cbf, results["nlr"].cbf)
    again.save(tmp_path / "again")
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == sorted(
        p.name for p in (tmp_path / "saved").iterdir()
    )


def test_what_a_newer_version_adds_is_passed_over(saved: Path, results: bolus.Results) -> None:
    def newer(summary: dict[str, Any]) -> None:
        for part in (*summary["checks"], *summary["findings"], summary["scanner"], summary):
            part["added_later"] = [1]

    rewrite(saved, newer)
    assert bolus.load_results(saved).checks[0].name == results.checks[0].name


def test_what_a_newer_version_changed_is_refused_with_the_version_that_reads_it(
    saved: Path,
) -> None:
    def newer(summary: dict[str, Any]) -> None:
        summary["schema"] = "bolus-summary/2"
        summary["versions"]["bolus"] = "3.1.0"

    rewrite(saved, newer)
    said = r"bolus-summary/2 of bolus 3\.1\.0, but bolus .* reads bolus-summary/1 only"
    with pytest.raises(bolus.DamagedFile, match=said):
        bolus.load_results(saved)
    with pytest.raises(bolus.DamagedFile, match=said):
        read_summary(saved)


def test_substitutes_of_uids_are_not_replaced_again(results: bolus.Results, tmp_path: Path) -> None:
    named = replace(results, dicom_identity={"StudyInstanceUID": "1.2.3"})
    named.save(tmp_path / "first", deidentified=True)
    bolus.load_results(tmp_path / "first").save(tmp_path / "second", deidentified=True)
    one, two = (
        json.loads((tmp_path / n / "summary.json").read_text()) for n in ("first", "second")
    )
    assert one["dicom_identity"]["StudyInstanceUID"].startswith("2.25.")
    assert one["dicom_identity"] == two["dicom_identity"]
    assert one["deidentified"]
    assert two["deidentified"]
    named.save(tmp_path / "named")
    assert not json.loads((tmp_path / "named" / "summary.json").read_text())["deidentified"]
    # an exam whose own UIDs are of that root is no exception
    hospital = replace(results, dicom_identity={"StudyInstanceUID": "2.25.1234"})
    hospital.save(tmp_path / "third", deidentified=True)
    assert "2.25.1234" not in (tmp_path / "third" / "summary.json").read_text()


def test_results_are_counted_listed_and_replaced_like_a_dict(results: bolus.Results) -> None:
    assert len(results) == 2
    assert list(results.keys()) == list(results) == ["nlr", "cnn"]
    assert dict(results.items())["cnn"] is results["cnn"]
    assert list(results.values()) == [results["nlr"], results["cnn"]]
    inner = types.MethodResult(results["nlr"].maps, results["nlr"].lesion)
    fewer = replace(results, methods={"nlr": inner})
    assert fewer["nlr"] == results["nlr"]
    assert fewer["nlr"].maps.geometry == results.geometry
    for wrong in ({"nlr": results["nlr"].maps}, [results["nlr"]]):
        with pytest.raises(bolus.UsageError, match="methods"):
            replace(results, methods=wrong)  # type: ignore[arg-type]


def test_results_without_maps_are_not_saved(results: bolus.Results, tmp_path: Path) -> None:
    with pytest.raises(bolus.UsageError, match="nothing to save"):
        replace(results, methods={}).save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_the_grade_is_the_verdict_whatever_is_replaced(results: bolus.Results) -> None:
    failed = bolus.Finding("late", Grade.FAIL, "Too late.")
    lesion = replace(results["nlr"].lesion, findings=(failed,))
    methods = {"nlr": replace(results["nlr"], lesion=lesion)}
    for one in (results, replace(results, findings=(failed,)), replace(results, methods=methods)):
        assert one.verdict == WORDS[one.grade]
    assert replace(results, methods=methods).grade == Grade.FAIL


def test_a_lesion_is_measured_from_maps_or_from_a_methods_results(
    results: bolus.Results, preprocessed: bolus.Preprocessed
) -> None:
    where = preprocessed.tissue, preprocessed.exam.geometry
    assert bolus.measure_lesion(results["nlr"], *where) == results["nlr"].lesion
    with pytest.raises(bolus.UsageError, match="no method 'mine'; choose from nlr, bma"):
        bolus.measure_lesion(replace(results["nlr"].maps, method="mine"), *where)
    with pytest.raises(bolus.UsageError, match=r"maps is a bolus\.Maps, not ndarray"):
        bolus.measure_lesion(results["nlr"].cbf, *where)  # type: ignore[arg-type]


def test_messages_of_the_library_name_no_option_of_the_command_line_alone(
    preprocessed: bolus.Preprocessed, results: bolus.Results, tmp_path: Path
) -> None:
    (tmp_path / "thesis.docx").write_text("mine")
    calls = (
        lambda: results.save(tmp_path),
        lambda: results.save(tmp_path / "thesis.docx"),
        lambda: results.save("/"),
        lambda: bolus.find_arteries(preprocessed, aif=(0, 0, 0)),
        lambda: bolus.run("exam", "bma", model="mine.onnx"),
        lambda: bolus.run("exam", "cnn", model=tmp_path / "nowhere.onnx"),
    )
    for call in calls:
        with pytest.raises(bolus.BolusError) as caught:
            call()
        alone = re.sub(r"\([^()]*on the command line\)", "", str(caught.value))
        assert not re.search(r"(^|\s)--?[a-z]", alone), caught.value


def test_frames_that_were_dropped_are_reloaded_as_dropped(exam: Exam, tmp_path: Path) -> None:
    frames = exam.frames.copy()
    frames[5] = np.roll(frames[5], 40, axis=2)
    found = bolus.run(replace(exam, frames=frames), "bsvd")
    assert not found.motion.kept[5]
    found.save(tmp_path / "saved")
    again = bolus.load_results(tmp_path / "saved")
    np.testing.assert_array_equal(again.motion.kept, found.motion.kept)
    np.testing.assert_allclose(again.times_s[found.motion.kept], found.times_s[found.motion.kept])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda out: (out / "summary.json").write_text('{"schema": "bolus-summary/1"}'),
        lambda out: (out / "summary.json").write_bytes((out / "summary.json").read_bytes()[:999]),
        lambda out: (out / "nlr" / "cbf.nii.gz").unlink(),
        lambda out: (out / "nlr" / "lesion.nii.gz").write_bytes(b"no image"),
        lambda out: (out / "curves.csv").write_text("time_s,aif_hu\n1,x\n"),
        lambda out: (out / "voxels.npz").write_bytes(b"PK"),
        lambda out: shutil.copy(out / "nlr" / "cbf.nii.gz", out / "nlr" / "lesion.nii.gz"),
        lambda out: (
            nib.save(
                nib.load(out / "nlr" / "lesion.nii.gz").slicer[:50, :50], out / "cropped.nii.gz"
            )
            or shutil.move(out / "cropped.nii.gz", out / "nlr" / "lesion.nii.gz")
        ),
    ],
)
def test_damaged_results_are_refused_by_name(saved: Path, spoil: object) -> None:
    spoil(saved)  # type: ignore[operator]
    with pytest.raises((bolus.DamagedFile, bolus.NoReadableFiles), match=saved.name):
        bolus.load_results(saved)


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(bolus.NoReadableFiles, match="holds no results"):
        bolus.load_results(tmp_path)


def test_an_image_of_a_map_is_the_file_that_is_saved(results: bolus.Results, saved: Path) -> None:
    image = results["cnn"].to_nifti("cbf_se")
    stored = nib.load(saved / "cnn" / "cbf_se.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), np.asarray(stored.dataobj))
    np.testing.assert_array_equal(image.affine, stored.affine)
    with pytest.raises(bolus.UsageError, match="choose from cbf, cbv"):
        results["cnn"].to_nifti("flow")


def test_what_holds_arrays_compares_and_prints_without_them(
    exam: Exam, results: bolus.Results, preprocessed: bolus.Preprocessed
) -> None:
    other = replace(exam, frames=exam.frames + np.float32(1))
    assert exam == replace(exam)
    assert exam != other
    assert exam != "an exam"
    assert exam != object()
    assert results["nlr"].maps != types.Maps(**{
        key: value for key, value in vars(results["nlr"].maps).items() if key != "geometry"
    })  # fmt: skip
    assert results == bolus.Results.of(results)
    assert results != replace(results, arrival_s=0.0)
    for one in (exam, results, results["cnn"], results["cnn"].maps, preprocessed, exam.geometry):
        assert len(repr(one)) < 2500
    assert "core" in repr(results)
    assert "ml/100g/min" in repr(results["nlr"])
    assert "float32[" in repr(exam)


def test_a_notebook_shows_maps_and_no_markup_of_strangers(results: bolus.Results) -> None:
    hostile = bolus.Finding("odd", Grade.WARNING, "<script>alert(1)</script>")
    page = replace(results, findings=(hostile,))._repr_html_()
    assert page.count("<img") == 2 * 5
    assert "<script" not in page
    assert "Research use, not for diagnosis" in page
    assert results["cnn"]._repr_html_().count("<img") == 5
    assert (
        re.findall('alt="([^"]+)"', page)[0]
        == "Cerebral blood flow by nlr, ml/100g/min, all slices"
    )
    assert "<pre>" in bolus.Maps.of(results["cnn"].maps)._repr_html_()


def drawn(times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An arterial input, and four tissue curves by box residues of 60, 30, 20, 10 ml/100g/min."""
    fine = np.arange(0.0, times_s[-1] + 0.05, 0.05)
    since = np.maximum(fine - 8.0, 0.0)
    artery = 300.0 * (since / 4.5) ** 3 * np.exp(3 - since / 1.5)
    total = np.concatenate([[0.0], np.cumsum(artery) * 0.05])
    tissue = []
    for cbf, mtt_s in ((60.0, 4.0), (30.0, 5.0), (20.0, 8.0), (10.0, 10.0)):
        back = np.interp(fine - mtt_s, fine, total[:-1], left=0.0)
        tissue.append(cbf / (60 * 69.84) * (total[:-1] - back))
    at = [np.interp(times_s, fine, curve) for curve in (artery, *tissue)]
    return at[0], np.array(at[1:])


TIMES_S = np.arange(0.0, 60.0, 1.2)


def test_curves_of_any_source_give_their_flow() -> None:
    artery, tissue = drawn(TIMES_S)
    maps = bolus.deconvolve(tissue, artery, "nlr", times_s=TIMES_S)
    assert maps.cbf.shape == (4,)
    np.testing.assert_allclose(maps.cbf, [60, 30, 20, 10], rtol=0.08)
    np.testing.assert_allclose(maps.cbv, [4.0, 2.5, 2.67, 1.67], rtol=0.04)
    np.testing.assert_allclose(maps.cbv, maps.cbf * maps.mtt / 60, rtol=1e-6)


def test_one_curve_gives_numbers_that_print(capsys: pytest.CaptureFixture[str]) -> None:
    artery, tissue = drawn(TIMES_S)
    maps = bolus.deconvolve(tissue[0], artery, "nlr", times_s=TIMES_S)
    assert maps.cbf.shape == ()
    assert "one curve" in repr(maps)
    assert "one curve" in maps._repr_html_()
    assert "float32[]" in repr(
        types.Maps(**{k: v for k, v in vars(maps).items() if k != "geometry"})
    )


def test_of_a_few_box_shaped_curves_bma_overestimates_flow_as_documented() -> None:
    """Shapes can't be told from so few; of 200 curves each, with some noise, they can."""
    artery, tissue = drawn(TIMES_S)
    true = np.array([60, 30, 20, 10])
    few = bolus.deconvolve(tissue, artery, "bma", times_s=TIMES_S).cbf / true
    assert 1.3 < few.max() < 1.65
    np.testing.assert_allclose(few[2:], 1.0, atol=0.1)
    noise = np.random.default_rng(0).normal(0, 0.3, (4, 200, TIMES_S.size))
    many = bolus.deconvolve(tissue[:, None] + noise, artery, "bma", times_s=TIMES_S).cbf
    np.testing.assert_allclose(np.median(many, axis=1) / true, 1.0, atol=0.15)


@pytest.mark.parametrize("method", [name for name in bolus.METHODS if name != "cnn"])
@pytest.mark.parametrize("unit", [1e-9, 3.3e-4, 1000.0])
def test_the_unit_of_the_curves_cancels(method: str, unit: float) -> None:
    artery, tissue = drawn(TIMES_S)
    hu = bolus.deconvolve(tissue, artery, method, times_s=TIMES_S)
    other = bolus.deconvolve(tissue * unit, artery * unit, method, times_s=TIMES_S)
    np.testing.assert_allclose(other.cbf, hu.cbf, rtol=1e-4)
    np.testing.assert_allclose(other.tmax, hu.tmax, atol=1e-3)


def test_a_mask_gives_curves_their_places() -> None:
    artery, tissue = drawn(TIMES_S)
    mask = np.zeros((3, 4), bool)
    mask[0, 1], mask[1, 2], mask[2, 0], mask[2, 3] = True, True, True, True
    image = np.full((3, 4, TIMES_S.size), np.nan)
    image[mask] = tissue
    by_image = bolus.deconvolve(image, artery, "bsvd", times_s=TIMES_S, mask=mask)
    by_rows = bolus.deconvolve(
        tissue, artery, "bsvd", times_s=TIMES_S, mask=mask, spacing_mm=(2.0, 2.0)
    )
    flat = bolus.deconvolve(tissue, artery, "bsvd", times_s=TIMES_S)
    assert by_image.cbf.shape == (3, 4)
    np.testing.assert_array_equal(by_image.cbf[mask], flat.cbf)
    np.testing.assert_array_equal(by_rows.cbf, by_image.cbf)
    assert (by_image.cbf[~mask] == 0).all()
    with pytest.raises(bolus.UsageError, match="have no geometry"):
        by_image.to_nifti("cbf")


ARTERY, TISSUE = drawn(TIMES_S)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": "cnn"}, "no deconvolution 'cnn'; choose from nlr"),
        ({"times_s": None}, "give times_s"),
        ({"times_s": TIMES_S[::-1]}, "must rise"),
        ({"times_s": TIMES_S[:-1]}, "aif has shape"),
        ({"times_s": np.where(TIMES_S > 30, np.nan, TIMES_S)}, "must rise"),
        ({"times_s": TIMES_S * 1e9}, "are they in seconds"),
        ({"times_s": ["a"] * 50}, "times_s are of type"),
        ({"curves": [[1.0, 2.0], [1.0]]}, "curves are not one array"),
        ({"aif": ARTERY * 1e-310, "curves": TISSUE * 1e-310}, "too small a number"),
        ({"times_s": TIMES_S / 1000}, "are the times in seconds"),
        ({"curves": np.ma.masked_greater(TISSUE, 5)}, "curves are partly masked"),
        ({"mask": np.array([1.0, np.nan, 0.0, 1.0])}, "other values than 0 and 1"),
        ({"mask": np.array([-1, 0, 1, 2])}, "other values than 0 and 1"),
        ({"curves": TISSUE[:, :-1]}, "last axis is that of the 50 times"),
        ({"curves": np.where(TISSUE > 5, np.nan, TISSUE)}, "curves hold NaN or infinity"),
        ({"curves": TISSUE.astype(str)}, "give numbers"),
        ({"aif": ARTERY * np.nan}, "aif holds NaN"),
        ({"aif": -ARTERY}, "check its sign"),
        ({"mask": np.ones(3, bool)}, "neither the 3 voxels of the mask"),
        ({"mask": np.zeros(4, bool)}, "the mask holds no voxel"),
        ({"mask": np.ones((1, 1, 2, 2), bool)}, "at most three"),
        ({"spacing_mm": (1.0, 1.0)}, "each of 1 axes"),
        ({"curves": TISSUE.T}, r"not the first: give numpy.moveaxis\(curves, 0, -1\)"),
        ({"curves": TISSUE.reshape(2, 1, 2, 1, -1)}, "curves have, without time, 4 axes"),
        ({"curves": TISSUE[:0]}, "there are no curves"),
        ({"curves": TISSUE + 35, "aif": ARTERY + 40}, "aif begin at 40 and rise to 3"),
        ({"curves": TISSUE + 35}, "curves begin at 35 .* subtract from each curve"),
        ({"curves": 100 - TISSUE}, "curves begin at 100"),
        ({"aif": ARTERY + 40}, "aif begin at 40"),
        ({"spacing_mm": (0.0,)}, "distance above 0"),
        ({"spacing_mm": 2.0}, "distance above 0"),
        ({"spacing_mm": (1, 1, 1, 1), "mask": np.ones((1, 1, 2, 2), bool)}, "at most three"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(changed: dict[str, object], said: str) -> None:
    arguments = {"curves": TISSUE, "aif": ARTERY, "method": "bsvd", "times_s": TIMES_S}
    with pytest.raises(bolus.UsageError, match=said):
        bolus.deconvolve(**{**arguments, **changed})  # type: ignore[arg-type]


def test_curves_that_are_noisy_or_begin_with_the_bolus_are_not_taken_for_raw_ones() -> None:
    for cut in range(0, 24, 3):
        maps = bolus.deconvolve(
            TISSUE[:, cut:], ARTERY[cut:], "bsvd", times_s=TIMES_S[: TIMES_S.size - cut]
        )
        assert np.isfinite(maps.cbf).all()
    random = np.random.default_rng(7)
    for _ in range(200):
        artery = ARTERY + random.normal(0, 15, ARTERY.shape)
        tissue = TISSUE[3] + random.normal(0, 3, ARTERY.shape)
        bolus.deconvolve(tissue, artery, "bsvd", times_s=TIMES_S)


@pytest.mark.parametrize("method", [name for name in bolus.METHODS if name != "cnn"])
@pytest.mark.parametrize("factor", [34, 1000])
def test_frames_too_far_apart_for_a_bolus_are_refused(method: str, factor: int) -> None:
    with pytest.raises(bolus.ImplausibleValues, match="are the times in seconds"):
        bolus.deconvolve(TISSUE, ARTERY, method, times_s=TIMES_S * factor)


def test_times_count_from_the_first() -> None:
    early, late = (
        bolus.deconvolve(TISSUE, ARTERY, "bsvd", times_s=TIMES_S + start) for start in (0.0, 1e6)
    )
    np.testing.assert_allclose(late.ttp, early.ttp, atol=1e-3)
    np.testing.assert_allclose(late.cbf, early.cbf, rtol=1e-5)


def test_the_public_osipi_curves_give_what_each_method_is_known_to_give(
    shared_exams: Path,
) -> None:
    """Fourteen curves of a digital reference object with exponential residues, CNR 200.

    Its CBV is another multiple of the ratio of areas than ours; one factor for all curves brings
    them together, as CBV is not what is tested.
    """
    path = shared_exams / "osipi" / "dsc_data.csv"
    if not path.exists():
        pytest.skip("the shared OSIPI curves are not here")
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    true_cbv, true_cbf = (np.array([float(row[key]) for row in rows]) for key in ("cbv", "cbf"))
    expected = {
        "bma": (1.02, 0.06), "ssvd": (0.84, 0.04), "osvd": (0.77, 0.04), "bsvd": (0.74, 0.04),
        "tikhonov": (0.71, 0.04), "nlr": (0.55, 0.06),
    }  # fmt: skip
    for method in bolus.METHODS:
        if method == "cnn":
            continue
        made = []
        for row in rows:
            tissue, artery = (np.array(row[key].split(), float) for key in ("C_tis", "C_aif"))
            times_s = np.arange(artery.size) * float(row["tr"])
            maps = bolus.deconvolve(tissue[None], artery, method, times_s=times_s)
            made.append((float(maps.cbf[0]), float(maps.cbv[0])))
        cbf, cbv = np.array(made).T
        ratio = np.median(cbf * np.median(true_cbv / cbv) / true_cbf)
        assert ratio == pytest.approx(expected[method][0], abs=expected[method][1]), method
        assert np.corrcoef(cbf, true_cbf)[0, 1] > 0.97, method
