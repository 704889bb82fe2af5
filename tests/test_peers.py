"""The comparison with other tools is fair, and one missing tool never stops it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolus.deconvolution.methods import deconvolve
from bolus.types import Curves
from peers import child
from peers.adapters import bolus as adapter
from peers.cases import DELAYS_S, Case, delay_phantom
from peers.report import BEGIN, END, errors, flow_change, overview, put_between_markers

GRID = np.arange(40.0)
AIF = 100 * np.maximum(GRID - 8, 0) ** 3 * np.exp(-np.maximum(GRID - 8, 0) / 1.5)


def small_case() -> Case:
    """Six voxels whose curves are the artery's, late by 0 to 5 s and 4 % of it."""
    tissue = np.stack([0.04 * np.interp(GRID - d, GRID, AIF) for d in range(6)])
    curves = Curves(
        grid_s=GRID,
        tissue_hu=tissue.astype(np.float32),
        times_s=GRID[:, None],
        weight=np.ones(GRID.size),
        voxels=np.ones((1, 2, 3), bool),
        noise_hu=0.5,
        arrival_s=8.0,
        spacing_mm=(5.0, 1.0, 1.0),
    )
    truth = {name: np.arange(1.0, 7.0) for name in ("cbf", "cbv", "mtt", "tmax")}
    return Case("brain", curves, AIF, {**truth, "delay": np.arange(6.0)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "brain.npz", **small_case().arrays())
    return tmp_path


def test_nothing_of_the_truth_is_handed_to_a_tool():
    case = small_case()
    handed = set(case.arrays())
    assert not handed & set(case.truth)
    assert {"time_s", "curves", "aif", "scale"} <= handed


def test_peers_get_the_samples_bolus_gets_where_these_lie_on_the_grid():
    case = small_case()
    np.testing.assert_allclose(case.arrays()["curves"], case.curves.tissue_hu, atol=1e-3)


def test_bolus_through_the_comparison_is_bolus(folder: Path):
    case = small_case()
    found = child.measured(adapter, "bsvd", 0, folder / "brain.npz")
    direct = deconvolve("bsvd", case.curves, AIF)
    for name in ("cbf", "cbv", "mtt", "tmax"):
        np.testing.assert_array_equal(found[name], getattr(direct, name)[case.curves.voxels])
    assert found["seconds"] > 0
    assert list(found["rows"]) == list(range(6))


def test_a_tool_that_is_not_there_gets_a_line_that_says_so(folder: Path, monkeypatch):
    monkeypatch.delenv("PYPET", raising=False)
    child.run("pypet", folder)
    found = dict(np.load(folder / "pypet" / "SVD" / "brain.npz"))
    assert "no clone given" in str(found["error"])
    table = overview({("PyPeT", "SVD"): {"brain": found}, ("PyPeT", "oSVD"): {"brain": found}}, [])
    assert table.count("no clone given") == 1


def test_a_tool_that_crashes_is_named_with_its_error(folder: Path, monkeypatch):
    def crash(*_: object) -> None:
        raise ValueError("matrix is singular")

    broken = SimpleNamespace(NAME="broken", METHODS={"svd": 0}, maps=crash)
    monkeypatch.setattr(child.importlib, "import_module", lambda _: broken)
    child.run("broken", folder)
    error = str(np.load(folder / "broken" / "svd" / "brain.npz")["error"])
    assert error == "ValueError: matrix is singular"


def test_slow_tools_get_the_same_voxels_in_every_run():
    case = {"curves": np.arange(300.0).reshape(100, 3)}
    part, rows = child.subset(case, 10)
    assert part["curves"].shape == (10, 3)
    np.testing.assert_array_equal(part["curves"], case["curves"][rows])
    np.testing.assert_array_equal(child.subset(case, 10)[1], rows)
    assert len(child.subset(case, 0)[1]) == len(child.subset(case, 1000)[1]) == 100


def test_a_perfect_map_has_no_error_and_one_that_is_half_has_slope_one_half():
    case = small_case()
    rows = np.array([0, 2, 3, 5])
    truth = case.truth["cbf"][rows]
    assert errors({"cbf": truth, "rows": rows}, case, "cbf") == pytest.approx((1, 0, 1))
    r, error, slope = errors({"cbf": truth / 2, "rows": rows}, case, "cbf")
    assert (r, error, slope) == pytest.approx((1, truth.mean() / 2, 0.5))


def test_flow_change_is_that_of_late_tissue_over_prompt_tissue():
    found = {"cbf": np.array([10.0, 11, 12, 13, 14, 15]), "rows": np.arange(6)}
    assert flow_change(found, small_case(), 3.0) == pytest.approx(0.3)


def test_tissue_of_the_delay_phantom_is_reached_before_and_after_the_artery():
    phantom = delay_phantom("box")
    baseline = phantom.frames[phantom.times_s < 12].mean(axis=0)
    enhanced = np.maximum(phantom.frames - baseline, 0)
    when = np.tensordot(phantom.times_s, enhanced, 1) / enhanced.sum(axis=0)
    mean_time = [when[phantom.delay == d].mean() for d in DELAYS_S]
    assert np.all(np.diff(mean_time) > 0)
    aif_peak = phantom.times_s[phantom.aif_hu.argmax()]
    assert aif_peak == pytest.approx(15 + 4.5, abs=1.0)


@given(st.text(), st.text(), st.text(), st.text())
def test_only_the_text_between_the_markers_changes(before: str, old: str, after: str, new: str):
    text = f"{before}{BEGIN}{old}{END}{after}"
    changed = put_between_markers(text, new)
    assert changed == f"{before}{BEGIN}\n{new}\n{END}{after}"
    assert put_between_markers(changed, new) == changed


def test_a_readme_without_markers_stays_as_it_is():
    assert put_between_markers("# bolus\n", "table") == "# bolus\n"
