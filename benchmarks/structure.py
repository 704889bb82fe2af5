"""The shape of the code: who imports whom, and how long modules and functions are.

``python benchmarks/structure.py`` prints the figures that `docs/architecture.md` quotes.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

SRC = Path(__file__).parents[1] / "src"
PACKAGE = "bolus"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the package, as it is written."""

    name: str
    """With dots, for example ``bolus.acquire.exam``; a folder's ``__init__`` is the folder."""
    path: Path
    lines: int
    tree: ast.Module


def modules(src: Path = SRC) -> dict[str, Module]:
    """Every module of the package by name."""
    found = {}
    for path in sorted((src / PACKAGE).rglob("*.py")):
        parts = path.relative_to(src).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text()
        found[name] = Module(name, path, text.count("\n"), ast.parse(text))
    return found


def imports(every: Mapping[str, Module]) -> dict[str, set[str]]:
    """For each module those that it imports, inside functions too.

    What stands under ``if TYPE_CHECKING`` is for annotations and never imported.
    """
    return {
        name: {_module(target, every) for target in _imported(module.tree)} - {name}
        for name, module in every.items()
    }


def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from _imported(other)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "imports name the whole path"
            if (child.module or "").split(".")[0] == PACKAGE:
                yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.Import):
            names = (alias.name for alias in child.names)
            yield from (name for name in names if name.split(".")[0] == PACKAGE)
        else:
            yield from _imported(child)


def _module(target: str, every: Mapping[str, Module]) -> str:
    """The module that an imported name is or lies in."""
    return target if target in every else target.rpartition(".")[0]


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Modules that need each other, each set as one way around."""
    reached = {name: _reached(name, graph) for name in graph}
    circles = []
    seen: set[str] = set()
    for name in graph:
        if name in reached[name] and name not in seen:
            group = {other for other in reached[name] if name in reached[other]}
            seen |= group
            circles.append(sorted(group))
    return circles


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += graph[name]
    return found


def functions(module: Module) -> Iterator[Function]:
    """All functions of a module, those of classes and inside others too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: Function) -> int:
    """Lines from ``def`` to the end, docstring included; those of functions inside are theirs."""
    inside = [n for n in ast.walk(function) if isinstance(n, ast.FunctionDef) and n is not function]
    inner = {line for one in inside for line in range(_first(one), _last(one) + 1)}
    return len(set(range(function.lineno, _last(function) + 1)) - inner)


def _first(function: Function) -> int:
    return min([function.lineno, *(one.lineno for one in function.decorator_list)])


def _last(function: Function) -> int:
    return function.end_lineno or function.lineno


def is_kernel(function: Function) -> bool:
    """Whether numba compiles it: such functions take whatever types they are called with."""
    return any("jit" in ast.unparse(decorator) for decorator in function.decorator_list)


def is_typed(function: Function) -> bool:
    """Whether every argument and the result have a type."""
    own = function.args
    positional = [*own.posonlyargs, *own.args]
    if positional and positional[0].arg in ("self", "cls"):
        positional = positional[1:]
    others = [one for one in (own.vararg, own.kwarg) if one is not None]
    given = all(one.annotation for one in [*positional, *own.kwonlyargs, *others])
    return given and function.returns is not None


def public(module: Module) -> Iterator[ast.Module | ast.ClassDef | Function]:
    """The module, its public classes and functions, and the public methods of those classes."""
    yield module.tree
    for node in module.tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                    yield one


@dataclass(frozen=True)
class Figures:
    """What the architecture says about the code."""

    modules: int
    median_module: float
    longest_module: tuple[int, str]
    functions: int
    median_function: float
    p90_function: float
    longest_function: tuple[int, str]
    kernels: int
    untyped: tuple[str, ...]
    """Functions that are no kernels and lack a type."""
    documented: float
    """Share of what is public that has a docstring."""
    cycles: tuple[tuple[str, ...], ...]


def figures(src: Path = SRC) -> Figures:
    """Measure the package below ``src``."""
    every = modules(src)
    all_functions = [(one, f"{m.name}.{one.name}") for m in every.values() for one in functions(m)]
    lengths = [length(one) for one, _ in all_functions]
    sizes = [module.lines for module in every.values()]
    kernels = [one for one, _ in all_functions if is_kernel(one)]
    open_to_all = [node for module in every.values() for node in public(module)]
    return Figures(
        modules=len(every),
        median_module=median(sizes),
        longest_module=max((module.lines, module.name) for module in every.values()),
        functions=len(lengths),
        median_function=median(lengths),
        p90_function=quantiles(lengths, n=10)[-1],
        longest_function=max((length(one), name) for one, name in all_functions),
        kernels=len(kernels),
        untyped=tuple(n for one, n in all_functions if not is_kernel(one) and not is_typed(one)),
        documented=sum(ast.get_docstring(n) is not None for n in open_to_all) / len(open_to_all),
        cycles=tuple(map(tuple, cycles(imports(every)))),
    )


def out_of_order(
    graph: Mapping[str, set[str]], order: tuple[str, ...]
) -> tuple[list[str], set[str]]:
    """Imports of something later in the ``order`` of folders and modules, as "a imports b", and
    entries that are in the package but not in the order."""
    place = {name: number for number, name in enumerate(order)}
    unknown = {entry(name) for name in graph} - place.keys()
    wrong = [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in sorted(others)
        if place.get(entry(other), -1) > place.get(entry(name), len(order))
    ]
    return wrong, unknown


def entry(module: str) -> str:
    """The folder or module directly in the package: ``acquire`` of ``bolus.acquire.exam``."""
    return [*module.split("."), "__init__"][1]


def main() -> None:
    """Print the figures."""
    found = figures(Path(sys.argv[1]) if len(sys.argv) > 1 else SRC)
    typed = 1 - len(found.untyped) / (found.functions - found.kernels)
    print(f"modules            {found.modules}")
    print(f"lines of a module  median {found.median_module:g}, longest {found.longest_module}")
    print(f"functions          {found.functions}, of which {found.kernels} compiled kernels")
    print(
        f"lines of a function  median {found.median_function:g}, 90 % {found.p90_function:g}, "
        f"longest {found.longest_function}"
    )
    print(f"typed              {typed:.1%} (kernels apart) {' '.join(found.untyped)}")
    print(f"with docstring     {found.documented:.1%} of modules, public classes and functions")
    print(f"cycles             {len(found.cycles)}")
    for circle in found.cycles:
        print("  " + " ".join(circle))


if __name__ == "__main__":
    main()
