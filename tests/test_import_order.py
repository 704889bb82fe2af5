"""The code has an order: what comes later may use what comes before, never the other way round."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from structure import SRC, cycles, entry, figures, imports, modules, out_of_order

ORDER = (
    # before anything else is imported
    "telemetry",
    "kernel_cache",
    "__init__",
    # what all share
    "plain_text",
    "errors",
    "data",
    "series",
    "types",
    "code_digest",
    "workers",
    "child_process",
    "axes",
    "metrics",
    "timegrid",
    "files",
    "volumes",
    # the way of the data, from files to files
    "acquire",
    "align",
    "anatomy",
    "arteries",
    "curves",
    "deconvolution",
    "infer",
    "lesion",
    "quality",
    "preprocessing",
    "options",
    "pipeline",
    "publish",
    "results",
    # many exams, people and networks
    "dataset",
    "train",
    "study",
    "serve",
    # knows the truth, so nothing above may know it
    "simulate",
    # the front door
    "terminal",
    "api",
    "cli",
    "__main__",
)
"""Modules and folders directly in the package; `docs/architecture.md` says the same."""

ESTIMATORS = ORDER[ORDER.index("acquire") : ORDER.index("simulate")]

GRAPH = imports(modules())


def test_every_module_imports_only_what_comes_before_it() -> None:
    wrong, unknown = out_of_order(GRAPH, ORDER)
    assert wrong == []
    assert unknown == set()
    assert set(ORDER) == {entry(name) for name in GRAPH}


def test_no_module_needs_one_that_needs_it() -> None:
    assert cycles(GRAPH) == []


def test_nothing_but_the_front_door_knows_the_simulator() -> None:
    knowing = {entry(name) for name, others in GRAPH.items() if "simulate" in map(entry, others)}
    assert knowing == {"simulate", "cli"}
    assert {"align", "arteries", "deconvolution", "infer", "study", "train"} <= set(ESTIMATORS)


def test_the_order_is_that_of_the_architecture() -> None:
    text = (SRC.parent / "docs" / "architecture.md").read_text()
    listed = text.split("## Import order", 1)[1].split("```")[1]
    assert tuple(listed.split()) == ORDER


def test_the_graph_sees_imports_inside_functions_and_not_those_for_types(tmp_path: Path) -> None:
    package = tmp_path / "bolus"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "early.py").write_text("def f():\n    from bolus.late import g\n    g()\n")
    (package / "late.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bolus.early import f\n"
    )
    graph = imports(modules(tmp_path))
    assert graph == {"bolus": set(), "bolus.early": {"bolus.late"}, "bolus.late": set()}
    assert cycles(graph) == []
    order = ("__init__", "early", "late")
    assert out_of_order(graph, order) == (["bolus.early imports bolus.late"], set())
    assert cycles({**graph, "bolus.late": {"bolus.early"}}) == [["bolus.early", "bolus.late"]]


@pytest.mark.parametrize("heavy", ["numpy", "numba", "scipy", "pydicom", "matplotlib", "asyncio"])
def test_importing_bolus_imports_nothing_heavy(heavy: str) -> None:
    question = f"import bolus, sys; print({heavy!r} in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", question], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


FOLDERS_WITH_CODE = {
    "bolus": "the version, and the settings that must come before any library",
    "bolus.cli": "the commands themselves",
}
"""Folders whose ``__init__`` is more than a docstring."""


def test_folders_only_say_what_they_are_for() -> None:
    """No name hides the module in which it is written."""
    for module in modules().values():
        if module.path.name != "__init__.py":
            continue
        assert ast.get_docstring(module.tree), f"{module.name} says nothing"
        more = len(module.tree.body) > 1
        assert more == (module.name in FOLDERS_WITH_CODE), module.name


LONGEST_MODULE, LONGEST_FUNCTION = 400, 90
"""Lines."""
LEAST_DOCUMENTED = 0.95


def test_modules_and_functions_are_short_typed_and_documented() -> None:
    found = figures()
    assert found.longest_module[0] <= LONGEST_MODULE, found.longest_module
    assert found.longest_function[0] <= LONGEST_FUNCTION, found.longest_function
    assert found.untyped == ()
    assert found.documented >= LEAST_DOCUMENTED
    assert found.cycles == ()
