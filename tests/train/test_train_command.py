"""`bolus train` says what it needs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from bolus.dataset.index import MAP_NAMES
from bolus.errors import UsageError
from bolus.types import MAP_UNITS

# the package's attribute of this name is the command itself
command = import_module("bolus.cli.train")


def test_without_torch_the_command_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'bolus\[train\]'"):
        command.train(Path("index.json"), split=Path("split.json"), out=Path("run"))


def test_choices_of_the_other_recipe_are_refused() -> None:
    with pytest.raises(UsageError, match="--map, --wrap-bug belong to the recipe gava2021"):
        command.train(
            Path("index.json"),
            split=Path("split.json"),
            out=Path("run"),
            recipe="bolus",
            map_name="cbf",
            wrap_bug=True,
        )


def test_the_maps_it_learns_are_those_of_data_sets() -> None:
    assert get_args(command.MapName) == MAP_NAMES
    assert set(MAP_NAMES) == {*MAP_UNITS, "delay"}
