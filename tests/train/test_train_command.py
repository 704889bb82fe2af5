"""`bolus train` says what it needs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from bolus.errors import UsageError

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
