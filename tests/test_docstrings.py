"""Examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import bolus


def test_every_example_in_a_docstring_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [
        m.name for m in pkgutil.walk_packages(bolus.__path__, "bolus.") if "__main__" not in m.name
    ]
    failed, tried = [], 0
    for name in ["bolus", *names]:
        module = importlib.import_module(name)
        result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        tried += result.attempted
        failed += [name] * bool(result.failed)
    assert not failed
    assert tried
