"""Whether the code of another commit and that in the working tree write the same bytes.

``python benchmarks/same_results.py [COMMIT]`` does the same jobs on a small simulated exam with
both, each in a process of its own, and compares every file, everything printed and every exit
code.  Two things may differ, and nothing else: the seconds that a stage took, and the words of
sentences.  A sentence in ``summary.json``, the report or what is printed may say the same better,
but its numbers must stay; maps, lesions, curves and images are compared byte for byte.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bolus.simulate.dicom import write_dicom
from bolus.simulate.exam import simulate_exam
from bolus.simulate.nifti import write_exam
from bolus.simulate.recipe import Recipe

ROOT = Path(__file__).parents[1]

BEFORE = "54d9dee8e7b947c0b6bac26bc6060c654989fc50"
"""The last commit before the folders got their names and the library its Python API."""

RECIPE = Recipe(
    matrix=96, pixel_mm=2.3, slices=4, slice_mm=10.0, bottom_mm=-12.0, frames=26, dt_s=2.2
)
SEED = 11
"""A stroke of the left side."""

JOBS: dict[str, tuple[str, ...]] = {
    "dicom": (
        *("run", "../exam.zip", "-o", "dicom"),
        *("-m", "bma", "-m", "nlr", "-m", "osvd", "-m", "cnn"),
    ),
    "nifti": ("run", "../exam.nii.gz", "-o", "nifti", "-m", "cnn", "-m", "nlr"),
    "by-hand": (
        *("run", "../exam.zip", "-o", "by-hand", "-m", "nlr", "--preset", "mistar"),
        *("--aif", "37,37,0", "--vof", "47,80,1", "--deidentified", "--quiet"),
    ),
    "info-dicom": ("info", "../exam.zip", "--json"),
    "info-nifti": ("info", "../exam.nii.gz", "--json"),
    "info-text": ("info", "../exam.zip"),
    "no-exam": ("run", "../missing", "-o", "none"),
    "no-method": ("run", "../exam.zip", "-o", "none", "-m", "magic"),
    "no-voxel": ("run", "../exam.zip", "-o", "none", "--aif", "1,2"),
}
"""What is done, by a name: the arguments of ``bolus``, given in a folder beside the exam's files.
A job with results writes them into the folder of its name."""

DRIVER = """
import contextlib, io, json, pathlib, sys
from bolus.cli import main
for name, arguments in json.loads(sys.stdin.read()).items():
    sys.argv = ["bolus", *arguments]
    code, out, err = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    said = {"exit": code or 0, "stdout": out.getvalue(), "stderr": err.getvalue()}
    pathlib.Path(f"{name} said").mkdir()
    pathlib.Path(f"{name} said", "said.json").write_text(json.dumps(said, indent=1))
"""

SECONDS = {
    # its numbers only; which stages are named is compared
    "summary.json": (re.compile(r'(?<="timings_s": {)[^}]*'), re.compile(r"(?<=: )[\d.e-]+")),
    "report.html": (
        re.compile(r"<table>(?:(?!<table>).)*?<tr class=\"total\">.*?</table>", re.DOTALL),
        re.compile(r"(?<=<td>)[\d.]+(?=</td>)"),
    ),
    "said.json": (re.compile(r'"stderr": ".*"'), re.compile(r"(?<= ) *\d+\.\d(?= s\\n)")),
}
"""Where the seconds that a stage took stand in a file: all that may differ."""


def code_of(commit: str, folder: Path) -> Path:
    """The ``src`` of a commit, unpacked below ``folder`` if it isn't there yet.

    Its files keep the commit's date, so that kernels once compiled from them stay compiled.
    """
    place = folder / commit
    if not place.exists():
        packed = subprocess.run(
            ["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        part = Path(tempfile.mkdtemp(dir=folder))
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(part, filter="data")
        part.rename(place)
    return place / "src"


def has(commit: str) -> bool:
    """Whether the history holds the commit; shallow clones and source archives don't."""
    asked = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        return subprocess.run(asked, cwd=ROOT, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def write_exams(folder: Path) -> None:
    """The exam as DICOM and as NIfTI."""
    exam, _ = simulate_exam(SEED, RECIPE)
    write_dicom(exam, folder / "exam.zip")
    write_exam(exam, folder / "exam.nii.gz")


def start(src: Path, folder: Path, jobs: Mapping[str, tuple[str, ...]]) -> subprocess.Popen[str]:
    """Begin to do the jobs with the code in ``src``, in the new ``folder`` beside the exam's."""
    folder.mkdir()
    (folder / "jobs.json").write_text(json.dumps(jobs))
    # two at once: one thread each
    one = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with (folder / "jobs.json").open() as asked:
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            cwd=folder,
            stdin=asked,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **one, "PYTHONPATH": str(src)},
        )


