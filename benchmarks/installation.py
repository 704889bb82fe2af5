"""Import time, sizes and times of installations, before the installation was made light and now.

Both trees are measured in one run on one machine: the commit `BEFORE`, and the files of the working
tree.  ``make demo`` starts from an empty folder: it makes the environment, installs and runs the
demo.  It is timed twice, with everything downloaded and with the packages in a folder on the disk,
where no line is in the way; the time on a line of 100 Mbit/s is reckoned from the latter and the
size of the packages.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from install_size import ROOT, install, new_environment, size_mb, sizes_mb, table
from tables import markdown, write

BEFORE = "54d9dee"
IMPORTS = 15
LINE_MB_PER_S = 100 / 8
"""An ordinary line, 100 Mbit/s."""
BUILDERS = "hatchling==1.27.0", "editables", "setuptools"
"""What building needs, and torch: `pip freeze` leaves them out."""
TIME_IMPORT = (
    "import time; start = time.perf_counter(); import bolus; print(time.perf_counter() - start)"
)
NOT_OURS = re.compile("PYTHON|VIRTUAL_ENV|NUMBA_CACHE_DIR")


@dataclass(frozen=True)
class Measured:
    """One tree: seconds and MB; ``parts`` is the table of the core's distributions."""

    import_s: float
    core_pip_mb: float
    core_mb: float
    demo_mb: float
    demo_packages_mb: float
    downloaded_s: float
    local_s: float
    parts: str


def main() -> None:
    """Measure both trees and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "before").mkdir()
        archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, check=True, stdout=-1)
        subprocess.run(["tar", "x", "-C", base / "before"], input=archive.stdout, check=True)
        copy_working_tree(base / "now")
        found = [measure(base / name, base / f"{name}-scratch") for name in ("before", "now")]
    now = found[-1]
    speed = now.demo_packages_mb / max(now.downloaded_s - now.local_s, 0.1)
    rows = [
        ["`import bolus`, s", *(f"{m.import_s:.3f}" for m in found)],
        ["core, `pip install .`, MB", *(f"{m.core_pip_mb:.0f}" for m in found)],
        ["core, `pip install --no-compile .`, MB", *(f"{m.core_mb:.0f}" for m in found)],
        ["`.venv` after `make demo`, MB", *(f"{m.demo_mb:.0f}" for m in found)],
        ["packages that `make demo` downloads, MB", *(f"{m.demo_packages_mb:.0f}" for m in found)],
        ["`make demo`, all downloaded, s", *(f"{m.downloaded_s:.0f}" for m in found)],
        ["`make demo`, packages on disk, s", *(f"{m.local_s:.0f}" for m in found)],
        [
            "`make demo` on a line of 100 Mbit/s (reckoned), s",
            *(f"{m.local_s + m.demo_packages_mb / LINE_MB_PER_S:.0f}" for m in found),
        ],
    ]
    write(
        "installation",
        "Installation",
        [
            f"Before is commit {BEFORE}; both were measured in one run on {os.cpu_count()} cores "
            f"with a mean load of {os.getloadavg()[2]:.1f}. One MB is 1,000,000 bytes of files, "
            "pip and the environment's own files included. The former `make demo` got the CPU "
            "build of torch; where pip finds only PyPI's build for Linux, CUDA came on "
            "top, several GB.",
            markdown(["", "before", "now"], rows),
            "By the difference of the two times, the line of this machine brings about "
            f"{speed:.0f} MB/s.",
            "The core by distribution, as pip installs it now:",
            now.parts,
        ],
    )


def copy_working_tree(to: Path) -> None:
    """Copy what git knows or would add, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes((ROOT / name).read_bytes())


def measure(tree: Path, scratch: Path) -> Measured:
    """Install a tree in every way that is compared."""
    compiled, plain = scratch / "compiled", scratch / "plain"
    python = new_environment(compiled)
    install(python, ".", root=tree)
    install(new_environment(plain), "--no-compile", ".", root=tree)
    core_mb = size_mb(plain)  # before anything is imported from it
    downloaded_s = make_demo(tree, {"PIP_NO_CACHE_DIR": "1"})
    demo_mb = size_mb(tree / ".venv")
    packages = scratch / "packages"
    download_what_is_installed(tree, packages)
    demo_packages_mb = size_mb(packages)
    download(tree, packages, *BUILDERS)
    local = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages), "PIP_NO_CACHE_DIR": "1"}
    return Measured(
        import_s=import_seconds(python, scratch),
        core_pip_mb=size_mb(compiled),
        core_mb=core_mb,
        demo_mb=demo_mb,
        demo_packages_mb=demo_packages_mb,
        downloaded_s=downloaded_s,
        local_s=make_demo(tree, local),
        parts=table(sizes_mb(compiled)),
    )


def environment() -> dict[str, str]:
    """This process's variables without those that lead Python to other packages."""
    return {name: value for name, value in os.environ.items() if not NOT_OURS.match(name)}


def import_seconds(python: Path, folder: Path) -> float:
    """Median of several new processes, after one that isn't counted."""
    times = []
    for _ in range(IMPORTS + 1):
        command = [str(python), "-P", "-c", TIME_IMPORT]
        run = subprocess.run(command, check=True, stdout=-1, cwd=folder, env=environment())
        times.append(float(run.stdout))
    return statistics.median(times[1:])


def make_demo(tree: Path, settings: dict[str, str]) -> float:
    """Seconds of ``make demo`` from nothing; the kernels are compiled anew as well."""
    subprocess.run(["make", "clean"], cwd=tree, check=True)
    for cached in [*tree.rglob("*.nbi"), *tree.rglob("*.nbc")]:
        cached.unlink()
    start = time.perf_counter()
    command = ["make", "demo", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=tree, check=True, env=environment() | settings)
    return time.perf_counter() - start


def download_what_is_installed(tree: Path, packages: Path) -> None:
    """The packages that ``make demo`` installed, as files."""
    python = tree / ".venv" / "bin" / "python"
    command = [str(python), "-m", "pip", "freeze", "--exclude-editable"]
    frozen = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    download(tree, packages, *(line for line in frozen if "==" in line))


def download(tree: Path, packages: Path, *names: str) -> None:
    """Packages by name and version, without what they depend on, except for the builders."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(packages)]
    alone = [] if names == BUILDERS else ["--no-deps"]
    command += [*alone, "--constraint", "constraints.txt", *names]
    subprocess.run(command, check=True, cwd=tree)


if __name__ == "__main__":
    main()
