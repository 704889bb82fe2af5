"""Nothing leaves the computer: no question to a name server, no file but those that are named.

Each job runs with a new home and a new temporary folder, where the only network is loopback.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from opentelemetry import trace

from alone import alone, possible
from bolus.serve.app import new_app
from bolus.simulate.dicom import write_dicom
from bolus.simulate.truth import Truth
from bolus.types import Exam

NAMED = {".cache/matplotlib", ".config/matplotlib", ".cache/numba"}
"""What README says may appear in the user's home."""
INFO = "bolus", "info", "{exam}"
RUN = "bolus", "run", "{exam}", "-o", "{out}", "-m", "cnn", "-m", "nlr"
LIBRARY = (
    "from pathlib import Path; from bolus.pipeline import Choices, run_exam; "
    "run_exam(Path('{exam}'), Choices(methods=('cnn',)))"
)
VIEW = """
import subprocess, sys, urllib.request
bolus = [sys.executable, "-P", "-m", "bolus"]
subprocess.run([*bolus, "run", "{exam}", "-o", "{out}-view", "-m", "cnn", "-q"], check=True)
server = subprocess.Popen(
    [*bolus, "view", "{out}-view", "--no-browser", "--port", "0"],
    stdout=subprocess.PIPE, text=True)
address = server.stdout.readline().split()[-1]
for path in ("", "api/session", "api/exams/0", "api/exams/0/volumes/cnn/cbf.nii.gz"):
    assert urllib.request.urlopen(address + path).status == 200
server.terminate()
server.wait()
"""

KEPT_ELSEWHERE = (
    "NUMBA_CACHE_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "MPLCONFIGDIR",
    "ORT_DISABLE_TELEMETRY",
    "CI",  # where ONNX Runtime is silent by itself
)

Job = Callable[..., tuple[list[str], set[str]]]


@pytest.fixture(scope="module")
def job(
    small: tuple[Exam, Truth], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[list[str], set[str]]]:
    """Run Python with arguments, or a command of bolus; what was asked for and what was left."""
    if not possible():
        pytest.skip("this computer allows no private network")
    base = tmp_path_factory.mktemp("alone")
    write_dicom(small[0], base / "exam.zip")

    def run(*arguments: str) -> tuple[list[str], set[str]]:
        home = base / f"home{len(list(base.iterdir()))}"
        (home / "tmp").mkdir(parents=True)
        environment = {k: v for k, v in os.environ.items() if k not in KEPT_ELSEWHERE}
        environment |= {"HOME": str(home), "TMPDIR": str(home / "tmp")}
        places = {"exam": base / "exam.zip", "out": base / "out"}
        filled = []
        for argument in arguments:
            for name, place in places.items():
                argument = argument.replace(f"{{{name}}}", str(place))
            filled.append(argument)
        start = ["-P", "-m"] if filled[0] == "bolus" else ["-P", "-c"]
        record = base / f"{home.name}-asked"
        done = alone([sys.executable, *start, *filled], record, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
        left = {str(p.relative_to(home)) for p in home.rglob("*") if not p.is_dir()}
        return record.read_text().split(), {
            name for name in left if not any(name.startswith(named) for named in NAMED)
        }

    return run


def test_the_name_server_notes_who_is_asked_for(job: Job) -> None:
    asking = "import socket\ntry: socket.gethostbyname('a.example.org')\nexcept OSError: pass"
    assert "a.example.org" in job(asking)[0]


def test_onnx_runtime_by_itself_asks_and_writes(job: Job) -> None:
    """The reason for all this; where it no longer does, the tests below show nothing of it."""
    asked, left = job(
        "import onnxruntime, time, importlib.util, pathlib\n"
        "home = pathlib.Path(importlib.util.find_spec('bolus').origin).parent\n"
        "onnxruntime.InferenceSession(home / 'infer' / 'weights.onnx'); time.sleep(1)"
    )
    assert asked or any("onnxruntime" in name for name in left)


@pytest.mark.parametrize(
    "what", [INFO, RUN, (LIBRARY,), (VIEW,)], ids=["info", "run", "library", "view"]
)
def test_no_job_asks_for_a_name_or_leaves_a_file(job: Job, what: tuple[str, ...]) -> None:
    assert job(*what) == ([], set())


def test_children_and_benchmarks_inherit_the_silence() -> None:
    code = "import os, bolus; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "0"}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "1"


def test_requests_are_given_to_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI speaks to OpenTelemetry where a computer is set up for it; requests name raters."""
    collected = []

    class Collector(trace.TracerProvider):
        """What an organisation may have set up for all programs of a computer."""

        def get_tracer(self, *_: object, **__: object) -> trace.Tracer:
            collected.append("a request")
            return trace.NoOpTracer()

    collector = Collector()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: collector)

    async def ask() -> int:
        transport = httpx.ASGITransport(new_app([]))
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as asking:
            return (await asking.get("/api/colours")).status_code

    with ThreadPoolExecutor(1) as pool:  # tests of the browser leave a loop running in this thread
        assert pool.submit(lambda: asyncio.run(ask())).result() == 200
    assert collected == []
