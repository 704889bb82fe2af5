"""What README, the tutorial and the how-to pages tell people to type, works.

Blocks fenced as ``sh`` and ``python`` are run as they stand, page by page and in order, each page
in an empty folder with a small exam in it.  README and the tutorial show nothing that is not run;
the how-to pages also have commands for data that isn't here (fenced without a language), and of
these it is checked that the command line understands them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from bolus.cli import app
from bolus.simulate.dicom import write_dicom
from bolus.simulate.truth import Truth
from bolus.types import Exam

ROOT = Path(__file__).parents[1]
COMPLETE = ("README.md", "docs/tutorial.md")
"""Pages of which every command is run."""
RUN = (*COMPLETE, "docs/how-to/choose-an-artery.md", "docs/how-to/own-data.md")
MADE = {"_build", "gallery", "results"}
"""Folders of ``docs`` that the site's build makes."""
PAGES = (
    "README.md",
    *sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "docs").rglob("*.md")
        if not MADE & set(path.relative_to(ROOT / "docs").parts)
    ),
)
NOT_RUN = {
    "make demo": "installs from the network; tests/test_distribution.py installs and runs the demo",
    "pip install .": "the same",
    "bolus demo PRACTICE --quiet": "half a minute; the small exam stands in, tests/test_cli.py",
    "bolus view OUT": "a server that doesn't end; tests/serve and tests/browser use it",
}
"""Commands that are skipped, and why."""
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """Fenced blocks of a page, in order."""
    return [Block(*found) for found in FENCE.findall((ROOT / page).read_text(encoding="utf-8"))]


def commands(text: str) -> list[str]:
    """Lines without their comments."""
    bare = (re.sub(r"\s{2,}#.*", "", line).strip() for line in text.splitlines())
    return [line for line in bare if line and not line.startswith("#")]


@pytest.fixture
def folder(small: tuple[Exam, Truth], tmp_path: Path) -> Path:
    """An empty folder but for what the pages call EXAM, EXAMS and, from the demo, PRACTICE."""
    for name in ("PRACTICE", "EXAMS"):
        (tmp_path / name).mkdir()
    write_dicom(small[0], tmp_path / "PRACTICE" / "exam.zip")
    (tmp_path / "EXAMS" / "head-1.zip").symlink_to(tmp_path / "PRACTICE" / "exam.zip")
    return tmp_path


def run_in(folder: Path, *arguments: str) -> str:
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, module in (("bolus", " -P -m bolus"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "Agg",
    }
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.docs
@pytest.mark.parametrize("page", RUN)
def test_what_a_page_says_to_type_works(page: str, folder: Path) -> None:
    found = [block for block in blocks(page) if block.language in ("sh", "python")]
    assert found
    if page != "docs/tutorial.md":  # which unpacks it itself
        run_in(folder, "python", "-m", "zipfile", "-e", "PRACTICE/exam.zip", "EXAM")
    for language, same in groupby(found, lambda block: block.language):
        if language == "python":
            run_in(folder, "python", "-W", "error", "-c", "\n".join(b.text for b in same))
            continue
        for line in (line for block in same for line in commands(block.text)):
            if line not in NOT_RUN:
                run_in(folder, "bash", "-euo", "pipefail", "-c", line)


def test_readme_and_tutorial_show_no_command_that_is_not_run() -> None:
    for page in COMPLETE:
        assert {b.language for b in blocks(page)} <= {"sh", "python", "{eval-rst}"}, page


def test_what_is_skipped_is_still_on_a_page() -> None:
    shown = {line for page in RUN for b in blocks(page) for line in commands(b.text)}
    assert set(NOT_RUN) <= shown


@pytest.mark.parametrize("page", PAGES)
def test_the_command_line_understands_every_command_of_a_page(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    indented = re.findall(r"^    (bolus .*)$", text, re.MULTILINE)
    shown = [line for b in blocks(page) if b.language in ("", "sh") for line in commands(b.text)]
    for line in [*indented, *shown]:
        for command in re.findall(r"(?:^|do )(bolus (?!-h)[^;|]*)", line):
            # what may be left out stands in brackets
            tokens = shlex.split(re.sub(r"[][]", "", command), comments=True)[1:]
            app.parse_args(tokens, exit_on_error=False, print_error=False)
