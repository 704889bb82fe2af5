"""The page that is installed is the one whose sources are in web/."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from bolus.serve.app import STATIC

WEB = Path(__file__).parents[2] / "web"
REMEDY = "build the page again: make web"


def digests() -> dict[str, str]:
    """By path from the top of the repository, as the last build noted them."""
    lines = (WEB / "built.sha256").read_text("ascii").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def of_today() -> dict[str, str]:
    """Of the sources and of the page as they are now."""
    named = [WEB / name for name in ("build.mjs", "package-lock.json", "package.json")]
    found = [*named, WEB / "tsconfig.json", *(WEB / "src").iterdir(), *STATIC.iterdir()]
    top = WEB.parent
    return {
        path.resolve().relative_to(top).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
    }


@pytest.fixture
def node() -> str:
    """Node.js, where the page's modules are installed too."""
    path = shutil.which("node")
    if path is None or not (WEB / "node_modules/esbuild").is_dir():
        pytest.skip("node or the page's modules are not here: cd web && npm ci")
    return path


def test_no_source_of_the_page_changed_after_the_page_was_built() -> None:
    assert of_today() == digests(), REMEDY


def test_building_the_sources_gives_the_bytes_that_are_installed(node: str, tmp_path: Path) -> None:
    subprocess.run([node, "build.mjs", str(tmp_path / "page")], cwd=WEB, check=True, timeout=120)
    built = {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()}
    installed = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert built.keys() == installed.keys(), REMEDY
    assert [name for name in built if built[name] != installed[name]] == [], REMEDY


def test_sources_of_the_page_have_no_errors_of_type(node: str) -> None:
    compiler = WEB / "node_modules/typescript/bin/tsc"
    done = subprocess.run(
        [node, compiler, "--noEmit"], cwd=WEB, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
