"""The wheel and the sdist are whole, and run where nothing else is installed."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from bolus.simulate.dicom import write_dicom
from bolus.simulate.truth import Truth
from bolus.types import Exam
from install_size import install, new_environment, size_mb
from installation import copy_working_tree, environment

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MOST_DEMO_MB = 800.0
"""An installation that can run `bolus demo`."""
DATA = (
    "bolus/infer/weights.onnx",
    "bolus/lesion/calibration.json",
    "bolus/py.typed",
    "bolus/serve/static/index.html",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist of the working tree, and a wheel made from that sdist."""
    base = tmp_path_factory.mktemp("built")
    builder = new_environment(base / "builder")
    wanted = PROJECT["build-system"]["requires"]
    command = [str(builder), "-m", "pip", "install", "--quiet", *wanted]
    got = subprocess.run(command, capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(
            f"{wanted[0]} can't be installed here, so nothing is built: {got.stderr[-200:]}"
        )
    copy_working_tree(base / "tree")
    build(builder, base / "tree", base / "dist")
    (sdist,) = (base / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(base / "unpacked", filter="data")
    build(builder, next((base / "unpacked").iterdir()), base / "again")
    return base


def build(builder: Path, tree: Path, to: Path) -> None:
    """Build a wheel and an sdist with hatchling."""
    subprocess.run([builder, "-m", "hatchling", "build", "-d", to], cwd=tree, check=True)


def wheel(folder: Path) -> Path:
    """The only wheel of a folder."""
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.long
def test_wheel_holds_every_file_of_the_package(built: Path) -> None:
    tree = built / "tree" / "src"
    ours = {str(f.relative_to(tree)) for f in tree.rglob("*") if f.is_file()}
    with zipfile.ZipFile(wheel(built / "dist")) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == ours
    assert set(DATA) <= names


@pytest.mark.long
def test_sdist_builds_the_same_wheel(built: Path) -> None:
    assert wheel(built / "again").name == wheel(built / "dist").name
    assert wheel(built / "again").read_bytes() == wheel(built / "dist").read_bytes()


@pytest.mark.long
def test_sdist_holds_what_tests_it_and_tells_of_it(built: Path) -> None:
    (sdist,) = (built / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    told = {"CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Containerfile", "LICENSE"}
    assert told | {"Makefile", "README.md", "SECURITY.md", "constraints.txt"} <= names
    assert "tests/test_distribution.py" in names
    assert not any("node_modules" in name or "__pycache__" in name for name in names)


@pytest.fixture(scope="module")
def empty(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with nothing but the wheel and what it requires."""
    python = new_environment(tmp_path_factory.mktemp("empty") / "venv")
    install(python, "--no-compile", str(wheel(built / "dist")))
    return python


@pytest.fixture
def clean(tmp_path: Path) -> dict[str, str]:
    """The environment's variables, with a home that is new."""
    return environment() | {"HOME": str(tmp_path), "MPLBACKEND": "Agg"}


TEN_LINES = """
import bolus
import matplotlib.pyplot as plt
exam = bolus.read_exam("exam.zip")
results = bolus.run(exam, methods=["bma", "cnn"])
plt.imshow(results["bma"].cbf[3], vmin=0, vmax=60)
plt.colorbar(label="CBF, ml/100g/min")
plt.savefig("cbf.png")
results.save("python")
again = bolus.load_results("python")
print((again["cnn"].cbf == results["cnn"].cbf).all(), f"{again['bma'].lesion.core_ml:.1f} ml")
"""


@pytest.mark.long
def test_ten_lines_of_python_give_the_bytes_of_the_command_line(
    empty: Path, clean: dict[str, str], tmp_path: Path, small: tuple[Exam, Truth]
) -> None:
    write_dicom(small[0], tmp_path / "exam.zip")
    script = [empty, "-P", "-W", "error", "-c", TEN_LINES]
    told = subprocess.run(script, env=clean, capture_output=True, text=True, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("True ")
    assert (tmp_path / "cbf.png").stat().st_size > 10_000
    command = [empty.with_name("bolus"), "run", "exam.zip", "-o", "shell", "-m", "bma", "-m", "cnn"]
    subprocess.run([*command, "-q"], env=clean, check=True, cwd=tmp_path)
    ours = {path.relative_to(tmp_path / "shell") for path in (tmp_path / "shell").rglob("*.nii.gz")}
    assert len(ours) > 20
    for name in [*ours, "curves.csv", "voxels.npz"]:
        one, two = (tmp_path / side / name for side in ("python", "shell"))
        assert one.read_bytes() == two.read_bytes(), name


@pytest.mark.long
def test_wheel_makes_the_demo_in_an_empty_environment(
    empty: Path, clean: dict[str, str], tmp_path: Path
) -> None:
    python, home = empty, tmp_path
    install(python, "--no-compile", "--no-deps", "nilearn")
    for module in ("torch", "pytest", "pandas", "sklearn"):
        missing = [python, "-P", "-c", f"import {module}"]
        assert subprocess.run(missing, env=clean, capture_output=True, cwd=home).returncode, module
    command = [python.with_name("bolus"), "demo", "shown"]
    shown = subprocess.run(command, env=clean, capture_output=True, text=True, cwd=home)
    assert shown.returncode == 0, shown.stderr
    assert (home / "shown" / "results" / "report.html").stat().st_size > 100_000
    assert size_mb(empty.parents[1]) < MOST_DEMO_MB


def dry_run(target: str) -> list[str]:
    """What make would do in a fresh clone, line by line."""
    command = ["make", "--dry-run", target, "VENV=not-there"]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_demo_is_installed_without_the_tests_and_the_tests_on_top_of_it() -> None:
    demo, test = ([line for line in dry_run(t) if "install" in line] for t in ("demo", "test"))
    assert demo == test[: len(demo)]
    assert not any("[" in line for line in demo)
    assert any("[dev]" in line for line in test)


def test_containerfile_copies_what_is_there_and_installs_what_is_tested() -> None:
    text = re.sub(r"\\\n", "", (ROOT / "Containerfile").read_text())
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    allowed = (ROOT / ".containerignore").read_text().splitlines()
    for word, rest in steps:
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in allowed
    installs = [rest for word, rest in steps if word == "RUN" and "pip install" in rest]
    tested = [line for line in dry_run("demo") if "pip install" in line]
    assert [plain(line) for line in installs] == [plain(line) for line in tested]
    last_stage = steps[max(i for i, (word, _) in enumerate(steps) if word == "FROM") :]
    assert [rest for word, rest in last_stage if word == "USER"] == ["10001:10001"]
    assert ["ENTRYPOINT", '["bolus"]'] in last_stage


def plain(line: str) -> list[str]:
    """The arguments of ``pip install`` that decide what is installed."""
    ignored = {"--no-cache-dir", "--no-compile", "--quiet", "--editable"}
    return [word for word in line.split("pip install")[1].split() if word not in ignored]


def test_python_versions_that_are_named_begin_with_the_one_required() -> None:
    project = PROJECT["project"]
    named = [c.rsplit(" ", 1)[1] for c in project["classifiers"] if "Python :: 3." in c]
    assert named == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == f">={named[0]}"
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in named
