"""Modules know those before them only: no two import each other, not even inside functions."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import bolus

PACKAGE = Path(bolus.__file__).parent


def modules() -> dict[str, Path]:
    """Path of each module by its name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("bolus", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """Modules of the package that one imports anywhere, for types only as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{one.name}" for one in node.names}
            names |= {one if one in known else node.module for one in inner}
    return names & known.keys()


def test_there_is_an_order_in_which_every_module_comes_after_what_it_imports() -> None:
    known = modules()
    # the package itself names what it offers and is asked for no more than its version
    graph = {
        name: imported(path, known) - {name} for name, path in known.items() if name != "bolus"
    }
    # CycleError names the circle
    assert len(tuple(TopologicalSorter(graph).static_order())) == len(known)
