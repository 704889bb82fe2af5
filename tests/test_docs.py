"""What the documents say exists, exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bolus
from bolus.lesion.presets import PRESET_NAMES
from bolus.options import METHOD_NAMES
from peers.report import BEGIN, END

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    *(
        str(path.relative_to(ROOT))
        for folder in ("docs", "docs/explanation", "docs/how-to", "docs/reference")
        for path in sorted((ROOT / folder).glob("*.md"))
    ),
)
PACKAGE = ROOT / "src" / "bolus"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_pictures_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_every_path_in_the_architecture_exists() -> None:
    paths = re.findall(r"`([\w./-]+\.(?:py|ts))\b", ARCHITECTURE)
    assert len(paths) > 50
    missing = [p for p in paths if not (PACKAGE / p).exists() and not (ROOT / p).exists()]
    assert missing == []


def test_every_function_in_the_architecture_is_in_its_module() -> None:
    named = re.findall(r"`([\w/]+\.py): ([\w, ]+)`", ARCHITECTURE)
    assert len(named) > 25
    for path, names in named:
        tree = ast.parse((PACKAGE / path).read_text())
        written = {getattr(node, "name", "") for node in tree.body}
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            written |= {one.id for one in targets if isinstance(one, ast.Name)}
        assert set(names.split(", ")) <= written, path


def test_every_folder_stands_in_the_architecture() -> None:
    folders = {p.parent.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("__init__.py")}
    listed = re.findall(r"^\| `([\w/]+)` \|", ARCHITECTURE, re.MULTILINE)
    assert set(listed) == folders - {"."}
    modules = {p.name for p in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert {name for name in modules if f"`{name}`" not in ARCHITECTURE} == set()


def test_every_method_and_preset_is_explained_in_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for name in (*METHOD_NAMES, *PRESET_NAMES):
        assert f"`{name}`" in text, name


def test_readme_is_short_and_says_what_it_is_for() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    assert "Research use, not for diagnosis" in text


def test_each_page_that_states_accuracy_says_that_exams_were_simulated() -> None:
    for page in ("README.md", "docs/accuracy.md", "docs/index.md", "docs/explanation/cnn.md"):
        assert "simulated" in (ROOT / page).read_text(), page


def test_every_public_name_is_on_the_page_of_the_api() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    for name in bolus.__all__:
        assert re.search(rf"(::|`){name}(`|$)", page.replace(":: ", "::"), re.MULTILINE), name


def test_the_accuracy_page_has_the_table_of_the_peers() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text()
    table = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert table.startswith("| tool")
    assert table in (ROOT / "benchmarks" / "results" / "peers.md").read_text()


def test_the_version_is_that_of_the_changelog() -> None:
    assert f"## {bolus.__version__}" in (ROOT / "CHANGELOG.md").read_text()
