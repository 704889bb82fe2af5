"""Files that somebody corrupted are refused in words, or give maps."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hostile_models import hostile_model
from made_slab import a_slab

from bolus.errors import BolusError
from bolus.infer.model import load_model
from bolus.infer.predict import predict
from bolus.types import MAP_UNITS

FILES = 60


def test_corrupted_files_are_refused_in_one_line_or_give_finite_maps(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    slab = a_slab(slices=1, rows=12, columns=10)
    path = tmp_path / "corrupted.onnx"
    refusals: dict[int, str] = {}
    for number in range(FILES):
        path.write_bytes(hostile_model(random.Random(number)))
        try:
            maps = predict(slab, load_model(path)).maps
        except BolusError as error:
            refusals[number] = str(error)
            continue
        for name in MAP_UNITS:
            assert np.isfinite(getattr(maps, name)).all(), (number, name)
            assert np.isfinite(maps.se[name]).all(), (number, name)
    for number, words in refusals.items():
        assert words.isprintable(), number
        assert path.name in words, number
    assert FILES / 2 < len(refusals) < FILES
    assert capfd.readouterr() == ("", "")


def test_the_same_seed_gives_the_same_file() -> None:
    assert hostile_model(random.Random(5)) == hostile_model(random.Random(5))