def both(
    before: Path, now: Path, folder: Path, jobs: Mapping[str, tuple[str, ...]] = JOBS
) -> tuple[Path, Path]:
    """Do the jobs with both; the two folders that now hold what they wrote and said."""
    write_exams(folder)
    places = folder / "before", folder / "now"
    running = [start(src, place, jobs) for src, place in zip((before, now), places, strict=True)]
    for process in running:
        _, said = process.communicate()
        if process.returncode:
            raise RuntimeError(said)
    return places


def written(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, without the seconds that stages took."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): without_seconds(path.name, path.read_bytes())
        for path in files
    }


def without_seconds(name: str, content: bytes) -> bytes:
    """The content of a file with 0 for each of the seconds that stages took."""
    if name not in SECONDS:
        return content
    place, number = SECONDS[name]
    return place.sub(lambda found: number.sub("0", found[0]), content.decode()).encode()


def compared(name: str, content: bytes) -> object:
    """What must be equal of a file: its bytes, or all but the words of its sentences."""
    content = without_seconds(name, content)
    if name == "summary.json":
        return without_words(without_added(json.loads(content)))
    if name == "said.json":
        return without_words(without_series(json.loads(content)))
    if name.endswith(".json"):
        return without_words(json.loads(content))
    if name == "report.html":
        text = re.sub(r"<(style|script)\b.*?</\1>", "", content.decode(), flags=re.DOTALL)
        text = SERIES_TABLE.sub("", text)
        images = re.findall(r"data:image/[^\"']+", text)
        visible = re.sub(r"<[^>]*>", " ", text)
        return {"images": images, "numbers": numbers(visible), "tags": Counter(TAG.findall(text))}
    return content


def without_added(summary: dict[str, Any]) -> dict[str, Any]:
    """A ``summary.json`` without the keys that it has got since: ``deidentified``, and the findings
    of each lesion, which also stand among those of the exam."""
    methods = {
        name: {**one, "lesion": {k: v for k, v in one["lesion"].items() if k != "findings"}}
        for name, one in summary.get("methods", {}).items()
    }
    kept = {key: value for key, value in summary.items() if key not in ("deidentified", "series")}
    return {**kept, "methods": methods} if "methods" in summary else kept


def without_series(said: dict[str, Any]) -> dict[str, Any]:
    """What ``bolus info`` said without its lines on series, which tell more than they did."""
    try:
        told = json.loads(said["stdout"])
    except ValueError:
        lines = [line for line in said["stdout"].splitlines() if not line.startswith("series ")]
        return {**said, "stdout": "\n".join(lines)}
    return {**said, "stdout": {key: value for key, value in told.items() if key != "series"}}


SERIES_TABLE = re.compile(r"<section[^>]*>\s*<h2>Series in the folder</h2>.*?</section>", re.DOTALL)
"""In the report since it says what each series was taken for."""
TAG = re.compile(r"<(\w+)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def numbers(text: str) -> Counter[str]:
    """How often each number stands in a text, in any order."""
    return Counter(NUMBER.findall(text))


def without_words(value: object) -> object:
    """JSON's values with each string of several words as its numbers; names of things stay."""
    if isinstance(value, dict):
        return {key: without_words(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_words(item) for item in value]
    if isinstance(value, str) and " " in value:
        with suppress(ValueError):  # what a command printed as JSON
            return without_words(json.loads(value))
        return numbers(value)
    return value


def differences(before: Path, now: Path) -> tuple[list[str], list[str]]:
    """Files that only one of the folders holds or that differ by more than seconds and words, and
    those that differ by words."""
    one, two = written(before), written(now)
    unlike = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
    worse = [
        name
        for name in unlike
        if name not in one
        or name not in two
        or compared(Path(name).name, one[name]) != compared(Path(name).name, two[name])
    ]
    return worse, [name for name in unlike if name not in worse]


def main() -> None:
    """Compare, say what differs, and leave both folders to look at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", nargs="?", default=BEFORE)
    commit = parser.parse_args().commit
    if not has(commit):
        sys.exit(f"the history here doesn't hold {commit}; fetch it whole: git fetch --unshallow")
    folder = Path(tempfile.mkdtemp(prefix="bolus-same-results-"))
    before, now = both(code_of(commit, folder), ROOT / "src", folder)
    other, reworded = differences(before, now)
    for name in (*reworded, *other):
        print(f"{'differs' if name in other else 'words'}: {before / name}  {now / name}")
    count = len(written(before))
    print(
        f"{count - len(other) - len(reworded)} of {count} files are the same to the byte, "
        f"{len(reworded)} but for the words of sentences"
    )
    sys.exit(bool(other))


if __name__ == "__main__":
    main()
