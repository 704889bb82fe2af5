"""Two methods side by side: what differs, by how much, and in which colour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bolus.publish import palette
from bolus.publish.method_agreement import agreements, both_flow, difference
from bolus.publish.orientation import view_of
from bolus.publish.report.method_rows import DIFFERENCE_RAMP, NAME_COLUMN, Strip, comparison
from bolus.publish.windows import WINDOWS, difference_window
from bolus.publish.write import publish
from bolus.types import MethodResult, Results

TILE = 120


def with_second(results: Results, second: MethodResult) -> Results:
    return replace(results, methods={"nlr": results.methods["nlr"], "cnn": second})


def shifted(method: MethodResult, by: float) -> MethodResult:
    inside = method.maps.cbf > 0
    cbf = np.where(inside, method.maps.cbf + by, 0).astype(np.float32)
    return replace(method, maps=replace(method.maps, cbf=cbf))


def test_a_method_agrees_with_itself(results: Results) -> None:
    (one,) = agreements(with_second(results, results.methods["nlr"]))
    assert one.pair.name == "cnn-minus-nlr"
    assert (one.core_dice, one.hypoperfused_dice) == (1.0, 1.0)
    assert (one.core_difference_ml, one.hypoperfused_difference_ml) == (0, 0)
    for found in one.maps.values():
        assert (found.mean, found.low, found.high) == (0, 0, 0)
        assert found.r == pytest.approx(1)


def test_a_constant_offset_is_the_mean_difference_and_no_spread(results: Results) -> None:
    second = shifted(results.methods["nlr"], 3.0)
    (one,) = agreements(with_second(results, second))
    assert one.maps["cbf"].mean == pytest.approx(3.0, abs=1e-4)
    assert one.maps["cbf"].low == pytest.approx(3.0, abs=1e-3)
    assert one.maps["cbf"].r == pytest.approx(1.0)
    assert one.maps["tmax"].mean == 0


def test_limits_hold_19_of_20_normal_differences(results: Results) -> None:
    method = results.methods["nlr"]
    noise = np.random.default_rng(2).normal(0, 2.0, method.maps.tmax.shape)
    tmax = np.where(method.maps.cbf > 0, method.maps.tmax + noise, 0).astype(np.float32)
    second = replace(method, maps=replace(method.maps, tmax=tmax))
    (one,) = agreements(with_second(results, second))
    assert one.maps["tmax"].high == pytest.approx(1.96 * 2.0, rel=0.05)
    inside = results.tissue.parenchyma & (method.maps.cbf > 0)
    share = np.mean((noise > one.maps["tmax"].low) & (noise < one.maps["tmax"].high), where=inside)
    assert share == pytest.approx(0.95, abs=0.02)


def test_the_order_of_methods_turns_the_sign(results: Results) -> None:
    (there,) = agreements(results)
    (back,) = agreements(replace(results, methods=dict(reversed(results.methods.items()))))
    assert there.maps["mtt"].mean == pytest.approx(-back.maps["mtt"].mean)
    assert there.maps["mtt"].low == pytest.approx(-back.maps["mtt"].high)
    assert there.core_difference_ml == pytest.approx(-back.core_difference_ml)
    assert there.core_dice == back.core_dice


def test_files_of_differences_are_second_minus_first(results: Results, tmp_path: Path) -> None:
    publish(results, tmp_path / "out")
    one, two, apart = (
        nib.load(tmp_path / "out" / folder / "cbf.nii.gz").get_fdata()
        for folder in ("nlr", "osvd", "osvd-minus-nlr")
    )
    both = (one > 0) & (two > 0)
    np.testing.assert_allclose(apart[both], (two - one)[both], atol=1e-4)
    assert not apart[~both].any()


def strips_of(results: Results, by: float) -> list[Strip]:
    first, second = results.methods["nlr"], shifted(results.methods["nlr"], by)
    where = first.maps.cbf > 0
    apart = difference(first.maps, second.maps, "cbf")
    return [
        Strip(("nlr",), first.maps.cbf, where),
        Strip(("cnn",), second.maps.cbf, where),
        Strip(("cnn", "- nlr"), apart, both_flow(first.maps, second.maps), is_difference=True),
    ]


@pytest.mark.parametrize(
    ("by", "step"),
    [
        (0.0, palette.DIFFERENCE_LEVELS // 2),
        (40.0, palette.DIFFERENCE_LEVELS - 1),
        (-40.0, 0),
    ],
)
def test_equal_is_grey_and_more_and_less_are_the_scales_ends(
    results: Results, by: float, step: int
) -> None:
    strips = strips_of(results, by)
    view = view_of(results.geometry, results.tissue.brain)
    window = WINDOWS["cbf"]
    image = np.asarray(comparison(strips, view, window, difference_window(window), 4, TILE))
    tile = image[: len(image) // 3 * 3].reshape(3, -1, image.shape[1])[2][
        :, NAME_COLUMN : NAME_COLUMN + TILE
    ]
    shown = np.unique(tile[tile >= DIFFERENCE_RAMP.first]) - DIFFERENCE_RAMP.first
    assert shown.tolist() == [step]
    red, green, blue = palette.difference_scale()[step].astype(int)
    assert {0: red == green == blue, 1: red > blue, -1: blue > red}[int(np.sign(by))]


def test_the_two_ends_of_the_scale_are_equally_far_from_equal() -> None:
    levels = palette.difference_scale().astype(int)
    light = levels @ [0.299, 0.587, 0.114]
    middle = len(light) // 2
    assert (np.diff(light[: middle + 1]) > 0).all()
    assert (np.diff(light[middle:]) < 0).all()
    assert light[0] == pytest.approx(light[-1], abs=40)
    for window in WINDOWS.values():
        assert difference_window(window).low == -difference_window(window).high


def test_every_method_shows_the_same_slice_in_the_same_column(results: Results) -> None:
    """The marker in one slice appears in its column, in every strip, two slices to a row."""
    volume = np.full(results.geometry.shape, 20.0, np.float32)
    volume[2] = 60.0
    where = np.ones(volume.shape, bool)
    strips = [Strip((name,), volume, where) for name in ("a", "b")]
    view = view_of(results.geometry, np.ones(volume.shape, bool))
    window = WINDOWS["cbf"]
    image = comparison(strips, view, window, difference_window(window), 2, TILE)
    red = palette.scale()[-1].astype(int)
    pixels = np.asarray(image.convert("RGB")).astype(int)[
        :, NAME_COLUMN : NAME_COLUMN + 2 * TILE + 2
    ]
    marked = np.abs(pixels - red).max(axis=-1) <= 1
    height = image.height // 4
    found = [
        (row, column)
        for row in range(4)
        for column in range(2)
        if marked[row * height : (row + 1) * height, column * TILE : (column + 1) * TILE].mean()
        > 0.5
    ]
    assert found == [(2, 0), (3, 0)]
